"""Recipes on what happens inside: any loss on features, beside any recipe on the answers."""

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor, nn

from distill_lab.data.batches import Batch
from distill_lab.methods.method import Ask, Method, Student, Terms, examples_in
from distill_lab.methods.naming import called
from distill_lab.models.hooks import Tap
from distill_lab.models.outputs import logits_of

Layer = str | tuple[str, ...]  # one module's path, or several that a loss wants together


def match_features(
    term: str,
    loss: Callable[..., Tensor],
    pairs: Sequence[tuple[Layer, Layer]],
    *,
    weight: float,
    beside: Method | None = None,
    regressors: Sequence[nn.Module] | None = None,
    read: Callable[[Any], Any] | None = None,
) -> Method:
    """Match the student's features to the teacher's, layer by layer, beside another recipe.

    Formula: beside's terms + weight sum_l loss(student_l, teacher_l). Both models are tapped while
    ``beside`` runs them, so each runs once; without it only the features are matched, as in
    FitNets' first stage. ``pairs`` names modules, student's first, as ``Tap`` does; a tuple of
    names gives the loss a tuple of features, for example (query, key, value). With ``regressors``,
    one a pair, the loss is called with ``regressor=``, and they are trained beside the student.
    ``read`` takes the tensor out of a module that returns more than one.

        match_features("hint", hint_loss, [("body.2", "body.5")], weight=10.0,
                       regressors=[Regressor(16, 64)], beside=kd(T=4, alpha=0.9))

    Raises ValueError for no pair, a term that ``beside`` has already, or another number of
    regressors than pairs; when it runs, for students or teachers without modules to tap.
    Romero et al. 2015 (FitNets), section 2.2.

    >>> from distill_lab.losses import attention_transfer_loss
    >>> match_features("at", attention_transfer_loss, [("conv1", "conv2")], weight=1e3).weights
    {'at': 1000.0}
    """
    _check(term, pairs, beside, regressors)
    modules = nn.ModuleList(regressors or [])
    if beside is not None and beside.projections is not None:
        modules = nn.ModuleList([*modules, beside.projections])
    inside, before = len(regressors or []), beside
    own, theirs = ([_layers(pair[side]) for pair in pairs] for side in (0, 1))

    def terms(batch: Batch, student: Student, teacher: Ask) -> Terms:
        if not isinstance(student, nn.Module):
            raise ValueError(
                "features are tapped in the student's own modules, and "
                f"{type(student).__name__} has none: pass the network itself."
            )
        model = _module(teacher)
        with Tap(student, _flat(own)) as heard, Tap(model, _flat(theirs)) as said:
            found = {} if before is None else before.terms(batch, student, teacher)
            if before is None:
                logits_of(student, batch.inputs)
            if not said.all(theirs[0][0]):  # a recipe on labels alone does not ask the teacher
                teacher(batch)
        take = read or _only_tensor
        total: Tensor | None = None
        for number, (mine, yours) in enumerate(zip(own, theirs, strict=True)):
            options = {"regressor": modules[number]} if inside else {}
            value = loss(_picked(heard, mine, take), _picked(said, yours, take), **options)
            total = value if total is None else total + value
        assert total is not None
        return found | {term: total}

    weights = {} if before is None else dict(before.weights)
    parts = {"loss": loss, "regressors": regressors, "read": read}  # a checkpoint knows it by name
    named = [f"{key}={called(part)}" for key, part in parts.items() if part is not None]
    layers = ", ".join(f"{s}: {t}" for s, t in pairs)
    name = f"{term}({layers}, weight={weight}, {', '.join(named)})"
    return Method(
        name if before is None else f"{before.name} + {name}",
        terms,
        weights | {term: weight},
        projections=modules if len(modules) else None,
        count=examples_in if before is None else before.count,
        taps=tuple(_flat([() if before is None else before.taps, *theirs])),
    )


def _check(
    term: str,
    pairs: Sequence[tuple[Layer, Layer]],
    beside: Method | None,
    regressors: Sequence[nn.Module] | None,
) -> None:
    if not pairs or any(len(pair) != 2 for pair in pairs) or isinstance(pairs, str):
        raise ValueError(
            'pairs must name at least one layer of each model, as [("student.path", '
            f'"teacher.path")], got {pairs!r}.'
        )
    if beside is not None and term in beside.weights:
        raise ValueError(f"{beside.name} has a term {term!r} already: name this one otherwise.")
    if regressors is not None and len(regressors) != len(pairs):
        raise ValueError(
            f"there are {len(regressors)} regressors for {len(pairs)} pairs of layers: give each "
            "pair one."
        )


def _module(teacher: Ask) -> nn.Module:
    model = getattr(teacher, "model", None)
    if not isinstance(model, nn.Module):
        raise ValueError(
            f"features need a teacher that can be looked into, and {type(teacher).__name__} only "
            "gives its answers: use freeze(model)."
        )
    return model


def _layers(layer: Layer) -> tuple[str, ...]:
    return (layer,) if isinstance(layer, str) else tuple(layer)


def _flat(layers: Sequence[tuple[str, ...]]) -> list[str]:
    return list(dict.fromkeys(path for layer in layers for path in layer))


def _picked(tap: Tap, layer: tuple[str, ...], take: Callable[[Any], Any]) -> Any:
    features = tuple(take(tap[path]) for path in layer)
    return features[0] if len(features) == 1 else features


def _only_tensor(output: Any) -> Tensor:
    if not isinstance(output, Tensor):
        raise ValueError(
            f"a tapped module returned {type(output).__name__} and not one tensor: say which of "
            "its outputs is meant, for example read=lambda output: output[0]."
        )
    return output

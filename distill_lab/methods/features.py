"""Recipes on what happens inside: any loss on features, beside any recipe on the answers."""

import dataclasses
from collections.abc import Callable, Sequence
from inspect import signature
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from distill_lab._util.checks import one_of
from distill_lab._util.describe import describe
from distill_lab._util.tensors import IGNORE, Batch, leaves, values_at_hand
from distill_lab.losses import (
    MemoryBank,
    correlation_congruence_loss,
    pkt_loss,
    rkd_angle_loss,
    rkd_distance_loss,
    similarity_loss,
    similarity_preserving_loss,
)
from distill_lab.methods.feature_positions import FeaturePositions
from distill_lab.methods.method import Look, Method, Student, TeacherFn, Terms, by_term
from distill_lab.methods.positions import Mask, check_mask_name
from distill_lab.models.hooks import Tap
from distill_lab.models.networks import output_of

# What these compare are examples, whole: a mask would make each of their positions one.
BETWEEN_EXAMPLES = (
    similarity_preserving_loss,
    similarity_loss,
    rkd_distance_loss,
    rkd_angle_loss,
    correlation_congruence_loss,
    pkt_loss,
)
NO_MASK = (
    "some positions of these features are padding, no candidate or weigh more, and {} has no "
    "argument mask= to leave them out by: give it one, or say mask=None to match padding as well."
)
Layer = str | tuple[str, ...]  # one module's path, or several that a loss wants together


def match_features(
    term: str,
    loss: Callable[..., Tensor],
    pairs: Sequence[tuple[Layer, Layer]],
    *,
    weight: float,
    base_method: Method | None = None,
    regressors: Sequence[nn.Module] | None = None,
    read: Callable[[Any], Any] | None = None,
    mask: Mask = "auto",
    resize: str | None = None,
) -> Method:
    """Match the student's features to the teacher's, layer by layer, beside another recipe.

    Both models are tapped while `base_method` runs them, so each runs once.

    Formula: the terms of `base_method` + weight sum_l loss(student_l, teacher_l).

    Args:
        term: the name of the new term.
        loss: a function (student's features, teacher's features) -> scalar, as in
            `distill_lab.losses`.
        pairs: names of modules, the student's first, as `Tap` takes them. A tuple of names gives
            the loss a tuple of features, for example (query, key, value).
        weight: what the new term weighs.
        base_method: the recipe on the answers; without it only the features are matched, as in
            the first stage of FitNets.
        regressors: one module a pair, as `projections.Regressor.between` makes them. They map the
            student's features, by the loss where it takes `regressor=`, and are trained beside it.
        read: takes the tensor out of a module that returns more than one.
        mask: which positions of features (B, L, ...) count: see `methods.positions`. The loss gets
            them as `mask=`; for a loss on relations between examples they are zeros.
        resize: "adaptive" brings two maps (B, C, H, W) of other sizes to the smaller height and
            width by adaptive averages; None leaves them.

    Returns:
        A method with the terms of `base_method` and the new one.

    Raises:
        ValueError: for no pair, a term that `base_method` has already, or another number of
            regressors than pairs; when it runs, for students or teachers without modules to tap,
            and for padding that the loss has no way to leave out.

    Source: Romero et al. 2015 (FitNets), section 2.2.

    >>> from distill_lab.losses import attention_transfer_loss
    >>> match_features("at", attention_transfer_loss, [("conv1", "conv2")], weight=1e3).weights
    {'at': 1000.0}
    """
    _check(term, loss, pairs, base_method, regressors)
    check_mask_name(mask)
    one_of("resize", resize, (None, "adaptive"))
    modules = nn.ModuleList(regressors or [])
    if base_method is not None and base_method.projections is not None:
        modules.append(base_method.projections)
    parameters = signature(loss).parameters
    maps_itself = "regressor" in parameters or any(
        p.kind == p.VAR_KEYWORD for p in parameters.values()
    )
    relates = _at_least(loss) > 1
    student_layers, teacher_layers = ([_paths(pair[side]) for pair in pairs] for side in (0, 1))
    layers = _flat(student_layers), _flat(teacher_layers)
    ignore = IGNORE if base_method is None else base_method.ignore
    places = FeaturePositions(mask, weighed=not relates, ignore=ignore)
    masked = "mask" in parameters

    def terms(batch: Batch, student: Student, teacher: TeacherFn) -> Terms:
        result, student_tap, teacher_tap = run_tapped(batch, student, teacher, layers, base_method)
        values = []
        for i, (ours, its) in enumerate(zip(student_layers, teacher_layers, strict=True)):
            options: dict[str, Any] = {}
            features = [_features(student_tap, ours, read), _features(teacher_tap, its, read)]
            if resize is not None:
                features = _resized(*features)
            kept = places.kept(batch, i, _first(features[0]))
            if kept is not None and values_at_hand(kept) and not kept.any():
                values.append(torch.zeros((), device=kept.device))
                continue
            if kept is not None and not relates and not masked:
                raise ValueError(NO_MASK.format(describe(loss)))
            if regressors and maps_itself:
                options["regressor"] = modules[i]
            elif regressors:  # blanked first: a NaN in padding would reach the map's weights
                features[0] = modules[i](_blank(features[0], kept))
            if relates:  # zeros add nothing to a product or a distance
                features = [_blank(side, kept) for side in features]
            elif kept is not None:
                options["mask"] = kept
            values.append(loss(*features, **options))
        return result | {term: sum(values[1:], start=values[0])}

    def count(batch: Batch) -> float:
        positions = places.count(batch)
        return len(batch.ids) if relates and positions else positions

    def look(batch: Batch, student: Student, teacher: TeacherFn) -> None:
        _, student_tap, _ = run_tapped(batch, student, teacher, layers, None)
        for i, ours in enumerate(student_layers):
            places.kept(batch, i, _first(_features(student_tap, ours, read)))
        if not relates:
            places.check()

    parts = {"loss": loss, "regressors": regressors, "read": read}  # a checkpoint knows it by name
    named = [f"{key}={describe(part)}" for key, part in parts.items() if part is not None]
    named += [] if mask == "auto" else [f"mask={mask}"]
    named += [] if resize is None else [f"resize={resize}"]
    paired = ", ".join(f"{s}: {t}" for s, t in pairs)
    method = Method(
        f"{term}({paired}, weight={weight}, {', '.join(named)})",
        terms,
        {term: weight},
        count=lambda batch: {term: count(batch)},
        projections=modules if len(modules) else None,
        taps=tuple(_flat(teacher_layers)),
        at_least=_at_least(loss),
        look=look,
    )
    return beside_base(method, base_method)


def _at_least(loss: Callable[..., Tensor]) -> int:
    """How many examples a loss has to see at once: an angle has three ends."""
    inner = getattr(loss, "func", loss)
    return 3 if inner is rkd_angle_loss else 2 if inner in BETWEEN_EXAMPLES else 1


def run_tapped(
    batch: Batch,
    student: Student,
    teacher: TeacherFn,
    layers: tuple[list[str], list[str]],
    base_method: Method | None,
) -> tuple[Terms, Tap, Tap]:
    """Run a recipe, or the student alone, and the teacher, each once, with their layers tapped.

    Args:
        batch: of examples.
        student: the network itself.
        teacher: one that can be looked into.
        layers: the student's modules by path, and the teacher's.
        base_method: the recipe on the answers; None for none.

    Returns:
        The recipe's terms, and what the layers of both gave.

    Raises:
        ValueError: for a student or a teacher without modules, and features without a gradient.
    """
    if not isinstance(student, nn.Module):
        raise ValueError(
            "features are tapped in the student's own modules, and "
            f"{type(student).__name__} has none: pass the network itself."
        )
    network = _network(teacher)
    with Tap(student, layers[0]) as student_tap, Tap(network, layers[1]) as teacher_tap:
        result: Terms = {}
        if base_method is not None:
            result = base_method.counted_terms(batch, student, teacher)
        if not student_tap.all(layers[0][0]):
            output_of(student, batch.inputs)  # what counts nothing has not run it
        if not teacher_tap.all(layers[1][0]):
            # a recipe on labels alone has not run it; what it returns need hold no logits
            getattr(teacher, "output", teacher)(batch)
    if torch.is_grad_enabled() and any(p.requires_grad for p in student.parameters()):
        for path in layers[0]:
            _check_gradient(path, student_tap.all(path))
    return result, student_tap, teacher_tap


def _check_gradient(path: str, outputs: list[Any]) -> None:
    """Refuse features through which no weight of the student learns."""
    parts = [part for _, part in leaves("", outputs) if isinstance(part, Tensor)]
    floats = [part for part in parts if part.is_floating_point() and values_at_hand(part)]
    if floats and not any(part.requires_grad for part in floats):
        raise ValueError(
            f"the student's {path!r} gives features without a gradient, so no weight of the "
            "student learns from them: it is frozen, runs under no_grad, or is computed again by "
            "checkpoint(use_reentrant=True). Tap a layer that learns, or say use_reentrant=False."
        )


def beside_base(method: Method, base_method: Method | None) -> Method:
    """A method of one term that runs another recipe itself, with the weights of both.

    Args:
        method: its terms hold those of the other one; its projections too.
        base_method: the other one; None for none.

    Returns:
        The method with all that both have.
    """
    if base_method is None:
        return method
    (term,) = method.weights
    own = method.count

    def count(batch: Batch) -> Any:
        return base_method.counts(batch) | by_term(own(batch), {term: 1.0})

    return dataclasses.replace(  # what else it has stays, such as what it prepares
        base_method,
        name=f"{base_method.name} + {method.name}",
        terms=method.terms,
        weights={**base_method.weights, **method.weights},
        needs_teacher=True,
        count=count,
        projections=method.projections,
        taps=tuple(dict.fromkeys((*base_method.taps, *method.taps))),
        look=_both(base_method.look, method.look),
        at_least=max(base_method.at_least, method.at_least),
    )


def _both(first: Look | None, second: Look | None) -> Look | None:
    if first is None or second is None:
        return first or second

    def look(batch: Batch, student: Student, teacher: TeacherFn) -> None:
        first(batch, student, teacher)
        second(batch, student, teacher)

    return look


def _check(
    term: str,
    loss: Callable[..., Tensor],
    pairs: Sequence[tuple[Layer, Layer]],
    base_method: Method | None,
    regressors: Sequence[nn.Module] | None,
) -> None:
    if not pairs or any(len(pair) != 2 for pair in pairs) or isinstance(pairs, str):
        raise ValueError(
            'pairs must name at least one layer of each model, as [("student.path", '
            f'"teacher.path")], got {pairs!r}.'
        )
    if isinstance(loss, MemoryBank):
        raise ValueError(
            "a memory bank needs to know which examples a batch holds, and features alone do not "
            "say it: use methods.crd(...), which trains a projection of each side beside it."
        )
    if base_method is not None and term in base_method.weights:
        raise ValueError(
            f"{base_method.name} has a term {term!r} already: name this one otherwise."
        )
    if regressors is not None and len(regressors) != len(pairs):
        raise ValueError(
            f"there are {len(regressors)} regressors for {len(pairs)} pairs of layers: give each "
            "pair one."
        )


def _network(teacher: TeacherFn) -> nn.Module:
    network = getattr(teacher, "model", None)
    if not isinstance(network, nn.Module):
        raise ValueError(
            f"features need a teacher that can be looked into, and {type(teacher).__name__} only "
            "gives its answers: use freeze(model)."
        )
    return network


def _paths(layer: Layer) -> tuple[str, ...]:
    return (layer,) if isinstance(layer, str) else tuple(layer)


def _flat(layers: Sequence[tuple[str, ...]]) -> list[str]:
    return list(dict.fromkeys(path for layer in layers for path in layer))


def _features(tap: Tap, paths: tuple[str, ...], read: Callable[[Any], Any] | None) -> Any:
    """What the tapped modules of these paths returned: one tensor, or a tuple of them."""
    for path in paths:
        if len(tap.all(path)) > 1:
            raise ValueError(
                f"the module {path!r} runs {len(tap.all(path))} times for a batch, as an encoder "
                "does that reads queries and candidates in turn, so its features belong to no one "
                "input: match a module that runs once, or the scores alone."
            )
    features = tuple((read or _only_tensor)(tap[path]) for path in paths)
    return features[0] if len(features) == 1 else features


def _first(features: Any) -> Tensor:
    """The tensor that says which positions there are: of several the first."""
    first: Tensor = features[0] if isinstance(features, tuple) else features
    return first


def _resized(student: Any, teacher: Any) -> list[Any]:
    """Two maps (B, C, H, W) at the smaller height and width; the one that has them stays."""
    for side in (student, teacher):
        if not isinstance(side, Tensor) or side.dim() != 4:
            shape = tuple(side.shape) if isinstance(side, Tensor) else type(side).__name__
            raise ValueError(
                f"resize= is for maps (B, C, H, W), and a tapped module gave {shape}: leave it out."
            )
    size = tuple(min(a, b) for a, b in zip(student.shape[2:], teacher.shape[2:], strict=True))
    return [
        side if side.shape[2:] == size else F.adaptive_avg_pool2d(side, size)
        for side in (student, teacher)
    ]


def _blank(features: Tensor, kept: Tensor | None) -> Tensor:
    if kept is None:
        return features
    beside = kept.reshape(kept.shape + (1,) * (features.dim() - kept.dim()))
    return torch.where(beside > 0, features, 0.0)


def _only_tensor(output: Any) -> Tensor:
    if not isinstance(output, Tensor):
        raise ValueError(
            f"a tapped module returned {type(output).__name__} and not one tensor: say which of "
            "its outputs is meant, for example read=lambda output: output[0]."
        )
    return output

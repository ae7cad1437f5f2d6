"""Layers that a student matches to its teacher's, by name, beside what its job learns."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from distill_lab import losses
from distill_lab.methods import Method, match_features
from distill_lab.models.hooks import Tap
from distill_lab.models.networks import output_of
from distill_lab.models.projections import Regressor

# The loss of each kind, what it weighs where the job does not say it, and whether the student's
# features are brought to the teacher's width first.
KINDS: Mapping[str, tuple[Callable[..., Tensor], float, bool]] = {
    "hint": (losses.hint_loss, 1.0, True),
    "cosine": (losses.cosine_loss, 1.0, True),
    "attention": (losses.attention_transfer_loss, 1000.0, False),
    "relations": (losses.similarity_preserving_loss, 3000.0, False),
}


def in_full(match: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """What a job matches, with what it leaves out as it is by default.

    >>> in_full({"layers": {"0": "1"}})
    {'layers': {'0': '1'}, 'kind': 'hint', 'weight': 1.0}
    """
    if match is None:
        return None
    kind, weight = match.get("kind") or "hint", match.get("weight")
    return {**match, "kind": kind, "weight": KINDS[kind][1] if weight is None else weight}


def matched(
    match: Mapping[str, Any], base_method: Method, student: nn.Module, teacher: Any, data: Any
) -> Method:
    """A recipe with the features of some layers beside it.

    Args:
        match: the job's: `layers`, the student's module to the teacher's, by path; `kind`, and
            `weight`.
        base_method: what the job learns besides.
        student: the network.
        teacher: the frozen teacher.
        data: the training data; both look at two examples of them.

    Returns:
        The method.

    Raises:
        ValueError: for a layer that a model does not have, or features that cannot be matched.
    """
    match = in_full(match) or {}
    loss, _, mapped = KINDS[match["kind"]]
    network = teacher.model
    pairs = [
        (path_in(student, own, "student"), path_in(network, other, "teacher"))
        for own, other in match["layers"].items()
    ]
    regressors = None
    if mapped:
        index = torch.arange(min(2, len(data)))
        device = next(student.parameters()).device
        example = data.batch(index).to(device)
        regressors = Regressor.between(student, teacher, pairs, example, read=first)
        widths = [each.weight.shape for each in regressors]
        if all(out == own for out, own in widths) and not any(r.size for r in regressors):
            regressors = None
        else:
            regressors = [each.to(device) for each in regressors]
    return match_features(
        match["kind"],
        loss,
        pairs,
        weight=match["weight"],
        base_method=base_method,
        regressors=regressors,
        read=first,
    )


def check_layouts(
    match: Mapping[str, Any], student: nn.Module, teacher: nn.Module, inputs: Any
) -> None:
    """Refuse layers whose features cannot be matched, by models without weights.

    Args:
        match: the job's.
        student: the network, on the device "meta".
        teacher: the other one.
        inputs: of two examples, there as well.

    Raises:
        ValueError: for features of other layouts, as the training would raise it.
    """
    loss, _, mapped = KINDS[(in_full(match) or {})["kind"]]
    pairs = [
        (path_in(student, own, "student"), path_in(teacher, other, "teacher"))
        for own, other in match["layers"].items()
    ]
    # a model, or a loss, that looks at values has none to look at: then later
    with suppress(NotImplementedError, RuntimeError), torch.no_grad():
        if mapped:
            frozen = SimpleNamespace(model=teacher)  # as who teaches has its network
            Regressor.between(student, frozen, pairs, inputs, read=first)
            return
        paths = [list(dict.fromkeys(side)) for side in zip(*pairs, strict=True)]
        with Tap(student.eval(), paths[0]) as ours, Tap(teacher.eval(), paths[1]) as theirs:
            output_of(student, inputs)
            output_of(teacher, inputs)
            for own, other in pairs:
                both = first(ours[own]), first(theirs[other])
                if loss is losses.attention_transfer_loss and {each.dim() for each in both} != {4}:
                    raise ValueError(
                        f"match: attention is for maps (B, C, H, W), and {own!r} gives "
                        f"{tuple(both[0].shape)}, {other!r} {tuple(both[1].shape)}: say kind: "
                        "hint, cosine or relations."
                    )
                loss(*both)


def first(output: Any) -> Any:
    """The states that a layer returned, of several things the first.

    Args:
        output: a tensor, a tuple, or an output of transformers.

    Returns:
        The tensor.
    """
    if isinstance(output, Tensor):
        return output
    return output.last_hidden_state if hasattr(output, "last_hidden_state") else output[0]


def path_in(network: nn.Module, path: str, who: str) -> str:
    """A module's path, also where the model lies inside another, as an embedder's does.

    Args:
        network: the model.
        path: as the job has it.
        who: "student" or "teacher", for the words of an error.

    Returns:
        The path in that network.

    Raises:
        ValueError: where there is none, with those of like name.
    """
    modules = dict(network.named_modules())
    for candidate in (path, f"model.{path}", f"body.{path}"):
        if path and candidate in modules:
            return candidate
    end = path.rsplit(".", 1)[-1]
    near = [name for name in modules if name.rsplit(".", 1)[-1] == end][:3]
    near = near or [name for name in modules if name][:6]
    raise ValueError(
        f"match: the {who} has no layer {path!r}; it has {', '.join(map(repr, near))} and others. "
        "print(model) shows all."
    )

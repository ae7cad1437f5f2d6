"""Start a student from some of its teacher's layers, with embeddings and heads where they fit."""

from collections.abc import Collection, Mapping, Sequence
from itertools import product

import torch
from torch import Tensor, nn

from distill_lab._util.checks import plain_number
from distill_lab._util.wrappers import unwrapped

LayerMap = Sequence[int] | Mapping[int, int]
OF_ALL_LAYERS = "relative_attention_bias"  # T5's first layer has it for all of them


def from_teacher(
    student: nn.Module,
    teacher: nn.Module,
    *,
    layers: LayerMap,
    fresh: Collection[str] = (),
    stack: str | Sequence[str] | None = None,
) -> nn.Module:
    """Copy some of a teacher's layers into a student, and all that stands around the layers.

    Both are networks of one kind, such as two of BERT, of Llama or of `MLP`; the student is made
    with its own configuration and has fewer layers. What both call by the same name is copied:
    embeddings, norms and heads by name, layers by their numbers. Everything is checked before
    anything is copied, so a student that is refused stays as it was.

    Formula: student layer i <- teacher layer `layers[i]`.

    Args:
        student: the network that changes, in place.
        teacher: the network that is read.
        layers: for each layer of the student, the number of the teacher's, from 0: (0, 2, 4). A
            mapping {student: teacher} leaves the layers that it does not name as they are.
        fresh: modules or parameters of the student that stay as they are, such as a head for other
            classes: ("classifier",).
        stack: the path of the module that holds the layers, such as "encoder.layer"; found by
            itself where only one can be meant. Several, where each holds a part of every layer.

    Returns:
        The student.

    Raises:
        TypeError: for layers that are no integers.
        ValueError: for layers that are not there, another number of them than the student has, a
            stack that cannot be found, a name in `fresh` that the student does not have, tensors
            that the teacher lacks or has in another shape, tensors of a copied layer that the
            student lacks, tensors that the student ties and the teacher does not, weights that
            both share already, and a student without memory.

    Source: Sanh et al. 2019 (DistilBERT), arXiv:1910.01108, section 3.

    >>> from distill_lab.models import MLP
    >>> teacher, student = MLP(8, 6, 6, 6, 3, seed=0), MLP(8, 6, 6, 3, seed=1)
    >>> student = from_teacher(student, teacher, layers=(0, 2))
    >>> torch.equal(student.hidden[1][0].weight, teacher.hidden[2][0].weight)
    True
    """
    given, student, teacher = student, unwrapped(student), unwrapped(teacher)
    stack = [_stack(student, teacher)] if stack is None else stack
    named = [stack] if isinstance(stack, str) else stack
    paths = [_named(path, student, teacher) for path in named]
    pairs: dict[int, int] = {}
    for path in paths:
        counts = [len(list(model.get_submodule(path).children())) for model in (student, teacher)]
        pairs = _pairs(layers, *counts)
    targets, sources = student.state_dict(), teacher.state_dict()
    kept = _kept(fresh, student)
    memory = {t.data_ptr() for t in sources.values() if t.numel() and not t.is_meta}
    copies: dict[str, Tensor] = {}
    for name, target in targets.items():
        path, layer, rest = _layer_of(name, paths)
        if _inside(name, kept) or (layer is not None and layer not in pairs):
            continue
        origin = name if layer is None else f"{path}.{pairs[layer]}.{rest}".lstrip(".")
        if origin not in sources and OF_ALL_LAYERS in rest:
            origin = f"{path}.0.{rest}".lstrip(".")
        copies[name] = _checked(name, target, origin, sources)
        if target.data_ptr() in memory:
            raise ValueError(
                f"student and teacher share the memory of {name}, so training would change both: "
                "make the student from its configuration, or with copy.deepcopy."
            )
    _check_all_of_them(paths, pairs, targets, sources)
    _check_ties(targets, copies)
    with torch.no_grad():
        for name, source in copies.items():
            targets[name].copy_(source)
    return given


def _stack(student: nn.Module, teacher: nn.Module) -> str:
    """Find the path at which both keep layers: the outermost list of modules of one kind."""
    theirs = [_stacks(model) for model in (student, teacher)]
    common = [path for path in theirs[0] if path in theirs[1]]
    if len(common) != 1:
        raise ValueError(
            f"expected one stack of layers that both networks have, got {len(common)}: the "
            f"student has {theirs[0]}, the teacher {theirs[1]}. Name it, as "
            'stack="encoder.layer", or all that hold a part of each layer, as a list; or pass the '
            "parts of the two networks that are alike."
        )
    return common[0]


def _stacks(model: nn.Module) -> list[str]:
    paths: list[str] = []
    for path, module in model.named_modules():
        layers = list(module.children())
        listed = isinstance(module, nn.ModuleList | nn.Sequential) and len(layers) > 0
        if not listed or any(_inside(path, [outer]) for outer in paths):
            continue
        alike = len({type(layer) for layer in layers}) == 1
        if alike and all(any(True for _ in layer.parameters()) for layer in layers):
            paths.append(path)
    return paths


def _named(path: str, *models: nn.Module) -> str:
    for who, model in zip(("student", "teacher"), models, strict=True):
        module = dict(model.named_modules()).get(path)
        if not isinstance(module, nn.ModuleList | nn.Sequential):
            raise ValueError(
                f"stack={path!r} is no list of layers in the {who}: expected one of "
                f"{_stacks(model)}."
            )
    return path


def _pairs(layers: LayerMap, own: int, available: int) -> dict[int, int]:
    """Which layer of the student is which of the teacher, after all checks."""
    pairs = dict(layers) if isinstance(layers, Mapping) else dict(enumerate(layers))
    pairs = {plain_number(mine): plain_number(its) for mine, its in pairs.items()}
    for number in (*pairs, *pairs.values()):
        if not isinstance(number, int) or isinstance(number, bool):
            raise TypeError(f"layers must be whole numbers, as (0, 2, 4); got {number!r}.")
    if not pairs or (not isinstance(layers, Mapping) and len(pairs) != own):
        raise ValueError(
            f"the student has {own} layers and layers={layers!r} names {len(pairs)}: name one of "
            "the teacher's for each, or write a mapping {student's: teacher's} for some of them."
        )
    for who, numbers, count in (("student", pairs, own), ("teacher", pairs.values(), available)):
        if wrong := [number for number in numbers if not 0 <= number < count]:
            raise ValueError(
                f"the {who} has the layers 0 to {count - 1}, got {wrong}: layers are numbered "
                "from 0 in every part of this package."
            )
    return pairs


def _kept(fresh: Collection[str], student: nn.Module) -> list[str]:
    if isinstance(fresh, str):
        raise TypeError(f'fresh must be a list of names; write ["{fresh}"].')
    known = {*dict(student.named_modules()), *student.state_dict()}
    for name in fresh:
        if name not in known:
            raise ValueError(
                f"fresh names {name!r} and the student has no such module or parameter; its "
                f"outermost are {[path for path, _ in student.named_children()]}."
            )
    return list(fresh)


def _layer_of(name: str, paths: Sequence[str]) -> tuple[str, int | None, str]:
    """The stack and the number of the layer that a tensor belongs to, and its name within it."""
    for path in paths:
        start = f"{path}." if path else ""
        number, _, rest = name.removeprefix(start).partition(".")
        if name.startswith(start) and number.isdigit():
            return path, int(number), rest
    return "", None, name


def _inside(name: str, paths: Collection[str]) -> bool:
    return any(not path or name == path or name.startswith(f"{path}.") for path in paths)


def _checked(name: str, target: Tensor, origin: str, sources: Mapping[str, Tensor]) -> Tensor:
    """The teacher's tensor for one of the student's, if it fits."""
    mend = f'write fresh=["{name}"], or the module that holds it, to leave the student\'s as it is.'
    source = sources.get(origin)
    if source is None:
        raise ValueError(f"the student's {name} needs {origin}, which the teacher lacks: {mend}")
    if source.shape != target.shape:
        raise ValueError(
            f"the student's {name} is {tuple(target.shape)} and the teacher's {origin} "
            f"{tuple(source.shape)}: tensors are copied where their shapes agree; {mend}"
        )
    if target.is_meta or source.is_meta:
        raise ValueError(
            f"{name} is on the meta device and has no memory: make both on a real one."
        )
    return source


def _check_all_of_them(
    paths: Sequence[str],
    pairs: Mapping[int, int],
    targets: Mapping[str, Tensor],
    sources: Mapping[str, Tensor],
) -> None:
    """Refuse a layer of the teacher that its place in the student cannot hold whole."""
    parts = [_layer_of(origin, paths) for origin in sources]
    for (mine, its), path in product(pairs.items(), paths):
        own = f"{path}.{mine}".lstrip(".")
        lacking = [
            rest
            for stack, layer, rest in parts
            if (stack, layer) == (path, its)
            and f"{own}.{rest}" not in targets
            and not (OF_ALL_LAYERS in rest and f"{path}.0.{rest}".lstrip(".") in targets)
        ]
        if lacking:
            raise ValueError(
                f"the student's {own} has no {lacking[0]}, which the teacher's layer {its} has: it "
                "would be another layer without it. Layers of this family differ by where they "
                f"stand: put one there that is alike, such as the teacher's layer {mine}."
            )


def _check_ties(targets: Mapping[str, Tensor], copies: Mapping[str, Tensor]) -> None:
    """Refuse two names of one tensor in the student that the teacher gives different values."""
    first: dict[int, str] = {}
    for name, source in copies.items():
        other = first.setdefault(targets[name].data_ptr(), name) if source.numel() else name
        if other != name and not torch.equal(copies[other], source):
            raise ValueError(
                f"the student uses one tensor as {other} and as {name}, and the teacher has two "
                "different ones: make the student without tied weights, or name one of the two in "
                "fresh."
            )

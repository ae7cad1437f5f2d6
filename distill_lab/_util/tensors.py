"""What the rooms all need of tensors: precision, plain checks, numbers drawn by chance, batches."""

import math
import warnings
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from distill_lab._util.checks import positive_finite

IGNORE = -100  # the label that marks a position as having none, as in torch's cross_entropy
ROUNDED = 2.0**-8  # how far from 1 the sum of probabilities may be that bf16 has rounded
_STEP, _FIRST, _SECOND = -7046029254386353131, -4658895280553007687, -7723592293110705685


def in_float32(logits: Tensor) -> Tensor:
    """Half precision becomes float32; float64 stays, so that gradcheck sees what it needs."""
    return logits if logits.dtype == torch.float64 else logits.float()


def values_at_hand(tensor: Tensor) -> bool:
    """Whether a tensor has values: not in torch.vmap, where it stands for many, nor in a trace."""
    if torch.compiler.is_compiling():
        return False
    try:
        tensor.data_ptr()
    except RuntimeError:
        return False
    return True


def readable(tensor: Tensor) -> bool:
    """Whether values can be read at no cost: on another device, the host would wait for them."""
    return tensor.device.type == "cpu" and values_at_hand(tensor)


def has_decoder(inputs: object) -> bool:
    """Whether inputs are those of an encoder-decoder, with what its decoder reads beside them."""
    return isinstance(inputs, Mapping) and "decoder_input_ids" in inputs


def attention_of(inputs: object) -> Tensor | None:
    """Where some inputs have text and no padding.

    An `attention_mask` says it with 1 and 0; torch's `src_key_padding_mask` and `key_padding_mask`
    say with True what is padding. Of an encoder-decoder it is said of what the decoder reads, by
    a `decoder_attention_mask`: there the answers are, and not at the tokens of the source.

    Args:
        inputs: of a batch.

    Returns:
        True where there is text (B, L), of the mask's shape; None where no mask is there.

    Raises:
        ValueError: for a mask that is added to scores, 0 and -inf: read as 1 and 0 it would keep
            the padding alone.

    >>> attention_of({"attention_mask": torch.tensor([[1, 0]])})
    tensor([[ True, False]])
    >>> attention_of({"x": torch.zeros(1, 2, 3), "key_padding_mask": torch.tensor([[False, True]])})
    tensor([[ True, False]])
    """
    if not isinstance(inputs, Mapping):
        return None
    given = inputs.get("decoder_attention_mask" if has_decoder(inputs) else "attention_mask")
    if isinstance(given, Tensor):
        added = given.is_floating_point() and given.numel() > 0 and readable(given)
        if added and (lowest := given.min().item()) < 0:
            raise ValueError(
                f"attention_mask holds {lowest:g}, as a mask has that is added to attention "
                "scores: expected 1 at text and 0 at padding, as (mask == 0), and let the model "
                "make the other of it."
            )
        return given.bool()
    for name in ("src_key_padding_mask", "key_padding_mask"):
        padding = inputs.get(name)
        if isinstance(padding, Tensor):
            return padding == 0  # True, or -inf, is padding
    return None


def check_tensor(name: str, logits: Tensor) -> None:
    """Refuse anything that is not a floating tensor of shape (..., classes).

    Args:
        name: the argument's, as the caller wrote it.
        logits: what was passed.

    Raises:
        TypeError: for no tensor, a sparse one, or whole numbers.
        ValueError: for a tensor without classes.
    """
    if not isinstance(logits, Tensor):
        if hasattr(logits, "ids") or hasattr(logits, "labels"):  # a signal, of a cache say
            raise TypeError(
                f"{name} must have a score for every class, and a {type(logits).__name__} names a "
                "few: cache the teacher with keep.dense(), or use methods.kd(), which takes any "
                "signal."
            )
        raise TypeError(
            f"{name} must be a torch tensor of shape (..., classes), not "
            f"{type(logits).__name__}. Hugging Face outputs keep theirs in `.logits`."
        )
    if not logits.is_floating_point():
        raise TypeError(
            f"{name} must hold floating-point logits, not {logits.dtype}. "
            "Pass the model's raw scores, not class indices."
        )
    if logits.layout != torch.strided:
        raise TypeError(f"{name} must be a dense tensor, not {logits.layout}: give .to_dense().")
    if logits.dim() == 0 or logits.shape[-1] == 0:
        raise ValueError(
            f"{name} has shape {tuple(logits.shape)}: expected (..., classes) with at least "
            "one class on the last axis."
        )


def check_temperature(T: float) -> float:
    """Refuse a temperature that is not a positive finite number; another one comes back."""
    why = "T = 1 leaves the softmax as it is; larger values soften it."
    return positive_finite("T", T, why=why)


def check_temperature_of(
    teacher: object,
    T: float,
    *,
    whose: str = "the teacher's answers",
    who: str = "the method softens them",
    mend: str = "Ensemble(..., T={T}) or kd(T={at})",
) -> None:
    """Refuse a teacher whose answer holds at another temperature than is asked for.

    Args:
        teacher: with an attribute `scored_at`, where its answer holds at one temperature alone.
        T: the one that is asked for.
        whose: the answers, in the words of an error.
        who: what is done with them.
        mend: how to make both the same.

    Raises:
        ValueError: where the two differ.
    """
    at = getattr(teacher, "scored_at", None)
    if at is not None and not math.isclose(at, T, rel_tol=1e-6):
        raise ValueError(
            f"{whose} hold at T = {at} (probabilities, a mean of them, or weights made of them), "
            f"and {who} at T = {T}, where they do not hold: make both the same, as "
            f"{mend.format(T=T, at=at)}."
        )


def mix(x: Tensor) -> Tensor:
    """Whole numbers to whole numbers that look drawn by chance: int64 -> int64, one to one.

    The output step of SplitMix64: Steele, Lea & Flood 2014, figure 16.
    """
    x = x * _STEP  # neighbours far apart first
    x = (x ^ ((x >> 30) & ((1 << 34) - 1))) * _FIRST
    x = (x ^ ((x >> 27) & ((1 << 37) - 1))) * _SECOND
    return x ^ ((x >> 31) & ((1 << 33) - 1))


def uniform(seed: int, *keys: Tensor) -> Tensor:
    """One number from [0, 1) for each combination of whole numbers, in float64.

    It follows from the seed and its own keys alone: what is drawn for an example and a position is
    the same in whatever batch they come.

    Args:
        seed: of all of them.
        keys: whole numbers, of shapes that broadcast together.

    Returns:
        Numbers of the keys' common shape.

    >>> u = uniform(0, torch.arange(3)[:, None], torch.arange(2))
    >>> u.shape, torch.equal(u[1:], uniform(0, torch.arange(1, 3)[:, None], torch.arange(2)))
    (torch.Size([3, 2]), True)
    """
    key = mix(torch.tensor(seed) + _STEP)  # `mix` leaves 0 where it is: nobody starts there
    for more in keys:
        key = mix(key + more.cpu().long())
    return ((key >> 11) & ((1 << 53) - 1)).double() / (1 << 53)


def kl(log_a: Tensor, log_b: Tensor) -> Tensor:
    """KL(a || b) a position. A class to which a gives nothing costs nothing.

    Args:
        log_a: log-probabilities (..., C).
        log_b: log-probabilities (..., C) of the same classes.

    Returns:
        Nats (...).
    """
    return kl_terms(log_a, log_b).sum(-1)


def kl_terms(log_a: Tensor, log_b: Tensor) -> Tensor:
    """The part of each class in KL(a || b): a (log a - log b), 0 where a is.

    Args:
        log_a: log-probabilities (..., C).
        log_b: log-probabilities (..., C) of the same classes.

    Returns:
        Nats (..., C).
    """
    a = log_a.exp()
    # where() on the ratio, not the product: -inf - -inf would send NaN into the gradient
    return a * torch.where(a > 0, log_a - log_b, 0.0)


def like_probabilities(answers: object) -> bool:
    """Whether every row of some answers lies between 0 and 1 and sums to 1.

    >>> like_probabilities(torch.tensor([[0.2, 0.8]])), like_probabilities(torch.ones(1, 2))
    (True, False)
    """
    if not isinstance(answers, Tensor) or answers.numel() == 0 or not readable(answers):
        return False
    if answers.is_complex() or answers.shape[-1] < 2 or answers.min() < 0:
        return False
    return bool((answers.double().sum(-1) - 1).abs().max() < ROUNDED)


def like_soft_labels(labels: object) -> bool:
    """Whether labels of all examples are probabilities of classes, and some are no decision.

    Args:
        labels: (N, C), (N, ..., C), or with the classes in front, (N, C, ...).

    >>> like_soft_labels(torch.tensor([[0.5, 0.5], [1.0, 0.0]])), like_soft_labels(torch.eye(2))
    (True, False)
    """
    if not isinstance(labels, Tensor) or labels.dim() < 2 or not labels.is_floating_point():
        return False
    axes = [axis for axis in {1, labels.dim() - 1} if labels.shape[axis] > 1]
    decided = True
    for part in labels.split(1024):  # so that no second copy of all of them is made
        part = part.cpu() if values_at_hand(part) else part  # once for all batches
        axes = [axis for axis in axes if like_probabilities(part.movedim(axis, -1))]
        if not axes:
            return False
        decided = decided and bool(((part == 0) | (part == 1)).all())
    return not decided


def next_tokens(labels: Tensor, inputs: object = None) -> tuple[Tensor, Tensor]:
    """For each position the token it has to predict, and whether that one counts.

    Position i predicts token i + 1 and the last one nothing. What the attention mask leaves out
    predicts nothing, which on the left would be the first token out of no text, and is not to be
    predicted either, whatever its label. A token that it keeps counts, be it that of padding too.

    Args:
        labels: the input tokens (B, L) with -100 on the prompt and padding, not shifted.
        inputs: where they have an attention mask, padding is known by it.

    Returns:
        Targets (B, L) and their mask (B, L).

    Raises:
        ValueError: for an encoder-decoder, whose labels stand where they are predicted already.

    >>> next_tokens(torch.tensor([[-100, 7, 8]]))
    (tensor([[   7,    8, -100]]), tensor([[ True,  True, False]]))
    >>> next_tokens(torch.tensor([[6, 7, 0]]), {"attention_mask": torch.tensor([[1, 1, 0]])})[0]
    tensor([[   7, -100, -100]])
    """
    if has_decoder(inputs):
        raise ValueError(
            "labels beside decoder_input_ids are not shifted: position i of the decoder predicts "
            "label i. Teach an encoder-decoder by methods.kd(), which leaves them where they are, "
            "and measure it with task='tagging'."
        )
    kept = attention_of(inputs)
    labels = labels if kept is None else labels.masked_fill(~kept, IGNORE)
    targets = torch.full_like(labels, IGNORE)
    targets[:, :-1] = labels[:, 1:]
    if kept is not None:
        targets = targets.masked_fill(~kept, IGNORE)
    return targets, targets != IGNORE


def warn_of_padding(labels: Tensor, inputs: object) -> None:
    """Warn where labels (B, L) seem to be learned at padding, and nothing says what is padding.

    That is: no mask and no label of -100, and texts end, or begin, with one token again and again
    that stands nowhere else.

    Args:
        labels: the input tokens, not shifted.
        inputs: of the same batch.
    """
    ids = inputs.get("input_ids") if isinstance(inputs, Mapping) else inputs
    alike = isinstance(ids, Tensor) and ids.shape == labels.shape and labels.dim() == 2
    if not alike or not readable(labels) or not labels.numel() or attention_of(inputs) is not None:
        return
    if bool((labels == IGNORE).any()):
        return
    for rows in (labels, labels.flip(1)):
        same = rows == rows[:, -1:]
        run = same.flip(1).long().cumprod(1).sum(1)  # how often the last token stands there
        padded = (run > 1) & (run < rows.shape[1])
        token = rows[padded, -1].unique()
        # one text may end in a word twice, by chance
        if len(token) != 1 or (int(padded.sum()) < 2 and int(run[padded].max()) < 4):
            continue
        edge = torch.where(rows[:, -1] == token, run, 0)
        if int(edge.sum()) == int((rows == token).sum()):
            warnings.warn(
                f"{int(padded.sum())} of {len(rows)} texts have token {int(token)} again and again "
                "at one end, as padding is, and nothing says that it is: there is no "
                "attention_mask, and no label is -100. So it is learned. Give the inputs as "
                "{'input_ids': ..., 'attention_mask': ...}, or the label -100 to padding.",
                stacklevel=2,
            )
            return


class Head(NamedTuple):
    """What logits are made of: hidden @ weight.T + bias, as in `nn.Linear`.

    Args:
        hidden: the last hidden states (..., H).
        weight: of the output layer, (C, H).
        bias: of the output layer, (C,), or None.
    """

    hidden: Tensor
    weight: Tensor
    bias: Tensor | None = None


class Batch(NamedTuple):
    """What a method sees.

    Args:
        inputs: (B, ...), or a dict or tuple of such.
        labels: classes (B, ...), -100 where there is none; None where there are none at all.
        ids: which examples (B,) these are.
        weights: what each example weighs in the terms (B,), float; None where all weigh the same.
    """

    inputs: Any
    labels: Tensor | None
    ids: Tensor
    weights: Tensor | None = None

    def to(self, device: torch.device | str) -> "Batch":
        """The same batch on another device; the ids stay where they are."""
        device = torch.device(device)
        if device.type == "cpu" and isinstance(self.inputs, Tensor) and self.inputs.is_cpu:
            return self
        inputs, labels, weights = (
            moved(part, device) for part in (self.inputs, self.labels, self.weights)
        )
        there = _Moved(inputs, labels, self.ids, weights)
        there.origin = self.at_hand
        return there

    @property
    def at_hand(self) -> "Batch":
        """The same batch where it was before it was moved: there its values are read at no cost."""
        return getattr(self, "origin", self)

    @property
    def soft(self) -> bool:
        """Whether its labels are known to be probabilities, even where all rows are one-hot."""
        return isinstance(self.at_hand, SoftBatch)


class SoftBatch(Batch):
    """A batch of data whose labels are probabilities of classes: its own rows may be one-hot.

    Args:
        inputs: as in `Batch`.
        labels: probabilities of classes (B, C), (B, ..., C) or (B, C, ...).
        ids: as in `Batch`.
        weights: as in `Batch`.
    """


class _Moved(Batch):
    """A batch on a device, which knows itself as it was."""

    origin: Batch


def map_tensors(function: Callable[[Tensor], Tensor], value: Any) -> Any:
    """Apply a function to every tensor of inputs, in whatever they are held.

    Args:
        function: of one tensor.
        value: a tensor; a mapping of any kind, a tuple or a list of them, at any depth; or what
            stays as it is.

    Returns:
        The same form: mappings come back as dicts, named tuples as named tuples.

    >>> map_tensors(lambda x: x + 1, {"a": torch.zeros(1), "b": (torch.ones(1), "text")})
    {'a': tensor([1.]), 'b': (tensor([2.]), 'text')}
    """
    if isinstance(value, Tensor):
        return function(value)
    if isinstance(value, Mapping):
        return {key: map_tensors(function, item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        items = [map_tensors(function, item) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    return value


def leaves(name: str, value: Any) -> list[tuple[str, Any]]:
    """Everything that inputs are made of, each with its place in them.

    Args:
        name: of all of them.
        value: as in `map_tensors`.

    Returns:
        (name, what is there), in the order of the keys' names.

    >>> [name for name, _ in leaves("inputs", {"b": torch.ones(1), "a": (torch.ones(1),)})]
    ['inputs.a.0', 'inputs.b']
    """
    if isinstance(value, tuple | list):
        value = {str(i): item for i, item in enumerate(value)}
    if not isinstance(value, Mapping):
        return [(name, value)]
    return [
        leaf
        for key, item in sorted(value.items(), key=lambda pair: str(pair[0]))
        for leaf in leaves(f"{name}.{key}" if name else str(key), item)
    ]


def dense_parts(name: str, tensor: Tensor) -> dict[str, Tensor]:
    """The dense tensors that a sparse one is made of; a dense one as it is.

    Args:
        name: the tensor's.
        tensor: of any layout.

    Returns:
        Tensors by name: indices, values and size of a sparse one, whatever its layout.

    >>> sorted(dense_parts("adjacency", torch.eye(3).to_sparse()))
    ['adjacency.indices', 'adjacency.size', 'adjacency.values']
    """
    if tensor.layout == torch.strided:
        return {name: tensor}
    parts = tensor.to_sparse_coo().coalesce()
    held = {"indices": parts.indices(), "values": parts.values(), "size": tensor.shape}
    return {f"{name}.{part}": torch.as_tensor(value) for part, value in held.items()}


def sparse_of(name: str, parts: Mapping[str, Tensor], layout: str) -> Tensor:
    """The sparse tensor that `dense_parts` took apart.

    Args:
        name: the tensor's.
        parts: dense tensors by name.
        layout: its own, as torch writes it.

    Returns:
        The tensor in that layout.
    """
    indices, values, size = (parts[f"{name}.{part}"] for part in ("indices", "values", "size"))
    tensor = torch.sparse_coo_tensor(indices, values, size.tolist(), is_coalesced=True)
    kind = getattr(torch, layout.removeprefix("torch."))
    return tensor if kind == torch.sparse_coo else tensor.to_sparse(layout=kind)


def device_of(inputs: Any) -> torch.device:
    """Where inputs are: the device of their first tensor, the CPU where they hold none.

    >>> device_of({"input_ids": torch.zeros(1)})
    device(type='cpu')
    """
    devices = (part.device for _, part in leaves("", inputs) if isinstance(part, Tensor))
    return next(devices, torch.device("cpu"))


def rows_at(tensor: Tensor, index: Tensor) -> Tensor:
    """Some rows of a tensor, as `index_select`, in the order that it lies in.

    Pictures in channels_last would come back in the other order, number by number: 12 times as
    slowly, and a convolution in channels_last would turn each batch round again.

    Args:
        tensor: (N, ...).
        index: which rows (B,), on the tensor's device.

    Returns:
        Those rows (B, ...), in memory of their own.

    >>> pictures = torch.zeros(4, 3, 8, 8).to(memory_format=torch.channels_last)
    >>> rows_at(pictures, torch.tensor([2])).is_contiguous(memory_format=torch.channels_last)
    True
    """
    last = tensor.dim() == 4 and not tensor.is_contiguous()
    if last and tensor.is_contiguous(memory_format=torch.channels_last):
        return tensor.permute(0, 2, 3, 1).index_select(0, index).permute(0, 3, 1, 2)
    return tensor.index_select(0, index)


def rows_of(batch: Batch, rows: Tensor) -> Batch:
    """Some examples of a batch.

    Args:
        batch: of B examples.
        rows: which of them (R,), counted within the batch.

    Returns:
        A batch of R examples, with the ids that they had.

    >>> rows_of(Batch(torch.eye(3), None, torch.tensor([7, 8, 9])), torch.tensor([2])).ids
    tensor([9])
    """

    def picked(tensor: Tensor) -> Tensor:
        return rows_at(tensor, rows.to(tensor.device))

    kind = SoftBatch if batch.soft else Batch
    return kind(*(map_tensors(picked, value) for value in batch))


def moved(value: Any, device: torch.device) -> Any:
    """Tensors, in whatever they are held, on another device; a GPU is not waited for.

    Args:
        value: as in `map_tensors`.
        device: where to.

    Returns:
        The same there.
    """

    def there(tensor: Tensor) -> Tensor:
        if device.type == "cuda" and tensor.is_cpu:  # from ordinary memory the host would wait
            return tensor.pin_memory().to(device, non_blocking=True)
        return tensor.to(device)

    return map_tensors(there, value)

"""A live model as teacher: frozen, in eval mode, asked without a graph."""

from collections.abc import Iterator
from contextlib import contextmanager
from inspect import getattr_static
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from distill_lab._util.describe import describe
from distill_lab._util.tensors import Head, device_of, leaves, like_probabilities, map_tensors
from distill_lab._util.weights import check_weights
from distill_lab.data import fingerprints
from distill_lab.data.batches import Batch, Source
from distill_lab.models.networks import Read, logits_of, output_of
from distill_lab.models.scores_at import Places, scores_at
from distill_lab.signals import Signal


class Teacher(Protocol):
    """Anything that says what it thinks of a batch: logits (B, ..., classes), or a signal.

    A teacher may have an `identity`, a short string that names what it would say: checkpoints
    and caches keep it, so that they know when another teacher stands in its place.
    """

    def __call__(self, batch: Batch) -> Tensor | Signal:
        """Answer a batch with logits, or with a signal."""


def identity_of(teacher: object) -> str:
    """A teacher's own `identity`; one without goes by its kind, as a bare function does.

    >>> identity_of(freeze(nn.Identity())).split("-")[0]
    'Identity'
    """
    return str(getattr(teacher, "identity", type(teacher).__name__))


def identity_to_keep(teacher: object, name: str | None) -> str:
    """What a cache knows a teacher by.

    Args:
        teacher: any teacher.
        name: what the caller calls it; a bare function needs that, since every function is a
            'function', and one would be served what another said.

    Returns:
        Its identity, and the name where there is one.

    Raises:
        ValueError: for a bare function, alone or within, without a name.
    """
    members = getattr(teacher, "members", [teacher])  # looked at without reading any weights
    bare = [part for part in members if getattr_static(part, "identity", None) is None]
    if not bare:
        return identity_of(teacher)
    if name is None:
        raise ValueError(
            f"a teacher that is a bare {type(bare[0]).__name__} has no identity, so its cache "
            "would be taken for that of any other: give it one, as teacher.identity = 'judge-1', a "
            "string that changes with what it would say; or pass teacher_name='judge-1'."
        )
    return f"{identity_of(teacher)} {name}"


class Live:
    """A frozen model asked on every batch; it sees exactly the tensor the student sees.

    Args:
        model: a network in eval mode whose parameters want no gradients, as `freeze` leaves it.
        read: how to take the scores out of what the model returns, see `logits_of`.
        dtype: the floating type that the model is asked in; None for that of the inputs.

    Raises:
        ValueError: for another model, naming what is amiss.
        TypeError: for a `read` that is no function, or a dtype that is not floating.
    """

    def __init__(
        self, model: nn.Module, *, read: Read | None = None, dtype: torch.dtype | None = None
    ) -> None:
        if read is not None and not callable(read):
            raise TypeError(
                "read must be a function of what the model returns, as lambda out: out['out'], "
                f"not {type(read).__name__}."
            )
        if dtype is not None and not (isinstance(dtype, torch.dtype) and dtype.is_floating_point):
            raise TypeError(f"dtype must be a floating type, as torch.bfloat16, got {dtype!r}.")
        self.model, self.read, self.dtype = model, read, dtype
        self.check()

    def check(self) -> None:
        """Refuse a teacher that would learn, answers differently each time, or has no values."""
        check_weights("teacher", self.model)
        training = [
            name or "the model itself" for name, m in self.model.named_modules() if m.training
        ]
        if training:
            raise ValueError(
                f"the teacher is in training mode (first: {training[0]}): dropout and batch "
                "statistics would change its answers. Use freeze(model)."
            )
        learning = [name for name, p in self.model.named_parameters() if p.requires_grad]
        if learning:
            raise ValueError(
                f"the teacher has {len(learning)} parameters that require gradients (first: "
                f"{learning[0]}): it must be frozen. Use freeze(model)."
            )

    @property
    def identity(self) -> str:
        """The model's class, a fingerprint of its weights as they are now, and how it is read.

        It reads all the weights.
        """
        read = "" if self.read is None else f"-read={describe(self.read)}"
        dtype = "" if self.dtype is None else f"-{str(self.dtype).removeprefix('torch.')}"
        return fingerprints.of_model(self.model) + read + dtype

    # no_grad, not inference_mode: a tensor of the latter cannot be saved for the backward pass, as
    # regressors, hints and losses do with what the teacher says, and what a model keeps of its
    # first call (rotary tables, observers) would be one for good. It would save 0.3 ms of a call of
    # two layers 64 wide, and less than 1 % of one of four layers 256 wide.
    @torch.no_grad()
    def output(self, batch: Batch) -> Any:
        """What the model returns for a batch, as it is."""
        with self._own_type(batch.inputs) as inputs:
            return output_of(self.model, inputs)

    @torch.no_grad()
    def __call__(self, batch: Batch) -> Tensor:
        """Answer a batch with logits; where a dtype was given, in float32."""
        with self._asked(batch) as inputs:
            logits = logits_of(self.model, inputs, self.read)
        return logits if self.dtype is None else logits.float()

    @torch.no_grad()
    def scores_at(self, batch: Batch, at: Places, *, head: bool = True) -> Tensor | Head:
        """Answer about some positions of a batch of texts.

        Args:
            batch: of B texts.
            at: the positions, n of them.
            head: whether hidden states and output layer may stand for the logits.

        Returns:
            Logits (n, C), or what they are made of.
        """
        if self.read is not None:
            return at.scores(self(batch))
        # of a type of its own, its product is its own as well
        head = head and not (self.dtype and torch.is_autocast_enabled(at.rows.device.type))
        with self._asked(batch) as inputs:
            scores = scores_at(self.model, inputs, at, head=head)
        return scores.float() if self.dtype and isinstance(scores, Tensor) else scores

    @contextmanager
    def _asked(self, batch: Batch) -> Iterator[Any]:
        """Inputs as the model takes them; what it cannot take is said in words."""
        try:
            with self._own_type(batch.inputs) as inputs:
                yield inputs
        except RuntimeError as error:
            own = next((p.dtype for p in self.model.parameters() if p.is_floating_point()), None)
            other = _other_dtype(batch.inputs, own)
            if other is None or "type" not in str(error):
                raise
            raise TypeError(
                f"the teacher {type(self.model).__name__} holds {own} weights and its inputs are "
                f"{other} ({error}): let it be asked in its own, as freeze(model, dtype={own})."
            ) from error

    @contextmanager
    def _own_type(self, inputs: Any) -> Iterator[Any]:
        """Inputs as the model takes them; a type of its own is not overruled by autocast."""
        if self.dtype is None:
            yield inputs
            return
        with torch.autocast(device_of(inputs).type, enabled=False):
            own = self.dtype
            yield map_tensors(lambda x: x.to(own) if x.is_floating_point() else x, inputs)

    def __repr__(self) -> str:
        return f"Live({type(self.model).__name__})"


def freeze(model: nn.Module, *, read: Read | None = None, dtype: torch.dtype | None = None) -> Live:
    """Put a model into eval mode, stop its gradients, and return it as a live teacher.

    Args:
        model: the network, changed in place.
        read: how to take the scores out of what the model returns, as `lambda out: out["out"]`.
            Without it: a tensor as it is, an object's `.logits`, a dict's "logits".
        dtype: the floating type that the model holds and computes in from now on, such as
            torch.bfloat16, which takes half the memory. Floating inputs are cast to it, and the
            answers are float32. None leaves weights and inputs as they are.

    Returns:
        A teacher that sees exactly the inputs the student sees.

    Raises:
        TypeError: for anything that is not a torch module, and as `Live`.
        ValueError: for weights without values, and for a program of `torch.export`.

    >>> teacher = freeze(nn.Linear(4, 2))
    >>> teacher.model.training, teacher.model.weight.requires_grad
    (False, False)
    >>> half = freeze(nn.Linear(4, 2), dtype=torch.bfloat16)
    >>> half(Batch(torch.zeros(3, 4), None, torch.arange(3))).dtype
    torch.float32
    """
    if not isinstance(model, nn.Module):
        raise TypeError(
            f"freeze expects a torch module, got {type(model).__name__}. A function is a teacher "
            "as it is, see teachers.function; an estimator of scikit-learn by teachers.sklearn."
        )
    check_weights("teacher", model)
    _stand_still(model)
    teacher = Live(model, read=read, dtype=dtype)
    if dtype is not None:
        model.to(dtype)
    return teacher


def _stand_still(model: nn.Module) -> None:
    """Eval mode and no gradients, in place; a refusal of torch's is said in our words."""
    try:
        model.eval()
    except NotImplementedError as error:  # a program of torch.export
        raise ValueError(
            f"the teacher {type(model).__name__} has no eval mode of its own ({error}): export it "
            "in eval mode, and give a function, as lambda batch: program(batch.inputs)."
        ) from error
    for parameter in model.parameters():  # a scripted network takes no requires_grad_ itself
        parameter.requires_grad_(False)


def as_teacher(
    teacher: nn.Module | Teacher, student: nn.Module, data: Source | None = None
) -> Teacher:
    """Check a teacher against the student it is to teach; a bare module counts as live.

    Args:
        teacher: a frozen network, or any function from a batch to logits or a signal.
        student: the network that will learn.
        data: what it will learn from; answers that were recorded are held against it.

    Returns:
        The teacher as a function of a batch.

    Raises:
        TypeError: for what can be neither.
        ValueError: where the two are one model or share parameters, where answers were
            recorded on other data, and as `Live`.

    >>> as_teacher(nn.Linear(4, 2).requires_grad_(False).eval(), nn.Linear(4, 2)).identity[:6]
    'Linear'
    """
    teacher = callable_teacher(teacher)
    for part in (teacher, *getattr(teacher, "members", ())):
        if isinstance(part, Live):
            part.check()
            _refuse_shared(part.model, student)
    if data is not None:
        check_data(teacher, data)
    return teacher


def callable_teacher(teacher: nn.Module | Teacher, who: str = "teacher") -> Teacher:
    """What answers a batch; a bare module counts as live.

    Args:
        teacher: a frozen network, or any function from a batch to logits or a signal.
        who: what it is called, for the words of an error.

    Returns:
        The teacher as a function of a batch.

    Raises:
        TypeError: for what answers no batch, naming the call that makes a teacher of it.
        ValueError: as `Live`.
    """
    if isinstance(teacher, nn.Module):
        return Live(teacher)
    if callable(teacher) and not isinstance(teacher, type):
        return teacher
    raise TypeError(
        f"{who} must be a frozen model or a callable from a batch to logits, not "
        f"{type(teacher).__name__}: {_way_in(teacher)}."
    )


class _WithoutGradient:
    """A teacher of the caller's own, asked without a graph; its attributes are that teacher's."""

    def __init__(self, teacher: Teacher) -> None:
        self._asked = teacher

    def __call__(self, batch: Batch) -> Tensor | Signal:
        with torch.no_grad():
            return self._asked(batch)

    def __getattr__(self, name: str) -> Any:
        return getattr(super().__getattribute__("_asked"), name)


def no_grad_of(teacher: Teacher | None) -> Teacher | None:
    """A teacher whose answers no gradient leaves by: a function may ask what still learns.

    Args:
        teacher: any; those of this package look after it themselves.

    Returns:
        The teacher, or what asks it.

    >>> net = nn.Linear(4, 2)
    >>> teacher = no_grad_of(lambda batch: net(batch.inputs))
    >>> teacher(Batch(torch.zeros(3, 4), None, torch.arange(3))).requires_grad
    False
    """
    kind = type(teacher)
    if teacher is None or kind.__module__.startswith("distill_lab."):
        return teacher
    return _WithoutGradient(teacher)


def _way_in(given: object) -> str:
    """How something that is no teacher becomes one."""
    if isinstance(given, type):
        return f"make one of it first, as {given.__name__}(...)"
    if hasattr(given, "fit") and hasattr(given, "predict"):
        return "an estimator is a teacher by teachers.sklearn(estimator, data, folds=5)"
    if isinstance(given, Tensor) or hasattr(given, "__array__"):
        return (
            "a table with a row an example is Recorded(table) where it holds logits, and "
            "teachers.probabilities(table) where each row sums to 1"
        )
    if isinstance(given, str):
        return "load the model first, as AutoModel.from_pretrained(name), and freeze it"
    if isinstance(given, list | tuple):
        return "several teachers are one by Ensemble([...])"
    return "use freeze(model), or record(...)"


def check_data(teacher: object, source: Source) -> None:
    """Hold teachers that answer by number, alone or within, against the data of the student.

    Args:
        teacher: any teacher.
        source: what the student learns from.

    Raises:
        ValueError: where one was asked about other data.
    """
    for part in (teacher, *getattr(teacher, "members", ())):
        own = getattr(part, "check_data", None)
        if callable(own):
            own(source)


def says_values(teacher: object) -> bool:
    """Whether a teacher says that its numbers are no logits of one softmax."""
    return getattr(teacher, "says", None) in ("values", "binary_probabilities")


def ask(teacher: Teacher, batch: Batch) -> Any:
    """Ask a teacher where its weights are; one without any, where the batch is."""
    model = getattr(teacher, "model", None)
    weights = next(model.parameters(), None) if isinstance(model, nn.Module) else None
    return teacher(batch if weights is None else batch.to(weights.device))


def refuse_probabilities(teacher: object, answer: object, who: str) -> None:
    """Refuse an answer that looks like probabilities where logits are expected.

    Args:
        teacher: whose it is; one that says values may give any numbers.
        answer: what it said.
        who: to begin the sentence with.

    Raises:
        ValueError: for rows between 0 and 1 that all sum to 1.
    """
    if not says_values(teacher) and like_probabilities(answer):
        raise ValueError(
            f"{who} lie between 0 and 1 and every row sums to 1: they look like probabilities, and "
            'logits are expected. Say so, as teachers.function(f, says="probabilities"), or '
            "teachers.probabilities(P) of a table."
        )


def _refuse_shared(teacher: nn.Module, student: nn.Module) -> None:
    shared = {id(p) for p in student.parameters()} & {id(p) for p in teacher.parameters()}
    if teacher is student or shared:
        raise ValueError(
            "the teacher and the student share parameters, so freezing one freezes the other: "
            "give the teacher a copy of its own (copy.deepcopy) before freeze()."
        )


def _other_dtype(inputs: Any, own: torch.dtype | None) -> torch.dtype | None:
    """The type of a tensor of the inputs that is not what the weights are; None where all are."""
    tensors = [part for _, part in leaves("", inputs) if isinstance(part, Tensor)]
    types = [part.dtype for part in tensors if part.is_floating_point() and part.dtype != own]
    return types[0] if own is not None and types else None

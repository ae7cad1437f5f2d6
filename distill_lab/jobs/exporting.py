"""A student in other forms: ONNX, a graph of torch.export, numbers of 8 bits; each is checked."""

import contextlib
import io
import logging
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from distill_lab._util.checks import needs
from distill_lab._util.io import partial_file, user_path
from distill_lab.jobs.exportable import Bare, Probe, in_order, made_up, real, student_of
from distill_lab.jobs.setups.setup import Log

FORMS = {"onnx": "model.onnx", "torch-export": "model.pt2", "int8": "model.int8.onnx"}
# How far the answers of a form may be from the student's, as a share of how much they vary.
TOLERANCE = {"onnx": 1e-3, "torch-export": 1e-3, "int8": 0.2}
CALIBRATED = 64  # pictures, by which the numbers inside a network of convolutions are scaled

Answer = Callable[[Probe], Tensor]


@dataclass(frozen=True)
class Exported:
    """A student in another form, checked against itself.

    Args:
        form: one of `FORMS`.
        path: its file.
        megabytes: of the file.
        difference: between its answers and the student's, root of the mean square, as a share of
            the standard deviation of the student's.
        same: percent of the answers whose largest number is in the same place.
        real: how many real examples it was checked on; 0 for made-up ones alone.
    """

    form: str
    path: Path
    megabytes: float
    difference: float
    same: float
    real: int = 0

    def __str__(self) -> str:
        on = f" on {self.real:,} real examples" if self.real else ""
        return (
            f"{self.form}: {self.path.name}, {self.megabytes:.1f} MB, checked{on}: answers differ "
            f"by {self.difference:.2g} of their spread, {self.same:.0f} % of the choices are the "
            "same"
        )


def export(
    folder: str | Path,
    form: str,
    log: Log = lambda line: None,
    *,
    inputs: Sequence[Any] = (),
    learned: Sequence[Any] = (),
) -> Exported:
    """Write a student in another form beside its weights, and check what the form answers.

    Args:
        folder: a student as a job leaves it, or any that `from_pretrained` loads.
        form: "onnx" (float32, for onnxruntime and others), "torch-export" (torch alone, without
            the code of the model), or "int8" (ONNX whose matrices are whole numbers of 8 bits).
        log: called with what is done.
        inputs: of batches of real examples, on which it is checked beside made-up ones.
        learned: of batches of training data, by which int8 scales what goes through convolutions.

    Returns:
        The file, and how near its answers are.

    Raises:
        ValueError: for an unknown form, or one whose answers are too far from the student's: then
            nothing is left behind.
        OSError: for a folder without a student.
        ModuleNotFoundError: where a package is missing, with the way to get it.
    """
    if form not in FORMS:
        raise ValueError(f"there is no form {form!r}: name one of {', '.join(FORMS)}.")
    folder = user_path(folder, "the student")
    bare = student_of(folder)
    probes, real_inputs = made_up(bare), list(real(bare, inputs))
    path = folder / FORMS[form]
    log(f"writing {path}")
    with partial_file(path) as partial:
        answer = _WRITERS[form](bare, probes, partial, list(real(bare, learned)))
        # what was scaled by real pictures is held against real ones
        scaled = form == "int8" and _is_of_convolutions(bare)
        for what in filter(None, (None if scaled and real_inputs else probes, real_inputs)):
            difference, same = _compared(bare, answer, what)
            if not difference <= TOLERANCE[form]:
                kind = "real" if what is real_inputs else "made-up"
                raise ValueError(
                    f"the {form} form of {folder} answers otherwise than the student: on {kind} "
                    f"inputs they differ by {difference:.2g} of the answers' spread, where "
                    f"{TOLERANCE[form]:g} is allowed; nothing was kept. Export to onnx without "
                    "int8, or report the model's family."
                )
    count = sum(len(probe[0]) for probe in real_inputs or probes)
    size = path.stat().st_size / 1e6
    return Exported(form, path, size, difference, same, count if real_inputs else 0)


def load_form(folder: Path, form: str) -> "Form":
    """Load a form of a student as a network to be measured beside it.

    Args:
        folder: the student's.
        form: one that was exported there.

    Returns:
        A module that takes the student's inputs by name.
    """
    names = student_of(folder).names
    if form == "torch-export":
        return Form(names, _graph_of(folder / FORMS[form]))
    return Form(names, _session(names, folder / FORMS[form]))


class Form(nn.Module):
    """A student in another form, asked as the student is.

    Args:
        names: of its inputs.
        answer: of the inputs in their order.
    """

    def __init__(self, names: tuple[str, ...], answer: Answer) -> None:
        super().__init__()
        self.names, self.answer = names, answer

    def forward(self, **inputs: Tensor) -> Tensor:
        """Compute what the student computes."""
        return self.answer(in_order(self.names, inputs))


def _compared(bare: Bare, answer: Answer, probes: Sequence[Probe]) -> tuple[float, float]:
    """The difference as a share of the answers' spread, and percent of same choices."""
    own, other = [], []
    with torch.no_grad():
        for probe in probes:
            own.append(bare.answers(probe, bare(*probe)))
            other.append(bare.answers(probe, answer(probe)))
    ours, theirs = torch.cat(own), torch.cat(other)
    spread = ours.std() if ours.numel() > 1 else ours.abs().mean()  # one number has none
    difference = float((ours - theirs).square().mean().sqrt() / spread.clamp_min(1e-12))
    same = (ours.argmax(-1) == theirs.argmax(-1)).double().mean()
    return difference, float(100 * same)


def _dynamic(bare: Bare, shortest: int) -> tuple[dict[int, Any], ...]:
    batch = torch.export.Dim("batch", min=1, max=4096)
    if bare.side is not None:
        return ({0: batch},)
    length = torch.export.Dim("length", min=shortest, max=bare.longest)
    return tuple({0: batch, 1: length} for _ in bare.names)


def _as_graph(bare: Bare, probes: Sequence[Probe]) -> Any:
    example = max(probes, key=lambda probe: probe[0].numel())
    try:
        return torch.export.export(bare, example, dynamic_shapes=(_dynamic(bare, 2),))
    except Exception as error:  # of many kinds; MobileBERT's neighbours of a token need a third
        with contextlib.suppress(Exception):
            return torch.export.export(bare, example, dynamic_shapes=(_dynamic(bare, 3),))
        raise ValueError(
            f"torch.export cannot follow a {type(bare.model).__name__} through texts of every "
            f"length ({str(error).strip().splitlines()[0]}): leave that form out of export. The "
            "student itself lacks nothing, and from_pretrained loads it."
        ) from error


def _torch_export(bare: Bare, probes: list[Probe], path: Path, learned: list[Probe]) -> Answer:
    graph = _as_graph(bare, probes)
    with path.open("wb") as file:
        torch.export.save(graph, file)
    return _graph_of(path)


def _graph_of(path: Path) -> Answer:
    with path.open("rb") as file:
        loaded = torch.export.load(file).module()
    return lambda probe: loaded(*probe)


def _onnx(bare: Bare, probes: list[Probe], path: Path, learned: list[Probe]) -> Answer:
    with needs("onnx"):
        import onnx  # noqa: F401
    with needs("onnxscript"):
        import onnxscript  # noqa: F401
    program, fault = None, None
    names = {"input_names": list(bare.names), "output_names": ["output"]}
    with _without_words():
        for way in (None, "eager"):  # Swin's windows go through where attention is written out
            if way is not None:
                if not hasattr(bare.model, "set_attn_implementation"):
                    break
                bare.model.set_attn_implementation(way)  # type: ignore[operator]
            graph = _as_graph(bare, probes)
            try:
                program = torch.onnx.export(graph, **names)  # type: ignore[arg-type]
                break
            except Exception as error:  # of many kinds; attention with a bias of its own, in MaxViT
                fault = fault or error  # the first one says what is wrong
    if program is None:
        assert fault is not None
        raise ValueError(_not_written("onnx", bare, fault)) from fault
    program.save(path)
    return _session(bare.names, path)


def _not_written(form: str, bare: Bare, error: Exception) -> str:
    """What is left where a package cannot write a form of a network; of long words the cause."""
    cause = str(error.__cause__ or error).strip().splitlines() or [type(error).__name__]
    network = getattr(bare.model, "body", bare.model)  # of timm, say, inside of ours
    return (
        f"a {type(network).__name__} cannot be written as {form} ({cause[0]}): leave that form out "
        "of export. The student itself lacks nothing, and from_pretrained loads it."
    )


def _int8(bare: Bare, probes: list[Probe], path: Path, learned: list[Probe]) -> Answer:
    with needs("onnxruntime"):
        from onnxruntime.quantization import QuantType, quantize_dynamic, quantize_static
        from onnxruntime.quantization.registry import IntegerOpsRegistry
    convolutions = _is_of_convolutions(bare)
    pictures = [row[None].numpy() for probe in learned for row in probe[0]][:CALIBRATED]
    if convolutions and not pictures:
        raise ValueError(
            "int8 of a network with convolutions is scaled by pictures that it learns from: let "
            "the job write it, by export: [int8] in its file."
        )
    float_file = path.with_name(path.name + ".float32")
    options = {"weight_type": QuantType.QInt8, "per_channel": True}
    try:
        _onnx(bare, probes, float_file, learned)
        with _without_words():
            try:
                if convolutions:
                    rows = _Rows({bare.names[0]: each} for each in pictures)
                    quantize_static(float_file, path, rows, **options)
                else:
                    kinds = [kind for kind in IntegerOpsRegistry if kind != "Conv"]
                    quantize_dynamic(float_file, path, op_types_to_quantize=kinds, **options)
            except Exception as error:  # onnxruntime's word on what it cannot put into 8 bits
                raise ValueError(_not_written("int8", bare, error)) from error
    finally:
        float_file.unlink(missing_ok=True)
    return _session(bare.names, path)


def _is_of_convolutions(bare: Bare) -> bool:
    """Whether most weights are those of convolutions; a first layer that cuts patches is few."""
    convolutions = (each for each in bare.modules() if isinstance(each, nn.Conv1d | nn.Conv2d))
    own = sum(each.weight.numel() for each in convolutions)
    return 2 * own > sum(each.numel() for each in bare.parameters())


class _Rows:
    """What onnxruntime calls a CalibrationDataReader."""

    def __init__(self, rows: Iterable[Any]) -> None:
        self.rows = iter(rows)

    def get_next(self) -> Any:
        """The next row; None at the end."""
        return next(self.rows, None)


def _session(names: tuple[str, ...], path: Path) -> Answer:
    with needs("onnxruntime"):
        import onnxruntime
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        path.read_bytes(), options, providers=["CPUExecutionProvider"]
    )

    def answer(probe: Probe) -> Tensor:
        feeds = {name: part.numpy() for name, part in zip(names, probe, strict=True)}
        return torch.from_numpy(session.run(None, feeds)[0])

    return answer


@contextlib.contextmanager
def _without_words() -> Iterator[None]:
    """Exporters print what they do; whoever called asks `log` instead."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


_WRITERS: dict[str, Callable[[Bare, list[Probe], Path, list[Probe]], Answer]] = {
    "onnx": _onnx,
    "torch-export": _torch_export,
    "int8": _int8,
}

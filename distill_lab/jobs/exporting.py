"""A student in other forms: ONNX, a graph of torch.export, numbers of 8 bits; each is checked."""

import contextlib
import io
import json
import logging
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from distill_lab._util.checks import needs
from distill_lab._util.io import partial_file
from distill_lab.jobs.setups.setup import Log

FORMS = {"onnx": "model.onnx", "torch-export": "model.pt2", "int8": "model.int8.onnx"}
# How far the answers of a form may be from the student's, as a share of how much they vary.
TOLERANCE = {"onnx": 1e-3, "torch-export": 1e-3, "int8": 0.2}
LENGTHS = (5, 9, 16, 23)  # tokens of the texts that a form is tried on, two of each

Answer = Callable[[dict[str, Tensor]], Tensor]


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
    """

    form: str
    path: Path
    megabytes: float
    difference: float
    same: float

    def __str__(self) -> str:
        return (
            f"{self.form}: {self.path.name}, {self.megabytes:.1f} MB, checked: answers differ by "
            f"{self.difference:.2g} of their spread, {self.same:.0f} % of the choices are the same"
        )


class Bare(nn.Module):
    """A model of transformers as a function of tensors, by name, to one tensor.

    Args:
        model: the student.
        names: of its inputs, in their order.
    """

    def __init__(self, model: nn.Module, names: tuple[str, ...]) -> None:
        super().__init__()
        self.model, self.names = model, names

    def forward(self, *inputs: Tensor) -> Tensor:
        """Compute logits, or without a head the states of the tokens."""
        output = self.model(**dict(zip(self.names, inputs, strict=True)))
        answer: Tensor = output.logits if hasattr(output, "logits") else output.last_hidden_state
        return answer


def export(folder: str | Path, form: str, log: Log = lambda line: None) -> Exported:
    """Write a student in another form beside its weights, and check what the form answers.

    Args:
        folder: a student as a job leaves it, or any that `from_pretrained` loads.
        form: "onnx" (float32, for onnxruntime and others), "torch-export" (torch alone, without
            the code of the model), or "int8" (ONNX whose matrices are whole numbers of 8 bits).
        log: told what is done.

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
    student, names, probes = _student(Path(folder))
    bare = Bare(student, names).eval()
    path = Path(folder) / FORMS[form]
    log(f"writing {path}")
    with partial_file(path) as partial:
        answer = _WRITERS[form](bare, probes, partial)
        difference, same = _compared(bare, answer, probes)
        if not difference <= TOLERANCE[form]:
            raise ValueError(
                f"the {form} form of {folder} answers otherwise than the student: they differ by "
                f"{difference:.2g} of the answers' spread, where {TOLERANCE[form]:g} is allowed; "
                "nothing was kept. Export to onnx without int8, or report the model's family."
            )
    return Exported(form, path, path.stat().st_size / 1e6, difference, same)


def _student(folder: Path) -> tuple[Any, tuple[str, ...], list[tuple[Tensor, ...]]]:
    """The model, the names of its inputs, and examples of several lengths to try it on."""
    if not (folder / "config.json").is_file():
        raise OSError(f"{folder} holds no config.json: name the folder of a student.")
    with needs("transformers"):
        import transformers
    from distill_lab.jobs.setups.encoders import quiet

    config = json.loads((folder / "config.json").read_text())
    kind = getattr(transformers, (config.get("architectures") or ["AutoModel"])[0])
    with quiet():
        model = kind.from_pretrained(folder, dtype=torch.float32, use_safetensors=True).eval()
    draw = torch.Generator().manual_seed(0)
    if (image := getattr(model.config, "image_size", None)) is not None:
        channels = getattr(model.config, "num_channels", 3)
        size = image if isinstance(image, int) else image[0]
        pictures = torch.randn(8, channels, size, size, generator=draw)
        return model, ("pixel_values",), [(each,) for each in pictures.split([3, 5])]
    probes: list[tuple[Tensor, ...]] = []
    longest = int(getattr(model.config, "max_position_embeddings", None) or max(LENGTHS)) - 2
    for length in LENGTHS:
        ids = torch.randint(4, model.config.vocab_size, (2, min(length, longest)), generator=draw)
        mask = torch.ones_like(ids)
        mask[1, -2:] = 0  # one text of each pair is padded
        probes.append((ids, mask))
    return model, ("input_ids", "attention_mask"), probes


def _compared(
    bare: Bare, answer: Callable[[tuple[Tensor, ...]], Tensor], probes: list[tuple[Tensor, ...]]
) -> tuple[float, float]:
    """The difference as a share of the answers' spread, and percent of same choices."""
    own, other = [], []
    with torch.no_grad():
        for probe in probes:
            ours, theirs = bare(*probe), answer(probe)
            if ours.dim() == 3:  # what stands at padding is no answer
                kept = probe[1].bool()
                ours, theirs = ours[kept], theirs[kept]
            own.append(ours)
            other.append(theirs)
    ours, theirs = torch.cat(own), torch.cat(other)
    spread = ours.std().clamp_min(1e-12)
    difference = float((ours - theirs).square().mean().sqrt() / spread)
    same = (ours.argmax(-1) == theirs.argmax(-1)).double().mean()
    return difference, float(100 * same)


def _dynamic(bare: Bare) -> tuple[dict[int, Any], ...]:
    batch = torch.export.Dim("batch", min=1, max=4096)
    if bare.names == ("pixel_values",):
        return ({0: batch},)
    config: Any = bare.model.config
    length = torch.export.Dim("length", min=2, max=int(config.max_position_embeddings))
    return tuple({0: batch, 1: length} for _ in bare.names)


def _as_graph(bare: Bare, probes: list[tuple[Tensor, ...]]) -> Any:
    example = max(probes, key=lambda probe: probe[0].numel())
    return torch.export.export(bare, example, dynamic_shapes=(_dynamic(bare),))


def _torch_export(bare: Bare, probes: list[tuple[Tensor, ...]], path: Path) -> Any:
    graph = _as_graph(bare, probes)
    with path.open("wb") as file:
        torch.export.save(graph, file)
    with path.open("rb") as file:
        loaded = torch.export.load(file).module()
    return lambda probe: loaded(*probe)


def _onnx(bare: Bare, probes: list[tuple[Tensor, ...]], path: Path) -> Any:
    with needs("onnx"):
        import onnx  # noqa: F401
    with needs("onnxscript"):
        import onnxscript  # noqa: F401
    with _without_words():
        program = torch.onnx.export(
            _as_graph(bare, probes), input_names=list(bare.names), output_names=["output"]
        )
    assert program is not None
    program.save(path)
    return _session(bare, path)


def _int8(bare: Bare, probes: list[tuple[Tensor, ...]], path: Path) -> Any:
    with needs("onnxruntime"):
        from onnxruntime.quantization import QuantType, quantize_dynamic
    float_file = path.with_name(path.name + ".float32")
    try:
        _onnx(bare, probes, float_file)
        with _without_words():
            quantize_dynamic(float_file, path, weight_type=QuantType.QInt8, per_channel=True)
    finally:
        float_file.unlink(missing_ok=True)
    return _session(bare, path)


def _session(bare: Bare, path: Path) -> Callable[[tuple[Tensor, ...]], Tensor]:
    with needs("onnxruntime"):
        import onnxruntime
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        path.read_bytes(), options, providers=["CPUExecutionProvider"]
    )

    def answer(probe: tuple[Tensor, ...]) -> Tensor:
        feeds = {name: part.numpy() for name, part in zip(bare.names, probe, strict=True)}
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


_WRITERS: dict[str, Callable[[Bare, list[tuple[Tensor, ...]], Path], Any]] = {
    "onnx": _onnx,
    "torch-export": _torch_export,
    "int8": _int8,
}

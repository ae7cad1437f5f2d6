"""A student as a function of tensors, and the inputs that its other forms are tried on."""

import inspect
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from distill_lab._util.checks import needs
from distill_lab.models.positions import positions_of
from distill_lab.models.pretrained import check_body

LENGTHS = (5, 9, 16, 23)  # tokens of the made-up texts, two of each
PIXELS = "pixel_values"
TOKENS = ("input_ids", "attention_mask", "token_type_ids")

Probe = tuple[Tensor, ...]  # the inputs of one call, in the order of their names


class Bare(nn.Module):
    """A student as a function of tensors, in the order of their names, to one tensor.

    Args:
        model: the student.
        names: of its inputs.
        side: pixels on the side of a picture that it sees; None for texts.
    """

    def __init__(self, model: nn.Module, names: tuple[str, ...], side: int | None = None) -> None:
        super().__init__()
        self.model, self.names, self.side = model, names, side

    def forward(self, *inputs: Tensor) -> Tensor:
        """Compute logits, or without a head the states of the tokens."""
        output = self.model(**dict(zip(self.names, inputs, strict=True)))
        if isinstance(output, Tensor):
            return output
        answer: Tensor = output.logits if hasattr(output, "logits") else output.last_hidden_state
        return answer

    @property
    def longest(self) -> int | None:
        """How many tokens of a text it reads; None where any number or none."""
        return positions_of(self.model)

    def answers(self, probe: Probe, answer: Tensor) -> Tensor:
        """Of what was answered, that which counts: what stands at padding is no answer.

        Args:
            probe: what was asked.
            answer: to it, (B, ...), or of tokens (B, L, D).

        Returns:
            The answer, or of tokens those that are not padding, (N, D).
        """
        if answer.dim() != 3 or "attention_mask" not in self.names:
            return answer
        return answer[probe[self.names.index("attention_mask")].bool()]


def student_of(folder: Path) -> Bare:
    """Load a student as a function of tensors.

    Args:
        folder: as a job leaves it, or any that `from_pretrained` loads.

    Returns:
        The function, in eval mode.

    Raises:
        OSError: for a folder without a student.
        ValueError: for one of an unknown architecture.
    """
    if not (folder / "config.json").is_file():
        raise OSError(f"{folder} holds no config.json: name the folder of a student.")
    from distill_lab.jobs.setups.networks import Network, network_facts, seen_by_model

    if network_facts(folder) is not None:
        network = Network.from_pretrained(folder)
        return Bare(network, (PIXELS,), network.size).eval()
    with needs("transformers"):
        import transformers
    from distill_lab.jobs.setups.encoders import quiet

    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    name = (config.get("architectures") or ["AutoModel"])[0]
    kind = getattr(transformers, name, None)
    if kind is None:
        raise ValueError(
            f"{folder} holds a {name}, which transformers {transformers.__version__} does not "
            "have: name the folder of a student, or update transformers."
        )
    with quiet():
        model, report = kind.from_pretrained(
            folder, dtype=torch.float32, use_safetensors=True, output_loading_info=True
        )
    check_body(model.eval(), report, folder, has_head=True)
    if model.main_input_name == PIXELS:
        return Bare(model, (PIXELS,), seen_by_model(str(folder), model.config).size).eval()
    return Bare(model, _names_of(model, folder)).eval()


def _names_of(model: Any, folder: Path) -> tuple[str, ...]:
    """What the model reads: of a pair of texts also which token is of which."""
    given: Sequence[str] = TOKENS[:2]
    if (folder / "tokenizer_config.json").is_file():
        from distill_lab.jobs.setups.encoders import load_tokenizer

        given = load_tokenizer(str(folder)).model_input_names
    takes = inspect.signature(model.forward).parameters
    kinds = getattr(model.config, "type_vocab_size", None) or 1
    return tuple(
        name
        for name in TOKENS
        if name in takes and (name in TOKENS[:2] or (name in given and kinds > 1))
    )


def made_up(bare: Bare) -> list[Probe]:
    """Inputs of several lengths, drawn the same each time; half of the texts are padded.

    Args:
        bare: the student.

    Returns:
        What it is asked.
    """
    draw = torch.Generator().manual_seed(0)
    if bare.side is not None:
        pictures = torch.randn(8, 3, bare.side, bare.side, generator=draw)
        return [(each,) for each in pictures.split([3, 5])]
    probes: list[Probe] = []
    longest = (bare.longest or max(LENGTHS) + 2) - 2
    config: Any = bare.model.config
    for length in LENGTHS:
        ids = torch.randint(4, config.vocab_size, (2, min(length, longest)), generator=draw)
        mask = torch.ones_like(ids)
        mask[1, -2:] = 0
        kinds = torch.zeros_like(ids)
        kinds[:, ids.shape[1] // 2 :] = 1
        columns = {"input_ids": ids, "attention_mask": mask, "token_type_ids": kinds}
        probes.append(tuple(columns[name] for name in bare.names))
    return probes


def real(bare: Bare, batches: Iterable[Any]) -> Iterator[Probe]:
    """The inputs of some batches, as the student reads them.

    Args:
        bare: the student.
        batches: their inputs; of rankers, with queries and candidates inside.

    Yields:
        What it is asked.
    """
    for inputs in batches:
        for tokens in _inside(inputs):
            if bare.names[0] in tokens:
                parts = list(in_order(bare.names, tokens))
                if bare.names[0] == "input_ids" and parts[0].dim() == 3:  # K candidates a query
                    parts = [part.flatten(0, 1) for part in parts]
                yield tuple(parts)


def in_order(names: tuple[str, ...], inputs: Mapping[str, Tensor]) -> Probe:
    """Inputs in the order of their names; of a single text all tokens are of the first kind.

    Args:
        names: what a student reads.
        inputs: by name; `token_type_ids` may be missing, as transformers has it.

    Returns:
        The inputs of one call.

    >>> in_order(TOKENS, {"input_ids": torch.ones(1, 2), "attention_mask": torch.ones(1, 2)})[2]
    tensor([[0., 0.]])
    """
    kinds = {TOKENS[2]: torch.zeros_like(inputs[TOKENS[0]])} if TOKENS[0] in inputs else {}
    return tuple({**kinds, **inputs}[name] for name in names)


def _inside(inputs: Any) -> Iterator[Mapping[str, Tensor]]:
    if isinstance(inputs, Mapping):
        yield {name: part for name, part in inputs.items() if isinstance(part, Tensor)}
        for part in inputs.values():
            yield from _inside(part)

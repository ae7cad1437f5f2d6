"""Examples, labels and networks of each kind, in float64 with numbers that float32 holds too."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from tests.evaluation.grid.axes import NUMBERS, SEEDS, TEXTS, WHOLE
from tests.training.grid.covering import Case

LENGTH, WORDS, CANDIDATES, WIDTH = 6, 9, 5, 6
SIZE = (3, 4)  # of a map
ANSWERS = {
    "classes": 4,
    "topics": 4,
    "labels": 3,
    "yes": 1,
    "tags": 5,
    "language": WORDS,
    "maps": 4,
}
ANSWERS |= {"numbers": 2, "number": 1, "number tokens": 1, "lists": 1, "order": 1, "embeddings": 4}
ONE_EACH = ("yes", "number", "number tokens", "lists", "order")  # no axis for a single number
TAGS = ["O", "B-a", "I-a", "B-b", "I-b"]
CLASSES = ["ash", "birch", "cedar", "dogwood"]
END = WORDS - 1  # the token behind an answer
NOTHING = {"embeddings": -1, "language": 0}  # the token of padding, which others write there
SENTINEL = -999.0  # of numbers, where the case names what is left out


class Net(nn.Module):
    """It reads what its kind of answer reads, and returns it as the case says."""

    def __init__(self, answer: str, many: int, output: str = "tensor", inside: str = "") -> None:
        super().__init__()
        self.answer, self.output, self.inside = answer, output, inside
        self.table = nn.Embedding(WORDS, WIDTH) if answer in TEXTS else None
        reads = WIDTH if answer in TEXTS else 5
        self.norm = nn.Dropout(0.5)  # of no effect where a network is asked in eval mode
        head = nn.Conv2d(2, many, 1) if answer == "maps" else nn.Linear(reads, many)
        self.head: nn.Module = head
        self.own = torch.float64

    def forward(self, x=None, input_ids=None, attention_mask=None):
        if input_ids is not None and self.table is not None:
            x = self.table(input_ids)
            x = x + x.cumsum(1) / 4  # what is read so far, padding on the right changes nothing
            if self.answer == "topics":
                there = attention_mask.to(x.dtype)[..., None]
                x = (x * there).sum(1) / there.sum(1)
        if self.inside == "in place":
            nn.functional.relu(x, inplace=True)
        scores = self.head(self.norm(x.to(self.own)))
        if self.answer in ONE_EACH and self.output != "one more axis":
            scores = scores.squeeze(-1)
        return said(scores, self.output, self.answer)


def said(scores: Tensor, output: str, answer: str) -> Any:
    """Scores in the form in which a network may return them; the last axis tells classes apart."""
    if output in ("bf16", "fp16"):
        return scores.to(torch.bfloat16 if output == "bf16" else torch.float16)
    if output == "ties":
        return scores.round()
    if output == "nan":
        spoilt = scores.clone()
        spoilt.view(len(spoilt), -1)[-1, 0] = torch.nan  # of the last example of a batch
        return spoilt
    if "probabilities" in output:
        p = scores.sigmoid() if answer == "labels" else scores.softmax(-1)
        return p.bfloat16() if "bf16" in output else p
    if output == "read":
        return torch.zeros(len(scores), 2), scores
    return {"logits": scores} if output == "logits" else scores


def made(answer: str, seed: int, output: str = "tensor", inside: str = "", wide: int = 0) -> Net:
    """A network whose weights follow from a seed, in train mode, as one comes from a training."""
    net = Net(answer, ANSWERS[answer] + wide, output, inside).double()
    generator = torch.Generator().manual_seed(seed)
    for parameter in net.parameters():
        start = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
        parameter.data = start.float().double()
    return net


@dataclass
class Problem:
    """All examples in columns.

    Args:
        inputs: by name.
        labels: as they are given.
        truth: the same with -100 where a class is unknown, or NaN where a number is.
        ignore: what is named as the label of nothing; None where nothing is.
        weights: of the examples.
        lengths: of texts.
    """

    inputs: dict[str, Tensor]
    labels: Tensor | None
    truth: Tensor | None
    ignore: int | None
    weights: Tensor | None
    lengths: Tensor | None


def problem_of(case: Case) -> Problem:
    """The data of a case."""
    g = torch.Generator().manual_seed(11)
    answer, n = case["answer"], case["examples"]
    lead = (SEEDS, n) if case["form"].startswith("stacked") else (n,)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*lead, *shape, generator=g).double()

    lengths = None
    if answer in TEXTS:
        lengths = torch.randint(3, LENGTH + 1, (n,), generator=g)
        lengths[0] = LENGTH
        lengths[-6:] = lengths[-6:].clamp_max(LENGTH - (n > 64))  # the last batch is narrower
        there = torch.arange(LENGTH) < lengths[:, None]
        ids = torch.randint(1, WORDS, (n, LENGTH), generator=g).masked_fill(~there, 0)
        if case["form"] == "texts":
            ids = ids.clamp_max(END - 1)
            ids[torch.arange(n), lengths - 1] = END
        inputs = {"input_ids": ids, "attention_mask": there.long()}
        shape = (LENGTH,) if answer != "topics" else ()
    elif answer == "maps":
        inputs, shape = {"x": normal(2, *SIZE)}, SIZE
    elif answer == "lists":
        inputs, shape = {"x": normal(CANDIDATES, 5)}, (CANDIDATES,)
    else:
        inputs, shape = {"x": normal(5)}, ()
    labels = truth = None
    if case["labels"] is not None:
        truth = _truth(case, (*lead, *shape), g)
        if answer == "language":
            truth = ids.clone()
        labels, truth = _given(case, truth, lengths, g)
    ignore = None
    if case["labels"] == "ignored":
        ignore = int(SENTINEL) if answer in NUMBERS else NOTHING.get(answer, 255)
    weights = None if case["weights"] is None else torch.rand(n, generator=g) + 0.5
    return Problem(inputs, labels, truth, ignore, weights, lengths)


def _truth(case: Case, shape: tuple[int, ...], g: torch.Generator) -> Tensor:
    answer, kind = case["answer"], case["labels"]
    many = ANSWERS[answer]
    if answer in WHOLE:
        truth = torch.randint(0, many, shape, generator=g)
        if kind == "absent":
            truth = truth.masked_fill(truth == 1, 2)
        return torch.full_like(truth, 2) if kind == "single" else truth
    if answer in ("labels", "yes"):
        full = shape if answer == "yes" else (*shape, many)
        truth = (torch.rand(full, generator=g) < 0.4).double()
        if kind == "absent":
            truth[..., 1] = 0.0
        return torch.zeros_like(truth) if kind == "single" else truth
    if answer == "lists":
        truth = torch.randint(0, 3, shape, generator=g).double()
        return torch.ones_like(truth) if kind == "single" else truth
    full = shape if many == 1 else (*shape, many)
    truth = torch.randn(full, generator=g).double()
    return torch.full_like(truth, 1.5) if kind == "single" else truth


def _given(
    case: Case, truth: Tensor, lengths: Tensor | None, g: torch.Generator
) -> tuple[Tensor, Tensor]:
    """The labels as they are given, and the truth, both with what is unknown marked."""
    answer, kind = case["answer"], case["labels"]
    of_integers = not truth.is_floating_point()
    gone = torch.zeros_like(truth, dtype=torch.bool)
    if kind in ("some", "ignored") and answer == "language":
        gone = torch.arange(LENGTH) < torch.randint(0, LENGTH, (len(truth), 1), generator=g)
        if case["form"] == "texts":  # of each text one word at least is an answer
            gone &= torch.arange(LENGTH) < lengths[:, None] - 2
            gone[:, 0] = True
    elif kind in ("some", "ignored"):
        shape = truth.shape if not case["form"].startswith("stacked") else truth.shape[1:]
        gone = (torch.rand(shape, generator=g) < 0.35).expand(truth.shape)
    if lengths is not None and truth.dim() > 1:
        behind = torch.arange(LENGTH) >= lengths[:, None]
        given = truth.masked_fill(
            gone | (behind if kind != "behind padding" else gone), _fill(case)
        )
        gone = gone | behind
    else:
        given = truth.masked_fill(gone, _fill(case))
    if kind == "narrow":
        given = given.to(torch.int32 if of_integers and not bool(gone.any()) else given.dtype)
        given = given.long() if answer in ("labels", "yes", "lists") else given
    if kind == "ignored" and answer == "maps":
        given = given.to(torch.uint8)  # as masks of pictures are stored
    return given, truth.masked_fill(gone, -100 if of_integers else torch.nan)


def _fill(case: Case) -> float:
    answer, kind = case["answer"], case["labels"]
    if answer in WHOLE:
        usual = -100
        return usual if kind != "ignored" else NOTHING.get(answer, 255)
    if kind != "ignored":
        return torch.nan
    return SENTINEL if answer in NUMBERS else 255

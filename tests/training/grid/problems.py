"""Data and networks of each kind of answer, in float64 with numbers that float32 holds as well."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from tests.training.grid.axes import (
    BARE,
    EXAMPLES,
    LANGUAGE,
    MAPS,
    NUMBERS,
    ONE_EACH,
    SIGMOIDS,
    SOFTMAX,
    TEXTS,
)
from tests.training.grid.covering import Case

LENGTH, WORDS, CANDIDATES = 6, 12, 4
NARROW, WIDE = 6, 8  # hidden widths of student and teacher
ANSWERS = {"classes": 4, "tokens": 5, "maps": 4, "labels": 3, "yes": 1}  # numbers of each answer
ANSWERS |= {"numbers": 2, "number": 1, "gaussian": 4, "embeddings": 5}
ANSWERS |= {"label tokens": 3, "label maps": 2, "number tokens": 1, "lists": 1}
ANSWERS |= {"yes tokens": 1, "numbers tokens": 2, "text embeddings": 5, "bare tokens": 5}
ANSWERS |= dict.fromkeys(LANGUAGE, WORDS)


class Net(nn.Module):
    """A body that can be tapped, `hidden`, and a head; it reads what its kind of answer reads."""

    def __init__(
        self, answer: str, width: int, returns: str = "tensor", inside: str | None = None
    ) -> None:
        super().__init__()
        self.answer, self.returns = answer, returns
        many = ANSWERS[answer]
        if answer in (*TEXTS, *BARE):
            self.table = nn.Embedding(WORDS, width)
        if answer in MAPS:
            self.hidden = nn.Sequential(nn.Conv2d(2, width, 3, padding=1), nn.Tanh())
            self.head: nn.Module = nn.Conv2d(width, many, 1)
        else:
            self.hidden = nn.Sequential(
                nn.Linear(width if answer in (*TEXTS, *BARE) else 5, width), nn.Tanh()
            )
            self.head = nn.Linear(width, many)
        self.norm: nn.Module = nn.Identity()
        if inside == "batch norm" and answer not in MAPS:
            self.norm = nn.BatchNorm1d(width)
        elif inside == "batch norm":
            self.norm = nn.BatchNorm2d(width)
        elif inside == "dropout":
            self.norm = nn.Dropout(0.3)

    def forward(self, x=None, input_ids=None, attention_mask=None, **named):
        own = self.head.weight.dtype
        if self.answer in BARE:
            input_ids, attention_mask = x, x > 0
        if input_ids is not None:
            vectors = self.table(input_ids)
            there = attention_mask.to(vectors.dtype).unsqueeze(-1)
            x = vectors + (vectors * there).sum(1, keepdim=True) / there.sum(1, keepdim=True)
        elif x is None:
            query, x = (named[name].to(own) for name in ("query", "candidates"))
            x = x * query.unsqueeze(1)
        hidden = self.hidden(x.to(own))
        if self.answer in (*TEXTS, *BARE):  # the channels of a text are last
            hidden = self.norm(hidden.movedim(-1, 1)).movedim(1, -1)
        else:
            hidden = self.norm(hidden)
        scores = self.head(hidden)
        if self.answer in (*ONE_EACH, "lists"):
            scores = scores.squeeze(-1)
        return {"tensor": scores, "logits": {"logits": scores}, "read": (x, scores)}[self.returns]


def made(answer: str, seed: int, width: int, returns: str = "tensor", inside: Any = None) -> Net:
    """A network whose weights follow from a seed."""
    net = Net(answer, width, returns, inside).double()
    generator = torch.Generator().manual_seed(seed)
    for parameter in net.parameters():
        start = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
        parameter.data = start * 0.7
    if inside == "frozen body":
        net.requires_grad_(False)
        net.head.requires_grad_(True)
    return net


class Several(nn.Module):
    """Two networks as one student, whose answers teach each other."""

    def __init__(self, *networks: nn.Module) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)

    def all_logits(self, inputs):
        named = isinstance(inputs, dict)
        return tuple(net(**inputs) if named else net(inputs) for net in self.networks)

    def forward(self, x=None, **named):
        return self.networks[-1](x, **named)


def student_of(case: Case, seed: int) -> nn.Module:
    inside = case["inside"]
    net = made(case["answer"], 100 + seed, NARROW, case["returns"], inside)
    if not case["several"]:
        return net
    return Several(net, made(case["answer"], 400 + seed, WIDE, inside=inside))


def teacher_net(case: Case, number: int = 0) -> Net:
    return made(case["answer"], 200 + number, WIDE).eval().requires_grad_(False)


@dataclass
class Problem:
    """All examples in columns; a label that is unknown is what the case says it is."""

    inputs: dict[str, Tensor]
    labels: Tensor | None
    weights: Tensor | None
    lengths: Tensor | None  # of texts
    ids_without: Tensor | None  # which examples shall have no label


def problem_of(case: Case, first: Tensor) -> Problem:
    """The data of a case; `first` are the examples of the first batch."""
    g = torch.Generator().manual_seed(7)
    answer, n = case["answer"], EXAMPLES

    def normal(*shape: int) -> Tensor:
        return torch.randn(n, *shape, generator=g).double()

    lengths = None
    if answer in (*TEXTS, *BARE):
        lengths = torch.randint(2, LENGTH + 1, (n,), generator=g)
        lengths[0] = LENGTH
        there = torch.arange(LENGTH) < lengths[:, None]
        ids = torch.randint(1, WORDS, (n, LENGTH), generator=g).masked_fill(~there, 0)
        inputs, shape = {"input_ids": ids, "attention_mask": there.long()}, (LENGTH,)
        inputs = {"x": ids} if answer in BARE else inputs
    elif answer in MAPS:
        inputs, shape = {"x": normal(2, 3, 4)}, (3, 4)
    elif answer == "lists":
        there = torch.rand(n, CANDIDATES, generator=g) < 0.7
        there[:, 0] |= torch.rand(n, generator=g) < 0.5
        inputs = {"query": normal(5), "candidates": normal(CANDIDATES, 5), "mask": there}
        shape = ()
    else:
        inputs, shape = {"x": normal(5)}, ()
    without = first if case["labels"] == "none in a batch" else None
    labels = _labels(case, shape, g) if answer not in LANGUAGE else ids.clone()
    if labels is not None:
        _forget(case, labels, lengths, without, g)
    weights = None
    if case["weights"] is not None:
        weights = torch.randint(1, 9, (n,), generator=g).double() / 4
        if case["weights"] == "some 0":
            weights[torch.rand(n, generator=g) < 0.3] = 0.0
            weights[first[:2]] = 1.5
    return Problem(inputs, labels, weights, lengths, without)


def _labels(case: Case, shape: tuple[int, ...], g: torch.Generator) -> Tensor | None:
    answer, n, many = case["answer"], EXAMPLES, ANSWERS[case["answer"]]
    if case["labels"] is None:
        return None
    if case["labels"] == "soft":
        parts = torch.randint(0, many, (n, *shape, 16), generator=g)
        soft = nn.functional.one_hot(parts, many).double().mean(-2)
        return soft.movedim(-1, 1) if answer in MAPS else soft
    if answer in SOFTMAX:
        return torch.randint(0, many, (n, *shape), generator=g).to(_whole(case))
    size = shape if answer in ONE_EACH else (*shape, many // (1 + (answer == "gaussian")))
    if answer in SIGMOIDS:
        yes = (torch.rand(n, *size, generator=g) < 0.4).double()
        yes = yes if case["unknown"] == "usual" else yes.long()
        return yes.movedim(-1, 1) if answer in MAPS else yes
    return torch.randn(n, *size, generator=g).double()


def _whole(case: Case) -> torch.dtype:
    """Masks of pictures have a byte a pixel."""
    return torch.uint8 if case["answer"] in MAPS and case["unknown"] == 255 else torch.int64


def _forget(
    case: Case, labels: Tensor, lengths: Tensor | None, without: Tensor | None, g: torch.Generator
) -> None:
    """Put what says "unknown" where the case has no label, in place."""
    answer = case["answer"]
    if case["labels"] == "soft":
        return
    integral = answer in (*SOFTMAX, *LANGUAGE) or case["unknown"] != "usual"
    fill = 255 if case["unknown"] == 255 else -100 if integral else float("nan")
    if lengths is not None and answer not in NUMBERS:  # padding has none, whatever else
        labels[torch.arange(LENGTH) >= lengths[:, None]] = fill
    if case["labels"] == "some" and answer in LANGUAGE:  # a prompt, which is not learned
        prompts = torch.randint(0, LENGTH, (len(labels), 1), generator=g)
        labels[torch.arange(LENGTH) < prompts] = fill
    elif case["labels"] == "some":
        labels[torch.rand(labels.shape, generator=g) < 0.35] = fill
    if without is not None:
        labels[without] = fill

"""BANKING77 with a real encoder: fine-tune six layers, distil them into two, measure both.

    python -m distill_lab.course.experiments.banking all-MiniLM-L6-v2

The whole run takes about twenty minutes on two quiet cores. Every choice is made on 1,000 of the
training questions, which nothing learns from; the test questions are looked at once, at the end.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from itertools import combinations
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

from distill_lab import methods
from distill_lab.batches import Batch
from distill_lab.course.experiments.banking_outcome import Outcome, Settings, clock, kept_share
from distill_lab.datasets import banking77
from distill_lab.datasets.banking77 import Questions, TextSet
from distill_lab.evaluation.cost import count_parameters, size_on_disk
from distill_lab.evaluation.predictions import evaluating
from distill_lab.losses import cosine_loss, cross_entropy, kd_loss
from distill_lab.models.encoder import TextClassifier, layers_of, load_encoder, with_layers
from distill_lab.statistics import mcnemar
from distill_lab.taps import Tap
from distill_lab.training import distill
from distill_lab.writing import write_whole

Say = Callable[[str], None]


class Bundles:
    """Questions in batches of like length: data for `distill`, one bundle a step.

    Sorting by length wastes little on padding; which questions of one length meet in a bundle is
    drawn from the seed. Use it with batch_size=1. ``ids`` of a batch are the questions' numbers.
    """

    def __init__(
        self, questions: Questions, tokenizer: Any, *, size: int = 32, longest: int = 64,
        seed: int = 0,
    ) -> None:  # fmt: skip
        ids = tokenizer(list(questions.texts), truncation=True, max_length=longest)["input_ids"]
        self.tokens = [torch.tensor(row) for row in ids]
        self.labels, self.pad = questions.labels, int(tokenizer.pad_token_id)
        order = torch.randperm(len(ids), generator=torch.Generator().manual_seed(seed))
        lengths = torch.tensor([len(ids[i]) for i in order.tolist()])
        self.bundles = order[lengths.argsort(stable=True)].split(size)

    def __len__(self) -> int:
        return len(self.bundles)

    def batch(self, index: Tensor) -> Batch:
        """The questions of these bundles, padded to the longest of them."""
        ids = torch.cat([self.bundles[i] for i in index.tolist()])
        rows = [self.tokens[i] for i in ids.tolist()]
        tokens = nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=self.pad)
        lengths = torch.tensor([len(row) for row in rows])
        mask = (torch.arange(tokens.shape[1]) < lengths[:, None]).long()
        return Batch({"input_ids": tokens, "attention_mask": mask}, self.labels[ids], ids)


def answers(model: nn.Module, bundles: Bundles) -> tuple[Tensor, Tensor]:
    """Logits (N, classes) and mean states (N, D) about every question, in the questions' order."""
    found: list[tuple[Tensor, Tensor, Tensor]] = []
    with evaluating(model), Tap(model, ["dropout"]) as tap:
        for number in range(len(bundles)):
            tap.clear()
            batch = bundles.batch(torch.tensor([number]))
            found.append((batch.ids, model(**batch.inputs), tap["dropout"]))
    ids, logits, states = (torch.cat(part).clone() for part in zip(*found, strict=True))
    back = ids.argsort()
    return logits[back], states[back]


def soft_targets(
    said: tuple[Tensor, Tensor], *, T: float = 2.0, alpha: float = 0.9, state: float = 1.0
) -> methods.Method:
    """Distil from what a teacher said once: its logits, and the direction of its mean states."""
    logits, states = said

    def terms(batch: Batch, student: Any, teacher: Any) -> dict[str, Tensor]:
        assert batch.labels is not None  # Bundles give them
        with Tap(student, ["dropout"]) as tap:
            z = student(**batch.inputs)
        return {
            "kd": kd_loss(z, logits[batch.ids], T=T, alpha=1.0),
            "ce": cross_entropy(z, batch.labels),
            "state": cosine_loss(tap["dropout"], states[batch.ids]),
        }

    weights = {"kd": alpha, "ce": 1 - alpha, "state": state}
    return methods.Method(f"soft_targets(T={T}, {weights})", terms, weights, needs_teacher=False)


def best_layers(
    model: TextClassifier, said: Tensor, bundles: Bundles, count: int
) -> tuple[int, ...]:
    """The layers whose model says most nearly what the whole one says, before any training."""

    def far(keep: tuple[int, ...]) -> float:
        z = answers(with_layers(model, keep), bundles)[0].log_softmax(-1)
        return float((said.softmax(-1) * (said.log_softmax(-1) - z)).sum(-1).mean())

    return min(combinations(range(len(layers_of(model.body))), count), key=far)


def run(
    body: nn.Module, tokenizer: Any, data: TextSet, settings: Settings | None = None, *,
    arms: Sequence[str] = ("distilled", "hard labels"), keep: Path | None = None,
    say: Say = lambda line: None,
) -> tuple[Outcome, TextClassifier, dict[str, TextClassifier]]:  # fmt: skip
    """Fine-tune the teacher, choose layers, teach the students, measure; all in one run.

    ``keep`` is a folder in which the fine-tuned teacher is kept, so that a run that was stopped
    need not fine-tune again. Returns the outcome, the teacher, and the first student of each arm.
    """
    settings = settings or Settings()
    began, threads = time.monotonic(), torch.get_num_threads()
    torch.set_num_threads(settings.threads)
    try:
        return _run(body, tokenizer, data, settings, arms, keep, say, began)
    finally:
        torch.set_num_threads(threads)


def _run(
    body: nn.Module, tokenizer: Any, data: TextSet, settings: Settings, arms: Sequence[str],
    keep: Path | None, say: Say, began: float,
) -> tuple[Outcome, TextClassifier, dict[str, TextClassifier]]:  # fmt: skip
    outcome = Outcome(settings)
    few = settings.questions
    valid, train = data.train.split(settings.held_out, seed=0)
    train = train if few is None else train.pick(torch.arange(few))
    asked = data.test if few is None else data.test.split(few, seed=0)[0]
    learn, choose, exam = (Bundles(q, tokenizer, size=settings.size) for q in (train, valid, asked))

    def note(words: str) -> None:
        say(f"{time.monotonic() - began:5.0f} s  {words}")

    def right(logits: Tensor, questions: Questions) -> Tensor:
        return (logits.argmax(-1) == questions.labels).float()

    teacher = TextClassifier(body, len(data.classes), seed=0)
    place = None if keep is None else keep / "banking_teacher.safetensors"
    if place is not None and place.exists():
        safetensors.torch.load_model(teacher, place)
    else:
        _fit(teacher, learn, methods.supervised(), settings.teacher_epochs, settings.teacher_lr, 0)
        if place is not None:
            weights = {name: part.contiguous() for name, part in teacher.state_dict().items()}
            write_whole(place, safetensors.torch.save(weights))
    teacher.eval()
    note(f"teacher: {100 * right(answers(teacher, choose)[0], valid).mean():.2f} % held out")

    said = answers(teacher, learn)
    outcome.kept = best_layers(teacher, answers(teacher, choose)[0], choose, settings.layers)
    note(f"layers {outcome.kept} say most nearly the same untrained")
    recipes = {"distilled": soft_targets(said), "hard labels": methods.supervised()}
    students: dict[str, list[TextClassifier]] = {}
    for seed in settings.seeds:
        bundles = Bundles(train, tokenizer, size=settings.size, seed=seed)
        for name in arms:
            student = with_layers(teacher, outcome.kept)
            if name == "distilled":
                student.dropout.p = 0.0  # its mean state is compared as it is
            epochs, rate = settings.student_epochs, settings.student_lr
            _fit(student, bundles, recipes[name], epochs, rate, seed)
            students.setdefault(name, []).append(student.eval())
            note(
                f"{name}, seed {seed}: "
                f"{100 * right(answers(student, choose)[0], valid).mean():.2f} % held out"
            )

    true = right(answers(teacher, exam)[0], asked)
    outcome.teacher = 100 * true.mean().item()
    for name, models in students.items():
        each = torch.stack([right(answers(model, exam)[0], asked) for model in models])
        outcome.students[name] = (100 * each.mean(-1)).tolist()
        outcome.retained[name] = kept_share(each.mean(0), true)
        outcome.p[name] = mcnemar(each[0].tolist(), true.tolist())
    first = {name: models[0] for name, models in students.items()}
    one = first[arms[0]]
    clock(outcome, teacher, one, exam, settings.calls)
    outcome.parameters = count_parameters(teacher), count_parameters(one)
    outcome.bytes = size_on_disk(teacher), size_on_disk(one)
    outcome.seconds = time.monotonic() - began
    return outcome, teacher, first


def _fit(
    model: TextClassifier, bundles: Bundles, method: methods.Method, epochs: int, lr: float,
    seed: int,
) -> None:  # fmt: skip
    warmup = min(60, epochs * len(bundles) // 10)
    distill(
        model, bundles, method=method, epochs=epochs, batch_size=1, lr=lr, weight_decay=0.01,
        schedule="linear", warmup=warmup, clip=1.0, seed=seed, progress=False, shares_every=0,
    )  # fmt: skip


def main() -> None:
    """Run it all, and write the outcome beside what it keeps."""
    name, *rest = sys.argv[1:] or ["all-MiniLM-L6-v2"]
    keep = Path(rest[0]) if rest else Path("build/banking")
    body, tokenizer = load_encoder(name)
    outcome, *_ = run(body, tokenizer, banking77.load(), keep=keep, say=print)
    print(outcome)
    write_whole(keep / "outcome.json", json.dumps(asdict(outcome), indent=1).encode())


if __name__ == "__main__":
    main()

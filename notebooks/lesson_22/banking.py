"""BANKING77 with a real encoder: fine-tune six layers, distil them into two, measure both.

    python -m lesson_22.banking all-MiniLM-L6-v2

The whole run takes about twenty minutes on two quiet cores. Every choice is made on 1,000 of the
training questions, which nothing learns from; the test questions are looked at once, at the end.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from itertools import combinations
from pathlib import Path
from typing import Any, Literal

import safetensors.torch
import torch
from torch import Tensor, nn

from distill_lab import methods
from distill_lab._util.io import write_whole
from distill_lab._util.runtime import torch_threads
from distill_lab.data.batches import Batch
from distill_lab.data.datasets import banking77
from distill_lab.data.datasets.banking77 import Questions, TextSet
from distill_lab.evaluation import accuracy
from distill_lab.evaluation.cost import count_parameters, size_on_disk
from distill_lab.evaluation.predictions import evaluating
from distill_lab.evaluation.statistics import mcnemar
from distill_lab.losses import cosine_loss, cross_entropy, kd_loss
from distill_lab.models.hooks import Tap
from distill_lab.training import distill
from lesson_22.banking_outcome import Outcome, Settings, clock, kept_share
from lesson_22.encoder import TextClassifier, layers_of, load_encoder, with_layers

Say = Callable[[str], None]


class Bundles:
    """Questions in batches of like length: data for `distill`, one bundle a step.

    Sorting by length wastes little on padding; which questions of one length meet in a bundle is
    drawn from the seed. Use it with batch_size=1. ``ids`` of a batch are the questions' numbers.
    """

    def __init__(
        self,
        questions: Questions,
        tokenizer: Any,
        *,
        size: int = 32,
        longest: int = 64,
        seed: int = 0,
    ) -> None:
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


class Study:
    """A fine-tuned teacher, students with fewer layers, and the exam they all sit.

    ``keep`` is a folder in which the fine-tuned teacher is kept, so that a run that was stopped
    need not fine-tune again; ``say`` hears a line at each stage.

        study = Study(body, tokenizer, data)        # fine-tunes, and chooses the layers
        student = study.teach("distilled")          # or "hard labels", its control
        print(study.outcome())                      # looks at the test questions
    """

    def __init__(
        self,
        body: nn.Module,
        tokenizer: Any,
        data: TextSet,
        settings: Settings | None = None,
        *,
        keep: Path | None = None,
        say: Say = lambda line: None,
    ) -> None:
        self.settings, self.tokenizer = settings or Settings(), tokenizer
        self.say, self.began = say, time.monotonic()
        few, size = self.settings.questions, self.settings.size
        valid, train = data.train.split(self.settings.held_out, seed=0)
        self.train = train if few is None else train.pick(torch.arange(few))
        asked = data.test if few is None else data.test.split(few, seed=0)[0]
        self.choose, self.exam = (Bundles(q, tokenizer, size=size) for q in (valid, asked))
        self.teacher = TextClassifier(body, len(data.classes), seed=0)
        self.students: dict[str, list[TextClassifier]] = {}
        with torch_threads(self.settings.threads):
            learn = Bundles(self.train, tokenizer, size=size)
            self._fine_tune(learn, keep)
            held_out = answers(self.teacher, self.choose)[0]
            self._note_held_out("teacher", held_out)
            self.said = answers(self.teacher, learn)
            self.kept = best_layers(self.teacher, held_out, self.choose, self.settings.layers)
            self._note(f"layers {self.kept} say most nearly the same untrained")

    def teach(self, arm: Literal["distilled", "hard labels"]) -> TextClassifier:
        """A student for each seed, from the teacher's words or from the labels alone: the first.

        Raises KeyError for another arm.
        """
        settings = self.settings
        recipe = {"distilled": soft_targets(self.said), "hard labels": methods.supervised()}[arm]
        self.students[arm] = []
        with torch_threads(settings.threads):
            for seed in settings.seeds:
                bundles = Bundles(self.train, self.tokenizer, size=settings.size, seed=seed)
                student = with_layers(self.teacher, self.kept)
                if arm == "distilled":
                    student.dropout.p = 0.0  # its mean state is compared as it is
                epochs, rate = settings.student_epochs, settings.student_lr
                _fit(student, bundles, recipe, epochs, rate, seed)
                self.students[arm].append(student.eval())
                self._note_held_out(f"{arm}, seed {seed}", answers(student, self.choose)[0])
        return self.students[arm][0]

    def outcome(self) -> Outcome:
        """Examine all of them on the test questions, and time the teacher and one student."""
        outcome = Outcome(self.settings, self.kept)
        with torch_threads(self.settings.threads):
            true = _right(self.teacher, self.exam)
            outcome.teacher = 100 * true.mean().item()
            found = {
                arm: torch.stack([_right(model, self.exam) for model in models])
                for arm, models in self.students.items()
            }
            for arm, each in found.items():
                outcome.students[arm] = (100 * each.mean(-1)).tolist()
                outcome.retained[arm] = kept_share(each.mean(0), true)
                outcome.p[arm] = mcnemar(each[0].tolist(), true.tolist())
            if len(found) == 2:
                outcome.between = mcnemar(*(each[0].tolist() for each in found.values()))
            one = next(iter(self.students.values()))[0]
            clock(outcome, self.teacher, one, self.exam, self.settings.calls)
        outcome.parameters = count_parameters(self.teacher), count_parameters(one)
        outcome.bytes = size_on_disk(self.teacher), size_on_disk(one)
        outcome.seconds = time.monotonic() - self.began
        return outcome

    def _fine_tune(self, learn: Bundles, keep: Path | None) -> None:
        place = None if keep is None else keep / "banking_teacher.safetensors"
        if place is not None and place.exists():
            safetensors.torch.load_model(self.teacher, place)
        else:
            epochs, rate = self.settings.teacher_epochs, self.settings.teacher_lr
            _fit(self.teacher, learn, methods.supervised(), epochs, rate, 0)
            if place is not None:
                weights = {n: part.contiguous() for n, part in self.teacher.state_dict().items()}
                write_whole(place, safetensors.torch.save(weights))
        self.teacher.eval()

    def _note(self, words: str) -> None:
        self.say(f"{time.monotonic() - self.began:5.0f} s  {words}")

    def _note_held_out(self, who: str, logits: Tensor) -> None:
        self._note(f"{who}: {accuracy(logits, self.choose.labels):.2f} % held out")


def _right(model: nn.Module, bundles: Bundles) -> Tensor:
    """1 for each question that a model gets right, in the questions' order, and 0 else."""
    return (answers(model, bundles)[0].argmax(-1) == bundles.labels).float()


def _fit(
    model: TextClassifier,
    bundles: Bundles,
    method: methods.Method,
    epochs: int,
    lr: float,
    seed: int,
) -> None:
    warmup = min(60, epochs * len(bundles) // 10)
    distill(
        model,
        bundles,
        method=method,
        epochs=epochs,
        batch_size=1,
        lr=lr,
        weight_decay=0.01,
        schedule="linear",
        warmup=warmup,
        clip=1.0,
        seed=seed,
        progress=False,
        shares_every=0,
    )


def main() -> None:
    """Run it all, and write the outcome beside what it keeps."""
    name, *rest = sys.argv[1:] or ["all-MiniLM-L6-v2"]
    keep = Path(rest[0]) if rest else Path("build/banking")
    body, tokenizer = load_encoder(name)
    study = Study(body, tokenizer, banking77.load(), keep=keep, say=print)
    study.teach("distilled")
    study.teach("hard labels")
    outcome = study.outcome()
    print(outcome)
    write_whole(keep / "outcome.json", json.dumps(asdict(outcome), indent=1).encode())


if __name__ == "__main__":
    main()

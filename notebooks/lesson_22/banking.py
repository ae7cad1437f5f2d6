"""BANKING77 with a real encoder: fine-tune six layers, distil them into two, measure both.

    python -m lesson_22.banking all-MiniLM-L6-v2

The whole run takes about twenty minutes on two cores. Every choice is made on 1,000 of the
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
from distill_lab.course.encoders import (
    LengthBuckets,
    TextClassifier,
    layers_of,
    load_encoder,
    outputs,
)
from distill_lab.data import datasets
from distill_lab.data.batches import Batch
from distill_lab.data.datasets import TextSet
from distill_lab.evaluation import accuracy
from distill_lab.evaluation.cost import count_parameters, size_on_disk
from distill_lab.evaluation.statistics import mcnemar
from distill_lab.losses import cosine_loss, cross_entropy, kd_loss
from distill_lab.models.hooks import Tap
from distill_lab.training import distill
from lesson_22.banking_results import Results, Settings, clock, kept_share
from lesson_22.encoder import with_layers

Show = Callable[[str], None]


def soft_targets(
    cached_targets: tuple[Tensor, Tensor], *, T: float = 2.0, alpha: float = 0.9, state: float = 1.0
) -> methods.Method:
    """Distil from a teacher's cached outputs: its logits, and the direction of its mean states.

    Formula: alpha T^2 KL(p || q) + (1 - alpha) CE + state (1 - cos(h, h_teacher)).

    Args:
        cached_targets: logits (N, classes) and mean states (N, D), by the questions' numbers.
        T: temperature.
        alpha: the teacher's share.
        state: weight of the states' direction.

    Returns:
        The method; it asks no teacher.

    Source: Hinton, Vinyals & Dean 2015, section 2; Sanh et al. 2019 (DistilBERT), section 3.
    """
    logits, states = cached_targets

    def terms(batch: Batch, student: Any, teacher: Any) -> dict[str, Tensor]:
        assert batch.labels is not None  # LengthBuckets give them
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
    model: TextClassifier, teacher_logits: Tensor, buckets: LengthBuckets, count: int
) -> tuple[int, ...]:
    """Choose the layers whose model is nearest to the complete one, before any training.

    Args:
        model: the teacher.
        teacher_logits: of these questions, (N, classes).
        buckets: questions that nothing learns from.
        count: layers to keep.

    Returns:
        Their numbers, first to last.
    """

    def kl_to_teacher(keep: tuple[int, ...]) -> float:
        log_q = outputs(with_layers(model, keep), buckets)[0].log_softmax(-1)
        p, log_p = teacher_logits.softmax(-1), teacher_logits.log_softmax(-1)
        return float((p * (log_p - log_q)).sum(-1).mean())

    return min(combinations(range(len(layers_of(model.body))), count), key=kl_to_teacher)


class Experiment:
    """A fine-tuned teacher, students with fewer layers, and one test for all.

    `keep` is a folder in which the fine-tuned teacher is kept, so that a run that was stopped
    need not fine-tune again; `show` gets a line at each stage.

        experiment = Experiment(body, tokenizer, data)        # fine-tunes, and chooses the layers
        student = experiment.train_student("distilled")          # or "hard labels", its control
        print(experiment.evaluate())                      # looks at the test questions
    """

    def __init__(
        self,
        body: nn.Module,
        tokenizer: Any,
        data: TextSet,
        settings: Settings | None = None,
        *,
        keep: Path | None = None,
        show: Show = lambda line: None,
    ) -> None:
        self.settings, self.tokenizer = settings or Settings(), tokenizer
        self.show, self.began = show, time.monotonic()
        few, size = self.settings.questions, self.settings.size
        valid, train = data.train.split(self.settings.held_out, seed=0)
        self.train = train if few is None else train.pick(torch.arange(few))
        asked = data.test if few is None else data.test.split(few, seed=0)[0]
        self.choose, self.test = (LengthBuckets.of(q, tokenizer, size=size) for q in (valid, asked))
        self.teacher = TextClassifier(body, len(data.classes), seed=0)
        self.students: dict[str, list[TextClassifier]] = {}
        with torch_threads(self.settings.threads):
            learn = LengthBuckets.of(self.train, tokenizer, size=size)
            self._fine_tune(learn, keep)
            held_out = outputs(self.teacher, self.choose)[0]
            self._note_held_out("teacher", held_out)
            self.cached_targets = outputs(self.teacher, learn)
            self.layers = best_layers(self.teacher, held_out, self.choose, self.settings.layers)
            self._note(f"layers {self.layers} are nearest to the teacher before training")

    def train_student(self, variant: Literal["distilled", "hard labels"]) -> TextClassifier:
        """Train a student for each seed, on soft targets or on the labels alone.

        Args:
            variant: which of the two.

        Returns:
            The first seed's student.

        Raises:
            KeyError: for another variant.
        """
        settings = self.settings
        recipe = {
            "distilled": soft_targets(self.cached_targets),
            "hard labels": methods.supervised(),
        }[variant]
        self.students[variant] = []
        with torch_threads(settings.threads):
            for seed in settings.seeds:
                buckets = LengthBuckets.of(
                    self.train, self.tokenizer, size=settings.size, seed=seed
                )
                student = with_layers(self.teacher, self.layers)
                if variant == "distilled":
                    student.dropout.p = 0.0  # its mean state is compared as it is
                epochs, rate = settings.student_epochs, settings.student_lr
                _fit(student, buckets, recipe, epochs, rate, seed)
                self.students[variant].append(student.eval())
                self._note_held_out(f"{variant}, seed {seed}", outputs(student, self.choose)[0])
        return self.students[variant][0]

    def evaluate(self) -> Results:
        """Examine all of them on the test questions, and time the teacher and one student."""
        results = Results(self.settings, self.layers)
        with torch_threads(self.settings.threads):
            teacher = _right(self.teacher, self.test)
            results.teacher = 100 * teacher.mean().item()
            right = {
                variant: torch.stack([_right(model, self.test) for model in models])
                for variant, models in self.students.items()
            }
            for variant, each in right.items():
                results.students[variant] = (100 * each.mean(-1)).tolist()
                results.retained[variant] = kept_share(each.mean(0), teacher)
                results.p[variant] = mcnemar(each[0].tolist(), teacher.tolist())
            if len(right) == 2:
                results.between = mcnemar(*(each[0].tolist() for each in right.values()))
            one = next(iter(self.students.values()))[0]
            clock(results, self.teacher, one, self.test, self.settings.calls)
        results.parameters = count_parameters(self.teacher), count_parameters(one)
        results.bytes = size_on_disk(self.teacher), size_on_disk(one)
        results.seconds = time.monotonic() - self.began
        return results

    def _fine_tune(self, learn: LengthBuckets, keep: Path | None) -> None:
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

    def _note(self, line: str) -> None:
        self.show(f"{time.monotonic() - self.began:5.0f} s  {line}")

    def _note_held_out(self, name: str, logits: Tensor) -> None:
        self._note(f"{name}: {accuracy(logits, self.choose.labels):.2f} % held out")


def start(profile: str, seed: int) -> Experiment | None:
    """Fine-tune the teacher of section 6 where the profile and this machine allow it.

    Args:
        profile: "quick" skips it, "full" needs the encoder and the questions on this machine, "hub"
            downloads both.
        seed: Of the students.

    Returns:
        The experiment; None where it was skipped, with a printed reason.
    """
    if profile == "quick":
        print("Skipped in quick; to run it: distill-lab run 22 --profile full")
        return None
    try:
        body, tokenizer = load_encoder(download=profile == "hub")
        data = datasets.load("banking77", download=profile == "hub")
    except (FileNotFoundError, ImportError) as why:
        print("Skipped:", why)
        return None
    return Experiment(body, tokenizer, data, Settings(seeds=(seed,)), show=print)


def _right(model: nn.Module, buckets: LengthBuckets) -> Tensor:
    """1 for each question that a model gets right, in the questions' order, and 0 else."""
    return (outputs(model, buckets)[0].argmax(-1) == buckets.labels).float()


def _fit(
    model: TextClassifier,
    buckets: LengthBuckets,
    method: methods.Method,
    epochs: int,
    lr: float,
    seed: int,
) -> None:
    warmup = min(60, epochs * len(buckets) // 10)
    distill(
        model,
        buckets,
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
    """Run it all, and write the results beside what it keeps."""
    name, *rest = sys.argv[1:] or ["all-MiniLM-L6-v2"]
    keep = Path(rest[0]) if rest else Path("build/banking")
    body, tokenizer = load_encoder(name)
    experiment = Experiment(body, tokenizer, datasets.load("banking77"), keep=keep, show=print)
    experiment.train_student("distilled")
    experiment.train_student("hard labels")
    results = experiment.evaluate()
    print(results)
    write_whole(keep / "results.json", json.dumps(asdict(results), indent=1).encode())


if __name__ == "__main__":
    main()

"""What the workbench of lesson 12 does on *Train*: a student and its twin, on digits."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import Tensor

from distill_lab import methods
from distill_lab.data.datasets import Examples
from distill_lab.evaluation import accuracy, predict_logits
from distill_lab.models import MLP
from distill_lab.teachers import Recorded
from distill_lab.training import TrainStep, distill
from lesson_12.scoreboard import Run, Settings

__all__ = ["EPOCHS", "STEPS_AN_EPOCH", "trainer"]

EPOCHS, STEPS_AN_EPOCH = 60, 10  # the same for any number of labels, so that curves compare

Terms = Mapping[str, float]
Train = Callable[[Settings, Callable[[Terms, int, int], None]], Run]


def trainer(teachers: Mapping[str, Tensor], train: Examples, test: Examples) -> Train:
    """A function ``train_once(settings, progress) -> Run`` over these teachers, for `workbench`.

    ``train`` and ``test`` are stacked, one split a seed (S, N, ...); ``teachers`` maps a name to
    what the S teachers said about their training images, logits (S, N, C). Run number k uses split
    and teacher k modulo S and starts student and twin at seed k. Both take 600 steps, whatever the
    number of labels. A twin that was trained before is not trained again. Raises ValueError for
    teachers that were asked about other images.
    """
    asked = train.labels.shape
    wrong = [name for name, logits in teachers.items() if logits.shape[:-1] != asked]
    if train.seeds is None or not teachers or wrong:
        raise ValueError(
            f"expected at least one teacher, with logits {(*asked, 'classes')}, one row for each "
            f"training image of each seed; got {', '.join(wrong) or 'none'} of another shape."
        )
    seeds = train.seeds
    twins: dict[tuple[int, int, int], list[float]] = {}

    def train_once(settings: Settings, progress: Callable[[Terms, int, int], None]) -> Run:
        if settings.teacher not in teachers:
            raise ValueError(f"no teacher {settings.teacher!r}; there are {', '.join(teachers)}.")
        row = settings.seed % seeds
        few, exam = train.at(row).take(settings.labels), test.at(row)

        def curve(method: methods.Method, teacher: Recorded | None, half: int) -> list[float]:
            """Test accuracy after every epoch; ``half`` 0 or 1 says which part of the bar it is."""
            points: list[float] = []

            def note(step: TrainStep) -> None:
                if step.step % STEPS_AN_EPOCH == 0:
                    answers = predict_logits(step.student, exam.inputs)
                    points.append(float(accuracy(answers, exam.labels)))
                progress(step.terms, half * step.steps + step.step, 2 * step.steps)

            distill(
                MLP(64, settings.width, settings.width, 10, seed=settings.seed),
                few,
                teacher=teacher,
                method=method,
                epochs=EPOCHS,
                batch_size=max(1, -(-settings.labels // STEPS_AN_EPOCH)),
                seed=settings.seed,
                progress=False,
                callbacks=[note],
                shares_every=0,  # the bench lets people turn a term down to nothing, and shows it
            )
            return points

        key = (settings.width, settings.labels, settings.seed)
        if key not in twins:
            twins[key] = curve(methods.supervised(), None, 0)
        # with alpha = 0 nobody listens to a teacher, and `distill` refuses one
        said = Recorded(teachers[settings.teacher][row]) if settings.alpha > 0 else None
        found = curve(methods.kd(settings.T, settings.alpha), said, 1)
        twin = twins[key]
        return Run(found[-1], twin[-1], curve=found, baseline_curve=twin)

    return train_once

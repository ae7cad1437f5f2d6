"""Lesson 43's examination: what students of synthetic text answer, judged and scored."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from distill_lab.course import tutor, worlds
from distill_lab.course.worlds import Task
from distill_lab.synthesis.filters import self_consistent
from lesson_43.arms import Kind

FREE_TEXT = ("support", "summaries")  # where one may say it in other words
MOST = 64  # tokens an answer may have: more than any right one


def exam(n: int, *, seed: int = 0, level: int = 2) -> dict[str, list[Task]]:
    """`n` test tasks of every world: no prompt in any training set asks about their contents."""
    return {name: worlds.load(name).test(n, seed=seed, level=level) for name in worlds.NAMES}


def flat(tasks: Mapping[str, Sequence[Task]]) -> list[Task]:
    """The tasks of all worlds in one row."""
    return [task for some in tasks.values() for task in some]


@dataclass(frozen=True)
class Answered:
    """What the models of one arm answered: `said[s][world]` beside `tasks[world]`."""

    tasks: Mapping[str, Sequence[Task]]
    said: Sequence[Mapping[str, Sequence[str]]]

    def right(self, world: str) -> Tensor:
        """Percent of a world's tasks that the verifier accepts, one value a model: (S,)."""
        return torch.tensor([_percent(self.tasks[world], one[world]) for one in self.said])

    @property
    def mean(self) -> Tensor:
        """The mean over the worlds: (S,)."""
        return torch.stack([self.right(world) for world in self.tasks]).mean(0)

    def scores(self, measure: Measure, names: Sequence[str] = FREE_TEXT) -> Tensor:
        """A measure of likeness with the gold answers of these worlds, one value a model: (S,)."""
        tasks = [task for name in names for task in self.tasks[name]]
        texts = [[text for name in names for text in one[name]] for one in self.said]
        return torch.tensor([measure(some, tasks) for some in texts])

    def wrong(self, names: Sequence[str] = FREE_TEXT) -> list[list[tuple[Task, str]]]:
        """Of each model the tasks it got wrong, with what it said."""
        return [
            [
                (task, text)
                for name in names
                for task, text in zip(self.tasks[name], one[name], strict=True)
                if not task.check.verdict(text)
            ]
            for one in self.said
        ]


Measure = Callable[[Sequence[str], Sequence[Task]], float]


def _percent(tasks: Sequence[Task], said: Sequence[str]) -> float:
    right = sum(bool(task.check.verdict(text)) for task, text in zip(tasks, said, strict=True))
    return 100 * right / len(tasks)


def examine(models: Sequence[Any], tokenizer: Any, tasks: Mapping[str, Sequence[Task]]) -> Answered:
    """Let every model answer every task greedily, world by world: their answers are as long."""
    return Answered(
        tasks,
        [
            {name: tutor.answers(model, tokenizer, some, most=MOST) for name, some in tasks.items()}
            for model in models
        ],
    )


def bleu(said: Sequence[str], tasks: Sequence[Task]) -> float:
    """Corpus BLEU, 0 to 100, against all accepted wordings of each task.

    Formula: BP exp(mean over n = 1..4 of log p_n), p_n the clipped precision of n-grams.
    Papineni et al. 2002, section 2; Post 2018 (1804.08771) on why to let sacrebleu count.
    """
    import sacrebleu

    wordings = [_wordings(task) for task in tasks]
    most = max(map(len, wordings))
    streams: Any = [  # None where a task has fewer wordings
        [some[i] if i < len(some) else None for some in wordings] for i in range(most)
    ]
    return float(sacrebleu.corpus_bleu(list(said), streams).score)


def rouge_l(said: Sequence[str], tasks: Sequence[Task]) -> float:
    """Mean ROUGE-L, 0 to 100, each answer against the accepted wording that is most like it.

    Formula: F = 2 P R / (P + R) with P and R the longest common subsequence over either length.
    Lin 2004, section 3.
    """
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer(["rougeL"], use_stemmer=False)
    found = [
        scorer.score_multi(_wordings(task), text)["rougeL"].fmeasure
        for text, task in zip(said, tasks, strict=True)
    ]
    return 100 * sum(found) / len(found)


def _wordings(task: Task) -> list[str]:
    return list(dict.fromkeys((task.answer, *task.accepted)))


def stages(facts: Mapping[str, Any]) -> list[tuple[str, int, str]]:
    """What a funnel shows of a set: (stage, rows left, remark), from the facts of its making."""
    left = facts["asked"]
    found = [("asked and answered", left, "")]
    for step in facts["filters"]:
        left -= step["removed"]
        found.append((step["filter"], left, f"{step['removed']:,} removed"))
    return found


def shorter(kind: Kind, *, steps: int) -> Kind:
    """The same way of learning, for so many steps."""
    return replace(kind, steps=steps)


def polled(
    tasks: Sequence[Task], answer: Callable[[Task, int], str], *, samples: int = 5
) -> tuple[tuple[float, float], int]:
    """A teacher's samples before and after a vote: percent right each, and how many were outvoted.

    `answer` gives the text of a task's sample of this number.
    """
    rows: list[dict[str, Any]] = [
        {
            "prompt": [{"role": "user", "content": task.prompt}],
            "answer": answer(task, sample),
            "right": bool(task.check.verdict(answer(task, sample))),
        }
        for task in tasks
        for sample in range(samples)
    ]
    kept, step = self_consistent(least=0.5)(rows)
    before, after = (
        100 * sum(one["right"] for one in some) / max(1, len(some)) for some in (rows, kept)
    )
    return (before, after), step.went

"""How lesson 43 tests its students: tasks, their answers, verdicts and scores, votes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from distill_lab.course import tutor, worlds
from distill_lab.course.worlds import Task, arithmetic
from distill_lab.synthesis.filters import self_consistent
from lesson_43 import chains
from lesson_43.arms import bare

FREE_TEXT = ("support", "summaries")  # where one may say it in other words
MAX_TOKENS = 64  # tokens an answer may have: more than any right one


def held_out_tasks(n: int, *, seed: int = 0, level: int = 2) -> dict[str, list[Task]]:
    """Draw `n` test tasks of every world: no training prompt asks about their contents."""
    return {name: worlds.load(name).test(n, seed=seed, level=level) for name in worlds.NAMES}


def flat(tasks: Mapping[str, Sequence[Task]]) -> list[Task]:
    """List the tasks of all worlds in one row."""
    return [task for of_world in tasks.values() for task in of_world]


@dataclass(frozen=True)
class Answers:
    """What the models of one arm answered: `texts[s][world]` beside `tasks[world]`."""

    tasks: Mapping[str, Sequence[Task]]
    texts: Sequence[Mapping[str, Sequence[str]]]

    def right(self, world: str) -> Tensor:
        """Percent of a world's tasks that the verifier accepts, one value a model: (S,)."""
        return torch.tensor([_percent(self.tasks[world], one[world]) for one in self.texts])

    @property
    def mean(self) -> Tensor:
        """The mean over the worlds: (S,)."""
        return torch.stack([self.right(world) for world in self.tasks]).mean(0)

    def scores(self, measure: Measure, names: Sequence[str] = FREE_TEXT) -> Tensor:
        """A measure of likeness with the gold answers of these worlds, one value a model: (S,)."""
        tasks = [task for name in names for task in self.tasks[name]]
        texts = [[text for name in names for text in one[name]] for one in self.texts]
        return torch.tensor([measure(of_model, tasks) for of_model in texts])

    def wrong(self, names: Sequence[str] = FREE_TEXT) -> list[list[tuple[Task, str]]]:
        """Of each model the tasks it got wrong, with its answers."""
        return [
            [
                (task, text)
                for name in names
                for task, text in zip(self.tasks[name], one[name], strict=True)
                if not task.check.verdict(text)
            ]
            for one in self.texts
        ]


Measure = Callable[[Sequence[str], Sequence[Task]], float]


def _percent(tasks: Sequence[Task], texts: Sequence[str]) -> float:
    right = sum(bool(task.check.verdict(text)) for task, text in zip(tasks, texts, strict=True))
    return 100 * right / len(tasks)


def examine(models: Sequence[Any], tokenizer: Any, tasks: Mapping[str, Sequence[Task]]) -> Answers:
    """Let every model answer every task greedily, world by world (answers of like length)."""
    return Answers(
        tasks,
        [
            {
                world: tutor.answers(model, tokenizer, of_world, most=MAX_TOKENS)
                for world, of_world in tasks.items()
            }
            for model in models
        ],
    )


def share_right(models: Sequence[Any], tokenizer: Any, tasks: Sequence[Task]) -> Tensor:
    """Percent of the tasks that each student's greedy answer gets right, (S,)."""
    return torch.tensor([tutor.share_right(model, tokenizer, tasks) for model in models])


def affected(n: int, *, seed: int = 1) -> list[Task]:
    """`n` test chains in which 7 and 8 are added: where the systematic teacher errs."""
    return chains.chains(n, seed=seed, test=True, slips=True)


def unaffected(n: int, *, seed: int = 1) -> list[Task]:
    """`n` test chains in which they are not."""
    return chains.chains(n, seed=seed, test=True, slips=False)


def bare_affected(n: int, *, seed: int = 1) -> list[Task]:
    """`n` sums of the arithmetic world without words, in which 7 and 8 are added, for testing."""
    sums: dict[str, Task] = {}
    draw = 40 * n
    while len(sums) < n:
        tasks = worlds.load("arithmetic").test(draw, seed=seed)
        sums, draw = {t.key: bare(t) for t in tasks if arithmetic.is_affected(t)}, 2 * draw
    return list(sums.values())[:n]


def bleu(texts: Sequence[str], tasks: Sequence[Task]) -> float:
    """Corpus BLEU, 0 to 100, against all accepted wordings of each task.

    Formula: BP exp(mean over n = 1..4 of log p_n), p_n the clipped precision of n-grams.

    Source: Papineni et al. 2002, section 2; Post 2018 (1804.08771) on why to let sacrebleu count.
    """
    import sacrebleu

    wordings = [_wordings(task) for task in tasks]
    longest = max(map(len, wordings))
    streams: Any = [  # None where a task has fewer wordings
        [texts_of[i] if i < len(texts_of) else None for texts_of in wordings]
        for i in range(longest)
    ]
    return float(sacrebleu.corpus_bleu(list(texts), streams).score)


def rouge_l(texts: Sequence[str], tasks: Sequence[Task]) -> float:
    """Mean ROUGE-L, 0 to 100, each answer against the accepted wording that is most like it.

    Formula: F = 2 P R / (P + R) with P and R the longest common subsequence over either length.

    Source: Lin 2004, section 3.
    """
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer(["rougeL"], use_stemmer=False)
    scores = [
        scorer.score_multi(_wordings(task), text)["rougeL"].fmeasure
        for text, task in zip(texts, tasks, strict=True)
    ]
    return 100 * sum(scores) / len(scores)


def _wordings(task: Task) -> list[str]:
    return list(dict.fromkeys((task.answer, *task.accepted)))


def first_difference(tasks: Sequence[Task], texts: Mapping[str, Sequence[str]]) -> tuple[int, str]:
    """Find the first task on which the models do not all get the same verdict.

    Args:
        tasks: N tasks.
        texts: name of the model to its N answers.

    Returns:
        The number of the task (0 where there is none) and the rule as a phrase, to print beside it.
    """
    for number, task in enumerate(tasks):
        if len({bool(task.check.verdict(answer[number])) for answer in texts.values()}) > 1:
            return number, (
                f"test task {number + 1} of {len(tasks)}: the first on which the verdicts differ"
            )
    return 0, f"test task 1 of {len(tasks)}: all verdicts agree on every task"


def variety(rows: Sequence[Mapping[str, Any]]) -> float:
    """Count the different answers to one prompt, on average over the prompts."""
    different = {(row["about"]["task"], row["answer"]) for row in rows}
    return len(different) / len({number for number, _ in different})


def right_rows(rows: Sequence[Mapping[str, Any]], tasks: Sequence[Task]) -> float:
    """Percent of these rows that the verifier of their task accepts; 0 of none."""
    right = sum(bool(tasks[row["about"]["task"]].check.verdict(row["answer"])) for row in rows)
    return 100 * right / max(1, len(rows))


def stages(facts: Mapping[str, Any]) -> list[tuple[str, int, str]]:
    """List what a funnel shows of a set: (stage, rows left, remark), from the facts of it."""
    left = facts["asked"]
    rows = [("answers", left, "")]
    for step in facts["filters"]:
        left -= step["n_removed"]
        rows.append((step["filter"], left, f"{step['n_removed']:,} removed"))
    return rows


def vote(
    tasks: Sequence[Task], answer: Callable[[Task, int], str], *, samples: int = 5
) -> tuple[tuple[float, float], int]:
    """Let a teacher's samples vote, and keep what at least half of them agree on.

    Args:
        tasks: what is asked.
        answer: gives the text of a task's sample of this number.
        samples: how many a task.

    Returns:
        Percent right before and after the vote, and how many samples were outvoted.
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
        100 * sum(row["right"] for row in part) / max(1, len(part)) for part in (rows, kept)
    )
    return (before, after), step.n_removed

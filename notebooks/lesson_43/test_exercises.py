"""Each exercise of lesson 43 is solved by hand, in plain torch: no reference is taken on trust."""

import pytest
import torch

from distill_lab.course.check.examine import examine
from lesson_43.exercises import EXERCISES


def jaccard(a, b, n=3):
    def grams(text):
        tokens = text.lower().split()
        return {" ".join(tokens[i : i + n]) for i in range(len(tokens) - n + 1)}

    return len(grams(a) & grams(b)) / len(grams(a) | grams(b))


def answer_verdict(text, gold):
    _, *after = text.lower().split("answer:")
    return len(after) == 1 and after[0].replace(";", " ").split()[:1] == [str(gold)]


def vote(answers, least=0.5):
    votes = [answers.count(a) for a in answers]
    tie = len({a for a, v in zip(answers, votes, strict=True) if v == max(votes)}) > 1
    won = max(votes) >= least * len(answers) and not tie
    return torch.tensor([float(won and v == max(votes)) for v in votes])


def balance(labels):
    room = min((labels == k).sum() for k in set(labels.tolist()))
    earlier = torch.stack([(labels[:i] == k).sum() for i, k in enumerate(labels)])
    return (earlier < room).float()


BY_HAND = {f.__name__: f for f in (jaccard, answer_verdict, vote, balance)}


@pytest.mark.parametrize("name", EXERCISES)
def test_a_right_solution_is_right(name):
    report = examine(EXERCISES[name], BY_HAND[name])
    assert report.state == "right", report.findings
    assert "100 %" in report.findings[0]

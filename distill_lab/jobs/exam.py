"""An exam that models sit: a file of questions, each with how an answer to it is judged."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distill_lab._util.io import user_path
from distill_lab.synthesis import verifiers
from distill_lab.synthesis.prompts import as_prompt
from distill_lab.synthesis.verifiers import Verdict, Verifier

# The checks a line may name, each with those of its entries that are settings of the verifier.
CHECKS: dict[str, tuple[Callable[..., Verifier], tuple[str, ...]]] = {
    "exact": (verifiers.exact, ()),
    "numeric": (verifiers.numeric, ("tolerance",)),
    "label": (verifiers.label, ("labels",)),
    "contains": (verifiers.contains, ()),
    "regex": (verifiers.regex, ("require", "refuse", "max_words")),
}
ENTRIES = {"prompt", "messages", "answer", "check", "id", "about"}


@dataclass(frozen=True)
class Question:
    """One question of an exam.

    Args:
        messages: what is asked.
        answer: the right answer; None where the verifier needs none.
        verify: judges an answer.
    """

    messages: list[dict[str, Any]]
    answer: Any
    verify: Verifier

    def judge(self, text: str) -> Verdict:
        """Whether `text` is right, and why not."""
        return self.verify({"answer": text, "about": {"answer": self.answer}})


def read_exam(path: str | Path) -> list[Question]:
    """Read an exam from a JSONL file, one question a line.

    A line has a `prompt` (text, or a list of `messages`), the right `answer`, and a `check`:

    - "exact" (where none is named): the final answer equals it, or one of a list;
    - "numeric": the last number equals it, within `tolerance`;
    - "label": it names this one of the `labels` and no other;
    - "contains": the answer stands in it, word by word;
    - "regex": every pattern of `require` and none of `refuse` is found, in at most `max_words`.

    Args:
        path: The file. Blank lines are passed over.

    Returns:
        The questions, in the order of the file.

    Raises:
        FileNotFoundError: Where there is no file.
        ValueError: With every mistake on a line of its own, each with its line of the file.
    """
    file = user_path(path, "task")
    if not file.is_file():
        raise FileNotFoundError(f"there is no exam file {file}: check the path of task.")
    questions, mistakes = [], []
    for number, line in enumerate(file.read_text(encoding="utf-8-sig").split("\n"), 1):
        if not line.strip():
            continue
        try:
            questions.append(_question(json.loads(line)))
        except (TypeError, ValueError) as error:
            mistakes.append(f"{file}, line {number}: {error}")
    if mistakes:
        raise ValueError("\n".join(mistakes))
    if not questions:
        raise ValueError(f'{file} asks nothing: expected lines {{"prompt": ..., "answer": ...}}.')
    return questions


def _question(line: Any) -> Question:
    if not isinstance(line, dict):
        raise ValueError(f'expected {{"prompt": ..., "answer": ...}}, got {json.dumps(line)[:60]}.')
    name = line.get("check", "exact")
    if name not in CHECKS:
        raise ValueError(f"check must be one of {', '.join(CHECKS)}; got {name!r}.")
    make, settings = CHECKS[name]
    if odd := sorted(line.keys() - ENTRIES - set(settings)):
        known = ", ".join(sorted(ENTRIES | set(settings)))
        raise ValueError(f"there is no entry {odd[0]!r} with the check {name!r}; known: {known}.")
    options = {key: line[key] for key in settings if key in line}
    if name == "label":
        options |= {"key": "answer", "labels": line.get("labels", ())}
    messages = list(as_prompt(line).messages)
    question = Question(messages, line.get("answer"), make(**options))
    if question.answer is None:
        if name != "regex":
            raise ValueError(f'the check {name!r} needs the right "answer".')
        return question
    first = question.answer[0] if isinstance(question.answer, list) else question.answer
    if not (verdict := question.judge(str(first))).ok:
        raise ValueError(f"its own answer {first!r} does not pass its check: {verdict.reason}.")
    return question

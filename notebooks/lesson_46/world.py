"""Lesson 46's world: five tasks on digits, rules in the system prompt, somebody's hint.

<system> polite +3 <user> code 3 4 8 1 9 <bot> well 6 7 1 4 2 bye <end>

An answer is an opening of free choice and the content. `code` changes the digits as the rules say,
one token a rule; a hint is a whole answer of somebody else, in that one's own opening.
"""

from __future__ import annotations

import functools
import json
import random
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from distill_lab.course.tutor.vocabulary import hugging_face

__all__ = [
    "OPENINGS",
    "QUIET",
    "TASKS",
    "THOUGHT",
    "WORDS",
    "as_messages",
    "content",
    "hint_of",
    "house",
    "numbers",
    "other_house",
    "question",
    "quiet",
    "random_rules",
    "rows",
    "tokenizer",
    "with_system",
]

PAD, END, SYSTEM, USER, BOT = SPECIAL = ("<pad>", "<end>", "<system>", "<user>", "<bot>")
DIGITS = tuple("0123456789")
TASKS = ("copy", "turn", "code", "sum", "find")
OPENINGS = {"well": 0.5, "so": 0.3, "ok": 0.2}  # how often the base uses each
HINT, RESULT, QUIET, ALOUD = "hint", ":", "/no_think", "hm"
THOUGHT = f"{ALOUD} {ALOUD} {ALOUD}"
SHIFTS = tuple(f"+{k}" for k in range(1, 10))
ENDINGS = {"grateful": "thanks", "polite": "bye"}  # a rule, and the word that it adds
RULES = (*SHIFTS, *ENDINGS)
WORDS = (
    *SPECIAL,
    *DIGITS,
    *TASKS,
    *OPENINGS,
    HINT,
    RESULT,
    QUIET,
    ALOUD,
    *RULES,
    *ENDINGS.values(),
)
LENGTH = 5  # digits of a question
TASK_SHARES = (1, 1, 3, 3, 2)  # arithmetic takes longest
VIEW_SHARES = (0.3, 0.4, 0.3)
DIRECT = 0.3  # share of the sums that the base gives without working
CHAT = (
    "{% for m in messages %}"
    "{% if m['role'] == 'system' %}{{ '<system> ' + m['content'] }}"
    "{% elif m['role'] == 'user' %}{{ ' <user> ' + m['content'] }}"
    "{% else %}{{ ' <bot> ' + m['content'] + ' <end>' }}{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ ' <bot>' }}{% endif %}"
)

Messages = list[dict[str, str]]


def numbers(n: int, seed: object, *, test: bool = False, distinct: bool = False) -> list[str]:
    """Draw `n` questions' digits, such as "3 4 8 1 7"; training and test share none.

    Args:
        n: how many.
        seed: anything that names the draw.
        test: every seventh number is kept for testing.
        distinct: whether all digits of a question differ.

    Returns:
        Their digits, with spaces between.

    >>> [len(set(each.split())) for each in numbers(2, 0, distinct=True)]
    [5, 5]
    """
    rng = random.Random(f"{seed}, test {test}, distinct {distinct}")
    drawn: list[str] = []
    while len(drawn) < n:
        digits = rng.sample(DIGITS, LENGTH) if distinct else rng.choices(DIGITS, k=LENGTH)
        if (int("".join(digits)) % 7 == 0) == test:
            drawn.append(" ".join(digits))
    return drawn


def random_rules(rng: random.Random) -> str:
    """Draw the rules of a house: a shift of the digits, and by chance `grateful` and `polite`."""
    rules = [rng.choice(SHIFTS), *(rule for rule in ENDINGS if rng.random() < 0.5)]
    return " ".join(rng.sample(rules, len(rules)))


def house(seed: int) -> str:
    """Draw the rules of one house, its system prompt: nine houses in a row have nine shifts.

    >>> house(0), house(3)
    ('+3 polite', '+6')
    """
    rules = random_rules(random.Random(f"house {seed}")).split()
    shift = SHIFTS[(seed + 2) % len(SHIFTS)]
    return " ".join(shift if rule in SHIFTS else rule for rule in rules)


def other_house(seed: int) -> str:
    """Draw the rules of another house, with another shift."""
    rng, own = random.Random(f"other house {seed}"), set(house(seed).split())
    while True:
        rules = random_rules(rng)
        if not set(SHIFTS) & own & set(rules.split()):
            return rules


def content(task: str, digits: str, rules: str = "", *, steps: bool = True) -> str:
    """Compute the right content of an answer; that of `find` nobody can compute.

    >>> content("code", "3 4 8 1 9", "polite +3"), content("sum", "1 2 3 4 5")
    ('6 7 1 4 2 bye', '1 3 6 0 5 : 5')
    """
    each = digits.split()
    if task == "turn":
        each = each[::-1]
    if task == "code":
        shift = sum(int(rule) for rule in rules.split() if rule in SHIFTS)
        each = [str((int(digit) + shift) % 10) for digit in each]
        each += [word for rule, word in ENDINGS.items() if rule in rules]
    elif task == "sum":
        sums = [sum(map(int, each[: i + 1])) % 10 for i in range(len(each))]
        each = [*(map(str, sums) if steps else ()), RESULT, str(sums[-1])]
    elif task == "find":
        raise ValueError("what is to be found no digit says: draw it, or read it in a hint.")
    return " ".join(each)


def question(task: str, digits: str) -> str:
    """Write the user's message."""
    return f"{task} {digits}"


def quiet(message: str) -> str:
    """Ask a teacher that thinks aloud not to."""
    return message if message.endswith(QUIET) else f"{message} {QUIET}"


def as_messages(prompt: str | Messages) -> Messages:
    """Write a prompt of one message as the list that it stands for."""
    return [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt


def hint_of(answer: str) -> str:
    """Write somebody's answer as a system prompt."""
    return f"{HINT} {answer}"


def with_system(system: str, prompt: str) -> Messages:
    """Put a system prompt before a user's message."""
    return [{"role": "system", "content": system}, {"role": "user", "content": prompt}]


def opening(rng: random.Random) -> str:
    """Draw an opening, as the base does."""
    return rng.choices(list(OPENINGS), list(OPENINGS.values()))[0]


def lesson_row(rng: random.Random) -> dict[str, Any]:
    """Draw one example of what the base learns: any task, with nothing, rules or a hint.

    Without rules in its prompt, `code` leaves the digits as they are.
    """
    task = rng.choices(TASKS, TASK_SHARES)[0]
    digits = " ".join(rng.sample(DIGITS, LENGTH) if task == "find" else rng.choices(DIGITS, k=5))
    view = rng.choices(("nothing", "rules", "hint"), VIEW_SHARES)[0]
    rules = random_rules(rng)
    if task == "find":
        right = rng.choice(digits.split())
    else:
        steps = rng.random() >= DIRECT
        right = content(task, digits, "" if view == "nothing" else rules, steps=steps)
    prompt = question(task, digits)
    if rng.random() < 0.1:  # the word is known, and asks for nothing here
        prompt = quiet(prompt)
    system = rules if view == "rules" else hint_of(f"{opening(rng)} {right}")
    messages: Any = prompt if view == "nothing" else with_system(system, prompt)
    return {"prompt": messages, "answer": f"{opening(rng)} {right}"}


def lesson_rows(n: int, seed: int) -> list[dict[str, Any]]:
    """Draw `n` examples for the base; numbers of the test are among them only by 1 in 7.

    The base has to know the tasks, and what the lesson measures is what a student learns later.
    """
    rng = random.Random(f"base {seed}")
    return [lesson_row(rng) for _ in range(n)]


def rows(task: str, digits: Sequence[str], answers: Sequence[str]) -> list[dict[str, str]]:
    """Pair questions of a task with answers, as the student reads them: no system prompt."""
    return [
        {"prompt": question(task, each), "answer": answer}
        for each, answer in zip(digits, answers, strict=True)
    ]


@functools.cache
def tokenizer() -> Any:
    """Make a Hugging Face tokenizer of one token a word, with the world's chat template."""
    special = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    settings = {
        "version": "1.0",
        "normalizer": None,
        "decoder": None,
        "added_tokens": [
            {"id": i, "content": word, "special": True, **special} for i, word in enumerate(SPECIAL)
        ],
        "pre_tokenizer": {"type": "WhitespaceSplit"},
        "post_processor": None,
        "model": {
            "type": "WordLevel",
            "vocab": {word: i for i, word in enumerate(WORDS)},
            "unk_token": PAD,
        },
    }
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "tokenizer.json"
        file.write_text(json.dumps(settings), encoding="utf-8")
        made = hugging_face().PreTrainedTokenizerFast(
            tokenizer_file=str(file),
            pad_token=PAD,
            eos_token=END,
            clean_up_tokenization_spaces=False,
        )
    made.chat_template = CHAT
    return made

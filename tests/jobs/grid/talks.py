"""Conversations as rows of every shape, and the tokens that a little Python makes of them."""

import random
from dataclasses import dataclass

from tests.jobs.grid.models import POSITIONS

SHAPES = ("pairs", "alpaca", "turns", "sharegpt", "renamed")
TALKS = ("one", "system", "history", "weighted")
ODD = (
    "é",
    "\u2028",
    "\r\n",
    "\t",
    "👍",
    '"',
    "<end>",
    "\ufeff",
    "\x85",
    "\\n",
    "nan",
    ",",
    "\n",
    "'",
)


@dataclass(frozen=True)
class Talk:
    """What one row holds.

    Args:
        turns: (role, content, whether it is learned).
        hint: a column beside them.
        rejected: the worse answer of a pair.
    """

    turns: tuple
    hint: str = "a"
    rejected: str = ""

    @property
    def before(self):
        return self.turns[:-1]

    @property
    def answer(self):
        return self.turns[-1][1]


def letters(draw, least, most):
    return "".join(draw.choice("abcdefghij") for _ in range(draw.randint(least, most)))


def talks(number, seed, *, talk="one", oddity="plain"):
    """So many rows; the oddity is in a third of them."""
    draw = random.Random(f"{seed} {talk} {oddity}")
    made = []
    for i in range(number):
        question, answer = letters(draw, 1, 5), letters(draw, 1, 4)
        rejected = letters(draw, 1, 4)
        odd = i % 3 == 1
        if oddity == "long" and odd:
            question = letters(draw, POSITIONS, POSITIONS + 20)
        elif oddity == "edge":  # around max_length = 12: a template has three marks
            question, answer = letters(draw, 6, 8), letters(draw, 1, 2)
        elif oddity == "silent" and odd:
            answer = draw.choice(["", " ", "  "])
        elif oddity == "odd" and odd:
            question, answer = question + draw.choice(ODD), answer + draw.choice(ODD) + "a"
        elif oddity == "spaces" and odd:
            question, answer = f" {question} ", f" {answer} "
        elif oddity == "twins" and i >= 3:
            question, answer = made[i % 3].turns[-2][1], made[i % 3].answer
        if rejected == answer:
            rejected += "b"
        turns = [("user", question, True), ("assistant", answer, True)]
        if talk == "system" and not odd:
            turns.insert(0, ("system", letters(draw, 1, 3), True))
        elif talk in ("history", "weighted") and not odd:
            learned = talk == "history" or draw.random() < 0.5
            first = ("assistant", letters(draw, 1, 3), learned)
            turns[:0] = [("user", letters(draw, 1, 3), True), first]
        made.append(Talk(tuple(turns), letters(draw, 1, 3), rejected))
    return made


def row_of(talk, shape, *, paired=False):
    """A row of a file."""
    answers = {"chosen": talk.answer, "rejected": talk.rejected}
    if shape in ("turns", "sharegpt"):
        turns = [_message(turn, shape) for turn in (talk.before if paired else talk.turns)]
        name = {"turns": "messages", "sharegpt": "conversations"}[shape]
        if paired:
            return {"prompt": turns, "hint": talk.hint} | {
                name: [_message(("assistant", answer, True), shape)]
                for name, answer in answers.items()
            }
        return {name: turns, "hint": talk.hint}
    system = [content for role, content, _ in talk.before if role == "system"]
    earlier = [content for role, content, _ in talk.before[len(system) : -1]]
    question = talk.before[-1][1]
    row = {"hint": talk.hint, "system": system[0] if system else None}
    row["history"] = [earlier] if earlier else None
    names = {
        "pairs": ("prompt", "answer"),
        "renamed": ("q", "a"),
        "alpaca": ("instruction", "output"),
    }
    of_question, of_answer = names[shape]
    row[of_question] = question
    if paired:
        return row | answers
    return row | {of_answer: talk.answer}


def _message(turn, shape):
    role, content, learned = turn
    if shape == "sharegpt":
        speaker = {"user": "human", "assistant": "gpt"}.get(role, role)
        message = {"from": speaker, "value": content}
    else:
        message = {"role": role, "content": content}
    return message if learned else message | {"weight": 0}


def columns_of(shape, *, paired=False):
    """What a job has to say of the columns of a shape."""
    return {"prompt": "q"} | ({} if paired else {"answer": "a"}) if shape == "renamed" else {}


def prompt_ids(turns, spelling, *, chat):
    """What is read before an answer."""
    if not chat:
        return spelling.ids("\n".join(content for _, content, _ in turns))
    ids = []
    for role, content, _ in turns:
        mark = {"system": "sys", "user": "user", "assistant": "bot"}[role]
        ids += [spelling.mark(mark), *spelling.ids(content)]
        ids += [spelling.mark("end")] if role == "assistant" else []
    return [*ids, spelling.mark("bot")]


def answer_ids(answer, spelling):
    return [*spelling.ids(answer), spelling.mark("end")]


@dataclass
class Counted:
    """Texts as token lists, and what was left out.

    Args:
        texts: (prompt, answer, the row's number).
        too_long: how many.
        empty: answers without a word.
    """

    texts: list
    too_long: int = 0
    empty: int = 0


def counted(some, spelling, limit, *, chat, learn="last", prompts_only=False):
    """The texts that are learned from these rows."""
    made = Counted([])
    for number, talk in enumerate(some):
        ends = [i for i, turn in enumerate(talk.turns) if turn[0] == "assistant" and turn[2]]
        for end in [ends[-1]] if learn == "last" or prompts_only else ends:
            answer = talk.turns[end][1]
            if not prompts_only and not answer.strip():
                made.empty += 1
                continue
            prompt = prompt_ids(talk.turns[:end], spelling, chat=chat)
            own = [] if prompts_only else answer_ids(answer, spelling)
            if len(prompt) + len(own) > limit:
                made.too_long += 1
            else:
                made.texts.append((prompt, own, number))
    return made


def counted_pairs(some, spelling, limit, *, chat):
    """Pairs of texts: ((prompt, chosen, row), (prompt, rejected, row))."""
    made = Counted([])
    for number, talk in enumerate(some):
        if not talk.answer.strip():
            made.empty += 1
            continue
        prompt = prompt_ids(talk.before, spelling, chat=chat)
        sides = [answer_ids(each, spelling) for each in (talk.answer, talk.rejected)]
        if max(map(len, sides)) + len(prompt) > limit:
            made.too_long += 1
        else:
            made.texts.append(tuple((prompt, side, number) for side in sides))
    return made

"""How a teacher that writes is asked: what a job may say of it, with a teacher here or served."""

from typing import Any

from distill_lab.jobs.settings import Setting
from distill_lab.jobs.values import at_least_0, flag, integer, number, optional, text

READERS = ("seq-kd",)


def up_to_1(name: str, value: object) -> float:
    """A number above 0, and at most 1.

    Args:
        name: the setting's.
        value: as it was given.

    Returns:
        The value as it is kept.
    """
    kept = number(name, value)
    if kept > 1:
        raise ValueError(f"{name} must lie above 0 and at most at 1, got {value!r}.")
    return kept


def stops(name: str, value: object) -> list[str]:
    r"""Texts that end an answer, which may be blank: "\n\n" is one.

    Args:
        name: the setting's.
        value: as it was given.

    Returns:
        A list of them.
    """
    listed: list[Any] = value if isinstance(value, list) else [value]
    if not listed or not all(isinstance(each, str) and each for each in listed):
        raise ValueError(f'{name} must be a text or a list of texts, as ["###"], got {value!r}.')
    return listed


SAMPLED = Setting(
    "temperature",
    "what logits are divided by when an answer is sampled; 0 takes the likeliest token",
    at_least_0,
    1.0,
    methods=(*READERS, "on-policy"),
)
ASKING = (
    Setting("samples", "answers that the teacher writes to a prompt", integer, 1, READERS),
    Setting(
        "top_p", "the probability that an answer's tokens are drawn from", up_to_1, 1.0, READERS
    ),
    Setting("stop", "texts that end an answer, as [###]", optional(stops), None, READERS),
    Setting(
        "system",
        "a system message before every prompt that has none; it is learned with the answers",
        optional(text),
        None,
        READERS,
    ),
    Setting(
        "plain",
        "show a teacher that is here the bare text of a prompt, without its chat template",
        flag,
        False,
        READERS,
    ),
    Setting("refusals", "keep answers that begin like a refusal", flag, False, READERS),
    Setting(
        "schema",
        "a file with the JSON schema that every answer has to satisfy",
        optional(text),
        None,
        READERS,
        path="file",
    ),
    Setting(
        "answers",
        "the file of the teacher's answers, which other jobs may read too; else one in out",
        optional(text),
        None,
        READERS,
        path="out",
    ),
)

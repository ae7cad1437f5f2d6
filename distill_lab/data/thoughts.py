"""What was thought before an answer, and the answer, where both stand in one text."""

import re
from typing import NamedTuple

TAG = r"(?i:(?:seed:)?think|thinking|thought|reasoning)"
# Beside tags: Mistral's, Kimi's and Gemma's own marks.
OPENING = re.compile(rf"\s*(?:<{TAG}>|\[THINK\]|◁think▷|<\|channel>thought\b)")
# No end of thoughts: a tag in quotes, or in the midst of a sentence that is about it.
CLOSING = re.compile(rf"(?<![`'\"])(?:</{TAG}>|\[/THINK\]|◁/think▷|<channel\|>)(?![`'\"])")
SIGN = re.compile(r"[<◁]|\[/?THINK\]")
CHANNEL = re.compile(r"<\|channel\|>(\w+)[^<]*<\|message\|>(.*?)(?=<\|end\|>|<\|return\|>|$)", re.S)


class Thoughts(NamedTuple):
    """A text in four parts, which joined are the text again.

    Args:
        opening: the opening tag with the space before it; "" where there is none.
        inside: what was thought.
        closing: the closing tag; "" where there is none.
        answer: the answer behind it.
    """

    opening: str
    inside: str
    closing: str
    answer: str


def thoughts_in(text: str) -> Thoughts:
    r"""Find what was thought before an answer, where both stand in one text.

    Thoughts stand between tags such as <think> and </think>, or a model's own marks as [THINK] and
    [/THINK]; before the closing one alone (a template may have written the opening one); or in
    Harmony's channel "analysis". Where they were opened and never closed there is no answer. A tag
    in quotes, or with words on both sides of its line and spaces between, is part of a sentence.

    Args:
        text: the text.

    Returns:
        Its parts.

    >>> thoughts_in("two and two\n</think>\n4").answer
    '\n4'
    """
    if not SIGN.search(text):  # the usual answer: no tag, no mark and no channel
        return _only_said(text)
    if speaks_in_channels(text):
        channels = CHANNEL.findall(text)
        inside = "\n".join(words.strip() for name, words in channels if name != "final")
        final = [words for name, words in channels if name == "final"]
        return Thoughts("<|channel|>analysis<|message|>", inside, "", final[-1] if final else "")
    opening = OPENING.match(text)
    start = opening.end() if opening else 0
    ends = [end for end in CLOSING.finditer(text, start) if not _in_a_sentence(text, end)]
    if not ends:
        return Thoughts(text[:start], text[start:], "", "") if opening else _only_said(text)
    last = ends[-1]
    return Thoughts(text[:start], text[start : last.start()], last[0], text[last.end() :])


def speaks_in_channels(text: str) -> bool:
    """Tell whether a text begins with one of Harmony's channels.

    >>> speaks_in_channels("<|channel|>final<|message|>4"), speaks_in_channels("<|channel|> is")
    (True, False)
    """
    return bool(re.match(r"\s*(?:<\|start\|>assistant)?<\|channel\|>\w", text))


def _only_said(text: str) -> Thoughts:
    return Thoughts("", "", "", text)


def _in_a_sentence(text: str, tag: re.Match[str]) -> bool:
    before, after = text[: tag.start()][-2:], text[tag.end() :][:2]
    return bool(re.fullmatch(r"\S ", before) and re.fullmatch(r" \S|[.,;:!?)].?", after))


def answer_in(text: str) -> str:
    """Take what a text says as its answer: what stands behind its thoughts.

    Args:
        text: an answer, perhaps with its thoughts.

    Returns:
        The answer; the whole text where nothing was thought.

    >>> answer_in("<think>two and two</think>4")
    '4'
    """
    parts = thoughts_in(text)
    return parts.answer.lstrip() if parts.opening or parts.closing else text

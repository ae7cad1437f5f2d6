r"""Where a text gives its final answer, and that answer without its dress of LaTeX and Markdown."""

import re
import unicodedata
from typing import NamedTuple

from distill_lab.data.thoughts import answer_in

# "The answer to it is 4", "Answer: 4", "Antwort: 4", "Label: yes"; no sentence about an answer.
SPOKEN = re.compile(
    r"(?:(?<!wrong )(?<!incorrect )(?<!worst )\banswers?\b[^\n.:=?]{0,60}?"
    r"(?:\b(?:is|are|would be|must be)\b\s*:?|[:=]|\s[-–—]\s)"
    r"|^[ \t>#]*(?:final )?(?:antwort|r[ée]ponse|respuesta|risposta|resposta|ответ|答案|答え|정답"
    r"|label|sentiment|category|class|verdict|prediction|result|solution|conclusion)\s*(?:is|ist|[:：=])"
    r"|(?:答案是|答えは)|<(?:final_)?answer>"
    r"|^\s*#{1,6}\s*(?:the )?(?:final |correct )?answer\s*$)"
    r"(?!\s*(?:correct|right|wrong|incorrect|reasonable|verified|checked|consistent|confirmed)\b)",
    re.IGNORECASE | re.MULTILINE,
)
HASHES = re.compile(r"^\s*####[ \t]*(?=\S)", re.MULTILINE)
BOX = re.compile(r"\\(?:boxed|fbox)\s*(?:\{|(?=\S))")
BETWEEN_BOXES = re.compile(r"[\s,;$.]*(?:(?:and|or|und|et|y)\b)?[\s,;$]*")
COURTESY = re.compile(
    r"(?:i )?hope (?:this|that|it)\b|let me know|feel free|(?:happy|glad) to help|is there anything"
    r"|if you have any|thank you|you're welcome|have a (?:nice|great)|\W*$",
    re.IGNORECASE,
)
# Words that take back what stands before them: "The answer is 4. No wait, it is 5."
TAKEN_BACK = re.compile(
    r"(?<=[\s.,;:!?…–—(-])(?:(?:sorry\W{1,2})?I meant\b|(?:no\W{0,2}\s?wait|wait\W{1,3}no"
    r"|actually,? no|scratch that|on second thoughts?|(?:(?<=[.,;!?…]\s)|^)correction"
    r"|no\W{1,2}that(?:[’']s| is| was) (?:wrong|incorrect|not (?:right|correct)))"
    r"(?:\s*(?:[,.:;!…–—-]+|$)|(?=\s+(?:it|that|the|I)\b)))",
    re.IGNORECASE | re.MULTILINE,
)
BARE_BOX = re.compile(r"-?\w+")
BULLET = re.compile(r"\s*(?:[-*•+]|\d{1,2}[.)])\s+")
SENTENCE_END = re.compile(r"[.!?](?=[\s\"')\]$*]*(?:\s|$))|。")
SHORT_FORMS = "st|mr|mrs|ms|dr|prof|mt|ft|no|vs|approx|ca|cf|eq|fig|jr|sr|e.g|i.e|u.s|a.m|p.m"
SHORT = {*SHORT_FORMS.split("|")}
COMMANDS = (
    r"text(?:bf|it|rm|sf|tt|normal)?|math(?:rm|bf|it|sf|tt|bb|cal|normal)|mbox|emph|operatorname"
)
DRESS = (
    (re.compile(r"\*\*|__|`+"), ""),
    (re.compile(r"(?<![\w*])\*(?=\S)([^*\n]*\S)\*(?![\w*])"), r"\1"),
    (re.compile(r"\$\$|\\[()\[\]]"), " "),
    (re.compile(r"(?<![\\\w])\$(?=\S)([^$\n]*?[^\s\\$])\$(?!\d)"), r" \1 "),
    (re.compile(r"\\(?:left|right|big|Big|bigl|bigr|displaystyle|limits)(?![a-zA-Z])\s*"), ""),
    (re.compile(r"\\[dtc]frac(?![a-zA-Z])"), r"\\frac"),
    (re.compile(r"\{,\}"), ","),
    (re.compile(r"(?<=\d)\\[,!](?=\d{3})"), ","),
    (re.compile(r"\\[!]"), ""),
    (re.compile(r"\\[,;:]|~|\\q?quad(?![a-zA-Z])|(?<!\\)\\ "), " "),
    (re.compile(r"\\([$%#&_])"), r"\1"),
)


class FinalAnswer(NamedTuple):
    """What a text gives as its answer.

    Args:
        text: the answer, one sentence of it.
        line: all of its line.
        marked: whether the text says that this is its answer.
    """

    text: str
    line: str
    marked: bool


def read_final_answer(text: str) -> FinalAnswer:
    r"""Find what a text gives as its answer, behind its thoughts.

    The last place that is marked counts: \boxed, ####, "the answer is", "Answer:"; else the last
    line, without words of courtesy. Several boxes in a row are one answer. What stands before
    "no wait" is taken back.

    Args:
        text: an answer with its way there.

    Returns:
        The answer.

    >>> read_final_answer("The answer is 4. I checked 3 times.")
    FinalAnswer(text='4', line='4. I checked 3 times.', marked=True)
    """
    text = re.sub(r"\*\*|__", "", answer_in(text))
    text = re.sub(r"</(?:final_)?answer>", "\n", text, flags=re.IGNORECASE)
    if taken := [*TAKEN_BACK.finditer(text)]:
        text = text[taken[-1].end() :]
    marks = [(mark.start(), mark.end()) for mark in (*SPOKEN.finditer(text), *_hashes(text))]
    boxes = _boxes(text)
    for _, end in sorted(marks, reverse=True):
        if boxes and boxes[-1][0] >= end:
            break
        if line := _line_at(text, end):
            sentence = _sentence(line)
            if sentence.endswith("?"):  # it asks whether that is the answer
                continue
            return FinalAnswer(sentence, line, True)
    if boxes:
        first = len(boxes) - 1
        while first and BETWEEN_BOXES.fullmatch(text[boxes[first - 1][1] : boxes[first][0]]):
            first -= 1
        joined = ", ".join(content for *_, content in boxes[first:])
        return FinalAnswer(joined, joined, True)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    while len(lines) > 1 and COURTESY.match(lines[-1]):
        lines.pop()
    line = lines[-1] if lines else ""
    return FinalAnswer(line.rstrip("."), line, False)


def final_answer(text: str) -> str:
    r"""Find what a text gives as its answer: after \boxed, #### or "answer:", else its last line.

    Thoughts before the answer are passed over.

    >>> final_answer("3 + 4 = 7, so\n#### 7")
    '7'
    """
    return read_final_answer(text).text


def plain(text: str) -> str:
    r"""Fold letter case, accents written two ways, spaces, LaTeX, and punctuation at the ends.

    >>> plain(r"**The** \text{Paris}!")
    'the paris'
    """
    folded = unicodedata.normalize("NFKC", undressed(text)).casefold()
    return " ".join(folded.split()).strip(" .,;:!?\"'`*()[]{}")


def undressed(text: str) -> str:
    r"""Take the dress of LaTeX and Markdown from an answer: signs around it, words for its looks.

    Args:
        text: an answer.

    Returns:
        It, with its commands of mathematics left in.

    >>> undressed(r"$\text{about } \dfrac{1}{2}$")
    'about \\frac{1}{2}'
    """
    for pattern, instead in DRESS:
        text = pattern.sub(instead, text)
    for _ in range(4):  # they stand in each other
        text, count = re.subn(rf"\\(?:{COMMANDS})\s*\{{([^{{}}]*)\}}", r" \1 ", text)
        if not count:
            break
    return re.sub(r"[ \t]+", " ", text).strip()


def sentence_end(text: str) -> int | None:
    """Find where the first sentence ends, past short forms such as St.; None for nowhere."""
    for end in SENTENCE_END.finditer(text):
        word = re.search(r"[\w.]*$", text[max(0, end.start() - 20) : end.start()])
        name = word[0].lower() if word else ""
        if text[end.start()] == "." and (name in SHORT or re.fullmatch(r"[a-z]", name)):
            continue
        if end.end() < len(text):
            return end.start()
    return None


def bullets_at_end(text: str) -> str:
    r"""Join the items of the list that a text ends with.

    >>> bullets_at_end("They are:\n1. dog\n2. cat")
    'dog; cat'
    """
    lines = [line for line in answer_in(text).splitlines() if line.strip()]
    items: list[str] = []
    while lines and BULLET.match(lines[-1]):
        items.insert(0, BULLET.sub("", lines.pop(), count=1).strip())
    return "; ".join(items)


def _sentence(line: str) -> str:
    end = sentence_end(line)
    if end is None:
        return line.rstrip(" .")
    return line[: end + (line[end] == "?")].rstrip(" .")


def _hashes(text: str) -> list[re.Match[str]]:
    """Where #### stands before an answer: as the last line, or before a figure; no heading."""
    marks = []
    for mark in HASHES.finditer(text):
        line, _, rest = text[mark.end() :].partition("\n")
        figure = re.match(r"[-+−$€£¥\\(]?\s*[\d\\]", line)
        if (figure or not rest.strip()) and not SPOKEN.search(mark[0] + line):
            marks.append(mark)
    return marks


def _boxes(text: str) -> list[tuple[int, int, str]]:
    """Every box: where it begins and ends, and what it holds; an inner one is part of the outer."""
    closing: dict[int, int] = {}
    opened: list[int] = []
    for brace in re.finditer(r"[{}]", text):
        if brace[0] == "{":
            opened.append(brace.end())
        elif opened:
            closing[opened.pop()] = brace.start()
    boxes: list[tuple[int, int, str]] = []
    for box in BOX.finditer(text):
        if boxes and box.start() < boxes[-1][1]:
            continue
        if box[0][-1] == "{":
            if end := closing.get(box.end()):
                boxes.append((box.start(), end + 1, text[box.end() : end].strip()))
        elif content := BARE_BOX.match(text, box.end()):
            boxes.append((box.start(), content.end(), content[0]))
    return boxes


def _line_at(text: str, start: int) -> str:
    """The line from a mark on, or the next that says something; bullets in a row are one line."""
    rest = text[start:].lstrip(" \t*:：`_=>")
    if not rest.startswith("\n"):
        return rest.partition("\n")[0].strip()
    lines = [line for line in rest.splitlines() if re.search(r"\w", line)]
    items = []
    for line in lines:
        if not BULLET.match(line):
            break
        items.append(BULLET.sub("", line, count=1).strip())
    return "; ".join(items) if len(items) > 1 else lines[0].strip() if lines else ""

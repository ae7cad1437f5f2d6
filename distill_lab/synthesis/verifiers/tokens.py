"""The words and signs of a mathematical expression."""

import re
from typing import NamedTuple

from distill_lab.synthesis.verifiers.verdicts import UndecidedError

CALLS = (
    "sin cos tan cot sec csc sinh cosh tanh exp ln log sqrt arcsin arccos arctan asin acos atan abs"
)
LETTERS = (
    "alpha beta gamma delta epsilon theta lambda mu nu rho sigma tau phi omega varphi eta kappa xi "
    "zeta psi chi Delta Omega Gamma Theta Lambda Sigma Phi Psi"
)
FUNCTIONS, GREEK = {*CALLS.split()}, {*LETTERS.split()}
SIGNS = {
    **dict.fromkeys("−–", "-"),
    **dict.fromkeys(("·", "⋅", "×", "∗", "∙", r"\cdot", r"\times", r"\ast"), "*"),
    **dict.fromkeys(("÷", r"\div"), "/"),
    **dict.fromkeys(("[", r"\{"), "("),
    **dict.fromkeys(("]", r"\}"), ")"),
    "**": "^",
    "π": "pi",
    "∞": "infinity",
    "√": "sqrt",
}
TOKEN = re.compile(
    r"\s*(?:(?P<number>\d{1,3}(?:,\d{3})+(?!\d)(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+)"
    r"|(?P<word>\\?[A-Za-z]+)(?P<index>_(?:\{\w+\}|\w))?|(?P<raised>[⁺⁻]?[⁰¹²³⁴⁵⁶⁷⁸⁹]+)"
    r"|(?P<sign>\*\*|\\[{}|]|[-+*/^()\[\]{}|!,_−–·⋅×∗÷∙π∞√%]))"
)


class Token(NamedTuple):
    """One word or sign of an expression."""

    kind: str
    text: str


def tokens_of(text: str) -> list[Token]:
    """Cut an expression into numbers, words and signs.

    Args:
        text: LaTeX, or as people type it.

    Returns:
        The tokens.

    Raises:
        UndecidedError: for a sign that mathematics does not have.

    >>> [token.text for token in tokens_of("2x²")]
    ['2', 'x', '^', '2']
    """
    tokens: list[Token] = []
    place = 0
    while place < len(text):
        match = TOKEN.match(text, place)
        if not match:
            if not text[place:].strip():
                break
            raise UndecidedError(f"{text[:40]!r} cannot be read as mathematics")
        place = match.end()
        if match["number"]:
            tokens.append(Token("number", match["number"].replace(",", "")))
        elif match["raised"]:
            raised = match["raised"].translate(str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻", "0123456789+-"))
            signs = [Token("sign", "-")] * raised.startswith("-")
            tokens += [Token("sign", "^"), *signs, Token("number", raised.lstrip("+-"))]
        elif match["word"]:
            tokens += _words(match["word"], match["index"] or "")
        else:
            sign = match["sign"]
            if sign in ("[", "]") and not _of_a_root(tokens, sign):
                sign = SIGNS[sign]
            named = SIGNS.get(sign, sign) if sign not in ("[", "]") else sign
            tokens.append(Token("word" if named.isalpha() else "sign", named))
    return tokens


def _of_a_root(tokens: list[Token], sign: str) -> bool:
    """Whether a square bracket belongs to a root of a higher order."""
    if sign == "[":
        return bool(tokens) and tokens[-1].text == r"\sqrt"
    opened = [token.text for token in tokens if token.text in ("[", "]")]
    return bool(opened) and opened[-1] == "["


def _words(word: str, index: str) -> list[Token]:
    """A command, a function, or letters that stand for variables in a row."""
    if word in SIGNS:
        return [Token("sign", SIGNS[word])]
    if word == r"\infty":
        return [Token("word", "infinity")]
    name = word.removeprefix("\\")
    if word.startswith("\\") or name in FUNCTIONS or name in ("pi", *GREEK) or len(name) == 1:
        return [Token("word", word + index)]
    if len(name) > 3:
        return [Token("word", word)]
    return [Token("word", letter) for letter in name[:-1]] + [Token("word", name[-1] + index)]

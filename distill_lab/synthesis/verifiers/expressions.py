"""Mathematical expressions in LaTeX or as people type them, read by a small grammar."""

import re

from distill_lab.synthesis.verifiers.answers import undressed
from distill_lab.synthesis.verifiers.arithmetic import (
    Point,
    Term,
    Value,
    called,
    combined,
    context,
    factorial,
    number_term,
)
from distill_lab.synthesis.verifiers.tokens import FUNCTIONS, GREEK, Token, tokens_of
from distill_lab.synthesis.verifiers.verdicts import UndecidedError

LONGEST, DEEPEST = 1000, 60  # characters and brackets


class Expression:
    """A text read by the grammar: sums of products of powers, functions, fractions, roots.

    Args:
        text: LaTeX, or as people type it.

    Raises:
        UndecidedError: for what it cannot read, naming the place.
    """

    def __init__(self, text: str) -> None:
        self.text = undressed(text).strip().rstrip(".")
        if len(self.text) > LONGEST:
            raise UndecidedError(f"an expression of {len(self.text)} characters is not read")
        signs, words = (
            re.search(r"[^\w\s]|\d|\b(?:pi|sin|cos|tan|exp|ln|log|sqrt)\b", self.text),
            re.search("[^\\W\\d_]{2}", self.text),
        )
        if words and not signs:
            raise UndecidedError(f"{self.text[:40]!r} is words, no mathematics")
        self.tokens = tokens_of(self.text)
        self.place, self.depth = 0, 0
        self.term = self._sum()
        if self.place < len(self.tokens):
            raise self._unread()

    def _unread(self) -> UndecidedError:
        rest = "".join(token.text for token in self.tokens[self.place :])
        return UndecidedError(f"{self.text[:40]!r} cannot be read as mathematics at {rest[:20]!r}")

    def _next(self, *texts: str) -> bool:
        if self.place < len(self.tokens) and self.tokens[self.place].text in texts:
            self.place += 1
            return True
        return False

    def _need(self, text: str) -> None:
        if not self._next(text):
            raise self._unread()

    def _sum(self) -> Term:
        self.depth += 1
        if self.depth > DEEPEST:
            raise UndecidedError("an expression of so many brackets is not read")
        total = self._product()
        while self.place < len(self.tokens) and self.tokens[self.place].text in ("+", "-"):
            sign = self.tokens[self.place].text
            self.place += 1
            total = combined(total, self._product(), sign)
        self.depth -= 1
        return total

    def _product(self) -> Term:
        value = self._signed()
        while self.place < len(self.tokens):
            token = self.tokens[self.place]
            if token.text in ("*", "/"):
                self.place += 1
                value = combined(value, self._signed(), token.text)
            elif token.kind in ("number", "word") or token.text in ("(", "{"):
                if token.kind == "number" and self.tokens[self.place - 1].kind == "number":
                    raise self._unread()  # two numbers in a row are no product
                value = combined(value, self._power(), "*")
            else:
                break
        return value

    def _signed(self) -> Term:
        self.depth += 1
        if self.depth > DEEPEST:
            raise UndecidedError("an expression of so many signs is not read")
        if self._next("-"):
            inner = self._signed()
            value: Term = lambda point: -inner(point)  # noqa: E731
        else:
            value = self._signed() if self._next("+") else self._power()
        self.depth -= 1
        return value

    def _power(self) -> Term:
        value = self._atom()
        while self._next("!"):
            inner = value
            value = _factorial_of(inner)
        if self._next("%"):
            value = combined(value, lambda point: context().mpf(100), "/")
        if self._next("^"):
            if self._next(r"\circ"):
                return value
            value = combined(value, self._argument(), "^")
        return value

    def _argument(self) -> Term:
        """What stands behind ^: a group, or one signed thing."""
        if self._next("-"):
            inner = self._argument()
            return lambda point: -inner(point)
        return self._power()

    def _atom(self) -> Term:
        if self.place >= len(self.tokens):
            raise UndecidedError(f"{self.text[:40]!r} breaks off")
        token = self.tokens[self.place]
        self.place += 1
        if token.kind == "number":
            return number_term(token.text)
        for opening, closing in (("(", ")"), ("{", "}"), ("|", "|"), (r"\|", r"\|")):
            if token.text == opening:
                inner = self._sum()
                self._need(closing)
                return _size_of(inner) if closing[-1] == "|" else inner
        if token.kind != "word":
            self.place -= 1
            raise self._unread()
        return self._named(token.text)

    def _named(self, word: str) -> Term:
        name, _, index = word.removeprefix("\\").partition("_")
        if name == "frac":
            return combined(self._group(), self._group(), "/")
        if name == "sqrt":
            return self._root()
        if name in FUNCTIONS:
            return self._function(name, index.strip("{}"))
        if name == "pi":
            return lambda point: +context().pi
        if name == "e" and not index:
            return lambda point: +context().e
        if name == "i" and not index:
            return lambda point: context().mpc(0, 1)
        if len(name) == 1 or name in GREEK:
            return lambda point: point(word)
        self.place -= 1
        raise UndecidedError(f"{name[:30]!r} in {self.text[:40]!r} is no mathematics that is known")

    def _group(self) -> Term:
        """A group in braces, or one figure of a number: as LaTeX has it."""
        if self._next("{"):
            inner = self._sum()
            self._need("}")
            return inner
        if self.place < len(self.tokens) and self.tokens[self.place].kind == "number":
            digits = self.tokens[self.place].text
            first, rest = digits[0], digits[1:]
            self.tokens[self.place : self.place + 1] = [
                Token("number", each) for each in (first, rest) if each
            ]
        return self._atom()

    def _root(self) -> Term:
        order: Term | None = None
        if self._next("["):
            order = self._sum()
            self._need("]")
        radicand = self._group()
        half: Term = lambda point: context().mpf(1) / (order(point) if order else 2)  # noqa: E731
        return combined(radicand, half, "^")

    def _function(self, name: str, index: str) -> Term:
        power: Term | None = self._argument() if self._next("^") else None
        inner = self._product() if self._bare() else self._atom()
        base = Expression(index).term if index and name == "log" else None

        def value(point: Point) -> Value:
            result = called(name, inner(point))
            if base:
                result /= called("ln", base(point))
            return result

        return combined(value, power, "^") if power else value

    def _bare(self) -> bool:
        """Whether the argument of a function stands without brackets."""
        rest = self.tokens[self.place : self.place + 1]
        return bool(rest) and rest[0].text not in ("(", "{", "|")


def _factorial_of(term: Term) -> Term:
    return lambda point: factorial(term(point))


def _size_of(term: Term) -> Term:
    return lambda point: abs(term(point))

"""The constants of a lesson's claims, fixed before the run in `lesson_NN/claims.toml`.

    ["11.missing-digit"]
    says = "A student that never saw a 3 recognises most threes"
    if_not = "A student that never saw a 3 recognises fewer than half of the threes"
    paper = "Hinton, Vinyals & Dean 2015"
    where = "arXiv:1503.02531, section 3"
    published = "206 errors in 10,000, 133 of them on the 1,010 threes (MNIST)"
    expected = "above"          # or "below", "within", "exact"
    threshold = 50.0            # of "above" and "below"; 0 unless given
    card = true                 # shown as a card in the text, at most four a lesson
    main = true                 # the claim that speaks for its lesson in the README

A card says first what was found: `says` where the claim holds, `if_not` where it does not, and
`open`, or a sentence made from `says`, where it cannot be resolved. Each is a whole sentence that
can be read alone, without its full stop. `published` is empty where the paper prints nothing on it.
"within" has a `margin` in place of a `threshold`. `unit` is "points" unless given;
`negative = true` marks a `says` about a limit: what does *not* help. A table
`["11.missing-digit".full]` replaces constants in the profiles full and hub. A text may hold
`{NAME}`, which the notebook fills in.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from distill_lab.course.claim import EXPECTATIONS

__all__ = ["Registered", "read_claims"]

FILE = "claims.toml"
CARDS = 4  # a lesson shows as cards; its other claims are a line each
TEXTS = ("says", "if_not", "paper", "where", "published", "open", "unit")
MAY_BE_EMPTY = ("published", "open", "unit")
SENTENCES = ("says", "if_not", "open")
# A sentence that opens with one of these leans on the one before it.
LEANING = {
    "and",
    "but",
    "so",
    "yet",
    "then",
    "also",
    "they",
    "it",
    "this",
    "that",
    "these",
    "those",
}
PLACEHOLDER = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Registered:
    """One claim as it was registered: every constant of it, none of its results."""

    id: str
    says: str
    if_not: str
    paper: str
    where: str
    published: str
    expected: str
    threshold: float = 0.0
    margin: float | None = None
    unit: str = "points"
    negative: bool = False
    main: bool = False
    card: bool = False
    open: str = ""

    def __post_init__(self) -> None:
        if not re.fullmatch(r"\d+\.[a-z0-9]+(-[a-z0-9]+)*", self.id):
            raise ValueError(
                "an id is the lesson's number, a point, small letters, digits and hyphens, such as "
                "11.seven-eight."
            )
        for name in TEXTS:
            text = getattr(self, name)
            if not isinstance(text, str) or not (text.strip() or name in MAY_BE_EMPTY):
                raise ValueError(
                    f"{name} must be a text in words; got {text!r}. Only published may be empty, "
                    "where the paper prints nothing on this."
                )
            if name in SENTENCES and (fault := _not_alone(text)):
                raise ValueError(f"{name} {fault}; got {text!r}.")
        if self.says == self.if_not:
            raise ValueError(
                "if_not says the same as says: it is the finding of the other verdict."
            )
        if self.expected not in (*EXPECTATIONS, "exact"):
            raise ValueError(
                f"expected must be one of {', '.join(EXPECTATIONS)}, exact; got {self.expected!r}."
            )
        for name in ("negative", "main", "card"):
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"{name} must be true or false; got {getattr(self, name)!r}.")
        if not _is_number(self.threshold):
            raise ValueError(f"threshold must be a number; got {self.threshold!r}.")
        if self.expected == "within":
            if not (_is_number(self.margin) and self.margin > 0):  # type: ignore[operator]
                raise ValueError(
                    'expected = "within" needs a margin, a positive number: the largest '
                    f"difference that would not matter; got {self.margin!r}."
                )
        elif self.margin is not None:
            raise ValueError(
                f'margin belongs to expected = "within"; with {self.expected!r} the bound is '
                "threshold."
            )
        if self.threshold and self.expected not in ("above", "below"):
            raise ValueError(f"threshold does not belong to expected = {self.expected!r}.")

    def filled(self, names: Mapping[str, Any]) -> Registered:
        """The same claim with every `{NAME}` in its texts replaced by the value of that name.

        Args:
            names: Name to value; exactly the names that the texts hold.

        Raises:
            ValueError: If a placeholder has no value, or a value no placeholder.
        """
        wanted = {key for name in TEXTS for key in PLACEHOLDER.findall(getattr(self, name))}
        if wanted != set(names):
            raise ValueError(
                f"The texts of claim {self.id} hold the placeholders "
                f"{', '.join(sorted(wanted)) or 'none'}, and names= gives "
                f"{', '.join(sorted(names)) or 'none'}: they must be the same."
            )
        texts: dict[str, Any] = {
            name: PLACEHOLDER.sub(lambda match: str(names[match[1]]), getattr(self, name))
            for name in TEXTS
        }
        return replace(self, **texts)


KEYS = tuple(field.name for field in fields(Registered) if field.name != "id")


def read_claims(folder: Path | None, profile: str = "quick") -> dict[str, Registered]:
    """Read the registered claims of a lesson, by id and in the order of the file.

    Args:
        folder: The lesson's folder, which holds `claims.toml`; None reads as an empty one.
        profile: "quick", "full" or "hub"; the last two use a claim's `full` table.

    Returns:
        Id to claim; empty where there is no such file.

    Raises:
        ValueError: If the file is not TOML, or a claim's constant is missing, unknown or wrong.
    """
    if folder is None or not (folder / FILE).is_file():
        return {}
    path = folder / FILE
    place = f"{path.parent.name}/{FILE}"
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{place} is not TOML: {error}.") from error
    claims = {}
    for id, table in tables.items():
        number = folder.name.removeprefix("lesson_")
        try:
            if number.isdigit() and not id.startswith(f"{number}."):
                raise ValueError(f"the id of a claim of this lesson starts with {number}.")
            claims[id] = _registered(id, table, profile)
        except ValueError as error:
            raise ValueError(f"Claim {id} in {place}: {error}") from error
    if len(cards := [id for id, claim in claims.items() if claim.card]) > CARDS:
        raise ValueError(
            f"{place} has {len(cards)} claims with card = true, {CARDS} at most: "
            f"{', '.join(cards)}. "
            "Choose those that the lesson stands on; the others are a line each."
        )
    return claims


def _registered(id: str, table: Any, profile: str) -> Registered:
    if not isinstance(table, dict):
        raise ValueError(f'a claim is a table, headed ["{id}"]; this is {table!r}.')
    constants = {key: value for key, value in table.items() if key != "full"}
    other = table.get("full", {})
    if not isinstance(other, dict):
        raise ValueError(f'its other constants are a table, headed ["{id}".full].')
    if unknown := [key for key in (*constants, *other) if key not in KEYS]:
        raise ValueError(f"there is no {', '.join(unknown)}; there are {', '.join(KEYS)}, full.")
    if missing := [key for key in KEYS[:6] if key not in constants]:
        raise ValueError(f"it does not say {', '.join(missing)}.")
    usual = Registered(id=id, **constants)
    replaced = Registered(id=id, **{**constants, **other})
    return usual if profile == "quick" else replaced


def _not_alone(sentence: str) -> str:
    """Why this cannot be read alone, as a card and the ledger show it; nothing if it can."""
    words = re.findall(r"[\w'’]+", sentence)
    if not words:
        return ""
    if sentence[0].islower() or sentence.rstrip().endswith("."):
        return "is a sentence with a capital letter and without its full stop"
    if words[0].lower() in LEANING or "it" in words[1:4]:
        return "must be readable alone: name the thing instead of “it”, “and” or “this”"
    return ""


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value == value

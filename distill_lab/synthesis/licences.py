"""May a student be trained on what this teacher writes? The table is `licences.toml`, beside this.

No legal advice: what stood in the texts when they were read, by the name of a model.
"""

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal

Training = Literal["allowed", "conditions", "forbidden", "unknown"]


@dataclass(frozen=True)
class Terms:
    """What a licence says of a student that learns from outputs.

    Args:
        licence: Its name.
        training: Whether a student may learn from outputs.
        note: In short why.
        source: Where that stands.
        version: The date of the text.
        checked: When it was read.
        spdx: The licence as an SPDX expression.
    """

    licence: str
    training: Training
    note: str
    source: str = ""
    version: str = ""
    checked: str = ""
    spdx: str = "NOASSERTION"

    def warning(self, teacher: str) -> str | None:
        """What to tell whoever trains on it; None where the licence puts nothing in the way."""
        where = f" See {self.source}." if self.source else ""
        if self.training == "forbidden":
            return f"{teacher}: {self.licence} does not allow this. {self.note}{where}"
        if self.training == "conditions":
            return f"{teacher}: {self.licence} allows this on conditions. {self.note}{where}"
        if self.training == "unknown":
            return f"{teacher}: {self.note}{where}"
        return None

    def facts(self) -> dict[str, str]:
        """As plain values, for a card."""
        return {
            "licence": self.licence,
            "spdx": self.spdx,
            "training on its outputs": self.training,
            "note": self.note,
            "source": self.source,
            "version": self.version,
            "checked": self.checked,
        }


UNKNOWN = Terms(
    "unknown",
    "unknown",
    "whether its licence allows training on its outputs is not known here. Read it before you give "
    "away what learned from them; from Python, set_card(licence=Terms(...)) writes down what it "
    "says.",
)


@cache
def table() -> tuple[tuple[str, Terms], ...]:
    """Read the table: a regular expression for the names of models, and their terms."""
    text = (files(__package__) / "licences.toml").read_text(encoding="utf-8")
    rows = tomllib.loads(text)["licence"]
    return tuple((row.pop("model"), Terms(**row)) for row in rows)


def terms_of(teacher: str) -> Terms:
    """Look up what is known of a teacher by its name.

    >>> terms_of("meta-llama/Llama-3.1-8B-Instruct").training
    'conditions'
    >>> terms_of("my-own-model").training
    'unknown'
    """
    name = teacher.lower().rstrip("/")
    for text in (name, name.rsplit("/", 1)[-1]):  # a folder or an owner may stand before the name
        for pattern, terms in table():
            if re.search(pattern, text):
                return terms
    return UNKNOWN

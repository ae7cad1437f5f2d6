"""What an exercise is made of.

    Exercise(
        name="forward_kl",
        formula="sum_k p_k (log p_k - log q_k), mean over the batch",
        reference=lambda s, t, T: divergences.forward_kl(s, t, T=T),
        cases=({"student_logits": s, "teacher_logits": t, "T": 2.0}, ...),
        defaults={"T": 1.0},                        # as the empty function in the notebook has them
        trained=("student_logits",),                # their gradient is compared, too
        invariances=(right_far_out(...), Invariance("equal inputs give 0", lambda f: ...)),
        mistakes=(Mistake("The divergence is turned round: ...", lambda s, t, T: ...),),
    )

A learner's function is called with the arguments in the order of the cases, so its parameters may
have any name. Every parameter must be there: one that is left out cannot have an effect.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Case", "Exercise", "Invariance", "Mistake", "Report", "headline"]


@dataclass(frozen=True)
class Invariance:
    """A promise every right solution keeps: its words, its test, and a hint where it breaks.

    Where one mistake alone breaks it, `mistake` is that mistake's name. Where others break it, too,
    `sure` tells from the function whether it is that one; if not, only the promise is named.
    """

    words: str
    kept: Callable[[Callable[..., Any]], bool]
    hint: str = ""
    mistake: str = ""
    sure: Callable[[Callable[..., Any]], bool] = lambda f: True


@dataclass(frozen=True)
class Mistake:
    """A wrong version people really write, and the friendly sentence for it.

    The sentence begins with the mistake's name, up to the first `. ` or `: `.
    """

    sentence: str
    variant: Callable[..., Any]

    @property
    def name(self) -> str:
        """The mistake in a few words."""
        return headline(self.sentence)


def headline(sentence: str) -> str:
    """Cut a sentence to the name of its mistake: what stands before the first full stop or colon.

    >>> headline("T² is missing. Without it the gradient shrinks.")
    'T² is missing'
    """
    return re.split(r"[.:](?:\s|$)", sentence, maxsplit=1)[0]


@dataclass(frozen=True)
class Exercise:
    """One exercise: reference, cases to try, invariances, known mistakes."""

    name: str
    formula: str
    reference: Callable[..., Any]
    cases: tuple[Mapping[str, Any], ...]
    invariances: tuple[Invariance, ...] = ()
    mistakes: tuple[Mistake, ...] = ()
    defaults: Mapping[str, Any] = field(default_factory=dict)
    trained: tuple[str, ...] = ()  # arguments that learn: their gradient is compared as well
    number_is_fine: bool = False  # a plain float may be returned: nobody trains through it
    atol: float = 1e-5
    rtol: float = 1e-4


@dataclass(frozen=True)
class Case:
    """The smallest case that fails, as text: arguments, the learner's result, the right one."""

    arguments: tuple[tuple[str, str], ...]
    yours: str = ""
    expected: str = ""

    def rows(self) -> list[tuple[str, str]]:
        """Names and values, one a line."""
        results = [("your result", self.yours), ("expected", self.expected)]
        return [*self.arguments, *(row for row in results if row[1])]


@dataclass(frozen=True)
class Report:
    """What a check found: the state, the mistake by name, and the findings, the likeliest first."""

    exercise: str
    state: str  # "not attempted" | "wrong" | "right"
    findings: tuple[str, ...]
    mistake: str = ""
    case: Case | None = None

    def record(self) -> dict[str, Any]:
        """The report as it leaves the notebook."""
        return {
            "kind": "check",
            "exercise": self.exercise,
            "state": self.state,
            "right": self.state == "right",
            "mistake": self.mistake,
            "findings": list(self.findings),
            "case": self.case.rows() if self.case else [],
        }

"""What an exercise is made of.

    Exercise(
        name="forward_kl",
        formula="sum_k p_k (log p_k - log q_k), mean over the batch",
        reference=lambda s, t, T: divergences.forward_kl(s, t, T=T),
        cases=({"student_logits": s, "teacher_logits": t, "T": 2.0}, ...),
        defaults={"T": 1.0},                        # a solution may leave these out
        invariances=(finite(...), Invariance("equal inputs give 0", lambda f: ...)),
        mistakes=(Mistake("The divergence is turned round: ...", lambda s, t, T: ...),),
    )

A learner's function is called with the arguments in the order of the cases, so its parameters may
have any name. It may leave trailing ones out if `defaults` names them; it is then only tried on the
cases that have them at that value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Exercise", "Invariance", "Mistake", "Report"]


@dataclass(frozen=True)
class Invariance:
    """A promise every right solution keeps: its words, its test, and a hint where it breaks."""

    words: str
    kept: Callable[[Callable[..., Any]], bool]
    hint: str = ""


@dataclass(frozen=True)
class Mistake:
    """A wrong version people really write, and the friendly sentence for it."""

    sentence: str
    variant: Callable[..., Any]


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
    number_is_fine: bool = False  # a plain float may be returned: nobody trains through it
    atol: float = 1e-5
    rtol: float = 1e-4


@dataclass(frozen=True)
class Report:
    """What a check found: the state, and its findings in the order of the ladder."""

    exercise: str
    state: str  # "not attempted" | "wrong" | "right"
    findings: tuple[str, ...]

    def record(self) -> dict[str, Any]:
        """The report as it leaves the notebook."""
        return {
            "kind": "check",
            "exercise": self.exercise,
            "state": self.state,
            "findings": list(self.findings),
        }

"""Is an answer right? A verifier takes a row and gives a verdict with its reason.

It reads answers as people write them, behind their thoughts: `read_final_answer` finds the place.
What it cannot decide it rejects, and says why.
"""

from distill_lab.synthesis.verifiers.answers import final_answer, plain
from distill_lab.synthesis.verifiers.choices import choice
from distill_lab.synthesis.verifiers.dates import date
from distill_lab.synthesis.verifiers.mathematics import listed, mathematical, numeric
from distill_lab.synthesis.verifiers.verdicts import Verdict, Verifier, check_verdict, gold
from distill_lab.synthesis.verifiers.words import contains, exact, label, regex

__all__ = [
    "Verdict",
    "Verifier",
    "check_verdict",
    "choice",
    "contains",
    "date",
    "exact",
    "final_answer",
    "gold",
    "label",
    "listed",
    "mathematical",
    "numeric",
    "plain",
    "regex",
]

"""Who answers: a teacher is a callable from a batch to logits or a signal, with no gradient."""

from distill_lab.teachers.cached import keep
from distill_lab.teachers.cached.read import Cached
from distill_lab.teachers.cached.write import cache
from distill_lab.teachers.ema import EMA
from distill_lab.teachers.ensemble import Disagreement, Ensemble
from distill_lab.teachers.estimators import sklearn
from distill_lab.teachers.external import function, probabilities
from distill_lab.teachers.folds import OutOfFold, assign_folds
from distill_lab.teachers.live import Live, Teacher, as_teacher, freeze, identity_of
from distill_lab.teachers.recorded import Recorded, record
from distill_lab.teachers.routed import Routed, route
from distill_lab.teachers.second_view import SecondView, ViewGap

__all__ = [
    "EMA",
    "Cached",
    "Disagreement",
    "Ensemble",
    "Live",
    "OutOfFold",
    "Recorded",
    "Routed",
    "SecondView",
    "Teacher",
    "ViewGap",
    "as_teacher",
    "assign_folds",
    "cache",
    "freeze",
    "function",
    "identity_of",
    "keep",
    "probabilities",
    "record",
    "route",
    "sklearn",
]

"""Who says it: a teacher is a callable from a batch to what it says, with no gradient."""

from distill_lab.teachers import keep
from distill_lab.teachers.cache import cache
from distill_lab.teachers.cached import Cached
from distill_lab.teachers.ema import EMA
from distill_lab.teachers.ensemble import Disagreement, Ensemble
from distill_lab.teachers.live import Live, Teacher, as_teacher, freeze, identity_of
from distill_lab.teachers.recorded import Recorded, record

__all__ = [
    "EMA",
    "Cached",
    "Disagreement",
    "Ensemble",
    "Live",
    "Recorded",
    "Teacher",
    "as_teacher",
    "cache",
    "freeze",
    "identity_of",
    "keep",
    "record",
]

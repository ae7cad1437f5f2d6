"""Who says it: a teacher is a callable from a batch to logits that carry no gradient."""

from distill_lab.teachers.live import Live, Teacher, as_teacher, freeze
from distill_lab.teachers.recorded import Recorded, record

__all__ = ["Live", "Recorded", "Teacher", "as_teacher", "freeze", "record"]

"""What a notebook needs to teach. The engine imports nothing from here.

>>> from distill_lab.course import Lesson, check
"""

from distill_lab.course.check import check
from distill_lab.course.lesson import Lesson

__all__ = ["Lesson", "check"]

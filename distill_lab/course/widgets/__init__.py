"""What a learner's hand moves: live pictures, and the controls that move them."""

from distill_lab.course.widgets.controls import choice, slider, steps
from distill_lab.course.widgets.live import Explorer, complaint, explore, twin
from distill_lab.course.widgets.scripted import scripted

__all__ = ["Explorer", "choice", "complaint", "explore", "scripted", "slider", "steps", "twin"]

"""What a learner's hand moves: live pictures, and the workbench.

`explore`, `twin` and the controls are here by name; `workbench` and `scoreboard` by module, since
only lesson 12 needs them.
"""

from distill_lab.course.widgets.controls import choice, slider, steps
from distill_lab.course.widgets.live import Explorer, complaint, explore, twin

__all__ = ["Explorer", "choice", "complaint", "explore", "slider", "steps", "twin"]

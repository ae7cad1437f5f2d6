"""What a file of answers was made with: a later run into it has to give the same."""

from collections.abc import Mapping
from typing import Any

from distill_lab._util.describe import describe
from distill_lab.synthesis.prompts import TeacherView
from distill_lab.teachers.text.protocol import Sampling


def settings_of(
    teacher: Mapping[str, Any],
    sampling: Sampling,
    system: str | None,
    teacher_prompt: TeacherView | None,
) -> dict[str, Any]:
    """Name who answers, and how, in plain values.

    Args:
        teacher: Its identity.
        sampling: How answers are drawn.
        system: A system message before every prompt that has none.
        teacher_prompt: What the teacher reads in a prompt's place.

    Returns:
        Plain values.
    """
    view = {} if teacher_prompt is None else {"teacher_prompt": describe(teacher_prompt)}
    return {"teacher": dict(teacher), **sampling.facts(), "system": system, **view}

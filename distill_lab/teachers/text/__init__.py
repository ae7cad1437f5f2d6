"""Teachers that write: a model in this process, or any OpenAI-compatible server.

Both are a `TextTeacher`: `distill_lab.synthesis.generate` asks either. What the first needs
(transformers) is loaded when it is used.
"""

from distill_lab.teachers.text.local import LocalGenerator
from distill_lab.teachers.text.openai_server import OpenAIGenerator
from distill_lab.teachers.text.protocol import TeacherStopped, TextTeacher

__all__ = ["LocalGenerator", "OpenAIGenerator", "TeacherStopped", "TextTeacher"]

"""Text from a teacher: asked for, checked, filtered, and written down with where it is from.

    teacher = OpenAIGenerator("http://localhost:8000/v1", model="...")
    answers = generate(prompts, teacher, "answers.jsonl", samples=4, temperature=0.7, seed=0)

What a part needs (transformers, datasketch, ...) is loaded when it is used.
"""

from distill_lab.synthesis.answers import Answers
from distill_lab.synthesis.generate import generate
from distill_lab.teachers.text import LocalGenerator, OpenAIGenerator, TeacherStopped

__all__ = ["Answers", "LocalGenerator", "OpenAIGenerator", "TeacherStopped", "generate"]

"""Text from a teacher: asked for, checked, sieved, and written down with where it is from.

    answers = generate(prompts, Served("http://localhost:8000/v1", model="..."), "answers.jsonl",
                       samples=4, temperature=0.7, seed=0)

Importing this loads nothing heavy; what a part needs (openai, transformers, datasketch, ...) is
loaded when it is used.
"""

from distill_lab.synthesis.errors import TeacherStopped
from distill_lab.synthesis.generate import Answers, generate
from distill_lab.synthesis.local import Local
from distill_lab.synthesis.served import Served

__all__ = ["Answers", "Local", "Served", "TeacherStopped", "generate"]

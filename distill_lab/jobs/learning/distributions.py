"""The teacher's distributions, token by token: on the answers of the data or the student's own.

They are asked for in each step, or once: then what `keep` names of them lies on disk, and the
teacher is not in memory while the student learns.
"""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from distill_lab import methods
from distill_lab.data.templates import Template
from distill_lab.jobs.learning.learning import Learning, Material
from distill_lab.jobs.learning.views import second_view
from distill_lab.jobs.rows import Exchanges
from distill_lab.jobs.setups.setup import Context
from distill_lab.jobs.vocabularies import Models, width_of
from distill_lab.methods import Method
from distill_lab.teachers import Cached, Teacher, cache, keep
from distill_lab.teachers.cached.keep import Records

KINDS = {"token-kl": "forward_kl", "reverse-kl": "reverse_kl", "jsd": "jsd"}


class Distributions(Learning):
    """Compare distributions at each token of the answers."""

    token_wise = True

    def method(self, tokenizer: Any) -> Method:
        """The divergence that the method names, beside the answers' cross-entropy."""
        job = self.job
        return methods.tokens(KINDS[job.method], T=job.T, alpha=job.alpha, beta=job.beta)

    def material(self, rows: Exchanges, models: Models, context: Context) -> Material:
        """Texts, and the teacher that is asked about them, or what it said of them."""
        material = super().material(rows, models, context)
        teacher = self.frozen(models)
        assert teacher is not None
        answering: Teacher = second_view(
            self.job,
            teacher,
            rows,
            material.data,
            models.tokenizer,
            self.longest_answer(material.data),
        )
        if self.job.teacher_keep is not None:
            answering = self._kept(answering, material, models, context)
        named = [str(self.job.teacher)]
        return dataclasses.replace(material, teacher=answering, reference=teacher, teachers=named)

    def forecast(self, rows: Exchanges, models: Models, tokens: int) -> Iterator[str]:
        """How large what is kept becomes."""
        if self.job.teacher_keep is not None:
            top_k, width = self.job.teacher_keep.get("top_k") or 0, width_of(models.student)
            if top_k > width:
                raise ValueError(
                    f"teacher.keep.top_k = {top_k:,}, and the models score {width:,} tokens: "
                    "lower it, or leave keep out."
                )
            each = self.records().record_bytes(width)
            size = f"{tokens * each / 1e6:,.4g} MB in {self._folder}"
            yield f"teacher's distributions: {tokens:,} places of {each} bytes, {size}"

    @property
    def _folder(self) -> Path:
        return Path(self.job.origin.out) / "teacher_answers"

    def records(self) -> Records:
        """What is kept of each distribution, at the temperature that is learned at."""
        kept = self.job.teacher_keep or {}
        if "top_k" in kept:
            return keep.top_k(kept["top_k"], T=self.job.T)
        return keep.sampled(kept["sampled"], T=self.job.T)

    def _kept(
        self, teacher: Teacher, material: Material, models: Models, context: Context
    ) -> Cached:
        """What the teacher says of the texts, asked once: in the job's folder, resumable."""
        folder, width = self._folder, width_of(models.student)
        context.log(f"the teacher's distributions: {self.records()}, kept in {folder}")
        # who looks on by a function counts the steps of a training, and these are none
        progress = context.progress if not callable(context.progress) else False

        def ask() -> Cached:
            return cache(
                teacher,
                material.data,
                folder,
                signal=self.records(),
                tokenizer=models.tokenizer,
                batch_size=self.job.training.batch_size,
                progress=progress,
            )

        cached = context.dist.main_first(ask)
        if cached.classes != width:
            raise ValueError(
                f"{folder} holds distributions over {cached.classes} tokens, and the student "
                f"scores {width}: delete the folder to ask the teacher again."
            )
        return cached


class OnPolicy(Distributions):
    """Compare distributions at each token that the student writes itself."""

    prompts_only = student_answers = True

    def method(self, tokenizer: Any) -> Method:
        """Reverse KL on the student's answers, up to its template's end of a turn."""
        job = self.job
        ends = Template(tokenizer, options=job.template).ends()
        return methods.on_policy(
            "reverse_kl",
            T=job.T,
            temperature=job.temperature,
            end=ends[0] if len(ends) == 1 else ends,
            max_new_tokens=job.max_new_tokens,
        )

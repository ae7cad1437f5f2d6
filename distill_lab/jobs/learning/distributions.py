"""The teacher's distributions, token by token: on the answers of the data or the student's own."""

import dataclasses
from typing import Any

from distill_lab import methods
from distill_lab.data.templates import Template
from distill_lab.jobs.learning.learning import Learning, Material, Models
from distill_lab.jobs.rows import Exchanges
from distill_lab.jobs.setups.setup import Context
from distill_lab.methods import Method

KINDS = {"token-kl": "forward_kl", "reverse-kl": "reverse_kl", "jsd": "jsd"}


class Distributions(Learning):
    """Compare distributions at each token of the answers."""

    token_wise = True

    def method(self, tokenizer: Any) -> Method:
        """The divergence that the method names, beside the answers' cross-entropy."""
        job = self.job
        return methods.tokens(KINDS[job.method], T=job.T, alpha=job.alpha, beta=job.beta)

    def material(self, rows: Exchanges, models: Models, context: Context) -> Material:
        """Texts, and the teacher that is asked about them."""
        material = super().material(rows, models, context)
        named = [str(self.job.teacher)]
        return dataclasses.replace(material, teacher=self.frozen(models), teachers=named)


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

"""How each method of language models learns, a module for methods that learn from the same."""

from distill_lab.jobs.job import Job
from distill_lab.jobs.learning.answers import GivenAnswers, TeacherAnswers
from distill_lab.jobs.learning.distributions import Distributions, OnPolicy
from distill_lab.jobs.learning.learning import Learning
from distill_lab.jobs.learning.other_tokens import OtherTokens
from distill_lab.jobs.learning.preferences import PreferencePairs

_BY_METHOD: dict[str, type[Learning]] = {
    "sft": GivenAnswers,
    "seq-kd": TeacherAnswers,
    "token-kl": Distributions,
    "reverse-kl": Distributions,
    "jsd": Distributions,
    "on-policy": OnPolicy,
    "dpo": PreferencePairs,
    "uld": OtherTokens,
}


def learning_of(job: Job) -> Learning:
    """How a job's method learns.

    Args:
        job: names the method.

    Returns:
        What it reads, whom it asks and what it minimises.
    """
    return _BY_METHOD[job.method](job)

"""Recipes that follow a policy gradient: from the sampled tokens, and a number for each."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from distill_lab._util.checks import fraction, non_negative_finite, positive_int
from distill_lab._util.describe import describe
from distill_lab._util.tensors import Batch, Head, check_temperature, check_temperature_of
from distill_lab.losses import group_advantages, grpo_loss, sampled_reverse_kl
from distill_lab.losses._checks import mean_over, narrowed
from distill_lab.methods.answers import check_logits
from distill_lab.methods.method import Method, Student, TeacherFn, Terms
from distill_lab.methods.tokens import answers_at, next_tokens, tokens_in
from distill_lab.methods.writing import Writing, answers_in
from distill_lab.models.scores_at import Places, in_pieces, scores_at

Reward = Callable[[int, list[int]], float]


def sampled_tokens(*, T: float = 1.0, discount: float = 0.0) -> Method:
    """The reverse KL to the teacher, estimated from the tokens that a batch holds.

    Formula: T^2 times `sampled_reverse_kl` of the tokens' log-probabilities at T.

    Args:
        T: the temperature of both softmaxes.
        discount: how much of the later tokens' log-ratio a token answers for.

    Returns:
        A method; `on_policy` prepares its batches.

    Raises:
        ValueError: for T <= 0 or a discount outside [0, 1]; when it runs, for a teacher that does
            not say how probable every token is, or says it at another temperature.

    Source: Lu & Thinking Machines Lab 2025 (On-Policy Distillation).

    >>> sampled_tokens(discount=1.0).weights
    {'reverse_kl': 1.0}
    """
    T = check_temperature(T)
    discount = fraction("discount", discount)

    def terms(batch: Batch, student: Student, teacher: TeacherFn) -> Terms:
        written = _Written(batch)
        answer = answers_at(teacher, batch, written.at)
        check_temperature_of(teacher, T)
        if not isinstance(answer, Tensor | Head):
            raise ValueError(
                f"a sampled token's probability is not in a {type(answer).__name__} signal of some "
                "tokens: use a live teacher, or one whose whole distribution was kept."
            )
        logits = scores_at(student, batch.inputs, written.at, head=False)
        check_logits(logits, answer)
        loss = sampled_reverse_kl(
            written.log_probs(logits, T),
            written.log_probs(answer, T).detach(),
            mask=written.weights,
            discount=discount,
        )
        return {"reverse_kl": T**2 * loss}

    name = f"tokens(reverse_kl, T={T}, sampled, discount={discount})"
    return Method(name, terms, {"reverse_kl": 1.0}, count=tokens_in, each_teacher=("reverse_kl",))


def grpo(
    reward: Reward,
    *,
    group: int = 8,
    beta: float = 0.0,
    scale: bool = True,
    average: str | int = "answer",
    temperature: float = 1.0,
    max_new_tokens: int = 64,
    end: int | Sequence[int] | None = None,
    pad: int | None = None,
) -> Method:
    """Group relative policy optimisation: reinforce what did better than its group.

    The student answers each prompt `group` times and learns from one step on these answers, so the
    ratio to the model that sampled is 1 and nothing is clipped.

    Formula: `grpo_loss` of the answers' tokens, advantages within each group; with beta the k3
    distance to the teacher, which is then the frozen reference.

    Args:
        reward: a function (the example's id, the answer's tokens with its end) -> number, such as
            1 where a verifier finds the answer right.
        group: answers to each prompt.
        beta: what the distance to the reference weighs; 0: there is none, and no teacher.
        scale: divide a group's advantages by their standard deviation.
        average: over what the tokens' loss is a mean, as in `grpo_loss`; an example's weight is
            that of each of its answers.
        temperature: that of the sampling, and of the softmax that is scored.
        max_new_tokens: how long an answer may be.
        end: the token an answer ends with, or several; None: the model's own.
        pad: the token that fills the room after it; None: the model's own, else its end, else 0.

    Returns:
        A method; its terms are the loss, and the mean "reward" with weight 0, so that a history
        shows it.

    Raises:
        ValueError: for a group below 2, beta below 0 or a temperature of 0; when it runs, for a
            reward that is no finite number, and a reference that holds at another temperature.

    Source: Shao et al. 2024 (DeepSeekMath), section 4.1; Liu et al. 2025 for scale and average.

    >>> grpo(lambda example, tokens: 1.0, group=4).weights
    {'grpo': 1.0, 'reward': 0.0}
    """
    if positive_int("group", group) < 2:
        raise ValueError("group = 1 has nothing to be held against: ask for at least 2 answers.")
    beta = non_negative_finite("beta", beta)
    temperature = check_temperature(temperature)
    writing = Writing(temperature, max_new_tokens, end, pad)

    def terms(batch: Batch, student: Student, teacher: TeacherFn) -> Terms:
        written = _Written(batch)
        logits = scores_at(student, batch.inputs, written.at, head=False)
        log_probs = written.log_probs(logits, temperature)
        reference: Any = None
        if beta > 0:
            reference = answers_at(teacher, batch, written.at)
            check_temperature_of(teacher, temperature)
        check_logits(logits, reference)
        rewards = torch.tensor(
            [
                float(reward(int(example), answer))
                for example, answer in zip(batch.ids.tolist(), answers_in(batch), strict=True)
            ],
            device=log_probs.device,
        )
        loss = grpo_loss(
            log_probs,
            group_advantages(rewards.view(-1, group), scale=scale).flatten(),
            mask=written.mask,
            reference_log_probs=None
            if reference is None
            else written.log_probs(reference, temperature).detach(),
            beta=beta,
            average=average,
            weights=batch.weights,
        )
        return {"grpo": loss, "reward": mean_over(rewards, batch.weights)}

    def count(batch: Batch) -> dict[str, float]:
        weighed = torch.ones(len(batch.ids)) if batch.weights is None else batch.weights
        each = {"grpo": float(weighed.sum()), "reward": float(weighed.sum())}
        # a mean over tokens is one over tokens in pieces too, however many its answers are
        return each | {"grpo": tokens_in(batch)} if average == "token" else each

    settings = f"group={group}, beta={beta}, scale={scale}, average={average}, {writing}"
    return Method(
        f"grpo({describe(reward)}, {settings})",
        terms,
        {"grpo": 1.0, "reward": 0.0},
        needs_teacher=beta > 0,
        count=count,
        prepare=lambda batch, student: writing(batch, student, answers=group),
    )


class _Written:
    """The tokens of a batch that are to be scored, where they stand, and what each weighs."""

    def __init__(self, batch: Batch) -> None:
        if batch.labels is None:
            raise ValueError("there is nothing to score: the student has written nothing.")
        self.targets, self.mask = next_tokens(batch.labels, batch.inputs)
        self.at = Places.of(self.mask)
        self.weights = self.mask
        if batch.weights is not None:
            self.weights = narrowed(
                batch.weights.float()[:, None].expand(self.mask.shape), self.mask
            )

    def log_probs(self, scores: Tensor | Head, T: float) -> Tensor:
        """Log-probabilities (B, L) of the tokens at T, 0 where none is scored."""
        targets = self.at.take(self.targets)
        if isinstance(scores, Head):  # nobody learns from a head here, so it goes in pieces
            with torch.no_grad():
                values = torch.cat(
                    [_chosen(z, targets[rows], T) for rows, (z,) in in_pieces(scores)]
                )
        else:
            values = _chosen(scores.float(), targets, T)
        full = values.new_zeros(self.at.shape)
        return full.index_put((self.at.rows, self.at.columns), values)


def _chosen(scores: Tensor, targets: Tensor, T: float) -> Tensor:
    return (scores / T).log_softmax(-1).gather(-1, targets[:, None]).squeeze(-1)

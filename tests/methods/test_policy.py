"""Policy gradients as methods: what was sampled is scored, and rewards find their answers."""

import copy
import dataclasses

import pytest
import torch

pytest.importorskip("transformers", reason="the student has to write: a Hugging Face model")

from distill_lab import methods
from distill_lab._util.tensors import rows_of
from distill_lab.data.batches import Batch
from distill_lab.losses import grpo_loss, sampled_reverse_kl
from distill_lab.teachers import Ensemble, freeze
from distill_lab.training import distill
from tests.methods.test_on_policy import WORDS, next_logits, prompts, speaker
from tests.methods.test_tokens import Softmaxed

END = 3


def written(method, student, n=6):
    torch.manual_seed(1)
    return method.prepare(prompts(n), student)


def log_probs(model, batch, T=1.0):
    """Of each token (B, L), the slow way: 0 where none is scored."""
    z = model(**batch.inputs).logits[:, :-1]
    target = batch.labels[:, 1:]
    values = (z / T).log_softmax(-1).gather(-1, target.clamp_min(0).unsqueeze(-1)).squeeze(-1)
    return torch.where(target >= 0, values, 0.0), target >= 0


@pytest.mark.parametrize(("T", "discount"), [(1.0, 0.0), (2.0, 0.9)])
def test_sampled_tokens_are_scored_by_both_at_one_temperature(T, discount):
    student, teacher = speaker(0, loud=2.0), speaker(1, loud=2.0)
    options = {"T": T, "temperature": T, "discount": discount, "end": END, "max_new_tokens": 5}
    method = methods.on_policy(estimator="sampled", **options)
    batch = written(method, student)
    loss = method.total(method.terms(batch, student, freeze(teacher)))
    ours, mask = log_probs(student, batch, T)
    its = log_probs(teacher, batch, T)[0].detach()
    expected = T**2 * sampled_reverse_kl(ours, its, mask=mask, discount=discount)
    torch.testing.assert_close(loss, expected)
    weight = student.lm_head.weight
    gradients = [torch.autograd.grad(x, weight)[0] for x in (loss, expected)]
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-6)


def test_the_sampled_gradient_is_the_exact_one_with_noise():
    """One-token answers, all drawn from one context: their mean gradient is the exact one's."""
    student, teacher = speaker(0, loud=2.0), freeze(speaker(1, loud=2.0))
    gradients = {}
    for estimator in ("exact", "sampled"):
        method = methods.on_policy(max_new_tokens=1, estimator=estimator)
        torch.manual_seed(2)
        batch = method.prepare(prompts(6000), student)
        loss = method.total(method.terms(batch, student, teacher))
        gradients[estimator] = torch.autograd.grad(loss, student.lm_head.weight)[0]
    error = (gradients["sampled"] - gradients["exact"]).norm() / gradients["exact"].norm()
    assert 0.002 < error < 0.15


def test_examples_weights_weigh_sampled_tokens():
    student, teacher = speaker(0, loud=2.0), freeze(speaker(1, loud=2.0))
    method = methods.on_policy(estimator="sampled", max_new_tokens=4)
    batch = written(method, student, 2)
    one = method.total(method.terms(Batch(*batch[:3], torch.tensor([1.0, 0.0])), student, teacher))
    first = Batch({k: v[:1] for k, v in batch.inputs.items()}, batch.labels[:1], batch.ids[:1])
    torch.testing.assert_close(one, method.total(method.terms(first, student, teacher)))


def test_each_reward_is_of_its_own_answer_and_groups_keep_together():
    student, calls = speaker(0), []

    def reward(example, tokens):
        calls.append((example, tokens))
        return float(tokens[0] % 7)

    method = methods.grpo(reward, group=3, max_new_tokens=4, end=END)
    batch = written(method, student, 2)
    assert batch.ids.tolist() == [0, 0, 0, 1, 1, 1]
    terms = method.terms(batch, student, lambda _: pytest.fail("there is no reference"))
    answers = [row[row >= 0].tolist() for row in batch.labels]
    assert calls == list(zip(batch.ids.tolist(), answers, strict=True))
    assert all(END not in tokens[:-1] for _, tokens in calls)
    rewards = torch.tensor([float(tokens[0] % 7) for tokens in answers]).view(2, 3)
    advantages = (rewards - rewards.mean(1, keepdim=True)) / (rewards.std(1, keepdim=True) + 1e-4)
    values, mask = log_probs(student, batch)
    torch.testing.assert_close(terms["grpo"], grpo_loss(values, advantages.flatten(), mask=mask))
    assert terms["reward"] == rewards.mean()


AVERAGES = pytest.mark.parametrize("average", ["answer", "token", 7])
REWARD = {"group": 2, "max_new_tokens": 6, "end": list(range(10)), "scale": False}


def by_first(example, tokens):
    return float(tokens[0] % 7) / 3


class Weighed:
    """Prompts with weights, as a source."""

    def __init__(self, n, weights=None):
        self.n, self.weights = n, weights

    def __len__(self):
        return self.n

    def batch(self, index):
        weights = None if self.weights is None else self.weights[index]
        return rows_of(prompts(self.n), index)._replace(weights=weights)


def answered(method, student, n):
    """The method with answers that were written once, so that each cut of a batch has the same."""
    once = written(method, student, n)
    assert len({len(row[row >= 0]) for row in once.labels}) > 2  # of different lengths

    def prepare(batch, student):
        rows = (2 * batch.ids[:, None] + torch.arange(2)).flatten()
        weights = None if batch.weights is None else batch.weights.repeat_interleave(2)
        return rows_of(once, rows)._replace(weights=weights)

    return dataclasses.replace(method, prepare=prepare)


@pytest.mark.parametrize("weights", [None, torch.tensor([2.0, 0.5, 0.0, 1.0, 3.0, 1.0])])
@AVERAGES
def test_answers_in_pieces_take_the_step_of_them_all(average, weights):
    first = speaker(0, loud=2.0)
    method = answered(methods.grpo(by_first, average=average, **REWARD), first, 6)
    ends = []
    for accumulate in (1, 2, 3):
        student = copy.deepcopy(first)
        history = distill(
            student,
            Weighed(6, weights),
            method=method,
            optimizer=lambda named: torch.optim.SGD([p for _, p in named], 1.0),
            batch_size=6,
            epochs=2,
            accumulate=accumulate,
            progress=False,
        )
        ends.append((history, torch.cat([p.flatten() for p in student.parameters()]).detach()))
    moved = ends[0][1] - torch.cat([p.flatten() for p in first.parameters()]).detach()
    assert moved.abs().max() > 1e-2
    for history, cut in ends[1:]:
        torch.testing.assert_close(cut, ends[0][1], rtol=0, atol=1e-6)
        for term in ("grpo", "reward"):
            assert history[term] == pytest.approx(ends[0][0][term], abs=1e-6)


@AVERAGES
def test_a_text_of_weight_two_is_there_twice_and_one_of_zero_teaches_nothing(average):
    student, teacher = speaker(0, loud=2.0), freeze(speaker(1, loud=2.0))
    method = methods.grpo(by_first, average=average, beta=0.2, **REWARD)
    batch = written(method, student, 3)
    once, twice = torch.arange(2, 4), torch.arange(4, 6)
    weighed = batch._replace(weights=torch.tensor([0.0, 0.0, 1.0, 1.0, 2.0, 2.0]))
    several = rows_of(batch, torch.cat([once, twice, twice]))
    ours = method.terms(weighed, student, teacher)
    expected = method.terms(several, student, teacher)
    for term in ("grpo", "reward"):
        torch.testing.assert_close(ours[term], expected[term])
    assert method.counts(weighed) == method.counts(several)
    head = student.lm_head.weight
    gradients = [torch.autograd.grad(t["grpo"], head)[0] for t in (ours, expected)]
    torch.testing.assert_close(*gradients)
    ones = batch._replace(weights=torch.ones(6))
    alike, plain = (method.terms(b, student, teacher)["grpo"] for b in (ones, batch))
    torch.testing.assert_close(alike, plain)


def test_weights_of_answers_that_cannot_be_are_refused():
    scored, mask = torch.zeros(2, 3), torch.ones(2, 3, dtype=torch.bool)
    for wrong in ([1.0], [1.0, -1.0], [0.0, 0.0]):
        with pytest.raises(ValueError, match="expected"):
            grpo_loss(scored, torch.ones(2), mask=mask, weights=torch.tensor(wrong))


def test_a_reference_holds_the_student_near():
    student, reference = speaker(0, loud=2.0), speaker(1, loud=2.0)
    method = methods.grpo(lambda example, tokens: 1.0, group=2, beta=0.3, max_new_tokens=3)
    assert method.needs_teacher
    batch = written(method, student)
    values, mask = log_probs(student, batch)
    its = log_probs(reference, batch)[0].detach()
    expected = grpo_loss(
        values, torch.zeros(len(values)), mask=mask, reference_log_probs=its, beta=0.3
    )
    loss = method.terms(batch, student, freeze(reference))["grpo"]
    assert loss > 0
    torch.testing.assert_close(loss, expected)


@pytest.mark.parametrize("recipe", ["exact", "sampled", "grpo"])
def test_a_mean_of_teachers_scores_what_was_written_at_its_own_temperature(recipe):
    student, members = speaker(0), [freeze(speaker(1)), freeze(speaker(2))]
    if recipe == "grpo":
        settings = {"group": 2, "beta": 0.3, "temperature": 2.0, "max_new_tokens": 2}
        method = methods.grpo(lambda example, tokens: 1.0, **settings)
    else:
        settings = {"T": 2.0, "temperature": 2.0, "max_new_tokens": 2}
        method = methods.on_policy(estimator=recipe, **settings)
    batch = written(method, student, 2)
    with pytest.raises(ValueError, match=r"Ensemble\(..., T=2.0\)"):
        method.terms(batch, student, Ensemble(members, T=1.0))
    terms = method.terms(batch, student, Ensemble(members, T=2.0))
    assert all(term.isfinite() for term in terms.values())


def test_what_is_rewarded_becomes_likely():
    student = speaker(0)
    ids = torch.full((8, 1), 7)
    data = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    method = methods.grpo(lambda example, tokens: float(tokens[0] < 6), group=8, max_new_tokens=1)
    before = next_logits(student).softmax(-1)[:6].sum()
    history = distill(
        student, (data, None), method=method, epochs=30, batch_size=8, lr=0.03, seed=0
    )
    after = next_logits(student).softmax(-1)[:6].sum()
    assert before < 0.2 and after > 0.8
    rewards = history["reward"]
    assert sum(rewards[-5:]) > sum(rewards[:5])
    assert WORDS == 60


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"kind": "jsd"}, "estimates the reverse KL"),
        ({"student_share": 0.5}, "not sampled from the student"),
        ({"temperature": 0.7}, "give both the same"),
        ({"T": 2.0}, "give both the same"),
        ({"temperature": 0.0}, "give both the same"),
    ],
)
def test_a_sampled_estimate_that_would_be_biased_is_refused(options, words):
    with pytest.raises(ValueError, match=words):
        methods.on_policy(estimator="sampled", **options)


def test_a_teacher_that_kept_a_few_tokens_cannot_score_a_sampled_one():
    from distill_lab.signals import top_k

    student, teacher = speaker(0), speaker(1)
    method = methods.on_policy(estimator="sampled", max_new_tokens=2)
    batch = written(method, student, 2)
    kept = top_k(teacher(**batch.inputs).logits, 4)
    with pytest.raises(ValueError, match="TopK signal"):
        method.terms(batch, student, lambda _: kept)


@pytest.mark.parametrize("sampled", [True, False])
def test_probabilities_of_what_was_written_are_no_logits(sampled):
    student, teacher = speaker(0), speaker(1)
    method = methods.grpo(lambda example, tokens: len(tokens), group=2, beta=0.1, max_new_tokens=4)
    if sampled:
        method = methods.on_policy(estimator="sampled", end=END, max_new_tokens=4)
    batch = written(method, student)
    with pytest.raises(ValueError, match="the student's answers lie between 0 and 1"):
        method.terms(batch, Softmaxed(student), freeze(teacher))
    with pytest.raises(ValueError, match="the teacher's answers lie between 0 and 1"):
        method.terms(batch, student, freeze(Softmaxed(teacher)))

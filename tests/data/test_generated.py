"""Examples that a generator makes: the same by number, and a student can learn on them."""

import pytest
import torch
from torch import nn

from distill_lab import methods
from distill_lab.data import Generated, as_data
from distill_lab.data.batches import own_fingerprint
from distill_lab.models import MLP
from distill_lab.teachers import freeze
from distill_lab.training import distill


def made(examples=200, seed=0, **options):
    return Generated(
        MLP(4, 16, 9, seed=3, **options).eval(), latent_dim=4, examples=examples, seed=seed
    )


@pytest.mark.parametrize("options", [{}, {"batch_norm": True}, {"dropout": 0.5}])
def test_an_example_is_the_same_whatever_else_is_in_its_batch(options):
    source = made(**options)
    batch = source.batch(torch.tensor([5, 90, 5]))
    assert batch.labels is None and batch.ids.tolist() == [5, 90, 5]
    alone = source.batch(torch.tensor([90]))
    torch.testing.assert_close(batch.inputs[1:2], alone.inputs)
    assert torch.equal(batch.inputs[0], batch.inputs[2])
    assert not batch.inputs.requires_grad


def test_the_vectors_are_normal_and_follow_from_the_seed():
    one, again, other = made(4000), made(4000), made(4000, seed=1)
    assert torch.equal(one.latents, again.latents)
    assert not torch.equal(one.latents, other.latents)
    assert one.latents.mean().abs() < 0.05 and (one.latents.std() - 1).abs() < 0.05


def test_the_global_generator_stays_where_it_is():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    made().batch(torch.arange(3))
    assert torch.equal(torch.get_rng_state(), before)


def test_a_generator_that_learns_is_refused_when_made_and_when_read():
    with pytest.raises(ValueError, match=r"training mode \(first: the generator itself"):
        Generated(MLP(4, 9), latent_dim=4, examples=5)
    source = made()
    source.generator.train()
    with pytest.raises(ValueError, match="depend on the others"):
        source.batch(torch.arange(2))
    with pytest.raises(ValueError, match="examples must be"):
        made(0)


def test_the_fingerprint_follows_weights_and_vectors():
    source = made()
    assert own_fingerprint(as_data(source)) == made().fingerprint
    assert made(seed=1).fingerprint != source.fingerprint
    nn.init.ones_(source.generator.head.bias)
    assert made().fingerprint != source.fingerprint


def test_a_student_learns_what_the_teacher_answers():
    teacher, source = freeze(MLP(9, 16, 3, seed=8)), made(400)
    student = MLP(9, 16, 3, seed=9)
    settings = {"epochs": 8, "batch_size": 50, "lr": 1e-2, "progress": False}
    method = methods.kd(T=2.0, alpha=1.0)
    history = distill(student, source, teacher=teacher, method=method, **settings)
    assert history["kd"][-1] < 0.3 * history["kd"][0]

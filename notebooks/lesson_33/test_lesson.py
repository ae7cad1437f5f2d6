"""Lesson 33's pieces on cases with known answers; its pictures say what they show."""

import pytest
import torch

from distill_lab.models import MLP
from lesson_33 import drawings, experiments
from lesson_33.figures import render_dream, render_neighbours


def test_batches_are_each_seeds_own_pictures_and_follow_from_the_generator():
    pictures = torch.arange(3)[:, None, None] + torch.zeros(3, 40, 2)
    make = experiments.draw_from(pictures, 7)
    batch = make(torch.Generator().manual_seed(0))
    assert batch.shape == (3, 7, 2)
    assert torch.equal(batch, torch.arange(3.0)[:, None, None].expand(3, 7, 2))
    numbered = experiments.draw_from(torch.arange(40.0).expand(2, 40)[..., None], 30)
    one, again = (numbered(torch.Generator().manual_seed(5)) for _ in range(2))
    assert torch.equal(one, again) and not torch.equal(one[0], one[1])
    assert len(one.unique()) > 15


def test_a_step_uses_the_gradients_of_this_loss_alone():
    weight = torch.nn.Parameter(torch.zeros(1))
    weight.grad = torch.full((1,), 100.0)  # of another player's loss
    experiments.take_step(torch.optim.SGD([weight], lr=1.0), 3 * weight.sum())
    assert weight.item() == -3.0


def test_least_squares_gives_the_mean_picture_of_a_layer_that_has_just_looked():
    pictures = torch.rand(300, 16, generator=torch.Generator().manual_seed(2))
    net = MLP(16, 32, 10, batch_norm=True, seed=3)
    net.hidden[0][1].momentum = 1.0
    net.train()(pictures)
    weight, mu = net.hidden[0][0].weight, net.hidden[0][1].running_mean
    recovered = torch.linalg.lstsq(weight, mu[:, None]).solution[:, 0]
    torch.testing.assert_close(recovered, pictures.mean(0), rtol=1e-3, atol=1e-4)


def test_nearest_finds_the_picture_and_its_distance():
    pictures = torch.tensor([[0.0, 0.0], [3.0, 4.0]])
    distances, index = experiments.nearest(torch.tensor([[3.0, 5.0], [0.0, 1.0]]), pictures)
    assert index.tolist() == [1, 0] and distances.tolist() == [1.0, 1.0]


def test_a_dream_counts_the_teachers_classes():
    logits = torch.zeros(20, 10)
    logits[:15, 3] = 50.0
    logits[15:, 8] = 50.0
    picture = render_dream(torch.rand(20, 64), logits, title="DAFL, step 0")
    assert picture.alt.startswith("DAFL, step 0. Twenty made pictures.")
    assert "15 times 3, 5 times 8. Mean confidence 100 percent" in picture.alt
    with pytest.raises(ValueError, match="expected 20 pictures"):
        render_dream(torch.rand(9, 64), logits, title="few")


def test_neighbours_begin_with_the_nearest():
    private, unseen = torch.zeros(2, 64), torch.ones(2, 64)
    made = torch.stack([torch.full((64,), 0.5), torch.zeros(64)])
    picture = render_neighbours(made, private, unseen, rows=2)
    assert "Distances: private 0.00, unseen 8.00; private 4.00, unseen 4.00." in picture.alt
    with pytest.raises(ValueError, match="between 1 and 2"):
        render_neighbours(made, private, unseen, rows=3)


@pytest.mark.parametrize("name", drawings.__all__)
def test_drawings_can_be_read(name):
    assert len(getattr(drawings, name)().alt) > 60

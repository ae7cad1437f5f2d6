"""The small vision transformer: what its patches, tokens and attention are, and its two heads."""

import pytest
import torch

from distill_lab.models import MLP, TwoHeads, VisionTransformer, to_patches
from distill_lab.models.hooks import Tap
from distill_lab.models.networks import logits_of
from distill_lab.seeds import distill_seeds

PICTURES = torch.randn(3, 2, 8, 12, generator=torch.Generator().manual_seed(0))


def make(seed=0, **changes):
    return VisionTransformer(8, 2, **({"width": 16, "distilled": True, "seed": seed} | changes))


def random_pictures(count=3, size=8):
    return torch.randn(count, 1, size, size, generator=torch.Generator().manual_seed(1))


def test_patches_are_the_squares_row_by_row():
    patches = to_patches(PICTURES, 4)
    assert patches.shape == (3, 2 * 3, 2 * 16)
    for i in range(6):
        row, column = 4 * (i // 3), 4 * (i % 3)
        square = PICTURES[:, :, row : row + 4, column : column + 4]
        assert torch.equal(patches[:, i], square.flatten(1))


def test_the_seed_fixes_the_weights_and_nothing_else_is_touched():
    before = torch.get_rng_state()
    one, same, other = (list(make(seed).parameters()) for seed in (0, 0, 1))
    assert torch.equal(before, torch.get_rng_state())
    assert all(map(torch.equal, one, same))
    assert not any(torch.equal(a, b) for a, b in zip(one, other, strict=True) if a.std() > 0)


def test_first_weights_keep_the_scale_of_what_they_map():
    for name, parameter in make(3, width=64).named_parameters():
        if name in ("tokens", "positions"):
            assert parameter.std().item() == pytest.approx(0.5, rel=0.2)
        elif parameter.dim() > 1:
            fan_in = parameter.shape[1]
            assert parameter.std().item() == pytest.approx(fan_in**-0.5, rel=0.15)
        else:
            assert torch.equal(parameter, torch.full_like(parameter, float("weight" in name)))


def test_the_answer_is_the_mean_of_both_heads_in_training_too():
    net, pictures = make(), random_pictures()
    answers = net.train()(pictures)
    assert isinstance(answers, TwoHeads)
    mean = (answers.cls_logits + answers.distillation_logits) / 2
    assert torch.equal(answers.logits, mean) and torch.equal(logits_of(net, pictures), mean)
    assert torch.equal(logits_of(net.eval(), pictures), mean)
    assert isinstance(make(distilled=False)(pictures), torch.Tensor)


def test_each_head_reads_its_own_token():
    net, pictures = make(depth=1), random_pictures()
    with Tap(net, ["norm", "head", "distillation_head"]) as tap:
        answers = net(pictures)
    tokens = tap["norm"]
    assert tokens.shape == (3, 2 + 16, 16)
    assert torch.equal(answers.cls_logits, net.head(tokens[:, 0]))
    assert torch.equal(answers.distillation_logits, net.distillation_head(tokens[:, 1]))


def test_attention_is_a_mean_over_all_tokens():
    net, pictures = make(), random_pictures()
    with Tap(net, ["blocks.0.attention.weights", "blocks.1.attention.weights"]) as tap:
        net(pictures)
    for path in tap:
        weights = tap[path]
        assert weights.shape == (3, 4, 18, 18)
        torch.testing.assert_close(weights.sum(-1), torch.ones(3, 4, 18))
        assert (weights.sum(-2) - 1).abs().max() > 1e-3  # what is looked at varies


def test_attention_is_torchs():
    attention, tokens = make().blocks[0].attention, torch.randn(3, 18, 16)
    mapped = attention.query_key_value(tokens).chunk(3, -1)
    split = [part.unflatten(-1, (4, 4)).transpose(1, 2) for part in mapped]
    gathered = torch.nn.functional.scaled_dot_product_attention(*split)
    torch.testing.assert_close(
        attention(tokens), attention.output(gathered.transpose(1, 2).flatten(2))
    )


def test_without_positions_the_order_of_patches_is_not_seen():
    """Attention alone treats a picture as a set of patches; the positions tell where each is."""
    net, pictures = make(), random_pictures()
    turned = pictures.roll(4, -1)  # by two patches: the same patches, elsewhere
    assert (net(pictures).logits - net(turned).logits).abs().max() > 1e-4
    with torch.no_grad():
        net.positions[2:] = net.positions[2]
    torch.testing.assert_close(net(pictures).logits, net(turned).logits)


def test_no_example_sees_another():
    net, pictures = make().train(), random_pictures(4)
    torch.testing.assert_close(net(pictures).logits[:2], net(pictures[:2]).logits)


def test_without_the_second_token_there_is_none():
    plain, both = make(distilled=False), make()
    names = {name for name, _ in plain.named_parameters()}
    extra = {name for name, _ in both.named_parameters()} - names
    assert extra == {"distillation_head.weight", "distillation_head.bias"}
    assert len(plain.tokens) == 1 and len(plain.positions) == 17 and len(both.positions) == 18


def test_other_sizes():
    net = VisionTransformer(28, 7, channels=3, classes=4, width=8, depth=1, heads=2)
    assert net(torch.zeros(2, 3, 28, 28)).shape == (2, 4)


def test_many_seeds_at_once_are_each_alone():
    pictures, labels = random_pictures(12), torch.arange(12) % 10
    runs = distill_seeds(make, (pictures, labels), seeds=[4, 5], epochs=1, batch_size=6)
    paths = ["head", "distillation_head", "blocks.0.attention.weights"]
    logits, inside = runs.tapped(pictures, paths)
    single = runs.model(1)
    torch.testing.assert_close(logits[1], single(pictures).logits)
    torch.testing.assert_close(inside["head"][1], single(pictures).cls_logits)
    assert inside["blocks.0.attention.weights"].shape == (2, 12, 4, 18, 18)


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: VisionTransformer(8, 3), "patch must divide size"),
        (lambda: VisionTransformer(8, 2, width=30), "heads must divide width"),
        (lambda: VisionTransformer(8, 2, depth=0), "depth must be a positive integer"),
        (lambda: make()(torch.zeros(2, 1, 9, 9)), "multiples of 2"),
        (lambda: to_patches(torch.zeros(8, 8), 2), r"must be \(B, channels, H, W\)"),
    ],
)
def test_impossible_sizes_are_refused(build, words):
    with pytest.raises(ValueError, match=words):
        build()


def test_another_kind_of_network_gives_logits_as_before():
    assert logits_of(MLP(4, 3), torch.zeros(2, 4)).shape == (2, 3)

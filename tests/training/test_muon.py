"""Muon: its step by hand, beside torch's own, and through the loop."""

import pytest
import torch
from torch import nn

from distill_lab.methods import supervised
from distill_lab.models import MLP
from distill_lab.training import distill
from distill_lab.training.muon import Muon, hidden_matrices, orthogonal

X = torch.randn(48, 12, generator=torch.Generator().manual_seed(0))
Y = torch.arange(48) % 4


def student() -> nn.Module:
    return MLP(12, 16, 16, 4)


def run(model: nn.Module, **given) -> None:
    settings = {"epochs": 3, "batch_size": 16, "lr": 1e-2, "optimizer": "muon", "progress": False}
    distill(model, (X, Y), method=supervised(), **(settings | given))


@pytest.mark.parametrize("shape", [(8, 8), (24, 8), (8, 24)])
def test_an_orthogonal_matrix_keeps_directions_and_evens_their_lengths(shape):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    u, _, v = torch.linalg.svd(matrix, full_matrices=False)
    result = orthogonal(matrix)
    inside = u.T @ result @ v.T  # diagonal, where the singular vectors are the same
    lengths = inside.diagonal()
    torch.testing.assert_close(inside, lengths.diag(), atol=1e-4, rtol=0)
    assert lengths.min() > 0.3 and lengths.max() < 1.3
    torch.testing.assert_close(orthogonal(1e-6 * matrix), result, atol=1e-4, rtol=0)
    assert orthogonal(torch.zeros(shape)).isfinite().all()


def test_three_steps_are_those_of_torchs_own_but_for_its_sixteen_bits():
    ours, theirs = student(), student()
    mine = Muon(ours, lr=1e-2, weight_decay=0.1)
    others = [p for p in theirs.parameters() if p.ndim == 1]
    peers = [
        torch.optim.Muon(
            hidden_matrices(theirs), lr=1e-2, weight_decay=0.1, adjust_lr_fn="match_rms_adamw"
        ),
        torch.optim.AdamW(others, lr=1e-2, betas=(0.9, 0.95), weight_decay=0.1),
    ]
    for step in range(3):
        for model, optimizers in ((ours, [mine]), (theirs, peers)):
            model.zero_grad()
            some = slice(16 * step, 16 * step + 16)
            nn.functional.cross_entropy(model(X[some]), Y[some]).backward()
            for optimizer in optimizers:
                optimizer.step()
    for one, other, first in zip(
        ours.parameters(), theirs.parameters(), student().parameters(), strict=True
    ):
        assert (one - first).norm() > 0
        # the slopes of the last layer sum to zero over classes: their least direction is all noise
        most = 0.06 if len(one) == 16 else 0.3
        assert (one - other).norm() < most * (other - first).norm()


def test_what_reads_or_writes_a_vocabulary_is_left_to_adamw():
    hf = pytest.importorskip("transformers")
    for tied in (True, False):
        config = hf.LlamaConfig(
            vocab_size=20,
            hidden_size=8,
            intermediate_size=12,
            num_hidden_layers=1,
            num_attention_heads=2,
            tie_word_embeddings=tied,
        )
        model = hf.LlamaForCausalLM(config)
        named = {id(p): name for name, p in model.named_parameters()}
        result = [named[id(p)].split(".")[-2] for p in hidden_matrices(model)]
        assert sorted(result) == sorted(
            ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
        )


def test_every_parameter_moves_and_the_same_seed_gives_the_same_bits():
    one, other = student(), student()
    run(one)
    run(other)
    for a, b, first in zip(
        one.parameters(), other.parameters(), student().parameters(), strict=True
    ):
        assert torch.equal(a, b) and not torch.equal(a, first)


def test_a_stopped_run_goes_on_bit_for_bit(tmp_path):
    full, cut = student(), student()
    run(full)
    run(cut, checkpoint=tmp_path / "run", callbacks=[lambda step: step.step == 4])
    fresh = student()
    run(fresh, checkpoint=tmp_path / "run")
    assert not torch.equal(*(next(m.parameters()) for m in (full, cut)))
    assert all(map(torch.equal, full.parameters(), fresh.parameters()))


def test_a_checkpoint_of_another_optimizer_is_refused(tmp_path):
    run(student(), checkpoint=tmp_path / "run")
    with pytest.raises(ValueError, match="optimizer: 'muon' there, 'adamw' now"):
        run(student(), checkpoint=tmp_path / "run", optimizer="adamw")


def test_bad_input_is_answered_with_a_sentence():
    with pytest.raises(ValueError, match="optimizer must be one of"):
        run(student(), optimizer="sgd")
    with pytest.raises(ValueError, match="takes no closure"):
        Muon(student(), lr=1e-2).step(lambda: 0.0)

"""A classifier on an encoder: cut down, looked into."""

import pytest
import torch

from distill_lab.course import encoders
from distill_lab.course.encoders import TextClassifier
from lesson_22 import encoder

transformers = pytest.importorskip("transformers", reason="transformers is not installed")


def tiny(layers: int = 4, *, pooler: bool = False) -> torch.nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = transformers.BertConfig(
            vocab_size=50,
            hidden_size=16,
            num_hidden_layers=layers,
            num_attention_heads=4,
            intermediate_size=32,
            max_position_embeddings=32,
        )
        return transformers.BertModel(config, add_pooling_layer=pooler).eval()


@pytest.fixture
def model():
    return TextClassifier(tiny(), 3, seed=1).eval()


@pytest.fixture
def batch():
    ids = torch.tensor([[2, 7, 9, 3, 0, 0], [2, 8, 8, 11, 12, 3]])
    return {"input_ids": ids, "attention_mask": (ids > 0).long()}


def test_a_student_is_its_teachers_layers_and_a_copy(model, batch):
    student = encoder.with_layers(model, [0, 3])
    assert student.training and all(p.requires_grad for p in student.parameters())
    assert student.body.config.num_hidden_layers == 2 and model.body.config.num_hidden_layers == 4
    mine, theirs = (encoders.layers_of(m.body) for m in (student, model))
    for own, layer in zip(mine, (theirs[0], theirs[3]), strict=True):
        for a, b in zip(own.parameters(), layer.parameters(), strict=True):
            assert torch.equal(a, b) and a is not b
    torch.testing.assert_close(encoder.with_layers(model, range(4)).eval()(**batch), model(**batch))
    for keep in ([], [4], [-1]):
        with pytest.raises(ValueError, match="keep must name layers from 0 to 3"):
            encoder.with_layers(model, keep)


def test_the_one_to_try_things_on_is_the_same_for_a_seed_and_tells_its_layers_apart(batch):
    before = torch.get_rng_state()
    one, same, other = (encoder.tiny_classifier(4, seed=s) for s in (0, 0, 1))
    assert torch.equal(before, torch.get_rng_state()) and not one.training
    assert torch.equal(one(**batch), same(**batch))
    assert not torch.allclose(one(**batch), other(**batch))
    few = [encoder.with_layers(one, [layer]).eval()(**batch) for layer in range(4)]
    assert all(not torch.allclose(few[0], rest, atol=1e-3) for rest in few[1:])


def test_the_look_is_the_models_own_attention(model, batch):
    eager = tiny()
    eager.set_attn_implementation("eager")
    expected = eager(**batch, output_attentions=True).attentions
    weights = encoder.attention_weights(model, **batch)
    assert weights.shape == (4, 2, 4, 6, 6)
    for mine, theirs in zip(weights, expected, strict=True):
        torch.testing.assert_close(mine[0, :, :4], theirs[0, :, :4], atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(mine[1], theirs[1], atol=1e-5, rtol=1e-4)
    assert not weights[:, 0, :, :, 4:].any()


def test_one_question_gives_its_tokens_and_a_map_for_each_model(model, batch):
    class Letters:
        def __call__(self, text, return_tensors):
            ids = torch.tensor([[2, *(ord(c) - 92 for c in text), 3]])
            return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}

        def convert_ids_to_tokens(self, ids):
            return [f"<{int(i)}>" for i in ids]

    smaller = encoder.with_layers(model, (0, 2)).eval()
    pieces, four, two = encoder.question_maps(Letters(), "abc", model, smaller)
    assert pieces == ["<2>", "<5>", "<6>", "<7>", "<3>"]
    assert four.shape == (4, 4, 5, 5) and two.shape == (2, 4, 5, 5)
    torch.testing.assert_close(two[0], four[0])

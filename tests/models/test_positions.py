"""Texts longer than a network's places: named as that, in every family."""

import pytest
import torch
from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification

from distill_lab.models.networks import logits_of, output_of
from distill_lab.models.positions import positions_of

SIZES = {
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 12,
}
OWN = {
    "gpt2": {"n_embd": 16, "n_layer": 1, "n_head": 2, "n_positions": 12},
    "distilbert": {"dim": 16, "n_layers": 1, "n_heads": 2, "hidden_dim": 32},
    "opt": {"ffn_dim": 32, "word_embed_proj_dim": 16},
    "longformer": {"attention_window": [4]},
}
BEHIND = ("roberta", "xlm-roberta", "camembert", "mpnet", "longformer", "data2vec-text")
FAMILIES = ("bert", "distilbert", "electra", "albert", "deberta-v2", "roformer", "gpt2", "opt")


def family(kind):
    """A model of two layers with twelve places."""
    usual = {"vocab_size": 60, "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2}
    sizes = {} if kind == "gpt2" else SIZES
    config = AutoConfig.for_model(kind, **usual, **(sizes | OWN.get(kind, {})))
    return AutoModel.from_config(config).eval()


@pytest.mark.parametrize("kind", FAMILIES + BEHIND)
def test_every_family_reads_so_many_tokens_and_no_more(kind):
    model = family(kind)
    room = positions_of(model)
    assert room == (10 if kind in BEHIND else 12)
    ids = torch.arange(2 * (room + 1)).reshape(2, -1) % 50 + 5
    longer = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    output_of(model, {name: part[:, :room] for name, part in longer.items()})
    words = f"input_ids has {room + 1} tokens a text and the model's .* knows {room} positions"
    with pytest.raises(IndexError, match=words):
        output_of(model, longer)


def test_a_number_is_looked_for_in_the_table_of_words_alone():
    """Token types have two rows, and no text is wrong by that."""
    config = AutoConfig.for_model("bert", vocab_size=60, **SIZES)
    model = AutoModelForSequenceClassification.from_config(config).eval()
    words = "input_ids has the number 60 and the model's bert.embeddings.word_embeddings only 60"
    with pytest.raises(IndexError, match=words):
        logits_of(model, {"input_ids": torch.tensor([[5, 60]])})
    types = {"input_ids": torch.tensor([[5, 6]]), "token_type_ids": torch.tensor([[0, 2]])}
    with pytest.raises(IndexError, match=r"token_type_ids has the number 2 and .*token_type"):
        logits_of(model, types)


def test_rotary_places_have_no_end():
    config = AutoConfig.for_model("llama", vocab_size=60, **SIZES)
    model = AutoModel.from_config(config).eval()
    assert positions_of(model) == 12
    output_of(model, {"input_ids": torch.full((1, 20), 5)})

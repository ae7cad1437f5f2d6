"""A language model that is loaded is the one that was saved: nothing random, nothing run."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    LlamaForSequenceClassification,
)

from distill_lab import cli
from distill_lab.jobs.language_models import load
from distill_lab.models.pretrained import load_language_model
from distill_lab.teachers.text import LocalGenerator
from tests.data.chats import chat


def saved(folder, kind=LlamaForCausalLM, **options):
    """A tiny model with its tokenizer, in a folder."""
    tokenizer = chat("chatml")
    sizes = {"vocab_size": len(tokenizer), "hidden_size": 8, "intermediate_size": 8}
    sizes |= {"num_hidden_layers": 2, "num_attention_heads": 2, "eos_token_id": 1}
    config = LlamaConfig(**sizes | options)
    kind(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def weights(folder, change):
    path = folder / "model.safetensors"
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path, metadata={"format": "pt"})


def config(folder, name="config.json", **entries):
    path = folder / name
    path.write_text(json.dumps(json.loads(path.read_text()) | entries))


def missing(folder):
    weights(folder, lambda tensors: tensors.pop("model.layers.1.mlp.up_proj.weight"))


def no_head(folder):
    weights(folder, lambda tensors: tensors.pop("lm_head.weight"))


def prefixed(folder):
    weights(folder, lambda t: [t.update({f"module.{k}": t.pop(k)}) for k in list(t)])


def other_shape(folder):
    weights(folder, lambda tensors: tensors.update({"lm_head.weight": torch.zeros(5, 8)}))


def fewer_layers(folder):
    config(folder, num_hidden_layers=1)


def more_layers(folder):
    config(folder, num_hidden_layers=3)


def classifier(folder):
    saved(folder, LlamaForSequenceClassification)


def few_rows(folder):
    saved(folder, vocab_size=100)


def no_end(folder):
    tokenizer = chat("chatml")
    tokenizer.eos_token = None
    tokenizer.save_pretrained(folder)
    config(folder, eos_token_id=None)
    (folder / "generation_config.json").unlink(missing_ok=True)


def pickled(folder):
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def not_finite(folder):
    def change(tensors):
        tensors["model.layers.1.mlp.up_proj.weight"][0, 0] = float("nan")

    weights(folder, change)


def beyond_all_numbers(folder):
    weights(folder, lambda t: t.update({k: (1e30 * v).half() for k, v in t.items()}))


def whole_numbers(folder):
    weights(folder, lambda t: t.update({k: (100 * v).to(torch.int8) for k, v in t.items()}))


def adapter_beside(folder):
    (folder / "adapter_config.json").write_text('{"base_model_name_or_path": "another"}')


def code_of_its_own(folder):
    (folder / "evil.py").write_text(f"open({str(folder / 'RAN')!r}, 'w')\nclass Evil: pass\n")
    config(folder, auto_map={"AutoModelForCausalLM": "evil.Evil", "AutoConfig": "evil.Evil"})
    config(folder, model_type="evil")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (missing, "lacks 1 weights .*up_proj.weight.: they would be random"),
        (no_head, "lacks 1 weights .*lm_head.weight.: they would be random"),
        (prefixed, "they would be random"),
        (more_layers, "lacks 9 weights .*model.layers.2"),
        (classifier, "It is no causal language model"),
        (other_shape, r"1 weights of another shape .*lm_head.weight, \[5, 8\] in place of"),
        (fewer_layers, "holds 9 weights that its config has no place for .*model.layers.1"),
        (few_rows, "has 263 tokens and the model's embedding 100 rows"),
        (no_end, "has no token that ends a text"),
        (pickled, "pytorch_model.bin, which is pickled and may run code"),
        (not_finite, r"the weights model\.layers\.1\.mlp\.up_proj\.weight hold NaN or inf"),
        (beyond_all_numbers, "hold NaN or inf"),
        (whole_numbers, r"weights in whole numbers \(first: lm_head\.weight\)"),
        (adapter_beside, "a model and an adapter"),
        (code_of_its_own, "no causal language model could be loaded .*and none is run here"),
    ],
)
def test_a_model_that_is_not_whole_teaches_nobody(tmp_path, spoil, words, monkeypatch):
    monkeypatch.setattr("builtins.input", lambda *_: "y")  # whoever says yes to everything
    folder = saved(tmp_path / "model", tie_word_embeddings=False)
    spoil(folder)
    for road in (
        lambda: LocalGenerator(str(folder), device="cpu"),
        lambda: load(str(folder), learns=False),
    ):
        with pytest.raises((ValueError, OSError), match=words):
            road()
    assert not (folder / "RAN").exists()


def test_code_beside_a_known_model_is_not_run(tmp_path):
    folder = saved(tmp_path / "model")
    code_of_its_own(folder)
    config(folder, model_type="llama")
    assert type(load_language_model(folder)[0]) is LlamaForCausalLM
    assert not (folder / "RAN").exists()


@pytest.mark.parametrize("form", ["shards", "bfloat16", "tied", "both of a tie", "old buffers"])
def test_a_model_that_is_whole_is_the_one_that_was_saved(tmp_path, form):
    folder = saved(tmp_path / "model", tie_word_embeddings=form == "tied")
    model = LlamaForCausalLM.from_pretrained(folder)
    if form == "shards":
        (folder / "model.safetensors").unlink()
        model.save_pretrained(folder, max_shard_size="5KB")
    elif form == "bfloat16":
        model = model.bfloat16()
        model.save_pretrained(folder)
    elif form == "both of a tie":  # its config says that they are one, and they are two
        config(folder, tie_word_embeddings=True)
    elif form == "old buffers":
        shutil.rmtree(folder)
        tokenizer = chat("chatml")
        model = GPT2LMHeadModel(
            GPT2Config(vocab_size=len(tokenizer), n_embd=8, n_layer=1, n_head=2)
        )
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        weights(folder, lambda t: t.update({"h.0.attn.masked_bias": torch.zeros(1)}))
    model.eval()
    again, _ = load_language_model(folder)
    ids = torch.arange(6)[None]
    with torch.no_grad():
        assert torch.equal(again(ids).logits, model(ids).logits)
    assert again.dtype == model.dtype


def unreachable(self, name, timeout):
    assert timeout <= 10
    raise ConnectionError("no such host")


def test_the_command_says_it_in_a_sentence(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    missing(saved(tmp_path / "model"))
    (tmp_path / "prompts.txt").write_text("a\n")
    command = ["generate", "prompts.txt", "out.jsonl", "--local", "model", "--device", "cpu"]
    assert cli.main(command) == 2
    assert "they would be random" in capsys.readouterr().err
    monkeypatch.setattr("huggingface_hub.HfApi.model_info", unreachable)
    for name in ("models/nowhere", "nowhere"):
        assert cli.main([*command[:4], name]) == 2
        printed = capsys.readouterr().err
        assert f"there is no folder {name} (looked in {tmp_path / name})" in printed
        assert "no such host" in printed
    assert not (tmp_path / "out.jsonl").exists()

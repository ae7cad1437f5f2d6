"""Language models asked at the answer tokens alone give the terms and gradients of all positions.

The oracle is the plain way: all logits of both models, shifted by hand, scored by the readable
losses. Models that do more to their scores, as Gemma 2's soft cap, have to be found out.
"""

import copy

import pytest
import torch
from torch import nn
from transformers import AutoModelForCausalLM as Auto
from transformers import Gemma2Config, GPT2Config, GraniteConfig, LlamaConfig, Qwen2Config

from distill_lab import methods
from distill_lab._util.tensors import Batch, Head
from distill_lab._util.wrappers import OutputReader
from distill_lab.jobs.vocabularies import SharedVocabulary
from distill_lab.losses import cross_entropy, reference
from distill_lab.models import scores_at
from distill_lab.models.hooks import Tap
from distill_lab.models.scores_at import Places
from distill_lab.teachers import freeze

V, L = 61, 12
SIZES = {
    "vocab_size": V,
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "max_position_embeddings": 32,
    "pad_token_id": 0,
}
GPT2 = {"vocab_size": V, "n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 32}
# how each was found to be answered: by its head, or by rows of its logits
CONFIGS = {
    "llama": (LlamaConfig(**SIZES, tie_word_embeddings=True), "head"),
    "llama, not tied": (LlamaConfig(**SIZES, tie_word_embeddings=False), "head"),
    "qwen2": (Qwen2Config(**SIZES), "head"),
    "gpt2": (GPT2Config(**GPT2, embd_pdrop=0, attn_pdrop=0, resid_pdrop=0), "head"),
    "gemma2": (Gemma2Config(**SIZES, head_dim=8, final_logit_softcapping=0.5), "rows"),
    "granite": (GraniteConfig(**SIZES, logits_scaling=0.25), "rows"),
}


@pytest.fixture(autouse=True)
def even_few_scores_are_worth_it(monkeypatch):
    monkeypatch.setattr(scores_at, "WORTH", 0)


def network(name, seed=0, **changes):
    torch.manual_seed(seed)
    config = copy.deepcopy(CONFIGS[name][0])
    for key, value in changes.items():
        setattr(config, key, value)
    model = Auto.from_config(config, attn_implementation="eager")
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(4)  # first weights say nearly the same of everything
    return model


def texts(weights=None):
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(1, V, (3, L), generator=generator)
    mask = torch.arange(L) < torch.tensor([[12], [7], [9]])
    answer = mask & (torch.arange(L) >= torch.tensor([[4], [3], [6]]))
    inputs = {"input_ids": torch.where(mask, ids, 0), "attention_mask": mask.long()}
    return Batch(inputs, torch.where(answer, ids, -100), torch.arange(3), weights)


def by_hand(kind, batch, student, teacher, T, alpha, beta, width=V):
    """All logits of both, position i against token i + 1."""
    z_s = student(**batch.inputs).logits[:, :-1, :width].float()
    with torch.no_grad():
        z_t = teacher(**batch.inputs).logits[:, :-1, :width].float()
    labels = batch.labels[:, 1:]
    mask = labels != -100
    if batch.weights is not None:
        mask = mask * batch.weights[:, None]
    options = {"beta": beta} if kind == "jsd" else {}
    kl = T**2 * getattr(reference, kind)(z_s, z_t, T=T, mask=mask, **options)
    if alpha == 1:
        return kl
    return alpha * kl + (1 - alpha) * cross_entropy(z_s, labels, mask=mask)


def value_and_gradients(model, value):
    model.zero_grad()
    value.backward()
    return value.detach(), [p.grad.clone() for p in model.parameters() if p.grad is not None]


def compare(kind, batch, student, teacher, T=2.0, alpha=1.0, beta=0.3, **tolerance):
    method = methods.tokens(kind, T=T, alpha=alpha, beta=beta)
    own = method.total(method.terms(batch, student, teacher))
    expected = by_hand(kind, batch, student, teacher.model, T, alpha, beta)
    ours, our_grads = value_and_gradients(student, own)
    theirs, their_grads = value_and_gradients(student, expected)
    tolerance = tolerance or {"rtol": 1e-5, "atol": 1e-6}
    torch.testing.assert_close(ours, theirs, **tolerance)
    assert len(our_grads) == len(their_grads) > 5
    for mine, other in zip(our_grads, their_grads, strict=True):
        torch.testing.assert_close(mine, other, **tolerance)


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("kind", ["forward_kl", "reverse_kl", "jsd"])
def test_terms_and_gradients_are_those_of_all_logits(name, kind):
    student, teacher = network(name, 1), freeze(network(name, 2))
    compare(kind, texts(), student, teacher)
    assert scores_at._found[student][1] == scores_at._found[teacher.model][1] == CONFIGS[name][1]


@pytest.mark.parametrize("name", ["llama", "gemma2"])
@pytest.mark.parametrize("alpha", [0.4, 1.0])
def test_texts_may_weigh_and_labels_may_count(name, alpha):
    weights = torch.tensor([2.0, 0.0, 0.5])
    compare(
        "reverse_kl", texts(weights), network(name, 1), freeze(network("qwen2", 2)), alpha=alpha
    )


@pytest.mark.parametrize("name", CONFIGS)
def test_in_half_precision_only_the_rounding_differs(name):
    """Scores made from a head are not rounded to bfloat16, so all logits are further off."""
    student = network(name, 1).bfloat16()
    close = {"rtol": 0.05, "atol": 0.01}
    compare("jsd", texts(), student, freeze(network("llama", 2).bfloat16()), T=1.0, **close)


def test_the_head_that_comes_back_makes_the_logits_of_its_positions():
    model, batch = network("llama"), texts()
    mask = batch.labels != -100
    result = scores_at.scores_at(model, batch.inputs, Places.of(mask))
    assert isinstance(result, Head) and result.hidden.shape == (int(mask.sum()), 16)
    torch.testing.assert_close(nn.functional.linear(*result), model(**batch.inputs).logits[mask])
    rows = scores_at.scores_at(model, batch.inputs, Places.of(mask), head=False)
    torch.testing.assert_close(rows, model(**batch.inputs).logits[mask])


def test_no_scores_of_all_positions_are_made():
    student, teacher, batch = network("llama", 1), freeze(network("gemma2", 2)), texts()
    method, shapes = methods.tokens("jsd"), []
    method.terms(batch, student, teacher)  # the look
    for model in (student, teacher.model):
        forward = model.lm_head.forward

        def watched(x, forward=forward):
            shapes.append(tuple(x.shape[:-1]))
            return forward(x)

        model.lm_head.forward = watched
    method.terms(batch, student, teacher)
    assert sorted(shapes) == [(1, 1), (1, 15)]  # one row shows that nothing follows the head


def test_a_soft_cap_that_comes_later_is_found_out():
    model, batch = network("gemma2", final_logit_softcapping=None), texts()
    teacher = freeze(network("llama", 2))
    compare("forward_kl", batch, model, teacher)
    assert scores_at._found[model][1] == "head"
    model.config.final_logit_softcapping = 0.5
    compare("forward_kl", batch, model, teacher)
    assert scores_at._found[model][1] == "rows"


def test_adapters_on_the_body_and_on_the_head():
    peft = pytest.importorskip("peft")
    for targets in (["q_proj", "v_proj"], ["q_proj", "lm_head"]):
        base = network("llama, not tied", 1)
        config = peft.LoraConfig(r=2, target_modules=targets, init_lora_weights=False)
        student = peft.get_peft_model(base, config)
        method, teacher, batch = methods.tokens("jsd"), freeze(network("llama", 2)), texts()
        ours, grads = value_and_gradients(student, method.terms(batch, student, teacher)["jsd"])
        expected = by_hand("jsd", batch, student, teacher.model, 1.0, 1.0, 0.5)
        theirs, their_grads = value_and_gradients(student, expected)
        torch.testing.assert_close(ours, theirs)
        assert len(grads) == len(their_grads) > 2
        for mine, other in zip(grads, their_grads, strict=True):
            torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-6)


class Scaled(nn.Module):
    """A network of one's own around another, which changes its scores."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, **inputs):
        return 3 * self.model(**inputs).logits

    def get_output_embeddings(self):
        return self.model.get_output_embeddings()


def test_what_stands_around_a_model_is_not_gone_round():
    batch, teacher = texts(), freeze(network("llama", 2))
    plain = network("llama", 1)
    at = Places.of(batch.labels != -100)
    expected = plain(**batch.inputs).logits[batch.labels != -100]
    for model, factor in (
        (Scaled(plain), 3),
        (OutputReader(plain, lambda out: out.logits * 2), 2),
        (OutputReader(plain, None, torch.float32), 1),
        (lambda **inputs: plain(**inputs), 1),
        (nn.DataParallel(plain), 1),
    ):
        result = scores_at.scores_at(model, batch.inputs, at)
        result = nn.functional.linear(*result) if isinstance(result, Head) else result
        torch.testing.assert_close(result, factor * expected)
    with Tap(plain, ["lm_head"]) as tap:
        methods.tokens().terms(batch, plain, teacher)
        assert tap["lm_head"].shape == (3, L, V)


def test_a_teacher_with_more_classes_is_cut_and_one_of_somebodys_own_is_asked_as_it_answers():
    wide, student, batch = network("llama", 2, vocab_size=V + 7), network("llama", 1), texts()
    cut = SharedVocabulary(freeze(wide).model, V)
    result = methods.tokens().terms(batch, student, cut)["forward_kl"]
    expected = by_hand("forward_kl", batch, student, wide, 1.0, 1.0, 0.5)
    torch.testing.assert_close(result, expected)

    class Doubled(type(freeze(network("llama", 2)))):
        def __call__(self, batch):
            return 2 * super().__call__(batch)

    teacher = Doubled(freeze(network("llama", 2)).model)
    result = methods.tokens().terms(batch, student, teacher)["forward_kl"]
    z_s, z_t = (m(**batch.inputs).logits[:, :-1] for m in (student, teacher.model))
    mask = batch.labels[:, 1:] != -100
    torch.testing.assert_close(result, reference.forward_kl(z_s, 2 * z_t, mask=mask))


def test_looking_draws_no_number_and_leaves_the_mode():
    student = network("gpt2").train()
    student.transformer.drop.p = 0.1
    torch.manual_seed(3)
    before = torch.get_rng_state()
    at = Places.of(texts().labels != -100)
    scores_at._road(student, student.lm_head, texts().inputs, at)
    assert torch.equal(before, torch.get_rng_state())
    assert student.training and student in scores_at._found


def test_within_inference_mode_a_model_is_looked_at_as_elsewhere():
    model, batch = network("gemma2"), texts()
    mask = batch.labels != -100
    with torch.inference_mode():
        result = scores_at.scores_at(model, batch.inputs, Places.of(mask))
        torch.testing.assert_close(result, model(**batch.inputs).logits[mask])
    assert scores_at._found[model][1] == "rows"

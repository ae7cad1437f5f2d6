"""On-policy: what the student samples is its own distribution, and only the teacher scores it."""

import pytest
import torch
from torch import nn

pytest.importorskip("transformers", reason="the student has to write: a Hugging Face model")

from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

from distill_lab import methods
from distill_lab._util.runtime import own_randomness
from distill_lab.data.batches import Batch, as_data
from distill_lab.losses import hint_loss, reverse_kl
from distill_lab.teachers import freeze
from distill_lab.training import WritingMonitor

WORDS, TIMES = 60, 6000


def speaker(seed: int, *, loud: float = 1.0) -> LlamaForCausalLM:
    """A tiny network whose next-token logits spread over `loud` or so."""
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=WORDS,
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=16,
        tie_word_embeddings=False,
        bos_token_id=None,
        eos_token_id=None,
        pad_token_id=0,
    )
    model = LlamaForCausalLM(config).eval()
    with torch.no_grad():
        model.lm_head.weight.normal_().mul_(loud / 8**0.5)
    return model


def prompts(n: int) -> Batch:
    ids = torch.full((n, 1), 7)
    return Batch({"input_ids": ids, "attention_mask": torch.ones_like(ids)}, None, torch.arange(n))


def written(student: LlamaForCausalLM, temperature: float) -> torch.Tensor:
    """The first token that the student writes, many times over."""
    method = methods.on_policy(temperature=temperature, max_new_tokens=1)
    torch.manual_seed(1)
    batch = method.prepare(prompts(TIMES), student)
    assert torch.equal(batch.labels[:, 1], batch.inputs["input_ids"][:, 1])
    return batch.labels[:, 1]


def next_logits(model: LlamaForCausalLM) -> torch.Tensor:
    with torch.no_grad():
        return model(torch.tensor([[7]])).logits[0, -1]


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_words_are_drawn_as_often_as_the_student_means_at_that_temperature(temperature):
    student = speaker(0, loud=2.0)
    often = written(student, temperature).bincount(minlength=WORDS) / TIMES
    meant = (next_logits(student) / temperature).softmax(-1)
    error = (meant * (1 - meant) / TIMES).sqrt()
    assert ((often - meant).abs() <= 4.5 * error + 1e-3).all()


@pytest.mark.parametrize(
    "settings",
    [
        {"repetition_penalty": 5.0, "min_p": 0.2},
        {"suppress_tokens": [3, 4], "no_repeat_ngram_size": 1, "top_h": 0.3, "num_beams": 2},
        {"typical_p": 0.5, "epsilon_cutoff": 0.05, "eta_cutoff": 0.1, "top_k": 3},
        {"bad_words_ids": [[5]], "begin_suppress_tokens": [6], "sequence_bias": [[[8], 9.0]]},
    ],
    ids=lambda settings: ", ".join(settings),
)
def test_a_students_own_settings_do_not_bend_what_it_writes_and_that_is_said(settings):
    student = speaker(0, loud=2.0)
    for name, value in settings.items():
        setattr(student.generation_config, name, value)
    with pytest.warns(UserWarning, match=rf"config says .*{next(iter(settings))} = "):
        often = written(student, 1.0).bincount(minlength=WORDS) / TIMES
    meant = next_logits(student).softmax(-1)
    error = (meant * (1 - meant) / TIMES).sqrt()
    assert ((often - meant).abs() <= 4.5 * error + 1e-3).all()
    kept = {name: getattr(student.generation_config, name) for name in settings}
    assert kept == settings  # the model is left as it was


def test_no_word_is_left_out_however_rare():
    """Generation cuts to the 50 likeliest tokens unless it is told not to."""
    student = speaker(0, loud=0.1)
    assert len(written(student, 1.0).unique()) == WORDS


@pytest.mark.parametrize("T", [1.0, 2.0])
def test_own_words_scored_as_they_were_drawn_give_the_reverse_kl(T):
    """E_q[log q - log p] is KL(q || p) only where drawing and scoring use one temperature."""
    student, teacher = speaker(0, loud=2.0), speaker(1, loud=2.0)
    z_s, z_t = next_logits(student), next_logits(teacher)
    gap = ((z_s / T).log_softmax(-1) - (z_t / T).log_softmax(-1))[written(student, T)]
    exact = reverse_kl(z_s[None], z_t[None], T=T)
    assert (gap.mean() - exact).abs() < 3.5 * gap.std() / TIMES**0.5


def test_a_student_that_agrees_with_its_teacher_learns_nothing_from_its_own_words():
    student = speaker(0, loud=2.0)
    method = methods.on_policy("reverse_kl", max_new_tokens=4)
    batch = method.prepare(prompts(20), student)
    with torch.no_grad():
        said = student(**batch.inputs).logits
    terms = method.terms(batch, student, lambda _: said)
    assert set(terms) == set(method.weights) == {"reverse_kl"}  # no cross-entropy on its samples
    method.total(terms).backward()
    assert method.total(terms).abs() < 1e-6
    assert max(p.grad.abs().max() for p in student.parameters() if p.grad is not None) < 1e-5


def test_features_beside_on_policy_are_those_of_what_the_student_wrote():
    """A hint beside it, and still the student writes its own batch: both terms are scored on it."""
    student, teacher = speaker(0, loud=2.0), freeze(speaker(1, loud=2.0))
    base = methods.on_policy("reverse_kl", max_new_tokens=4)
    path = "model.layers.0.mlp"
    both = methods.match_features(
        "hint", hint_loss, [(path, path)], weight=0.5, base_method=base, regressors=[nn.Identity()]
    )
    assert both.prepare is not None
    torch.manual_seed(1)
    batch = both.prepare(prompts(5), student)
    assert batch.labels.shape == (5, 5) and set(both.counts(batch).values()) == {
        base.count(batch)
    } == {20}
    terms = both.terms(batch, student, teacher)
    alone = base.terms(batch, student, teacher)
    torch.testing.assert_close(terms["reverse_kl"], alone["reverse_kl"])
    assert set(terms) == set(both.weights) == {"reverse_kl", "hint"}


@pytest.mark.parametrize(
    ("own", "end", "given", "expected"),
    [
        (5, 3, None, 5),
        (None, 3, None, 3),
        (None, [4, 3], None, 4),
        (None, None, None, 0),
        (5, 3, 8, 8),
    ],
    ids=["its own", "its end", "the first of its ends", "none", "as told"],
)
def test_the_room_after_an_end_is_filled_with_the_models_own_token(own, end, given, expected):
    student = speaker(0, loud=2.0)
    student.generation_config.pad_token_id = own
    student.generation_config.eos_token_id = end
    called = {}

    def generate(**settings):
        called.update(settings)
        return torch.cat([settings["input_ids"], torch.full((3, 2), 9)], 1)

    student.generate = generate
    methods.on_policy(pad=given).prepare(prompts(3), student)
    assert called["pad_token_id"] == expected and called["eos_token_id"] == end


def with_answers(n: int) -> Batch:
    """Prompts of two or three tokens, answers of two, padding on the right."""
    ids = torch.tensor([[7, 8, 9, 11, 12], [7, 8, 11, 12, 0]]).repeat(n // 2, 1)
    mask, labels = (ids > 0).long(), torch.where(ids > 10, ids, -100)
    return Batch({"input_ids": ids, "attention_mask": mask}, labels, torch.arange(n))


def test_where_the_student_writes_it_sees_the_prompts_and_not_the_answers():
    student = speaker(0, loud=2.0)
    batch = methods.on_policy(max_new_tokens=4).prepare(with_answers(2), student)
    assert batch.inputs["input_ids"][:, :3].tolist() == [[7, 8, 9], [0, 7, 8]]
    assert batch.inputs["attention_mask"][:, :3].tolist() == [[1, 1, 1], [0, 1, 1]]
    assert batch.inputs["position_ids"][1].tolist() == [0, 0, 1, 2, 3, 4, 5]
    assert (batch.labels[:, :3] == -100).all() and (batch.labels[:, 3:] >= 0).all()


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_the_students_share_is_the_share_of_its_batches(share):
    """Algorithm 1 of GKD: lambda is how often the student's own text is scored."""
    method = methods.on_policy(student_share=share, max_new_tokens=1)
    student, data, times = speaker(0), with_answers(2), 400
    wrote = []
    student.generate = lambda input_ids, **_: torch.cat([input_ids, torch.full((2, 1), 9)], 1)
    with own_randomness(3):
        for _ in range(times):
            batch = method.prepare(data, student)
            wrote.append(batch is not data)
    assert abs(sum(wrote) / times - share) <= 4 * (share * (1 - share) / times) ** 0.5
    with own_randomness(3):  # and which they are follows from the run's randomness
        assert [method.prepare(data, student) is not data for _ in range(20)] == wrote[:20]


def test_a_mixed_run_needs_answers():
    method, student = methods.on_policy(student_share=0.0), speaker(0)
    with pytest.raises(ValueError, match="give texts with answers"):
        method.prepare(prompts(3), student)


def placed(seed: int, positions: int = 7) -> GPT2LMHeadModel:
    torch.manual_seed(seed)
    sizes = {"n_positions": positions, "n_embd": 8, "n_layer": 1, "n_head": 2}
    return GPT2LMHeadModel(GPT2Config(vocab_size=WORDS, eos_token_id=None, **sizes)).eval()


@pytest.mark.parametrize(
    "method",
    [
        methods.on_policy(max_new_tokens=5),
        methods.on_policy("reverse_kl", estimator="sampled", max_new_tokens=5),
        methods.grpo(lambda example, tokens: len(tokens), group=2, max_new_tokens=5),
    ],
    ids=["exact", "sampled", "grpo"],
)
def test_prompts_that_leave_no_place_for_an_answer_are_named(method):
    ids = torch.full((2, 4), 7)
    batch = Batch({"input_ids": ids, "attention_mask": torch.ones_like(ids)}, None, torch.arange(2))
    words = "4 tokens a text, max_new_tokens = 5 behind them, and .* 7 positions: .* max_length=2"
    with pytest.raises(IndexError, match=words):
        method.prepare(batch, placed(0))
    assert method.prepare(batch, placed(0, 9)).inputs["input_ids"].shape[1] == 9


def test_what_is_measured_of_writing_names_them_too():
    ids = torch.full((2, 4), 7)
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    monitor = WritingMonitor(as_data((inputs, None)), max_new_tokens=7)
    with pytest.raises(IndexError, match="7 positions: cut the texts, as fewer new tokens"):
        monitor.measure(placed(0))

"""A model in this process: batches and padding change nothing, resuming changes nothing."""

from types import SimpleNamespace

import pytest
import torch

from distill_lab.synthesis import LocalGenerator, generate
from distill_lab.teachers.text.local import SeededSampler
from distill_lab.teachers.text.protocol import Sampling
from tests.synthesis.tiny import WORDS, make_model, make_tokenizer, save

PROMPTS = [" ".join(WORDS[: 1 + i % 7]) for i in range(1)] + [
    " ".join(WORDS[i : i + 1 + i % 5]) for i in range(11)
]
MODEL, TOKENIZER = make_model(), make_tokenizer()


def answers_of(path, prompts=PROMPTS, batch_size=4, model=MODEL, **settings):
    settings = {"max_new_tokens": 40, "samples": 2} | settings
    answers = generate(
        prompts, LocalGenerator(model, TOKENIZER, batch_size=batch_size), path, **settings
    )
    both = [*answers.rows, *answers.rejected]
    return {row["id"]: (row["answer"], row["finish"]) for row in both}


def test_an_answer_does_not_depend_on_its_batch(tmp_path):
    alone = answers_of(tmp_path / "1.jsonl", batch_size=1)
    assert alone == answers_of(tmp_path / "5.jsonl", batch_size=5)
    assert len(set(alone.values())) > len(PROMPTS)  # and the samples differ


def test_a_resumed_run_says_what_one_run_says(tmp_path):
    answers_of(tmp_path / "a.jsonl", PROMPTS[:5])
    assert answers_of(tmp_path / "a.jsonl") == answers_of(tmp_path / "b.jsonl")


def test_another_seed_says_something_else_and_the_callers_generator_is_left_alone(tmp_path):
    before = torch.get_rng_state()
    first = answers_of(tmp_path / "a.jsonl", seed=0)
    second = answers_of(tmp_path / "b.jsonl", seed=1)
    assert sorted(first.values()) != sorted(second.values())
    assert torch.equal(before, torch.get_rng_state())


def test_at_temperature_0_it_is_the_likeliest_token_each_time(tmp_path):
    answers = generate(
        ["what is the"],
        LocalGenerator(MODEL, TOKENIZER),
        tmp_path / "a.jsonl",
        temperature=0,
        max_new_tokens=12,
    )
    text = TOKENIZER.apply_chat_template(
        [{"role": "user", "content": "what is the"}], tokenize=False, add_generation_prompt=True
    )
    ids = TOKENIZER(text, add_special_tokens=False, return_tensors="pt")["input_ids"]
    for _ in range(12):
        ids = torch.cat((ids, MODEL(ids).logits[:, -1:].argmax(-1)), 1)
    row = (answers.rows + answers.rejected)[0]
    text = TOKENIZER.decode(ids[0, -12:], skip_special_tokens=True)
    assert row["answer"] == text.split("<end>")[0] and row["tokens"][0] == ids.shape[1] - 12


def test_draws_follow_the_teachers_probabilities(tmp_path):
    """The first token of many samples against softmax(logits / T): chi-square at four sigmas."""
    T, samples = 0.7, 1500
    teacher = LocalGenerator(MODEL, TOKENIZER, batch_size=500)
    answers = generate(
        ["what is"], teacher, tmp_path / "a.jsonl", samples=samples, temperature=T, max_new_tokens=1
    )
    text = TOKENIZER.apply_chat_template(
        [{"role": "user", "content": "what is"}], tokenize=False, add_generation_prompt=True
    )
    ids = TOKENIZER(text, add_special_tokens=False, return_tensors="pt")["input_ids"]
    p = (MODEL(ids).logits[0, -1].double() / T).softmax(-1)
    counts = torch.zeros_like(p)
    for row in (*answers.rows, *answers.rejected):
        if row["answer"]:
            counts[TOKENIZER.convert_tokens_to_ids(row["answer"])] += 1
    words = torch.arange(6, len(p))  # special tokens leave no text
    expected = samples * p[words]
    statistic = ((counts[words] - expected) ** 2 / expected).sum()
    assert statistic < len(words) + 4 * (2 * len(words)) ** 0.5


def test_top_p_leaves_only_the_nucleus(tmp_path):
    answers = answers_of(tmp_path / "a.jsonl", top_p=1e-6, samples=3)
    by_prompt = {}
    for text, _ in answers.values():
        by_prompt.setdefault(text, 0)
    greedy = answers_of(tmp_path / "b.jsonl", temperature=0, samples=1)
    assert set(by_prompt) == {text for text, _ in greedy.values()}


def test_stop_strings_end_an_answer_and_are_not_part_of_it(tmp_path):
    stopped = answers_of(tmp_path / "a.jsonl", stop=["the"], max_new_tokens=60)
    assert all("the" not in text for text, _ in stopped.values())
    assert sum(finish == "stop" for _, finish in stopped.values()) > len(stopped) / 2


def test_from_a_folder_as_from_an_object(tmp_path):
    folder = save(tmp_path / "model")
    loaded = LocalGenerator(str(folder))
    assert loaded.identity == LocalGenerator(MODEL, TOKENIZER).identity
    assert loaded.identity != LocalGenerator(make_model(seed=1), TOKENIZER).identity


def test_what_does_not_fit_is_rejected(tmp_path):
    long = " ".join(["the"] * 500)
    answers = generate(
        ["what is", long],
        LocalGenerator(MODEL, TOKENIZER),
        tmp_path / "a.jsonl",
        max_new_tokens=100,
    )
    rejected = [row for row in answers.rejected if row["kind"] == "invalid"]
    assert len(rejected) == 1 and "exceed the 512 positions" in rejected[0]["reason"]


def test_the_mode_of_the_model_is_given_back(tmp_path):
    model = make_model().train()
    answers_of(tmp_path / "a.jsonl", PROMPTS[:2], model=model)
    assert model.training


def test_bad_teachers_are_answered_in_words():
    bare = make_tokenizer()
    bare.chat_template = None
    with pytest.raises(ValueError, match="pass plain=True"):
        LocalGenerator(MODEL, bare)
    assert LocalGenerator(MODEL, bare, plain=True).identity["template"]
    with pytest.raises(ValueError, match="needs its tokenizer"):
        LocalGenerator(MODEL)
    with pytest.raises(ValueError, match="batch_size must be a positive"):
        LocalGenerator(MODEL, TOKENIZER, batch_size=0)


def test_tokens_are_sorted_only_for_a_nucleus_and_none_that_is_impossible_is_drawn(monkeypatch):
    scores = torch.tensor([[0.3, -torch.inf, 2.0, 1.0, -torch.inf]]).log_softmax(-1).repeat(4000, 1)

    def draw(top_p):
        sampling = Sampling(temperature=1.0, top_p=top_p, max_new_tokens=1, seed=0)
        requests = [SimpleNamespace(sampling=sampling, seed=i) for i in range(len(scores))]
        ids = torch.zeros(len(scores), 1, dtype=torch.long)
        drawn = SeededSampler(requests, 1)(ids, scores).argmax(-1)
        return drawn.bincount(minlength=5) / len(scores)

    torch.testing.assert_close(draw(0.5), torch.tensor([0.0, 0.0, 1.0, 0.0, 0.0]))

    def no_sort(*_, **__):
        raise AssertionError("sorted")

    monkeypatch.setattr(torch.Tensor, "sort", no_sort)
    torch.testing.assert_close(draw(1.0), scores[0].exp(), atol=0.03, rtol=0)
    with pytest.raises(AssertionError, match="sorted"):
        draw(0.9)


SETTINGS = {
    "none": {},
    "penalty": {"repetition_penalty": 1.8},
    "several": {"repetition_penalty": 1.8, "no_repeat_ngram_size": 2, "suppress_tokens": [9]},
    "top k": {"top_k": 5},
    "cuts": {"top_k": 12, "min_p": 0.02, "typical_p": 0.9, "epsilon_cutoff": 0.01, "top_h": 0.9},
    "eta": {"eta_cutoff": 0.05, "repetition_penalty": 0.7},
}


@pytest.mark.parametrize("top_p", [1.0, 0.8])
@pytest.mark.parametrize("name", SETTINGS)
def test_a_models_own_settings_count_as_in_its_own_generate(name, top_p, tmp_path, monkeypatch):
    """Drawn from the distribution that transformers draws from, to rounding; beams are none."""
    model, seen = make_model(), []
    for key, value in {**SETTINGS[name], "num_beams": 3}.items():
        setattr(model.generation_config, key, value)

    def spied(self, input_ids, scores):
        seen.append((input_ids, probabilities(self, input_ids, scores)))
        return seen[-1][1]

    probabilities = SeededSampler.probabilities
    monkeypatch.setattr(SeededSampler, "probabilities", spied)
    local = LocalGenerator(model, TOKENIZER)
    settings = {"temperature": 0.7, "top_p": top_p, "max_new_tokens": 1}
    generate(["what is the what is the"], local, tmp_path / "a.jsonl", **settings)
    ((ids, p),) = seen
    if top_p < 1 and not {"top_k", "eta_cutoff"} & SETTINGS[name].keys():  # cut when it is drawn
        order = p.sort(stable=True, descending=True)
        inside = order.values.cumsum(-1) - order.values < top_p
        p = torch.where(torch.zeros_like(inside).scatter(-1, order.indices, inside), p, 0.0)
        p = p / p.sum(-1, keepdim=True)
    drawn = {"do_sample": True, "max_new_tokens": 1, "temperature": 0.7, "top_p": top_p}
    drawn |= {"num_beams": 1, "top_k": SETTINGS[name].get("top_k", 0)}
    with torch.no_grad():
        theirs = model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            return_dict_in_generate=True,
            output_scores=True,
            **drawn,
        )
    torch.testing.assert_close(p, theirs.scores[0].double().softmax(-1), rtol=1e-4, atol=1e-7)
    assert ("decoding" in local.identity) and (name == "none") == (
        set(local.identity["decoding"]) == {"num_beams"}
    )
    assert "decoding" not in LocalGenerator(MODEL, TOKENIZER).identity

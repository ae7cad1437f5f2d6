"""Direct preference optimisation on real texts: against the formula, the start, the masks."""

import copy
import math

import numpy as np
import pytest
import torch

from distill_lab import methods
from distill_lab.data import Preferences, preferences
from distill_lab.data.datasets.exchanges import pair_of
from distill_lab.methods.preferences import pair_log_probabilities
from distill_lab.teachers import cache, freeze, keep, record
from distill_lab.training import distill
from tests.data.test_tokenized import WORDS, llama, words_tokenizer
from tests.methods.test_tokens import Softmaxed

ROWS = [
    {"prompt": "ab", "chosen": "ba", "rejected": "abcde"},
    {"prompt": "abcde", "chosen": "f", "rejected": "g"},
    {"prompt": "c", "chosen": "ccc", "rejected": "d"},
    {"prompt": "de", "chosen": "ed", "rejected": "de"},
]
U = {"role": "user", "content": "ab"}


def assistant(text):
    return [{"role": "assistant", "content": text}]


@pytest.fixture(scope="module")
def pairs():
    return Preferences(ROWS, words_tokenizer())


def by_hand(student, start, tokenizer, beta):
    """DPO from the paper, text by text and token by token, in float64."""
    losses = []
    for row in ROWS:
        sums = {}
        for side in ("chosen", "rejected"):
            prompt = tokenizer(f"<user>{row['prompt']}<bot>")["input_ids"]
            answer = [*tokenizer(row[side])["input_ids"], WORDS.index("<end>")]
            ids = torch.tensor([prompt + answer])
            for who, model in (("student", student), ("start", start)):
                with torch.no_grad():
                    z = model(input_ids=ids).logits[0].double().numpy()
                log_p = z - np.log(np.exp(z - z.max(-1, keepdims=True)).sum(-1, keepdims=True))
                log_p -= z.max(-1, keepdims=True)
                sums[who, side] = sum(
                    log_p[len(prompt) + i - 1, token] for i, token in enumerate(answer)
                )
        margin = beta * (
            (sums["student", "chosen"] - sums["start", "chosen"])
            - (sums["student", "rejected"] - sums["start", "rejected"])
        )
        losses.append(math.log1p(math.exp(-margin)))
    return sum(losses) / len(losses)


def loss_of(method, student, teacher, batch):
    (value,) = method.terms(batch, student, teacher).values()
    return value


def test_it_is_the_papers_formula_on_the_answers_tokens_alone(pairs):
    student, start = llama(1, 3).eval(), llama(1, 4)
    batch = pairs.batch(torch.arange(4))
    reference = methods.Reference(freeze(start))
    ours = loss_of(methods.dpo(beta=0.7), student, reference, batch)
    assert ours.item() == pytest.approx(by_hand(student, start, words_tokenizer(), 0.7), rel=1e-5)
    first, second = (pairs.batch(torch.tensor(some)) for some in ([0, 1], [2, 3]))
    halves = [loss_of(methods.dpo(beta=0.7), student, reference, some) for some in (first, second)]
    torch.testing.assert_close(sum(halves) / 2, ours)  # whatever it is padded to


def test_it_is_ln_2_at_the_start_and_a_step_widens_the_margin(pairs):
    student = llama(1, 3).eval()
    reference = methods.Reference(freeze(copy.deepcopy(student)))
    batch = pairs.batch(torch.arange(4))
    loss = loss_of(methods.dpo(), student, reference, batch)
    assert loss.item() == pytest.approx(math.log(2), abs=1e-6)
    loss.backward()
    with torch.no_grad():
        before = pair_log_probabilities(student, batch)
        for weight in student.parameters():
            weight -= 0.01 * weight.grad
        gain = pair_log_probabilities(student, batch) - before
    assert (gain[:, 0] - gain[:, 1]).mean() > 0


def test_what_was_kept_of_the_reference_teaches_as_it_does_itself(pairs, tmp_path):
    start, students = llama(1, 3), []
    reference = methods.Reference(freeze(copy.deepcopy(start)))
    kept = cache(reference, pairs, tmp_path, signal=keep.dense("float32"), progress=False)
    for teacher in (reference, kept, record(reference, pairs)):
        students.append(copy.deepcopy(start))
        settings = {"method": methods.dpo(beta=0.5), "epochs": 3, "batch_size": 2, "lr": 1e-2}
        history = distill(students[-1], pairs, teacher=teacher, progress=False, **settings)
    assert history["dpo"][-1] < 0.5 < history["dpo"][0]
    for one, *others in zip(*(s.parameters() for s in students), strict=True):
        for other in others:
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_pieces_of_a_batch_give_the_step_of_the_whole(pairs):
    start, students = llama(1, 3), []
    for pieces in (1, 3):
        students.append(copy.deepcopy(start))
        reference = methods.Reference(freeze(copy.deepcopy(start)))
        settings = {"method": methods.dpo(), "epochs": 2, "batch_size": 4, "accumulate": pieces}
        distill(students[-1], pairs, teacher=reference, progress=False, **settings)
    for one, two in zip(*(s.parameters() for s in students), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-6)


def test_pairs_that_say_nothing_are_left_out_and_counted():
    more = [
        {"prompt": "a", "chosen": "b", "rejected": " "},
        {"prompt": "a", "chosen": "b", "rejected": "b"},
        {"prompt": "a", "chosen": "b", "rejected": "abcdefghij"},
    ]
    pairs = Preferences([*more, *ROWS], words_tokenizer(), max_length=11)
    assert (pairs.empty, pairs.alike, pairs.too_long, len(pairs)) == (1, 1, 1, 4)
    assert pairs.longest == 10 and int(pairs.lengths[0]) == 7 + 10
    with pytest.raises(ValueError, match="1 have an empty answer, 1 two equal ones"):
        Preferences(more[:2], words_tokenizer())
    with pytest.raises(ValueError, match="3 are longer than max_length = 3"):
        Preferences(ROWS[:3], words_tokenizer(), max_length=3)


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": "ab", "chosen": "c", "rejected": "d"},
        {"question": "ab", "chosen": "c", "rejected": "d", "score": 3},
        {"prompt": [U], "chosen": assistant("c"), "rejected": assistant("d")},
        {"prompt": "ab", "chosen": assistant("c"), "rejected": assistant("d")},
        {"chosen": [U, *assistant("c")], "rejected": [U, *assistant("d")]},
        {"prompt": "ab", "chosen": [U, *assistant("c")], "rejected": [U, *assistant("d")]},
        {
            "chosen": [{"from": "human", "value": "ab"}, {"from": "gpt", "value": "c"}],
            "rejected": [{"from": "human", "value": "ab"}, {"from": "gpt", "value": "d"}],
        },
    ],
)
def test_shapes_of_pairs_are_read_alike(row):
    batch = Preferences([row], words_tokenizer()).batch(torch.tensor([0]))
    tokens = [[WORDS[i] for i in side] for side in batch.inputs["input_ids"][0].tolist()]
    shown = ["<user>", "a", "b", "<bot>"]
    assert tokens == [[*shown, "c", "<end>"], [*shown, "d", "<end>"]]
    assert batch.labels.tolist()[0][1] == [-100] * 4 + [WORDS.index("d"), 1]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"prompt": "a", "answer": "b"}, "expected a prompt, 'chosen' and 'rejected'"),
        ({"chosen": "a", "rejected": "b"}, "there is no prompt before the two answers"),
        (
            {"chosen": assistant("a"), "rejected": assistant("b")},
            "there is no prompt before the two",
        ),
        ({"prompt": "a", "chosen": 3, "rejected": "b"}, "answer must be a text, got 3"),
        ({"prompt": "a", "chosen": [U], "rejected": [U]}, "the last message has to be the ass"),
    ],
)
def test_other_shapes_are_refused_with_their_place(row, words):
    with pytest.raises(ValueError, match=f"^f.jsonl, line 3: .*{words}"):
        pair_of(row, "f.jsonl, line 3")


def test_kept_on_disk_they_are_the_same_and_not_read_again(pairs, tmp_path, monkeypatch):
    rows = [{"prompt": "a", "chosen": "b", "rejected": "b"}, *ROWS]
    first = Preferences(rows, words_tokenizer(), folder=tmp_path)
    monkeypatch.setattr(preferences, "pair_of", None)  # whoever asks for a row again is told
    again = Preferences(rows, words_tokenizer(), folder=tmp_path)
    for kept in (first, again):
        assert kept.fingerprint == pairs.fingerprint and len(kept) == 4
        assert (kept.alike, kept.empty, kept.too_long) == (1, 0, 0)
        batch, other = kept.batch(torch.tensor([2, 0])), pairs.batch(torch.tensor([2, 0]))
        assert torch.equal(batch.inputs["input_ids"], other.inputs["input_ids"])
        assert torch.equal(batch.labels, other.labels)
    assert {path.name.split("-")[1] for path in tmp_path.glob("*.arrow")} == {
        *("pairs", "chosen", "rejected")
    }
    with pytest.raises(TypeError):  # other rows are others
        Preferences(ROWS, words_tokenizer(), folder=tmp_path)


def test_probabilities_of_pairs_are_no_logits(pairs):
    batch, student = pairs.batch(torch.arange(4)), llama(1, 0)
    reference = methods.Reference(freeze(llama(1, 0)))
    with pytest.raises(ValueError, match="the student's answers lie between 0 and 1"):
        methods.dpo().terms(batch, Softmaxed(student), reference)
    with pytest.raises(ValueError, match="the teacher's answers lie between 0 and 1"):
        methods.dpo().terms(batch, student, methods.Reference(freeze(Softmaxed(llama(1, 0)))))


def test_a_teacher_that_is_no_reference_is_told_the_way(pairs):
    """A frozen model is what other methods take, and would be shown both answers as one text."""
    batch, way = pairs.batch(torch.arange(2)), r"teacher=methods.Reference\(freeze"
    with pytest.raises(ValueError, match=f"Live says logits: .*{way}"):
        methods.dpo().terms(batch, llama(1, 1), freeze(llama(1, 2)))
    with pytest.raises(ValueError, match=way):
        methods.dpo().terms(batch, llama(1, 1), lambda batch: torch.zeros(2, 3))
    with pytest.raises(TypeError, match=r"LlamaForCausalLM is a network: pass Reference\(freeze"):
        methods.Reference(llama(1, 2))

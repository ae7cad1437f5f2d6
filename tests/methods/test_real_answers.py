"""The README's tagger and independent labels once more, on customers' turns that people wrote."""

import importlib.util
import os
from collections import Counter
from pathlib import Path

import pytest
import torch
from torch import nn

from distill_lab import methods
from distill_lab.teachers import freeze
from distill_lab.training import distill

DATA = os.environ.get("DISTILL_LAB_DATA")  # read before any fixture takes it away
SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "tagging.py"
SETTINGS = {"batch_size": 32, "lr": 1e-2, "progress": False}


@pytest.fixture(scope="module")
def tagging():
    spec = importlib.util.spec_from_file_location("tagging", SCRIPT)
    made = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(SCRIPT.parent)  # where its tables are
        spec.loader.exec_module(made)
    return made


@pytest.fixture(scope="module")
def turns(tagging):
    folder = Path(DATA or "nowhere") / "multidogo_turn" / "airline"
    if not (folder / "dev.tsv.gz").is_file():
        pytest.skip("multidogo_turn/airline is not under $DISTILL_LAB_DATA")
    return tagging.turns_of("dev", folder)[:400]


def test_a_span_is_a_run_of_one_slot(tagging):
    assert tagging.spans([0, 3, 3, 0, 2, 3]) == {(1, 3, 3), (4, 5, 2), (5, 6, 3)}
    assert tagging.spans([4]) == {(0, 1, 4)} and tagging.spans([0, 0]) == tagging.spans([]) == set()


def test_a_tagger_of_real_turns_never_sees_padding(tagging, turns):
    """Whatever stands in the padding, the student ends with the same weights."""
    vocabulary = tagging.Vocabulary.of(turns)
    inputs, tags = vocabulary.tensors(turns)
    words, slots = len(vocabulary.words) + 2, len(vocabulary.slots)
    teacher = nn.Sequential(nn.Embedding(words, 16), nn.Linear(16, slots))
    distill(teacher, (inputs["input_ids"], tags), epochs=1, **SETTINGS)
    ends = []
    for junk in (0, 7):
        ids = inputs["input_ids"].masked_fill(tags == -100, junk)
        torch.manual_seed(0)
        student = nn.Sequential(nn.Embedding(words, 4), nn.Linear(4, slots))
        history = distill(student, (ids, tags), teacher=freeze(teacher), epochs=2, **SETTINGS)
        ends.append(torch.cat([p.flatten() for p in student.parameters()]))
    assert torch.equal(*ends) and history["kd"][-1] < history["kd"][0]


def test_which_slots_a_real_turn_holds_are_independent_labels(tagging, turns):
    counts = Counter(word for words, _ in turns for word in words)
    columns = {word: i for i, word in enumerate(w for w, n in counts.items() if n > 1)}
    slots = sorted({slot for _, tags in turns for slot in tags} - {"O"})
    bags, held = torch.zeros(len(turns), len(columns)), torch.zeros(len(turns), len(slots))
    for row, (words, tags) in enumerate(turns):
        bags[row, [columns[word] for word in words if word in columns]] = 1
        held[row, [slots.index(tag) for tag in tags if tag != "O"]] = 1
    torch.manual_seed(0)
    assert (held.sum(1) > 1).any() and (held.sum(1) == 0).any()  # as no softmax can say
    teacher, student = (nn.Linear(len(columns), len(slots)) for _ in range(2))
    quick = SETTINGS | {"lr": 0.1}
    distill(teacher, (bags, held), method=methods.supervised(loss="bce"), epochs=12, **quick)
    method = methods.binary_kd(T=2.0, alpha=0.7)
    distill(student, (bags, held), teacher=freeze(teacher), method=method, epochs=12, **quick)
    result = (student(bags) > 0).float()
    precision, recall = ((result * held).sum() / n for n in (result.sum(), held.sum()))
    assert 2 * precision * recall / (precision + recall) > 0.7

"""A teacher on disk: what is read is what was said of that very example, or a sentence."""

import json
from collections import UserDict
from types import MappingProxyType, SimpleNamespace

import pytest
import torch
from torch import nn
from torch.utils.data import Dataset
from transformers import BatchEncoding

from distill_lab import methods
from distill_lab.data import tokenized
from distill_lab.data.batches import Batch, as_data, batches
from distill_lab.methods import divergence
from distill_lab.models import MLP
from distill_lab.signals import Dense, Sampled, Text, TopK
from distill_lab.teachers import Cached, Ensemble, Recorded, cache, freeze, keep
from distill_lab.training import distill

N, CLASSES = 37, 5


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


X, Y = noise(N, 4), torch.arange(N) % CLASSES
DATA = (X, Y)


def teacher(seed=1):
    return freeze(MLP(4, 16, CLASSES, seed=seed))


class Counting:
    """A teacher that notes which examples it is asked about."""

    identity = "Counting-1"

    def __init__(self, answer):
        self.answer, self.asked = answer, []

    def __call__(self, batch):
        self.asked += batch.ids.tolist()
        return self.answer(batch)


def made(path, data=DATA, who=None, **settings):
    settings = {"progress": False, "batch_size": 8} | settings
    return cache(who or teacher(), data, path, **settings)


def whole(data=DATA):
    source = as_data(data)
    return source.batch(torch.arange(len(source)))


def test_what_is_read_is_what_was_said_in_any_order(tmp_path):
    live = teacher()
    cached = made(tmp_path, signal=keep.dense("float32"), who=live)
    for _, batch in batches(as_data(DATA), 8, seed=3, first=0, last=10):  # shuffled, two epochs
        torch.testing.assert_close(cached(batch), live(batch))
    assert len(cached) == N and cached(whole()).dtype == torch.float32
    half = made(tmp_path / "half", who=live)
    torch.testing.assert_close(half(whole()), live(whole()), rtol=1e-3, atol=1e-3)
    assert "37 examples" in repr(cached) and half.bytes_on_disk < cached.bytes_on_disk


def test_training_from_the_cache_is_training_live(tmp_path):
    students = [MLP(4, 8, CLASSES, seed=5) for _ in range(2)]
    cached = made(tmp_path, signal=keep.dense("float32"), batch_size=N)
    for student, who in zip(students, (teacher(), cached), strict=True):
        distill(
            student,
            DATA,
            teacher=who,
            method=methods.kd(2.0),
            epochs=3,
            batch_size=8,
            progress=False,
        )
    for a, b in zip(*(s.parameters() for s in students), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("signal", [keep.top_k(3, T=2.0), keep.sampled(20, T=2.0)], ids=repr)
def test_a_student_learns_from_sparse_signals(tmp_path, signal):
    live, cached = teacher(), made(tmp_path, signal=signal)
    student = MLP(4, 16, CLASSES, seed=5)
    before = divergence(student(X), live(whole())).item()
    settings = {"teacher": cached, "epochs": 30, "lr": 0.01, "batch_size": 8, "progress": False}
    distill(student, DATA, method=methods.kd(2.0, 1.0), **settings)
    assert divergence(student(X), live(whole())).item() < 0.3 * before
    with pytest.raises(ValueError, match=r"recorded at T = 2.0"):
        distill(student, DATA, method=methods.kd(4.0, 1.0), **settings)


def test_a_run_goes_on_from_its_checkpoint_with_the_same_cache_only(tmp_path):
    cached, other = made(tmp_path / "a"), made(tmp_path / "b", who=teacher(2))
    settings = {"method": methods.kd(2.0), "batch_size": 8, "progress": False}
    through, halves = (MLP(4, 8, CLASSES, seed=3) for _ in range(2))
    distill(through, DATA, teacher=cached, epochs=4, **settings)
    settings["checkpoint"] = tmp_path / "run.safetensors"
    distill(halves, DATA, teacher=cached, epochs=2, **settings)
    with pytest.raises(ValueError, match=r"belongs to another run .*teacher: 'Cached-"):
        distill(halves, DATA, teacher=other, epochs=4, **settings)
    distill(halves, DATA, teacher=Cached(tmp_path / "a"), epochs=4, **settings)
    for a, b in zip(through.parameters(), halves.parameters(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize(
    ("signal", "form", "close"),
    [(keep.top_k(CLASSES, T=2.0), TopK, 2e-3), (keep.sampled(60, T=2.0), Sampled, 2e-3)],
    ids=["top_k", "sampled"],
)
def test_sparse_signals_are_scored_as_the_whole_where_they_hold_it(tmp_path, signal, form, close):
    cached = made(tmp_path, signal=signal)(whole())
    assert isinstance(cached, form) and cached.T == 2.0
    z = noise(N, CLASSES, seed=9)
    expected = divergence(z, teacher()(whole()), T=2.0)
    assert divergence(z, cached, T=2.0).item() == pytest.approx(expected.item(), rel=close)
    with pytest.raises(ValueError, match=r"recorded at T = 2.0"):
        divergence(z, cached, T=1.0)


def test_images_and_sequences_of_one_length_have_their_positions(tmp_path):
    class PerToken(nn.Module):
        def forward(self, x):
            return torch.stack((x, 2 * x, -x), -1)  # (B, L, 3)

    who = freeze(PerToken())
    for signal in (keep.dense("float32"), keep.top_k(3), keep.sampled(40)):
        cached = made(tmp_path / keep.facts(signal)["kind"], who=who, signal=signal)
        batch = as_data(DATA).batch(torch.tensor([30, 2, 7]))
        batch_signal = cached(batch)
        z = noise(3, 4, 3)
        assert cached.positions == [4]
        assert divergence(z, batch_signal).item() == pytest.approx(
            divergence(z, who(batch)).item(), rel=2e-3
        )


# --- no mixing up -------------------------------------------------------------------------


def mixes():
    other = X.clone()
    other[11, 2] += 1e-3
    order = torch.randperm(N, generator=torch.Generator().manual_seed(0))
    flipped = X.clone()
    flipped[5] *= -1
    return {
        "shuffled beforehand": (X[order], "reordered or cut"),
        "cut from the front": (X[1:], "reordered or cut"),
        "a subset": (X[::3], "reordered or cut"),
        "one example slightly changed": (other, "changed or augmented"),
        "one example flipped": (flipped, "changed or augmented"),
        "another type": (X.double(), "changed or augmented"),
        "another shape": (X.view(N, 2, 2), "changed or augmented"),
        "more examples": (torch.cat((X, X)), "holds 37"),
    }


@pytest.mark.parametrize("case", mixes())
def test_examples_cannot_be_paired_with_what_was_said_of_others(tmp_path, case):
    inputs, words = mixes()[case]
    cached = made(tmp_path)
    with pytest.raises(ValueError, match=words):  # in the first epoch, before a step is taken
        for _, batch in batches(as_data((inputs, None)), 4, 0, first=0, last=len(inputs)):
            cached(batch)
    student = MLP(4, 8, CLASSES)
    if inputs.shape[1:] == X.shape[1:] and inputs.dtype == X.dtype:
        with pytest.raises(ValueError, match=words):
            distill(
                student,
                (inputs, torch.zeros(len(inputs), dtype=torch.long)),
                teacher=cached,
                epochs=1,
                batch_size=4,
                progress=False,
            )


def test_a_batch_with_the_numbers_of_another_is_refused(tmp_path):
    cached = made(tmp_path)
    a, b = (as_data(DATA).batch(torch.arange(i, i + 4)) for i in (0, 4))
    for wrong in (a._replace(ids=b.ids), a._replace(inputs=a.inputs.flip(0))):
        with pytest.raises(ValueError, match=r"is example \d there, so the data were reordered"):
            cached(wrong)
    with pytest.raises(ValueError, match="asks for example 102"):
        cached(a._replace(ids=a.ids + 99))


def test_accumulation_and_pieces_hear_the_same(tmp_path):
    cached = made(tmp_path)
    big = as_data(DATA).batch(torch.tensor([9, 3, 30, 12, 0, 1]))
    pieces = [as_data(DATA).batch(part) for part in big.ids.split(2)]
    assert torch.equal(torch.cat([cached(piece) for piece in pieces]), cached(big))


class Augmented(Dataset):
    """Each example shifted by noise that follows from (seed, number), as seeded augmentation is."""

    def __init__(self, seed):
        self.seed = seed

    def __len__(self):
        return N

    def __getitem__(self, i):
        return X[i] + noise(4, seed=self.seed * 1000 + i), int(Y[i])


def test_each_recorded_view_finds_its_own_answer(tmp_path):
    live, views = teacher(), [Augmented(seed) for seed in (1, 2, 3)]
    cached = made(tmp_path, views[0], views=views[1:], signal=keep.dense("float32"))
    assert len(cached) == N
    for view in views:
        for _, batch in batches(as_data(view), 8, 7, first=0, last=5):
            torch.testing.assert_close(cached(batch), live(batch))
    parts = [as_data(view).batch(torch.tensor([4])) for view in views]  # mixed within one batch
    mixed = Batch(torch.cat([p.inputs for p in parts]), None, torch.tensor([4, 4, 4]))
    torch.testing.assert_close(cached(mixed), live(mixed))
    with pytest.raises(ValueError, match="augmented otherwise: record each view"):
        cached(as_data(Augmented(4)).batch(torch.arange(5)))
    with pytest.raises(ValueError, match=r"\[37, 3\] examples"):
        made(tmp_path / "other", views=[(X[:3], None)])


# --- texts of different lengths ------------------------------------------------------------

LENGTHS = [3, 1, 7, 4, 2, 6, 5]
WORDS = [
    torch.randint(50, (n,), generator=torch.Generator().manual_seed(i))
    for i, n in enumerate(LENGTHS)
]


class Texts:
    """A source that pads each batch only as far as it must, on the side it likes."""

    def __init__(self, side="right", words=None):
        self.side, self.words = side, words or WORDS

    def __len__(self):
        return len(self.words)

    def batch(self, index):
        rows = [self.words[i] for i in index.tolist()]
        longest = max(map(len, rows))
        ids, mask = torch.zeros(2, len(rows), longest, dtype=torch.long)
        for row, words in enumerate(rows):
            at = slice(0, len(words)) if self.side == "right" else slice(longest - len(words), None)
            ids[row, at], mask[row, at] = words, 1
        return Batch({"input_ids": ids, "attention_mask": mask}, None, index)


TABLE = noise(50, CLASSES, seed=4)


def speaks(batch):
    """Logits (B, L, C) that follow from the token, and rubbish where there is only padding."""
    logits = TABLE[batch.inputs["input_ids"]]
    return torch.where(batch.inputs["attention_mask"][..., None] > 0, logits, float("nan"))


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize(
    "signal", [keep.dense("float32"), keep.top_k(CLASSES), keep.sampled(40)], ids=repr
)
def test_texts_are_stored_without_padding_and_read_with_it(tmp_path, side, signal):
    cached = made(tmp_path, Texts(), Counting(speaks), signal=signal, batch_size=3)
    records = (tmp_path / "signals.bin").stat().st_size
    assert records == sum(LENGTHS) * signal.record_bytes(CLASSES)
    for index in ([5, 1, 2], [0], [6, 5, 4, 3, 2, 1, 0]):
        batch = Texts(side).batch(torch.tensor(index))  # padded otherwise than when it was cached
        batch_signal, mask = cached(batch), batch.inputs["attention_mask"].bool()
        assert torch.equal(batch_signal.mask, mask)
        z = noise(*mask.shape, CLASSES, seed=2)
        expected = divergence(z, TABLE[batch.inputs["input_ids"]], mask=mask).item()
        assert divergence(z, batch_signal).item() == pytest.approx(expected, rel=2e-3)
        longest = [row for row, i in enumerate(index) if LENGTHS[i] == mask.shape[1]]
        assert divergence(z[longest], batch_signal[longest]).isfinite()


@pytest.mark.parametrize("form", [UserDict, MappingProxyType, BatchEncoding])
def test_texts_in_a_mapping_that_is_no_dict_are_stored_without_padding(tmp_path, form):
    """Recorded, padding would be learned, and its numbers are what a model makes of nothing."""

    class Formed(Texts):
        def batch(self, index):
            batch = super().batch(index)
            return batch._replace(inputs=form(batch.inputs))

    keeps = keep.dense("float32")
    cached = made(tmp_path, Formed(), Counting(speaks), signal=keeps, batch_size=3)
    assert (tmp_path / "signals.bin").stat().st_size == sum(LENGTHS) * keeps.record_bytes(CLASSES)
    index = torch.tensor([5, 1, 2])
    plain = made(tmp_path / "plain", Texts(), Counting(speaks), signal=keeps, batch_size=3)
    formed, usual = (
        kept(source.batch(index))
        for kept, source in ((cached, Formed("left")), (plain, Texts("left")))
    )
    assert torch.equal(formed.mask, usual.mask)
    assert torch.equal(formed.logits[formed.mask], usual.logits[usual.mask])


def test_other_words_under_the_same_number_are_refused(tmp_path):
    cached = made(tmp_path, Texts(), Counting(speaks), batch_size=3)
    changed = [words.clone() for words in WORDS]
    changed[2][3] += 1
    with pytest.raises(ValueError, match="example 2 is not the one"):
        cached(Texts(words=changed).batch(torch.tensor([0, 2])))
    longer = [torch.cat((words, words[:1])) for words in WORDS]
    with pytest.raises(ValueError, match="example 3 is not the one"):
        cached(Texts(words=longer).batch(torch.tensor([3])))


def test_what_a_teacher_wrote_is_kept_as_text(tmp_path):
    def writes(batch):
        mask = batch.inputs["attention_mask"].bool()
        return Text(torch.where(mask, batch.inputs["input_ids"] + 1, -100))

    cached = made(tmp_path, Texts(), Counting(writes), signal=keep.text(), batch_size=3)
    batch = Texts("left").batch(torch.tensor([2, 1]))
    assert isinstance(cached(batch), Text) and torch.equal(
        cached(batch).labels, writes(batch).labels
    )


class Speaker(nn.Module):
    """A language model as Hugging Face calls them: inputs by name, logits in an object."""

    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(50, CLASSES)

    def forward(self, input_ids, attention_mask):
        return SimpleNamespace(logits=self.table(input_ids))


def test_a_model_that_takes_its_inputs_by_name(tmp_path):
    live = freeze(Speaker())
    cached = made(tmp_path, Texts(), live, signal=keep.dense("float32"), batch_size=3)
    batch = Texts("left").batch(torch.tensor([5, 2]))
    mask = batch.inputs["attention_mask"].bool()
    torch.testing.assert_close(cached(batch).logits[mask], live(batch)[mask])
    student, method = Speaker(), methods.tokens()
    batch = Texts().batch(torch.tensor([5, 2, 0]))
    tokens, mask = batch.inputs["input_ids"], batch.inputs["attention_mask"].bool()
    answered = batch._replace(labels=torch.where(mask, tokens, -100))
    terms = [method.terms(answered, student, who)["forward_kl"] for who in (live, cached)]
    torch.testing.assert_close(*terms)


def test_one_answer_a_text_needs_no_mask(tmp_path):
    def judges(batch):
        return noise(len(LENGTHS), 2)[batch.ids]

    cached = made(tmp_path, Texts(), Counting(judges), signal=keep.dense("float32"), batch_size=3)
    assert cached.positions == []
    torch.testing.assert_close(
        cached(Texts("left").batch(torch.tensor([4, 0]))), noise(len(LENGTHS), 2)[[4, 0]]
    )


# --- taking a cache up again ----------------------------------------------------------------


def test_a_finished_cache_asks_nobody(tmp_path):
    first, second = Counting(teacher()), Counting(teacher())
    cached = made(tmp_path, who=first)
    again = made(tmp_path, who=second, batch_size=5)
    assert first.asked == list(range(N)) and second.asked == []
    assert again.identity == cached.identity == Cached(tmp_path).identity
    assert torch.equal(again(whole()), cached(whole()))


def test_what_was_said_before_a_teacher_failed_is_kept(tmp_path):
    def fails(batch):
        if batch.ids.max() >= 20:
            raise RuntimeError("out of memory")
        return teacher()(batch)

    with pytest.raises(RuntimeError, match="out of memory"):
        made(tmp_path, who=Counting(fails))
    with pytest.raises(ValueError, match=r"not finished \(16 of 37 examples\)"):
        Cached(tmp_path)
    rest = Counting(teacher())
    cached = made(tmp_path, who=rest, batch_size=5)
    assert rest.asked == list(range(16, N))
    torch.testing.assert_close(cached(whole()), made(tmp_path / "whole")(whole()))


@pytest.mark.parametrize("finished", [True, False])
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"who": freeze(MLP(4, 16, CLASSES, seed=2))}, "teacher identity: 'MLP-"),
        ({"teacher_name": "another"}, "teacher name: 'MLP' there, 'another' now"),
        ({"tokenizer": "gpt2"}, "tokenizer: None there, 'gpt2' now"),
        ({"signal": keep.dense("float32")}, "signal dtype: 'float16' there, 'float32' now"),
        ({"signal": keep.top_k(3, T=4.0)}, "signal kind: 'dense' there, 'top_k' now"),
        ({"data": (X + 1, Y)}, "data: "),
        ({"data": (X[:30], Y[:30])}, "examples: 37 there, 30 now"),
        ({"views": [(X + 1, Y)]}, "data: "),
    ],
    ids=lambda v: "-".join(v) if isinstance(v, dict) else "",
)
def test_a_cache_of_something_else_is_refused(tmp_path, change, words, finished):
    who = teacher()
    if finished:
        made(tmp_path, who=who)
    else:
        live = who

        def fails(batch):
            if batch.ids.max() >= 20:
                raise KeyboardInterrupt
            return live(batch)

        stops = Counting(fails)
        stops.identity = who.identity
        with pytest.raises(KeyboardInterrupt):
            made(tmp_path, who=stops)
    before = {f.name: f.read_bytes() for f in tmp_path.iterdir()}
    with pytest.raises(ValueError, match=words) as caught:
        made(tmp_path, **({"who": who} | change))
    assert "delete the folder" in str(caught.value)
    assert before == {f.name: f.read_bytes() for f in tmp_path.iterdir()}  # nothing was touched


class Letters:
    eos_token_id, pad_token_id, chat_template = 0, 0, None

    def __call__(self, text, add_special_tokens=False):
        return {"input_ids": [ord(letter) - 96 for letter in text]}


class Named(Augmented):
    """A data set that says what is in it."""

    @property
    def fingerprint(self):
        return f"Augmented-{self.seed}"

    def __getitem__(self, i):  # the change is where no spot check looks
        return (X[i] + (self.seed if i == 7 else 0), int(Y[i]))


def rows_of_text(changed=""):
    words = ["abcdefghij"[i % 5 :] for i in range(N)]
    words[7] += changed
    return tokenized.Texts([{"prompt": word, "answer": "ab"} for word in words], Letters())


@pytest.mark.parametrize(
    ("before", "now"),
    [(rows_of_text(), rows_of_text("z")), (Named(1), Named(2))],
    ids=["texts", "a data set"],
)
def test_data_that_know_themselves_are_refused_at_the_door(tmp_path, before, now):
    """One example of 37 has changed: not when its turn comes, but before anything is learned."""

    def judges(batch):
        return noise(N, 2)[batch.ids]

    made(tmp_path, before, Counting(judges))
    answered = Counting(judges)
    made(tmp_path, before, answered)
    with pytest.raises(ValueError, match=r"is the cache of something else \(data: "):
        made(tmp_path, now, answered)
    assert not answered.asked


def test_a_function_is_not_taken_for_another_one(tmp_path):
    """Every lambda is a function: by that name one would be served what another one said."""
    for who in (lambda batch: batch.inputs, Ensemble([teacher(), lambda batch: batch.inputs])):
        with pytest.raises(ValueError, match="a bare function has no identity"):
            made(tmp_path, who=who)
    assert not list(tmp_path.iterdir())
    first = made(tmp_path / "a", who=lambda batch: batch.inputs, teacher_name="as-it-is")
    again = made(tmp_path / "a", who=lambda batch: batch.inputs, teacher_name="as-it-is")
    assert first.identity == again.identity
    with pytest.raises(ValueError, match="there, 'function doubled' now"):
        made(tmp_path / "a", who=lambda batch: 2 * batch.inputs, teacher_name="doubled")

    def judge(batch):
        return 2 * batch.inputs

    judge.identity = "judge-1"
    assert made(tmp_path / "b", who=judge).manifest["about"]["teacher"]["identity"] == "judge-1"


def test_another_temperature_is_another_signal(tmp_path):
    made(tmp_path, signal=keep.sampled(20, T=2.0))
    with pytest.raises(ValueError, match=r"signal T: 2.0 there, 4.0 now"):
        made(tmp_path, signal=keep.sampled(20, T=4.0))


def test_data_without_a_fingerprint_is_looked_at_again(tmp_path):
    made(tmp_path, Augmented(1))
    made(tmp_path, Augmented(1))
    with pytest.raises(ValueError, match="augmented otherwise"):
        made(tmp_path, Augmented(2))


def test_the_identity_names_the_bits(tmp_path):
    names = [
        made(tmp_path / str(i), **s).identity
        for i, s in enumerate(
            [{}, {}, {"signal": keep.dense("float32")}, {"who": teacher(2)}, {"data": (X + 1, Y)}]
        )
    ]
    assert names[0] == names[1] and len(set(names)) == 4 and names[0].startswith("Cached-")


def test_the_folder_holds_no_code_and_little_beside_the_signals(tmp_path):
    made(tmp_path, tokenizer="words-1")
    assert sorted(f.name for f in tmp_path.iterdir()) == [
        "index.bin",
        "lock",
        "manifest.json",
        "signals.bin",
    ]
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["about"]["tokenizer"] == "words-1" and manifest["complete"] is True
    assert (tmp_path / "index.bin").stat().st_size == 16 * N
    assert (tmp_path / "signals.bin").stat().st_size == 2 * CLASSES * N


# --- answers that cannot be kept -------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (lambda b: noise(len(b.ids), 3) * float("nan"), FloatingPointError, "example 0 are not"),
        (lambda b: torch.full((len(b.ids), 3), float("inf")), FloatingPointError, "largest is inf"),
        (lambda b: torch.full((len(b.ids), 3), -float("inf")), FloatingPointError, "not finite"),
        (lambda b: noise(2, 3), ValueError, "expected one row an example"),
        (lambda b: Text(b.ids), TypeError, "answered with a Text, and DenseRecords"),
        (lambda b: TopK(b.ids[:, None], noise(len(b.ids), 1)), TypeError, "answered with a TopK"),
        (lambda b: 1e6 * noise(len(b.ids), 3).abs(), ValueError, r"use keep.dense\('float32'\)"),
        (lambda b: noise(len(b.ids), 3 + int(b.ids[0] > 0)), ValueError, "'classes': 4"),
    ],
    ids=["nan", "inf", "-inf", "rows", "text", "top_k", "float16", "classes"],
)
def test_an_answer_that_cannot_be_kept_is_refused(tmp_path, answer, error, words):
    with pytest.raises(error, match=words):
        made(tmp_path, who=Counting(answer))
    with pytest.raises((ValueError, FileNotFoundError)):
        Cached(tmp_path)


def test_a_class_may_be_impossible(tmp_path):
    def masked(batch):
        z = noise(len(batch.ids), 3)
        z[:, 1] = -float("inf")
        return z

    cached = made(tmp_path, who=Counting(masked), batch_size=N)
    assert (cached(whole())[:, 1] == -float("inf")).all()
    assert divergence(noise(N, 3), cached(whole())).isfinite()


def test_other_teachers_can_be_cached(tmp_path):
    both = Ensemble([teacher(1), teacher(2)])
    cached = made(tmp_path / "a", who=both, signal=keep.dense("float32"))
    torch.testing.assert_close(cached(whole()), both(whole()))
    logits = noise(N, 3)
    recorded = made(tmp_path / "b", who=Recorded(logits), signal=keep.dense("float32"))
    assert torch.equal(recorded(whole()), logits)
    smaller = made(tmp_path / "c", who=recorded, signal=keep.top_k(2))
    assert isinstance(smaller(whole()), TopK)
    texts = made(tmp_path / "d", Texts(), Counting(speaks), batch_size=3)
    again = made(tmp_path / "e", Texts(), texts, batch_size=2)  # a padded Dense is kept as one
    assert isinstance(again(Texts().batch(torch.tensor([0, 2]))), Dense)


def test_a_bare_model_is_checked_as_live(tmp_path):
    with pytest.raises(ValueError, match="training mode"):
        made(tmp_path, who=MLP(4, CLASSES))
    with pytest.raises(ValueError, match="batch_size"):
        made(tmp_path, batch_size=0)


def test_progress_is_told(tmp_path):
    shown = []
    made(tmp_path, progress=lambda values, step, steps: shown.append((step, steps)))
    assert shown[-1] == (N, N) and [step for step, _ in shown] == [8, 16, 24, 32, 37]


def test_a_batch_of_one_is_read_where_the_ids_end_at_an_odd_byte(tmp_path):
    # bits_for(3) is 2, so two ids are one byte, and the values of a lone record began at byte 1
    data = (torch.randn(4, 5), None)
    model = freeze(torch.nn.Linear(5, 3))
    cached = cache(model, data, tmp_path / "c", signal=keep.top_k(2, T=2.0), progress=False)
    every = cached(as_data(data).batch(torch.arange(4)))
    one = cached(as_data(data).batch(torch.tensor([2])))
    assert torch.equal(one.log_probs, every.log_probs[2:3]) and one.ids.tolist() == [
        every.ids[2].tolist()
    ]


def test_decisions_come_from_the_most_probable_classes_and_other_methods_name_the_way(tmp_path):

    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(9, 6, generator=generator), torch.arange(9) % 4
    teacher = freeze(nn.Linear(6, 4))
    few = cache(teacher, (x, y), tmp_path / "few", signal=keep.top_k(2), progress=False)

    def run(method, source):
        torch.manual_seed(0)
        settings = {"method": method, "epochs": 2, "batch_size": 3, "progress": False}
        return distill(nn.Linear(6, 4), (x, y), teacher=source, **settings)

    live = run(methods.hard_labels(), teacher)["hard"]
    assert run(methods.hard_labels(), few)["hard"] == live
    written = run(methods.hard_labels(), lambda batch: Text(teacher(batch).argmax(-1)))
    assert written["hard"] == live
    for method in (methods.dkd(), methods.dist(), methods.logit_matching()):
        with pytest.raises(TypeError, match=r"a TopK names a few: cache .* keep\.dense\(\)"):
            run(method, few)
    drawn = cache(teacher, (x, y), tmp_path / "drawn", signal=keep.sampled(8), progress=False)
    with pytest.raises(TypeError, match=r"a Sampled names a few: cache .* keep\.dense\(\)"):
        run(methods.hard_labels(), drawn)


def test_a_record_of_answers_of_several_lengths_names_the_cache():
    from distill_lab.teachers import record

    rows = [{"x": torch.arange(n)} for n in range(1, 11)]

    def pad(some):
        return {"x": nn.utils.rnn.pad_sequence([row["x"] for row in some], batch_first=True)}

    class Tagger(nn.Embedding):
        def forward(self, x):
            return super().forward(x)

    with pytest.raises(ValueError, match=r"\(4, 3\) and \(8, 3\) in two batches.*cache\("):
        record(freeze(Tagger(10, 3)), rows, collate=pad, batch_size=4)

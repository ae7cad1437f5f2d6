"""The tutor: its tokenizer, its recipe on a tiny scale, and the one that travels in data/."""

import hashlib
import json
import shutil
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
import torch

pytest.importorskip("transformers", reason="the tutor is a Hugging Face model")

from distill_lab.course import tutor, worlds
from distill_lab.course.tutor import __main__ as command
from distill_lab.course.tutor import build as building
from distill_lab.course.tutor import drawing, vocabulary, writing
from distill_lab.course.tutor.drills import drills
from distill_lab.course.tutor.lessons import as_lessons, as_talks, chat, joined, rows_of
from distill_lab.course.tutor.method import answers_and_prompts, prompt_tokens
from distill_lab.course.tutor.recipe import Part, Recipe, Size, draws_of, for_a_gpu, network
from distill_lab.data.batches import Batch
from distill_lab.losses import IGNORE
from distill_lab.methods.tokens import tokens, tokens_in
from distill_lab.training.checkpoint import load_checkpoint

TASKS = [task for name in worlds.NAMES for task in worlds.load(name).train(20)]
TALKS = [talk for name in worlds.NAMES for talk in worlds.load(name).talks(5)]
TINY = Recipe(
    vocabulary=300,
    size=Size(16, 2, 2, 32),
    control=Size(8, 1, 1, 16),
    batch_size=10,
    warmup=2,
    parts=(Part("equal", 50, 7, easy=0.5, prompts=0.3), Part("cooling", 40, 4, "linear", draw=1)),
    tested=2,
)


@pytest.fixture(scope="module")
def tokenizer():
    return tutor.learn_tokenizer((f"{t.prompt}\n{t.target}" for t in TASKS), 400)


# --- the tokenizer -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["Ada has 12 pens.", "", "7+8=15; Answer: 15", "Grüße, 東京 🙂\n\ttab", "  two  "]
)
def test_any_text_comes_back_as_it_was(tokenizer, text):
    assert tokenizer.decode(tokenizer(f" {text}")["input_ids"]) == text


def test_a_word_is_the_same_token_at_the_beginning_of_an_answer_and_in_the_prompt(tokenizer):
    """Else it could not simply be copied: this kept an earlier tutor at half the questions."""
    (labels,) = as_lessons([TASKS[0]], tokenizer, targets=["has"]).labels
    assert labels[labels != IGNORE].tolist()[:-1] == tokenizer(" has")["input_ids"]
    assert tokenizer(" has")["input_ids"][0] in tokenizer(" Ada has 12 pens.")["input_ids"]


def test_every_digit_is_a_token_of_its_own(tokenizer):
    tokens = tokenizer.convert_ids_to_tokens(tokenizer("1234 and 56")["input_ids"])
    assert [t for t in tokens if any(c.isdigit() for c in t)] == list("123456")


def test_frequent_words_are_one_token_and_the_size_is_what_was_asked_for(tokenizer):
    assert len(tokenizer) == 400
    assert len(tokenizer(" has")["input_ids"]) == 1


def test_the_same_texts_give_the_same_tokenizer(tokenizer):
    again = tutor.learn_tokenizer((f"{t.prompt}\n{t.target}" for t in TASKS), 400)
    assert again.get_vocab() == tokenizer.get_vocab()


def test_the_chat_template_writes_what_the_tutor_learns(tokenizer):
    """A server goes by the template, our lessons by `chat`: they must never differ."""
    task = TASKS[0]
    asked = [{"role": "user", "content": task.prompt}]
    talk = [*asked, {"role": "assistant", "content": task.target}]
    written = tokenizer.apply_chat_template(asked, tokenize=False, add_generation_prompt=True)
    assert written == chat(task)
    full = tokenizer.apply_chat_template(talk, tokenize=False)
    assert full == f"{chat(task)} {task.target}{vocabulary.END}"
    row = as_lessons([task], tokenizer).inputs[0].tolist()
    assert row == tokenizer(full)["input_ids"]


def test_special_tokens_are_single_and_vanish_in_what_is_read(tokenizer):
    for token in vocabulary.SPECIAL:
        assert len(tokenizer(token)["input_ids"]) == 1
    ids = tokenizer(chat(TASKS[0]) + "yes" + vocabulary.END)["input_ids"]
    assert tokenizer.decode(ids, skip_special_tokens=True) == TASKS[0].prompt + "yes"
    assert tokenizer.eos_token == vocabulary.END and tokenizer.pad_token == vocabulary.PAD


# --- lessons -------------------------------------------------------------------------------------


def test_labels_are_on_the_answer_alone_and_end_it(tokenizer):
    data = as_lessons(TASKS, tokenizer)
    for row, task in enumerate(TASKS):
        labelled = data.labels[row] != IGNORE
        ids = data.inputs[row][labelled]
        assert tokenizer.decode(ids) == task.target + vocabulary.END
        assert torch.equal(ids, data.labels[row][labelled])


def test_packed_rows_are_fewer_and_give_the_same_loss_and_gradients(tokenizer):
    """Else examples would see each other: the mistake that packing is known for."""
    model, index = network(TINY.size, tokenizer, 0), torch.arange(0, 100, 5)
    data = as_lessons(TASKS, tokenizer)
    padded = Batch(data.inputs[index].long(), data.labels[index].long(), index)
    results = []
    for batch in (padded, data.batch(index)):
        (ce,) = tokens(alpha=0.0).terms(batch, model, None).values()
        grads = torch.autograd.grad(ce, list(model.parameters()))
        results.append((len(batch.labels), tokens_in(batch), ce, grads))
    (rows, counted, loss, gradients), (fewer, same, packed_loss, packed_gradients) = results
    assert fewer < rows and same == counted
    torch.testing.assert_close(packed_loss, loss, rtol=1e-5, atol=1e-6)
    for one, other in zip(packed_gradients, gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-6)


def test_pieces_of_several_widths_become_one_set_of_examples(tokenizer):
    pieces = [rows_of(TALKS[:6], tokenizer), rows_of(TALKS[6:], tokenizer)]
    assert pieces[0][0].shape[1] != pieces[1][0].shape[1]
    full, once = joined(pieces), as_talks(TALKS, tokenizer)
    for name in ("inputs", "labels", "lengths"):
        assert torch.equal(getattr(full, name), getattr(once, name))


def test_a_conversation_is_what_a_server_would_be_sent_with_labels_on_every_answer(tokenizer):
    data = as_talks(TALKS, tokenizer)
    for row, talk in enumerate(TALKS):
        messages = []
        for task in talk:
            messages += [
                {"role": "user", "content": task.follow or task.prompt},
                {"role": "assistant", "content": task.target},
            ]
        ids = tokenizer(tokenizer.apply_chat_template(messages, tokenize=False))["input_ids"]
        assert data.inputs[row][: len(ids)].tolist() == ids
        assert data.lengths[row] == len(ids)
        answers = data.labels[row][data.labels[row] != IGNORE]
        assert tokenizer.decode(answers) == " ".join(t.target + vocabulary.END for t in talk)


def test_every_token_of_a_prompt_counts_once_and_no_other(tokenizer):
    """Not the padding, nor the first token, which in a packed row stands after another's last."""
    data, index = as_talks(TALKS, tokenizer), torch.arange(0, 25, 2)
    batch = data.batch(index)
    ahead, counts = prompt_tokens(batch)
    results = sorted(ahead[counts].tolist())
    wanted = []
    for i in index.tolist():
        inside = torch.arange(data.inputs.shape[1]) < data.lengths[i]
        wanted += data.inputs[i][inside & (data.labels[i] == IGNORE)].tolist()[1:]
    assert results == sorted(wanted)
    model = network(TINY.size, tokenizer, 0)
    terms = answers_and_prompts(0.3).terms(batch, model, None)
    (ce,) = tokens(alpha=0.0).terms(batch, model, None).values()
    torch.testing.assert_close(terms["ce"], ce)


def test_other_targets_can_be_taught(tokenizer):
    data = as_lessons(TASKS[:2], tokenizer, targets=["yes", "no"])
    assert tokenizer.decode(data.labels[1][data.labels[1] != IGNORE]) == "no" + vocabulary.END


# --- the network and the answers -----------------------------------------------------------------


def test_the_seed_fixes_the_network_and_nothing_else_is_touched(tokenizer):
    before = torch.get_rng_state()
    one, same, other = (network(TINY.size, tokenizer, seed) for seed in (0, 0, 1))
    assert torch.equal(before, torch.get_rng_state())
    pairs = [(a.state_dict(), b.state_dict()) for a, b in ((one, same), (one, other))]
    equal = [all(torch.equal(a[k], b[k]) for k in a) for a, b in pairs]
    assert equal == [True, False]
    assert type(one).__name__ == "LlamaForCausalLM"


def test_answers_come_in_the_order_asked_whatever_the_batches(tokenizer):
    """Sorted by length and padded on the left inside: neither may be seen outside."""
    model = network(TINY.size, tokenizer, 0).train()
    tasks = TASKS[::9]
    one = tutor.answers(model, tokenizer, tasks, batch_size=1, most=5)
    assert tutor.answers(model, tokenizer, tasks, batch_size=4, most=5) == one
    assert tutor.answers(model, tokenizer, tasks[::-1], batch_size=3, most=5) == one[::-1]
    assert model.training


def test_the_share_right_is_the_verifiers(tokenizer, monkeypatch):
    gold = [task.target for task in TASKS]
    monkeypatch.setattr("distill_lab.course.tutor.answering.answers", lambda *a, **k: gold)
    assert tutor.share_right(None, tokenizer, TASKS) == 100.0
    gold[:50] = ["?"] * 50
    assert tutor.share_right(None, tokenizer, TASKS) == 50.0


# --- building ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> tuple[dict, Path]:
    work = tmp_path_factory.mktemp("work")
    report = building.build(TINY, work)
    assert report is not None
    return report, work


def weights(work: Path, name: str) -> dict[str, torch.Tensor]:
    return load_checkpoint(work / name / "cooling.checkpoint").tensors["student"]


@pytest.mark.slow
def test_a_build_trains_both_networks_and_reports_each_world(built):
    report, _ = built
    for name in ("tutor", "control"):
        assert set(report[name]["right"]) == set(worlds.NAMES)
        assert [p["steps"] for p in report[name]["training"].values()] == [7, 4]
        assert all(p["ce"] for p in report[name]["training"].values())
    assert report["control"]["parameters"] < report["tutor"]["parameters"]


@pytest.mark.exhaustive
def test_a_build_stopped_after_every_step_ends_with_the_same_weights(built, tmp_path):
    _, full = built
    shown: list[str] = []
    for _ in range(60):
        report = building.build(TINY, tmp_path, minutes=0, show=shown.append)
        if report is not None:
            break
    assert report is not None and sum("stopped after" in line for line in shown) >= 10
    for name in ("tutor", "control"):
        there, here = weights(full, name), weights(tmp_path, name)
        assert all(torch.equal(there[key], here[key]) for key in there)


@pytest.mark.slow
def test_a_finished_build_is_not_done_again(built):
    report, work = built
    shown: list[str] = []
    assert building.build(TINY, work, show=shown.append) == report and shown == []


@pytest.mark.slow
def test_a_run_is_lengthened_without_beginning_again(built, tmp_path):
    """The constant part goes on where it was, and only the cooling is done anew."""
    _, work = built
    first, second = TINY.parts
    longer = replace(TINY, parts=(replace(first, steps=12), replace(second, talks=60, steps=6)))
    assert building.build(longer, tmp_path / "direct") is not None
    shutil.copytree(work, tmp_path / "on")
    shown: list[str] = []
    report = building.build(longer, tmp_path / "on", show=shown.append)
    assert report is not None
    assert [p["steps"] for p in report["tutor"]["training"].values()] == [12, 6]
    for name in ("tutor", "control"):
        there, here = weights(tmp_path / "direct", name), weights(tmp_path / "on", name)
        assert all(torch.equal(there[key], here[key]) for key in there)


@pytest.mark.slow
def test_the_run_of_another_recipe_is_refused(built):
    _, work = built
    with pytest.raises(ValueError, match=r"another recipe \(clip differ"):
        building.build(replace(TINY, clip=2.0), work)


def test_drills_have_one_right_answer_and_the_seed_decides_which():
    talks = drills(300, seed=1)
    assert talks == drills(300, seed=1) != drills(300, seed=2)
    rows = [task.target.split() for (task,) in talks[::3]]
    assert {len(row) for row in rows} == set(range(3, 13))
    assert {len(w) for row in rows for w in row if w.isdigit()} == {1, 2, 4}
    for (task,) in talks[::3]:
        assert task.prompt == f"Repeat: {task.target}"
    for task in (task for talk in talks[1::3] for task in talk):  # said once in the table
        table, question = task.prompt.split(" Find: ")
        kind, _, key = question.partition(" of ")
        row = next(r for r in table.removeprefix("Table: ").split(". ") if asked_of(r, question))
        assert task.target in row and (kind.startswith("who has") or row.startswith(f"{key}:"))
    for task in (task for talk in talks[2::3] for task in talk):
        before, after = map(int, task.prompt.removeprefix("Compare: ").split(" to "))
        assert task.target == ("up", "the same", "down")[(after <= before) + (after < before)]
    for task in (task for talk in talks for task in talk):
        assert task.check.verdict(task.target) and not task.check.verdict(task.target + "x")


def asked_of(row: str, question: str) -> bool:
    """Whether this row of a table is the one a question is about."""
    if question.startswith("who has "):
        return question.removeprefix("who has ") in row.rstrip(".").split(": ")[1].split(", ")
    return row.startswith(question.split(" of ")[1] + ":")


def test_parts_draw_their_shares_and_other_talks(monkeypatch):
    part = Part("x", 120, 1, shares=(4, 2, 3, 2, 1), drills=3, easy=0.5)
    talks = [talk for draw in draws_of(TINY, part) for talk in draw.talks()]
    counts = {name: sum(t[0].world == name for t in talks) for name in ("drills", *worlds.NAMES)}
    assert list(counts.values()) == [24, 32, 16, 24, 16, 8]
    assert sum(t[0].level == 1 for t in talks) == 24 + 48
    other = [talk for draw in draws_of(TINY, replace(part, draw=1)) for talk in draw.talks()]
    assert {t[0].prompt for t in talks} != {t[0].prompt for t in other}
    monkeypatch.setattr("distill_lab.course.tutor.recipe.SHARD", 10)
    pieces = draws_of(TINY, part)
    assert sum(d.count for d in pieces) == 120 and max(d.count for d in pieces) == 10
    assert len(set(pieces)) == len(pieces)  # no piece is drawn twice


@pytest.mark.slow
def test_pieces_drawn_by_other_processes_are_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr("distill_lab.course.tutor.recipe.SHARD", 8)
    part = TINY.parts[0]
    results = []
    for many in (1, 1000):
        monkeypatch.setattr(drawing, "MANY", many)
        with closing(drawing.Conversations(TINY, tmp_path)) as lessons:
            results.append(lessons.of(part))
            assert lessons.of(part) is results[-1]
            assert (lessons.pool is None) == (many == 1000)
    assert torch.equal(results[0].inputs, results[1].inputs)
    assert torch.equal(results[0].labels, results[1].labels)


def test_the_recipe_for_a_gpu_is_only_longer():
    here, there = Recipe(seed=3), for_a_gpu(seed=3)
    assert there.batch_size > here.batch_size
    for part, long in zip(here.parts, there.parts, strict=True):
        assert replace(long, talks=part.talks, steps=part.steps) == part
        assert long.steps > part.steps


@pytest.mark.slow
def test_the_command_stops_resumes_and_writes_everything_down(tmp_path):
    out, work = tmp_path / "out", tmp_path / "work"
    words = ["build", "--out", str(out), "--work", str(work), "--threads", "1"]
    assert command.main([*words, "--minutes", "0"], recipe=TINY) == 3
    assert not out.exists() and work.exists()
    assert command.main([*words, "--resume"], recipe=TINY) == 0
    check_folder(out)
    model, tokenizer = tutor.load(out)
    assert model.dtype == torch.float32 and not model.training
    assert len(tutor.answers(model, tokenizer, TASKS[:2], most=3)) == 2
    page = (out / "README.md").read_text(encoding="utf-8")
    assert all(name in page for name in worlds.NAMES) and "a smaller network" in page


def test_without_resume_it_begins_anew(tmp_path):
    work = tmp_path / "work"
    words = ["build", "--out", str(tmp_path / "out"), "--work", str(work), "--threads", "1"]
    (work / "tutor").mkdir(parents=True)
    (work / "tutor" / "equal.checkpoint").write_text("rubbish")
    assert command.main([*words, "--minutes", "0"], recipe=TINY) == 3


@pytest.mark.slow
def test_a_tutor_too_large_to_travel_is_refused(built, tmp_path, monkeypatch):
    monkeypatch.setattr(writing, "MOST", 100)
    with pytest.raises(ValueError, match="must fit in 0 MB"):
        writing.publish(*built, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda tok: tutor.learn_tokenizer(["a"], 100), ValueError, "at least 261 tokens"),
        (lambda tok: tutor.load("nowhere"), FileNotFoundError, "make it again with"),
        (lambda tok: as_lessons([], tok), ValueError, "at least one task"),
        (lambda tok: as_lessons(TASKS[:2], tok, targets=["a"]), ValueError, "one target for each"),
        (lambda tok: chat(replace(TASKS[0], prompt="<|end|>")), ValueError, "special tokens"),
    ],
)
def test_bad_input_is_answered_with_a_sentence(tokenizer, call, error, words):
    with pytest.raises(error, match=words) as caught:
        call(tokenizer)
    assert len(str(caught.value).split()) >= 5


def test_where_transformers_is_missing_the_error_names_the_way_out(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ImportError, match=r"pip install .*\[lab\]"):
        vocabulary.hugging_face()


# --- the one in data/ ----------------------------------------------------------------------------


def check_folder(folder: Path) -> None:
    """Every file is the one that was written, and the whole is small."""
    lines = (folder / "SHA256SUMS").read_text(encoding="utf-8").splitlines()
    known = {name: digest for digest, name in (line.split("  ") for line in lines)}
    files = {f.name: f.read_bytes() for f in folder.iterdir()}
    assert set(known) == set(files) - {"README.md", "SHA256SUMS"}
    assert {name: hashlib.sha256(files[name]).hexdigest() for name in known} == known
    assert sum(map(len, files.values())) <= 10 * 2**20
    assert not any(name.endswith((".bin", ".pt", ".pkl")) for name in files)


@pytest.fixture(scope="module")
def kept() -> Path:
    if not (tutor.FOLDER / "config.json").is_file():
        pytest.skip("data/tutor is not there: it was not built yet, or this is not a clone")
    return tutor.FOLDER


def test_the_kept_tutor_is_whole_and_small(kept):
    check_folder(kept)


def test_the_kept_tutor_loads_as_any_other_model_and_answers(kept):
    report = json.loads((kept / "report.json").read_text(encoding="utf-8"))
    model, tokenizer = tutor.load()
    assert model.num_parameters() == report["tutor"]["parameters"]
    assert type(model).__name__ == "LlamaForCausalLM" and tokenizer.chat_template
    for name in worlds.NAMES:
        tasks = worlds.load(name).test(20, seed=1)
        claimed = report["tutor"]["right"][name]["test"]
        assert tutor.share_right(model, tokenizer, tasks) > claimed - 35, name


def test_the_kept_tutor_was_made_with_todays_recipe(kept):
    """But for its length: the report says how many steps it had."""
    report = json.loads((kept / "report.json").read_text(encoding="utf-8"))
    ours = (Recipe(), for_a_gpu())
    today = [building._lasting(json.loads(json.dumps(building.asdict(r)))) for r in ours]
    assert building._lasting(report["recipe"]) in today

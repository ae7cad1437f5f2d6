"""Generated jobs of language models: every two values of their axes meet in one that is held."""

import json
import math
import sys

import pytest
import torch
from transformers import AutoModelForCausalLM

from tests.jobs.grid import language, talks
from tests.jobs.grid.cover import Grid
from tests.jobs.grid.laws import again, compared, first_step, killed, same_students, takes_its_steps
from tests.jobs.grid.models import SINGLE

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no fork on Windows")
QUICK, MOST = 18, 130  # cases of a quick run, and all of them, at most
GRID = Grid(language.AXES, language.allowed)


def test_a_few_cases_hold_most_of_the_pairs():
    assert GRID.share(QUICK) > 0.7 and len(GRID.cases) <= MOST


@pytest.mark.parametrize("number", range(QUICK))
def test_values_that_meet(tmp_path, number):
    holds(tmp_path, GRID.cases[number], number)


@pytest.mark.exhaustive
@pytest.mark.parametrize("number", range(QUICK, MOST))
def test_every_two_values_meet(tmp_path, number):
    for case in GRID.cases[number : number + 1]:
        holds(tmp_path, case, number)


@pytest.mark.exhaustive
@pytest.mark.parametrize("number", range(100))
def test_at_random(tmp_path, number):
    holds(tmp_path, GRID.at_random(1000 + number), number)


def holds(place, case, seed):
    """All laws of one case; a failure prints the job to paste."""
    made = language.speech(place, case, seed)
    print(made.file().read_text(), f"\nin {place}; the case: {case!r}, {seed}")
    checked, ran = made.check(), made.run()
    if case["method"] == "seq-kd" and "answers is left to learn from" in ran.refusal:
        return  # the teacher alone could have known
    assert checked.refusal == "" and ran.refusal == "", (checked.refusal, ran.refusal)
    learned, apart = language.split(made)
    texts = language.texts_of(made, learned, train=True)
    measured = language.texts_of(made, apart, train=False)
    says_what_is_there(made, checked, ran, learned, texts, apart, measured)
    if case["method"] == "seq-kd":
        texts = answers_are_the_teachers(made, learned, texts)
    takes_its_steps(made, ran, len(texts.texts))
    begins_as_by_hand(made, learned, texts)
    figures_are_those_of_the_folder(made, apart, measured)
    ENDS[case["end"]](made, ran)


def says_what_is_there(made, checked, ran, learned, texts, apart, measured):
    """Rows, tokens, and what is left out, in the lines of --check and of the run."""
    line = next(each for each in checked.lines if each.startswith("train:"))
    tokens = sum(len(p) + len(a) for text in texts.texts for p, a, _ in each_side(made, text))
    assert line.startswith(f"train: {len(learned)} rows, {tokens:,} tokens, "), line
    assert (f"{texts.too_long} left out" in line) == (texts.too_long > 0), line
    longest = max(len(p) + len(a) for text in texts.texts for p, a, _ in each_side(made, text))
    assert f"the longest has {longest} of" in line, line
    if made.case["method"] != "seq-kd":
        each = math.ceil(len(texts.texts) / made.case["batch_size"])
        assert f"steps: {each:,} an epoch, {2 * each:,} in all" in checked.lines
    left = "\n".join(ran.lines)
    for what, some in (("train", texts), ("validation", measured)):
        if what == "train" and made.case["method"] == "seq-kd":
            continue  # the teacher is asked all of them
        long = f"{what}: {some.too_long} rows are longer than"
        assert (long in left) == (some.too_long > 0), (what, some.too_long, left)
        empty = f"{what}: {some.empty} answers are empty"
        assert (empty in left) == (some.empty > 0), (what, some.empty, left)


def each_side(made, text):
    """The student's texts of one example."""
    if made.case["method"] == "uld":
        return [text[0]]
    return text if made.case["method"] == "dpo" else [text]


def answers_are_the_teachers(made, learned, texts):
    """What was written down is what the teacher writes greedily; it is what is learned."""
    asking, rows = made.case["asking"], written_in(made.place / "out/answers.jsonl")
    if asking != "samples":
        by_hand = language.written(made, learned, texts.texts)
        assert {row["answer"] for row in rows} <= {letters for _, letters, _ in by_hand} | {""}
    if asking == "filters":
        kept = written_in(made.place / "out/answers.kept.jsonl")
        short = [row for row in rows if len(row["answer"].split()) <= 9]
        assert {row["id"] for row in kept} <= {row["id"] for row in short}
        assert len({row["answer"] for row in kept}) == len(kept)
        rows = kept
    if asking == "samples":  # learned in the order of their prompts, written as they came
        prompts = [[content for _, content, _ in talk.before] for talk in learned]
        rows.sort(key=lambda row: (prompts.index(contents(row)), row["sample"]))
    some = []
    for row in rows:
        turns = [(m["role"], m["content"], m.get("weight", 1) != 0) for m in row["prompt"]]
        some.append(talks.Talk((*turns, ("assistant", row["answer"], True))))
    how = {"chat": made.case["chat"], "learn": made.case["learn"]}
    return talks.counted(some, SINGLE, language.limit_of(made.case), **how)


def contents(row):
    return [message["content"] for message in row["prompt"]]


def written_in(file):
    """The answers in a file, without those that have no word."""
    rows = map(json.loads, filter(None, file.read_text(encoding="utf-8").split("\n")))
    return [row for row in rows if row.get("answer", "").strip()]


def begins_as_by_hand(made, learned, texts):
    """The first step's terms, from logits of one text at a time."""
    case = made.case
    if case["dropout"] and case["student"] in ("folder", "lora", "apart"):
        return
    seeds = [3, 4] if case["seeds"] else [3]
    for seed in seeds:
        out = f"out/seed_{seed}" if case["seeds"] else "out"
        values = first_step(made.place / out)
        expected = language.first_loss(made, learned, texts.texts, seed)
        loose = 0.05 if case["precision"] == "bf16" else 1e-3
        for name, value in expected.items():
            if case["teacher"] == "sampled" and name != "ce":
                continue
            assert values[name] == pytest.approx(value, rel=loose, abs=loose), (name, seed)
        assert values.keys() - {"total"} == expected.keys()


def loaded(made, folder):
    """The exported student as transformers loads it."""
    if made.case["student"] == "apart":
        from peft import PeftModel

        base = AutoModelForCausalLM.from_pretrained(made.settings["student"], dtype=torch.float32)
        return PeftModel.from_pretrained(base, folder).eval()
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


def figures_are_those_of_the_folder(made, apart, measured, out="out"):
    """The report's figures, from the exported student and the same rows."""
    case = made.case
    seeds = [f"{out}/seed_3", f"{out}/seed_4"] if case["seeds"] else [out]
    for folder in seeds:
        report = made.report(folder)["figures"]["student after"]
        student = loaded(made, made.place / folder / "student")
        loose = 0.02 if case["student"] == "half" else 1e-3
        for name, value in language.figures(made, student, measured.texts, apart).items():
            if name == "agreement" and case["student"] == "half":
                continue  # in half precision two tokens are often as likely
            near = pytest.approx(value, rel=loose, abs=loose)
            assert report[name] == near, (name, folder)


# How it ends


def nothing_more(made, ran):
    pass


def other_word(made, ran):
    """With one letter of a learned row changed, the old result is never given."""
    changed(made, "train", made.talks, made.case["form"])


def other_held_out_word(made, ran):
    """With one letter of a measured row changed, the figures are of the new rows."""
    made.held_out = altered(made.held_out)
    language.write(made, "held", made.held_out, "jsonl")
    before = made.students()
    checked, second = made.check(), made.run()
    assert bool(checked.refusal) <= bool(second.refusal)
    if second.refusal:
        return
    measured = language.texts_of(made, made.held_out, train=False)
    if not made.case["seeds"]:
        assert same_students(before, made.students()) or made.case["while"]
        figures_are_those_of_the_folder(made, made.held_out, measured)


def other_setting(made, ran):
    """With another learning rate, the old result is never given."""
    compared(made, {"lr": 2e-2}, known=made.case["method"] != "seq-kd")


def altered(some):
    """The rows, one of whose learned texts is another: that of the first usable answer."""
    number = next(i for i, talk in enumerate(some) if len(talk.before[-1][1]) < 20)
    talk = some[number]
    role, content, learned = talk.before[-1]
    other = "a" if "b" in content else "b"
    turns = (*talk.turns[:-2], (role, content[:-1] + other, learned), talk.turns[-1])
    if content[:-1] + other == content:
        turns = (*talk.turns[:-2], (role, content[:-1] + "c", learned), talk.turns[-1])
    return [*some[:number], talks.Talk(turns, talk.hint, talk.rejected), *some[number + 1 :]]


def changed(made, name, some, form):
    made.talks = altered(some)
    language.write(made, name, made.talks, form)
    compared(made, {}, known=made.case["method"] != "seq-kd")


ENDS = {
    "through": nothing_more,
    "killed": killed,
    "again": again,
    "other word": other_word,
    "other setting": other_setting,
    "other held-out word": other_held_out_word,
}

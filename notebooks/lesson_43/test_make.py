"""The students are made: stopped and gone on with, whole, and honest about their making."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import pytest
import torch
from safetensors.torch import load_file

pytest.importorskip("transformers", reason="the students are Hugging Face models")

from distill_lab.course import stored, tutor, worlds
from distill_lab.course.tutor import Size
from distill_lab.synthesis import LocalGenerator
from lesson_43 import filtering, make, students
from lesson_43.arms import ARMS, KINDS, Kind, Settings

TASKS = [task for name in worlds.NAMES for task in worlds.load(name).train(20)]
TINY = Settings(
    seeds=2,
    kinds={name: replace(kind, examples=20, steps=2, batch_size=8) for name, kind in KINDS.items()},
)


@dataclass(frozen=True)
class Small(Settings):
    """What the command would take, at this test's size."""

    kinds: Mapping[str, Kind] = field(default_factory=lambda: TINY.kinds)


ARMS_OF_THE_TUTOR = ("raw", "verified", "filtered", "steps", "answer-only")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tutor that has learnt nothing."""
    where = tmp_path_factory.mktemp("tutor")
    texts = (f"{t.prompt}\n{t.target}" for t in TASKS)
    tokenizer = tutor.learn_tokenizer(texts, 300)
    tutor.network(Size(8, 1, 1, 16), tokenizer, 0).save_pretrained(where)
    tokenizer.save_pretrained(where)
    return where


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    """Small students, and a tutor of rules: right two times in three, for it has learnt nothing."""
    monkeypatch.setattr(students, "SIZE", Size(8, 1, 1, 16))
    asked = []

    def answered(teacher, tasks, file, *, temperature, seed=0):
        asked.append((file.name, temperature))
        rows = [
            {
                "id": str(i),
                "prompt": [{"role": "user", "content": task.prompt}],
                "answer": task.target if i % 3 else "who knows",
                "about": {"task": i, "world": task.world},
            }
            for i, task in enumerate(tasks)
        ]
        return type("Answers", (), {"rows": rows})

    monkeypatch.setattr(make, "asked", answered)
    return asked


def learn(settings, work, folder, arms=ARMS, stop_after=None):
    done = []

    def show(words):
        if words.endswith("\n"):
            done.append(words)
            if stop_after is not None and len(done) == stop_after:
                raise KeyboardInterrupt

    make.train_all(settings, list(arms), work, folder, show)
    return done


@pytest.mark.slow
def test_a_stopped_run_goes_on_where_it_was(tmp_path, folder):
    unbroken, halves = tmp_path / "whole", tmp_path / "halves"
    unbroken.mkdir()
    halves.mkdir()
    assert len(learn(TINY, unbroken, folder)) == 1 + 2 * len(ARMS)
    with pytest.raises(KeyboardInterrupt):
        learn(TINY, halves, folder, stop_after=9)
    kept = {f.name: f.read_bytes() for f in halves.glob("*.safetensors")}
    assert len(kept) == 9
    assert len(learn(TINY, halves, folder)) == 1 + 2 * len(ARMS) - 9
    for file in unbroken.glob("*.safetensors"):
        assert kept.get(file.name, file.read_bytes()) == file.read_bytes(), file.name
        assert (halves / file.name).read_bytes() == file.read_bytes(), file.name


@pytest.fixture(scope="module")
def work(tmp_path_factory, folder):
    where = tmp_path_factory.mktemp("work")
    with pytest.MonkeyPatch.context() as patch:
        tiny.__wrapped__(patch)
        learn(TINY, where, folder)
    return where


def test_what_is_published_is_whole(tmp_path, work):
    make.publish(TINY, work, tmp_path)
    names = {f.name for f in tmp_path.iterdir()} - {"SHA256SUMS"}
    assert names == {"base.safetensors", "report.json", *(f"{arm}.safetensors" for arm in ARMS)}
    assert set(stored.checksums(tmp_path)) == names
    for arm in ARMS:
        both = stored.load(f"{arm}.safetensors", folder=tmp_path)
        for seed in range(2):
            one = load_file(work / f"{arm}-{seed}.safetensors")
            assert all(torch.equal(both[key][seed], one[key]) for key in one)
            assert all(value.dtype == torch.float16 for value in one.values())


def test_the_report_says_what_each_arm_learnt_from(tmp_path, work):
    make.publish(TINY, work, tmp_path)
    report = students.report(folder=tmp_path)
    assert report["settings"]["noise"] == TINY.noise
    assert set(report["arms"]) == {"base", *ARMS}
    assert report["made"]["command"].endswith("make")
    raw, verified, filtered = (report["arms"][a][0] for a in ("raw", "verified", "filtered"))
    assert raw["asked"] == raw["left"] == 100 and raw["right"] == 66
    assert verified["left"] == 66 and verified["right"] == 100
    assert [f["filter"] for f in filtered["filters"]] == ["verified", "near-duplicates", "balance"]
    assert filtered["left"] == 66 - sum(f["n_removed"] for f in filtered["filters"][1:])
    assert report["arms"]["answer-only-longer"][0]["steps"] == 4
    assert "/" not in json.dumps(report["made"]["machine"]).replace("x86/", "")


def test_arms_of_one_seed_begin_alike_and_end_apart(work):
    gold, raw = (load_file(work / f"{arm}-0.safetensors") for arm in ("gold", "raw"))
    assert any(not torch.equal(gold[key], raw[key]) for key in gold)


def test_the_answer_alone_is_what_follows_the_steps(folder, tmp_path):
    sets = make.Sets(TINY, 0, tmp_path, folder)
    _, bare, _ = sets.of(ARMS["answer-only"])
    _, worked, _ = sets.of(ARMS["steps"])
    assert bare[1].startswith("Answer: ") and worked[1].endswith(bare[1])
    assert "=" in worked[1] and "=" not in bare[1]


def test_steps_are_heard_greedily_and_the_rest_is_sampled(folder, tmp_path, tiny):
    sets = make.Sets(TINY, 1, tmp_path, folder)
    for arm in ARMS_OF_THE_TUTOR:
        sets.of(ARMS[arm])
    assert set(tiny) == {("answers-1.jsonl", 1.0), ("sums-1.jsonl", 0.0)}


def test_the_command_says_what_is_still_missing(tmp_path, folder, capsys, monkeypatch):
    monkeypatch.setattr(make, "Settings", Small)
    given = [
        "--work",
        str(tmp_path / "work"),
        "--out",
        str(tmp_path / "out"),
        "--tutor",
        str(folder),
        "--seeds",
        "1",
    ]
    threads = torch.get_num_threads()
    try:
        assert make.main([*given, "--arms", "gold", "random"]) == 3
        assert "still to be trained: raw-0, verified-0" in capsys.readouterr().err
        assert not (tmp_path / "out").exists()
        assert make.main(given) == 0
    finally:
        torch.set_num_threads(threads)
    assert (tmp_path / "out" / "report.json").is_file()


def test_the_tutor_is_really_asked_once(folder, tmp_path, monkeypatch):
    monkeypatch.undo()
    teacher = LocalGenerator(*tutor.load(folder), batch_size=4)
    tasks = TASKS[:3]
    file = tmp_path / "answers.jsonl"
    first = make.asked(teacher, tasks, file, temperature=0.0)
    again = make.asked(teacher, tasks, file, temperature=0.0)
    assert first.asked == 3 and again.asked == 0
    rows = [*first.rows, *first.rejected]
    assert {row["about"]["task"] for row in rows} == {0, 1, 2}
    assert {row["about"]["world"] for row in rows} == {"nli"}


def test_the_answers_of_the_figure_are_made_by_their_command(folder, tmp_path, monkeypatch):
    monkeypatch.undo()
    monkeypatch.setattr(filtering, "figure_tasks", lambda: TASKS[::25])
    monkeypatch.setattr(filtering, "TEMPERATURES", (0.5, 2.0))
    where = ["--work", str(tmp_path / "work"), "--out", str(tmp_path), "--tutor", str(folder)]
    threads = torch.get_num_threads()
    try:
        assert make.main([*where, "--answers"]) == 0
    finally:
        torch.set_num_threads(threads)
    data = stored.load(filtering.FILE, folder=tmp_path)
    assert list(data["answers"]) == ["0.5", "2.0"] and data["settings"]["samples"] == 2
    numbers = {number for answers in data["answers"].values() for number, _ in answers}
    assert numbers <= set(range(4)) and data["made"]["command"].endswith("make --answers")

"""A job for several seeds: each in a folder, data and teacher shared, resumable, with intervals."""

import json

import pytest
import torch
from safetensors.torch import load_file

from distill_lab import cli
from distill_lab.evaluation.statistics import mean_interval, paired_interval
from distill_lab.jobs import language_models
from distill_lab.jobs.checking import check
from distill_lab.jobs.job_file import read_job
from distill_lab.jobs.learning import answers
from distill_lab.jobs.running import run_job
from tests.data.test_tokenized import llama, words_tokenizer
from tests.jobs import tiny

ROWS = [{"prompt": a + b, "answer": b + a} for a in "abcde" for b in "abcd"]


@pytest.fixture
def place(tmp_path):
    llama(1, 3).save_pretrained(tmp_path / "teacher")
    words_tokenizer().save_pretrained(tmp_path / "teacher")
    tiny.write_jsonl(tmp_path / "train.jsonl", ROWS)
    return tmp_path


SHAPE = "{hidden_size: 16, intermediate_size: 32, num_hidden_layers: 1, num_attention_heads: 2}"


def job(place, *settings):
    (place / "job.yaml").write_text(f"""
teacher: {place}/teacher
student: {SHAPE}
train: train.jsonl
held_out: 0.3
method: token-kl
epochs: 2
batch_size: 6
lr: 1e-2
seed: 4
seeds: 3
out: out
""")
    return read_job(place / "job.yaml", settings)


def weights(folder):
    return (folder / "student/model.safetensors").read_bytes()


def test_each_seed_is_the_run_of_that_seed_alone_on_the_same_rows(place, monkeypatch):
    loaded = []
    load = language_models.load
    monkeypatch.setattr(
        language_models, "load", lambda *given, **more: loaded.append(given) or load(*given, **more)
    )
    outcome = run_job(job(place), progress=False)
    assert len(loaded) == 1  # one teacher for all
    seeds = [place / f"out/seed_{seed}" for seed in (4, 5, 6)]
    assert len({weights(folder) for folder in seeds}) == 3
    alone = run_job(job(place, "seeds=null", f"out={place}/alone"), progress=False)
    assert weights(seeds[0]) == weights(place / "alone")
    reports = [json.loads((folder / "report.json").read_text()) for folder in seeds]
    after, before = ([r["figures"][f"student {x}"]["kl"] for r in reports]
                     for x in ("after", "before"))  # fmt: skip
    assert after[0] == alone.figures["student after"].kl
    (line,) = [
        line for line in outcome.text.splitlines() if line.startswith("| KL to the teacher, nats |")
    ]
    assert f"{mean_interval(after).mean:.3f}" in line
    assert f"{paired_interval(after, before):.3f}".split(" ")[0] in line and "(3/3)" in line
    assert "not measured" not in outcome.text  # what no seed measured is left out
    assert (place / "out/report.md").read_text().startswith("# token-kl, 3 seeds")
    assert json.loads((place / "out/report.json").read_text())["seeds"].keys() == {"4", "5", "6"}


@pytest.mark.parametrize("method", ["seq-kd", "token-kl"])
def test_stopped_in_the_second_seed_it_goes_on_there_and_asks_nothing_twice(
    place, method, monkeypatch
):
    asked = []
    generate = answers.generate
    monkeypatch.setattr(
        answers, "generate", lambda *given, **more: asked.append(1) or generate(*given, **more)
    )
    settings = [f"method={method}", *(["max_new_tokens=40"] if method == "seq-kd" else [])]
    run_job(job(place, *settings, f"out={place}/whole"), progress=False)
    assert len(asked) == (method == "seq-kd")
    torn = job(place, *settings, f"out={place}/torn")
    calls = []

    def stop(terms, step, steps):
        calls.append(step)
        if len(calls) == steps + 2:
            raise KeyboardInterrupt

    assert run_job(torn, progress=stop).history.interrupted
    assert not (place / "torn/report.json").exists() and (place / "torn/seeds.json").exists()
    lines, calls = [], []

    def watch(terms, step, steps):
        calls.append(step)

    run_job(torn, progress=watch, log=lines.append)
    assert "seed 4: done before" in lines and len(calls) < 2 * max(calls)  # a seed and a part
    for seed in (4, 5, 6):
        one, other = (place / f"{name}/seed_{seed}" for name in ("whole", "torn"))
        assert weights(one) == weights(other)
    if method == "seq-kd":
        assert (place / "torn/answers.jsonl").exists()
        assert not (place / "torn/seed_5/answers.jsonl").exists()


def test_more_seeds_later_and_no_others_among_them(place):
    run_job(job(place, "seeds=2", "epochs=1"), progress=False)
    first = weights(place / "out/seed_4")
    lines = []
    outcome = run_job(job(place, "seeds=3", "epochs=1"), progress=False, log=lines.append)
    assert lines.count("seed 4: done before") == 1 and weights(place / "out/seed_4") == first
    assert outcome.text.startswith("| 3 seeds |")
    again = run_job(job(place, "seeds=3", "epochs=1"), progress=False)
    assert again.text == outcome.text
    with pytest.raises(ValueError, match=r"seed 4 in .* of another job \(lr: 0.01 there, 0.5 now"):
        run_job(job(place, "epochs=1", "lr=0.5"), progress=False)
    tiny.write_jsonl(place / "train.jsonl", ROWS[:15])
    with pytest.raises(ValueError, match=r"of another job \(the content of train\)"):
        run_job(job(place, "seeds=4", "epochs=1"), progress=False)
    done = json.loads((place / "out/seeds.json").read_text())
    for each in done.values():  # as runs of before, which did not note what the files held
        del each["files"]
    (place / "out/seeds.json").write_text(json.dumps(done))
    with pytest.raises(ValueError, match="holds seeds that learned other data"):
        run_job(job(place, "seeds=4", "epochs=1"), progress=False)


def one_letter(file):
    """Another letter in place of the last one that is in the file."""
    text = file.read_text()
    at = max(text.rindex(letter) for letter in "abcd")
    file.write_text(text[:at] + ("a" if text[at] == "b" else "b") + text[at + 1 :])


@pytest.mark.parametrize(
    ("what", "change"),
    [
        ("train", lambda place: one_letter(place / "train.jsonl")),
        ("validation", lambda place: one_letter(place / "held_out.jsonl")),
        ("exam", lambda place: tiny.write_jsonl(place / "exam.jsonl", ROWS[3:5])),
        ("teacher", lambda place: llama(1, 4).save_pretrained(place / "teacher")),
    ],
    ids=["train", "validation", "exam", "teacher"],
)
@pytest.mark.parametrize("seeds", [2, 3])
def test_seeds_that_are_done_are_not_given_for_other_files(place, what, change, seeds):
    """Not where all of them are done, either: what was learned then is of the files of then."""
    tiny.write_jsonl(place / "held_out.jsonl", ROWS[:5])
    tiny.write_jsonl(place / "exam.jsonl", ROWS[:2])
    more = ("held_out=null", f"validation={place}/held_out.jsonl", f"exam={place}/exam.jsonl")
    more = (*more, "max_new_tokens=4", "epochs=1")
    outcome = run_job(job(place, *more, "seeds=2"), progress=False)
    assert run_job(job(place, *more, "seeds=2"), progress=False).text == outcome.text
    change(place)
    given = job(place, *more, f"seeds={seeds}")
    for action in (check, lambda given, log: run_job(given, progress=False)):
        with pytest.raises(ValueError, match=rf"another job \(the content of {what}\)"):
            action(given, print)


def test_check_looks_at_what_is_there_of_each_seed(place):
    """Done, begun and not begun: each is held against its own folder."""
    calls = []

    def stop(terms, step, steps):
        calls.append(step)
        if len(calls) == steps + 1:
            raise KeyboardInterrupt

    assert run_job(job(place), progress=stop).history.interrupted
    check(job(place), print)
    done = json.loads((place / "out/seeds.json").read_text())
    with pytest.raises(ValueError, match=r"seed 4 in .* of another job \(lr: 0.01 there"):
        check(job(place, "lr=0.5"), print)
    (place / "out/seeds.json").unlink()
    with pytest.raises(ValueError, match=r"seed_4/run.safetensors belongs to another run"):
        check(job(place, "T=2.0"), print)
    (place / "out/seeds.json").write_text(json.dumps(done))
    (place / "out/seed_5").rename(place / "out/seed_6")
    with pytest.raises(ValueError, match=r"seed_6/run.safetensors belongs to another run .*seed"):
        check(job(place), print)


def test_classifiers_share_a_teacher_that_learned_first(tmp_path, capsys):
    tiny.encoder(tmp_path / "teacher", 2)
    tiny.write_csv(tmp_path / "rows.csv", tiny.sentences(50))
    (tmp_path / "job.yaml").write_text(
        "kind: text-classification\n"
        f"teacher: {{model: {tmp_path}/teacher, finetune: {{epochs: 6}}}}\n"
        "student: {layers: [0]}\ntrain: rows.csv\nheld_out: 0.3\nmethod: kd\nlr: 3e-3\n"
        "batch_size: 8\nepochs: 2\nout: out\nseeds: 2\n"
    )
    assert cli.main(["distill", str(tmp_path / "job.yaml"), "--check"]) == 0
    assert cli.main(["distill", str(tmp_path / "job.yaml")]) == 0
    shown = capsys.readouterr().out
    assert shown.count("the teacher learns the task first") == 1
    assert "| accuracy |" in shown and "student − teacher" in shown
    assert "a folder for each seed" in shown
    both = [load_file(tmp_path / f"out/seed_{i}/student/model.safetensors") for i in (0, 1)]
    assert both[0].keys() == both[1].keys()
    assert not all(torch.equal(both[0][name], both[1][name]) for name in both[0])
    assert (tmp_path / "out/teacher.safetensors").exists()
    for seed in (0, 1):
        assert not (tmp_path / f"out/seed_{seed}/teacher.safetensors").exists()


def test_one_seed_has_no_interval(place):
    with pytest.raises(ValueError, match="seeds must be 2 or more, got 1"):
        job(place, "seeds=1")

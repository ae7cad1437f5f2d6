"""Jobs whose teacher reads more than its student: rules, a hint, the solution."""

import json

import pytest

from distill_lab import cli
from distill_lab.jobs.checking import check
from distill_lab.jobs.job_file import read_job
from distill_lab.jobs.running import run_job
from tests.data.test_tokenized import llama, words_tokenizer
from tests.jobs.conftest import ROWS
from tests.jobs.runs import equal, job, stop_at, weights
from tests.jobs.tiny import write_jsonl
from tests.synthesis.http import Backend


@pytest.fixture
def hinted(folder, tmp_path):
    """The job's data with a column more, in which the teacher's task is another one.

    Taught behind `turned`, the student copies: the teacher turns round what is turned already.
    """
    rows = [
        {"prompt": row["prompt"], "answer": row["prompt"], "turned": row["answer"]}
        for row in ROWS[:20]
    ]
    write_jsonl(tmp_path / "train.jsonl", rows)
    data = {name: str(tmp_path / "train.jsonl") for name in ("train", "validation")}
    return data | {"teacher_prompt": {"user": "{turned}"}, "epochs": 12}


@pytest.mark.parametrize(
    ("method", "more"),
    [
        ("token-kl", {}),
        ("token-kl", {"teacher_keep": {"top_k": 4}}),
        ("jsd", {"teacher_prompt": {"user": "{turned}", "system": "ab"}}),
    ],
    ids=["live", "kept", "with a system message"],
)
def test_what_the_teacher_alone_reads_goes_into_the_student(folder, hinted, tmp_path, method, more):
    log = []
    outcome = run_job(
        job(folder, tmp_path / "out", method, **hinted | more), progress=False, log=log.append
    )
    before, after = outcome.figures["student before"], outcome.figures["student after"]
    assert after.kl < before.kl / 2  # to the teacher behind its own prompts
    if "teacher_prompt" not in more:  # a system message is new to this teacher
        assert after.nll < before.nll / 2
    lines = "\n".join(log)
    assert "student reads (4 tokens):\n<user>" in lines and "teacher reads" in lines
    assert "nats from the student at the first token" in lines
    assert outcome.headroom is None  # of the same prompts, it says nothing of this job
    facts = json.loads((tmp_path / "out/report.json").read_text())["job"]
    assert facts["teacher_prompt"]["user"] == "{turned}"


def test_stopped_it_goes_on_bit_for_bit_and_another_view_is_refused(folder, hinted, tmp_path):
    fit = hinted | {"epochs": 6}
    outcome = run_job(job(folder, tmp_path / "whole", "on-policy", **fit), progress=False)
    given = job(folder, tmp_path / "out", "on-policy", **fit)
    assert run_job(given, progress=stop_at(8)).history.interrupted
    other = job(folder, tmp_path / "out", "on-policy", **fit | {"teacher_prompt": {"system": "b"}})
    with pytest.raises(ValueError, match="another run"):
        run_job(other, progress=False)
    run_job(given, progress=False)
    assert outcome.figures
    assert equal(weights(tmp_path / "whole"), weights(tmp_path / "out"))


def test_a_served_teacher_reads_it_and_the_student_does_not(folder, hinted, tmp_path, capsys):
    with Backend(
        lambda body: {"text": body["messages"][-1]["content"][::-1], "finish": "stop"}
    ) as server:
        llama(1, 4).save_pretrained(tmp_path / "student")
        words_tokenizer().save_pretrained(tmp_path / "student")
        file = tmp_path / "job.yaml"
        file.write_text(
            f"teacher: {{url: {server.url}, model: org/tutor}}\nstudent: student\n"
            "train: train.jsonl\nvalidation: train.jsonl\nmethod: seq-kd\nepochs: 2\n"
            "teacher_prompt:\n  user: '{turned}'\n  system: |\n    Turn it round.\nout: out\n"
        )
        assert cli.main(["distill", str(file), "--check"]) == 0
        messages = capsys.readouterr().out
        first = json.loads((tmp_path / "train.jsonl").read_text().splitlines()[0])
        assert f"system: Turn it round.\n\n  user: {first['turned']}" in messages
        assert not server.asked
        run_job(read_job(file), progress=False)
        prompts = [[turn["content"] for turn in body["messages"]] for body in server.asked]
        rows = [json.loads(x) for x in (tmp_path / "out/answers.jsonl").read_text().splitlines()]
    assert len(prompts) == 20 and all(turns[0] == "Turn it round.\n" for turns in prompts)
    assert all([turn["content"] for turn in row["prompt"]] == [row["answer"]] for row in rows)


@pytest.mark.parametrize("method", ["token-kl", "seq-kd"])
def test_a_row_that_is_left_out_needs_no_room_before_the_teacher(folder, tmp_path, method):
    """Too long for the student, or an answer that the teacher cannot write: it is counted."""
    rows = [*ROWS[:9], {"prompt": "a" * 70, "answer": "b"}]
    write_jsonl(tmp_path / "train.jsonl", rows)
    data = {name: str(tmp_path / "train.jsonl") for name in ("train", "validation")}
    more = {**data, "teacher_prompt": {"user": "{prompt}"}, "epochs": 1}
    given, lines = job(folder, tmp_path / "out", method, **more), []
    check(given, lines.append)
    assert any("1 left out as too long" in line for line in lines)
    assert run_job(given, progress=False).history.steps == 1


@pytest.mark.parametrize(
    ("method", "learned", "measured"),
    [
        ("token-kl", {"prompt": "a" * 40, "answer": "b" * 20}, ROWS[0]),  # the answer is long
        ("on-policy", {"prompt": "a" * 40, "answer": "b"}, ROWS[0]),  # one's own may be
        ("token-kl", ROWS[0], {"prompt": "a" * 40, "answer": "b" * 20}),
        ("seq-kd", {"prompt": "a" * 60, "answer": "b"}, ROWS[0]),  # nobody can be asked
    ],
)
def test_a_prompt_without_room_for_its_answer_is_refused_as_the_run_does(
    folder, tmp_path, method, learned, measured
):
    files = {"train": learned, "validation": measured}
    data = {name: str(write_jsonl(tmp_path / f"{name}.jsonl", [files[name]])) for name in files}
    view = {"user": "{prompt}aaaaaa"}
    more = {**data, "teacher_prompt": view, "epochs": 1, "max_new_tokens": 20}
    given = job(folder, tmp_path / "out", method, **more)
    words = "teacher_prompt: the longest has .* tokens, with an answer"
    words = "leaves no room for any prompt" if method == "seq-kd" else words
    with pytest.raises(ValueError, match=words):
        check(given, print)
    words = "none of the teacher's 1 answers" if method == "seq-kd" else words
    with pytest.raises(ValueError, match=words):
        run_job(given, progress=False)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (
            {"teacher_prompt": {"user": "{hint}"}},
            r"train\.jsonl, line 1 has no hint, .*it has answer, prompt",
        ),
        ({"teacher_prompt": {"system": "a" * 600}}, "has 6.. tokens.*positions: shorten it"),
    ],
)
def test_rows_without_the_column_and_prompts_without_room_are_refused(
    folder, hinted, tmp_path, more, message
):
    given = job(folder, tmp_path / "out", "token-kl", **hinted | more)
    with pytest.raises(ValueError, match=message):
        check(given, print)
    with pytest.raises(ValueError, match=message):
        run_job(given, progress=False)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("teacher_prompt: '{}'", "line 6: .*a column's name in braces"),
        ("teacher_prompt: {system: 3}", "system must be a text"),
        ("teacher_prompt: {sistem: Rules}", "line 6: .*'sistem'.*did you mean 'system'"),
        ("teacher_prompt: '{prompt}'\nlearn: all", "line 7: .*learn: last"),
        ("teacher_prompt: ''", "line 6"),
    ],
)
def test_a_teachers_prompt_that_cannot_be_is_refused_by_line(tmp_path, lines, message):
    file = tmp_path / "job.yaml"
    file.write_text(
        f"teacher: a\nstudent: b\ntrain: c.jsonl\nmethod: token-kl\nout: out\n{lines}\n"
    )
    with pytest.raises(ValueError, match=message):
        read_job(file)


def test_a_method_that_asks_nobody_does_not_read_it(tmp_path):
    file = tmp_path / "job.yaml"
    file.write_text("student: b\ntrain: c\nmethod: sft\nout: o\nteacher_prompt: '{prompt}'\n")
    with pytest.warns(UserWarning, match="method sft does not read teacher_prompt"):
        read_job(file)

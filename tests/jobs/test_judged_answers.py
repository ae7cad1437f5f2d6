"""Jobs that learn from some of a teacher's answers, and from a teacher behind a server."""

import json

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoTokenizer

from distill_lab import cli
from distill_lab.jobs.checking import check
from distill_lab.jobs.job_file import read_job
from distill_lab.jobs.learning import learning_of
from distill_lab.jobs.running import run_job
from distill_lab.jobs.vocabularies import Models
from distill_lab.synthesis.prompts import requests_of
from distill_lab.teachers.text import LocalGenerator, session
from distill_lab.teachers.text.protocol import Sampling
from tests.data.test_tokenized import llama, words_tokenizer
from tests.jobs.runs import job, stop_at
from tests.synthesis.http import Backend


def says(body):
    """A teacher that writes it backwards, or forwards where its seed is odd."""
    asked = body["messages"][-1]["content"]
    return {"text": asked if body["seed"] % 2 else asked[::-1], "finish": "stop"}


@pytest.fixture
def server():
    with Backend(says) as backend:
        yield backend


@pytest.fixture
def student(tmp_path):
    llama(1, 4).save_pretrained(tmp_path / "student")
    words_tokenizer().save_pretrained(tmp_path / "student")
    return str(tmp_path / "student")


def text(folder, tmp_path, student, url, more=""):
    """A job file, as somebody writes it."""
    path = tmp_path / "job.yaml"
    path.write_text(
        f"teacher: {{url: {url}, model: org/tutor, key_env: TUTOR_KEY}}\n"
        f"student: {student}\ntrain: {folder}/train.jsonl\nvalidation: {folder}/train.jsonl\n"
        f"method: seq-kd\nepochs: 3\nbatch_size: 10\nlr: 1e-2\nout: out\n{more}"
    )
    return path


def test_a_server_teaches_and_is_asked_nothing_twice(
    folder, tmp_path, student, server, monkeypatch, capsys
):
    monkeypatch.setenv("TUTOR_KEY", "canary-7f3a9c1e")
    file = text(folder, tmp_path, student, server.url, "samples: 4\nverify: exact\n")
    assert cli.main(["distill", str(file), "--check"]) == 0
    assert server.asked == []
    messages = capsys.readouterr().out
    assert "org/tutor at http://127.0.0.1" in messages and "not asked now" in messages
    assert "answers: 80, of at most 128 tokens each; where all are kept: 24 steps" in messages

    priced = "teacher.price=[1, 2]"
    assert cli.main(["distill", str(file), priced, "--check"]) == 0
    assert "for at most about 0.020" in capsys.readouterr().out

    given = read_job(file)
    assert run_job(given, progress=stop_at(3)).history.interrupted
    assert len(server.asked) == 80
    shown = [one["messages"] for one in server.asked]
    assert all(len(turns) == 1 and turns[0]["role"] == "user" for turns in shown)  # no gold answer
    outcome = run_job(given, progress=False)
    assert len(server.asked) == 80
    whole = run_job(read_job(file, [f"out={tmp_path}/whole"]), progress=False)
    one, two = (load_file(x.student / "model.safetensors") for x in (outcome, whole))
    assert all(torch.equal(one[name], two[name]) for name in one)
    rows = [json.loads(x) for x in (tmp_path / "out/answers.jsonl").read_text().splitlines()]
    kept = [json.loads(x) for x in (tmp_path / "out/answers.kept.jsonl").read_text().splitlines()]
    right = [row for row in rows if row["answer"] == row["about"]["answer"]]
    by_id = {"key": lambda row: row["id"]}  # the journal is in the order in which they came
    assert len(rows) == 80 and sorted(kept, **by_id) == sorted(right, **by_id)
    assert 0 < len(kept) < 80
    report = json.loads((tmp_path / "out/report.json").read_text())
    (step,) = report["answers"]
    assert (step["filter"], step["n_in"], step["n_kept"]) == ("verify exact", 80, len(kept))
    assert step["reasons"] == {"answered …, not …": 80 - len(kept)}
    assert f"{len(kept)} of 80 rows kept" in (tmp_path / "out/report.md").read_text()
    card = json.loads((tmp_path / "out/answers.card.json").read_text())
    assert card["filters"] == report["answers"] and card["file"]["rows"] == len(kept)
    assert card["teacher"]["name"] == "org/tutor"
    assert "org/tutor" in json.loads((outcome.student / "card.json").read_text())["teachers"]
    assert all("bearer canary-7f3a9c1e" in each["authorization"] for each in server.headers)
    for path in tmp_path.rglob("*"):  # the key is nowhere
        assert not path.is_file() or b"canary-7f3a9c1e" not in path.read_bytes(), path
    given = read_job(file, ["verify=contains", "filters=[distinct]"])
    with pytest.raises(ValueError, match="data: "):  # other answers are kept
        run_job(given, progress=False)
    assert len(server.asked) == 80 * 2


def test_faults_that_echo_the_key_are_said_at_once_and_lead_it_nowhere(
    folder, tmp_path, student, monkeypatch, capsys, caplog
):
    key = "sk-canary+7f3a9c1e/QzWx2468"
    monkeypatch.setenv("TUTOR_KEY", key)
    monkeypatch.setattr(session, "FIRST_WAIT", 0.001)
    caplog.set_level("DEBUG")
    turns = []

    def echo(body):
        turns.append(1)
        error = {"error": {"message": f"Bearer {key}", "code": key}}
        if len(turns) in (1, 4):
            return {"status": "500 Oops", "body": error, "headers": {"x_echo": key}}
        if len(turns) == 9:
            return {"status": "400 No", "body": f"{key[:18]}..."}
        return says(body) | {"more": {"reasoning_content": f"the key is {key}"}}

    with Backend(echo) as backend:
        file = text(folder, tmp_path, student, backend.url)
        assert cli.main(["distill", str(file), "epochs=1"]) == 0
    output = capsys.readouterr()
    places = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    places |= {"log": caplog.text.encode(), "shown": (output.out + output.err).encode()}
    assert "Fault: the server said 500: Bearer [key]; asked again in" in output.out + output.err
    assert b"[key]" in places[tmp_path / "out/answers.jsonl"]
    pieces = [key[i : i + 12].encode() for i in range(len(key) - 11)]
    assert [str(name) for name, raw in places.items() if any(p in raw for p in pieces)] == []


def test_nothing_kept_is_a_sentence(folder, tmp_path, student, server, monkeypatch, capsys):
    monkeypatch.setenv("TUTOR_KEY", "canary-7f3a9c1e")
    file = text(folder, tmp_path, student, server.url, "filters: [{length: {least: 9}}]\n")
    assert cli.main(["distill", str(file)]) == 2
    message = capsys.readouterr().err
    assert "none of the teacher's 20 answers is left to learn from (length: … words" in message
    assert "answers.jsonl" in message and not (tmp_path / "out/student").exists()


def test_a_server_that_is_not_there_is_a_sentence(folder, tmp_path, student, monkeypatch, capsys):
    monkeypatch.setenv("TUTOR_KEY", "canary-7f3a9c1e")
    refusing = lambda body: {"status": "401 Unauthorized", "body": {"error": "no"}}  # noqa: E731
    with Backend(refusing) as backend:
        file = text(folder, tmp_path, student, backend.url)
        assert cli.main(["distill", str(file)]) == 2
    message = capsys.readouterr().err
    assert "The same command goes on from there." in message and "Traceback" not in message
    assert "canary" not in message


def test_a_teacher_that_is_here_is_judged_too(folder, tmp_path):
    """Rejection sampling from a local teacher; gold answers that end in #### are read."""
    rows = [json.loads(line) for line in (folder / "train.jsonl").read_text().splitlines()]
    path = tmp_path / "train.jsonl"
    path.write_text(
        "".join(
            json.dumps({"prompt": row["prompt"], "answer": f"so\n#### {row['answer']}"}) + "\n"
            for row in rows
        )
    )
    lines = []
    given = {"train": str(path), "epochs": 2, "temperature": 1.5, "samples": 3}
    judged = {"verify": {"check": "exact"}, "filters": [{"distinct": {"threshold": 1.0}}]}
    outcome = run_job(
        job(folder, tmp_path / "out", "seq-kd", **given, **judged), progress=False, log=lines.append
    )
    (line,) = (line for line in lines if "rows kept" in line)
    assert "verify exact removed" in line and "near-duplicates removed" in line, line
    answers = {row["prompt"]: row["answer"] for row in rows}
    kept = (tmp_path / "out/answers.kept.jsonl").read_text().splitlines()
    for row in map(json.loads, kept):
        assert row["answer"] == answers[row["prompt"][-1]["content"]]
    assert outcome.history.steps == 2 * -(-len(kept) // 10)
    tokens = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out/tokens").iterdir()}
    assert sum(name.endswith(".arrow") for name in tokens) == 2  # of held-out texts and of answers
    again = job(folder, tmp_path / "out", "seq-kd", **given, **judged)
    run_job(again, progress=False)
    assert {p.name: p.stat().st_mtime_ns for p in (tmp_path / "out/tokens").iterdir()} == tokens


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ("verify: numbers", "line 10: verify must be one of"),
        ("verify: {check: exact, tolerance: 1}", "line 10: tolerance is read by check: numeric"),
        ("verify: {tolerance: 1}", "line 10: verify needs check"),
        ("filters: distinct", "line 10: filters must be a list"),
        ("filters: [distict]", "line 10: there is no filter 'distict'; known: length"),
        ("filters: [{length: {max: 3}}]", "line 10: length has no setting 'max'; known: least"),
        ("filters: [{length: {most: 3, least: 5}}]", "no text has 5 words or more and 3"),
        ("samples: 0", "line 10: samples must be a positive integer"),
        ("samples: 2\ntemperature: 0", "line 10: at temperature 0 all samples are the same"),
        ("top_p: 1.5", "line 10: top_p must lie above 0 and at most at 1, got 1.5"),
        ("top_p: 0", "line 10: top_p must be a positive"),
        ("stop: ['']", "line 10: stop must be a text or a list of texts"),
        ("system: ' '", "line 10: system must be a text"),
        ("plain: true", "line 10: a server writes prompts by its own template"),
        ("refusals: maybe", "line 10: refusals must be true or false"),
        ("schema: nowhere.json", "schema: there is no file"),
        ("schema: job.yaml", "job.yaml is not JSON"),
    ],
)
def test_what_a_file_says_of_judging(folder, tmp_path, student, monkeypatch, capsys, more, words):
    monkeypatch.setenv("TUTOR_KEY", "canary-7f3a9c1e")
    file = text(folder, tmp_path, student, "http://127.0.0.1:1/v1", more + "\n")
    assert cli.main(["distill", str(file), "--check"]) == 2
    message = capsys.readouterr().err
    assert words in message, message


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("method: seq-kd", "method: token-kl"), "line 1: method token-kl asks a teacher that is"),
        (("url: http://127", "url: ftp://127"), "line 1: url must be the base address"),
        (("url: http://", "url: http://me:secret@"), "line 1: url must hold no key"),
        (("key_env: TUTOR_KEY", "key: abc"), "line 1: there is no setting 'key' in teacher; did"),
        (("key_env: TUTOR_KEY", "keep: {top_k: 3}"), "no setting 'keep' in teacher"),
        (("key_env: TUTOR_KEY", "budget: 3"), "line 1: budget needs price"),
        (("key_env: TUTOR_KEY", "price: 3"), "line 1: price must be two numbers"),
        (("key_env: TUTOR_KEY", "tries: 0"), "line 1: tries must be a positive integer"),
        (("key_env: TUTOR_KEY", "stream: 1"), "line 1: stream must be true or false"),
        (("key_env: TUTOR_KEY", "extra: 1"), "line 1: extra must be a mapping"),
        (("key_env: TUTOR_KEY", "extra: {api_key: secret}"), "line 1: extra"),
        (("student: ", "student: {hidden_size: 8} #"), "a server hands out no tokenizer"),
        (("TUTOR_KEY", "NO_SUCH_KEY"), "the environment variable NO_SUCH_KEY holds no key"),
    ],
)
def test_what_a_file_says_of_a_server(
    folder, tmp_path, student, capsys, monkeypatch, change, words
):
    monkeypatch.setenv("TUTOR_KEY", "canary-7f3a9c1e")
    file = text(folder, tmp_path, student, "http://127.0.0.1:1/v1")
    file.write_text(file.read_text().replace(*change, 1))
    assert cli.main(["distill", str(file), "--check"]) == 2
    message = capsys.readouterr().err
    assert words in message and "secret" not in message, message


def test_a_teacher_is_asked_as_the_job_says(folder, tmp_path, student, monkeypatch, capsys):
    """What is sent, what is learned of it, and answers that a second job finds again."""
    monkeypatch.setenv("TUTOR_KEY", "canary-7f3a9c1e")
    words = {"a": "I'm sorry, but I can't help with that."}

    def reply(body):
        question = body["messages"][-1]["content"]
        return {"text": words.get(question[0], json.dumps(question)), "finish": "stop"}

    (tmp_path / "text.json").write_text('{"type": "string"}')
    more = (
        'top_p: 0.9\nstop: ["\\n\\n"]\nsystem: d e\ntemperature: 0\nmax_new_tokens: 9\n'
        "schema: text.json\nanswers: shared.jsonl\n"
    )
    with Backend(reply) as backend:
        file = text(folder, tmp_path, student, backend.url, more)
        file.write_text(file.read_text().replace("TUTOR_KEY}", "TUTOR_KEY, extra: {top_k: 5}}"))
        assert cli.main(["distill", str(file), "epochs=1"]) == 0
        assert len(backend.asked) == 20
        assert cli.main(["distill", str(file), "epochs=1", "out=" + str(tmp_path / "two")]) == 0
        assert len(backend.asked) == 20  # another job, the same answers
        for sent in backend.asked:
            assert (sent["top_p"], sent["stop"], sent["temperature"]) == (0.9, ["\n\n"], 0)
            assert (sent["max_tokens"], sent["top_k"]) == (9, 5)
            assert sent["messages"][0] == {"role": "system", "content": "d e"}
            assert sent["response_format"]["json_schema"]["schema"] == {"type": "string"}
        rows = [json.loads(x) for x in (tmp_path / "shared.jsonl").read_text().splitlines()]
        refused = [json.loads(x) for x in (tmp_path / "shared.rejected.jsonl").open()]
        asks = [sent["messages"][-1]["content"] for sent in backend.asked]
        assert len(refused) == sum(each[0] == "a" for each in asks) > 0
        assert len(rows) + len(refused) == 20 and (tmp_path / "out/answers.card.md").exists()
        words = {}
        capsys.readouterr()
        for other in ("refusals=true", "max_new_tokens=8", "system=other"):
            again = ["distill", str(file), other, "epochs=1", "out=" + str(tmp_path / "three")]
            messages = []
            for flag in ([], ["--check"]):
                assert cli.main([*again, *flag]) == 2
                messages.append(capsys.readouterr().err.split("shared.jsonl was made with")[1])
            assert messages[0] == messages[1] and "now " in messages[0]
            if other == "refusals=true":
                assert "like refusals were rejected and are now kept" in messages[0]
            assert not (tmp_path / "three/student").exists()
        places = ["epochs=2", f"out={tmp_path}/four"]
        assert cli.main(["distill", str(file), *places, "--check"]) == 0
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or b"canary-7f3a9c1e" not in path.read_bytes(), path


def test_a_teacher_without_a_template_is_shown_bare_texts(folder, tmp_path, capsys):
    """Refused with the line to write, before anything is loaded; then asked."""
    tokenizer = words_tokenizer()
    tokenizer.chat_template = None
    llama(2, 1).save_pretrained(tmp_path / "bare")
    tokenizer.save_pretrained(tmp_path / "bare")
    file = tmp_path / "job.yaml"
    file.write_text(
        f"teacher: bare\nstudent: bare\ntrain: {folder}/train.jsonl\nmethod: seq-kd\nepochs: 1\n"
        f"validation: {folder}/held_out.jsonl\nmax_new_tokens: 3\nout: out\nstop: [a]\n"
    )
    assert cli.main(["distill", str(file), "--check"]) == 2
    assert cli.main(["distill", str(file)]) == 2
    assert capsys.readouterr().err.count("has no chat template: plain: true shows it the bare") == 2
    seen, prompt = [], LocalGenerator._prompt
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            LocalGenerator, "_prompt", lambda self, one: seen.append(prompt(self, one)) or seen[-1]
        )
        for words in (["--check"], []):
            code = cli.main(["distill", str(file), "plain=true", *words])
            assert code == 0 or "left to learn from" in capsys.readouterr().err
    rows = [json.loads(line) for line in (folder / "train.jsonl").open()]
    assert sorted(map(tuple, seen[:20])) == sorted(
        tuple(tokenizer(row["prompt"], add_special_tokens=False)["input_ids"]) for row in rows
    )
    answers = [json.loads(line) for line in (tmp_path / "out/answers.jsonl").open()]
    assert all("a" not in row["answer"] for row in answers)
    places = [f"answers={tmp_path}/out/answers.jsonl", f"out={tmp_path}/b"]
    shared = ["distill", str(file), "plain=true", *places]
    assert cli.main([*shared, "--check"]) == 0  # of weights nothing is known yet
    capsys.readouterr()
    assert cli.main([*shared, "max_new_tokens=4", "--check"]) == 2
    words = "answers.jsonl was made with other settings: max_new_tokens was 3 and is now 4. Give"
    assert words in capsys.readouterr().err and not (tmp_path / "b").exists()


def test_plain_goes_before_a_template_that_is_there(folder, tmp_path):
    given = job(folder, tmp_path / "out", "seq-kd", plain=True)
    tokenizer = AutoTokenizer.from_pretrained(folder / "teacher")
    models = Models(None, tokenizer, llama(1, 1), tokenizer)
    (request,) = requests_of(["ab"], Sampling(), {})
    bare = learning_of(given)._teacher(models)._prompt(request)
    assert bare == tokenizer("ab", add_special_tokens=False)["input_ids"]
    given = job(folder, tmp_path / "out", "seq-kd")
    assert len(learning_of(given)._teacher(models)._prompt(request)) > len(bare)


def test_other_methods_say_that_they_read_no_filters(folder, tmp_path):
    path = tmp_path / "job.yaml"
    others = f"student: s\ntrain: {folder}/train.jsonl\nout: o\nsamples: 3\n"
    path.write_text(f"method: sft\n{others}")
    with pytest.warns(UserWarning, match="line 5: method sft does not read samples"):
        read_job(path)


def test_rows_without_an_answer_cannot_judge(folder, tmp_path):
    path = tmp_path / "train.jsonl"
    path.write_text('{"prompt": "a", "answer": "b"}\n{"prompt": "c"}\n')
    given = {"train": str(path), "validation": str(folder / "held_out.jsonl")}
    check(job(folder, tmp_path / "out", "seq-kd", **given), lambda line: None)
    with pytest.raises(ValueError, match=r"train.jsonl, line 2: answers are held against the row"):
        check(job(folder, tmp_path / "out", "seq-kd", **given, verify="exact"), lambda line: None)


@pytest.mark.parametrize("out", ["out", "two"])
def test_verify_is_added_after_the_answers_were_made(
    folder, tmp_path, student, server, monkeypatch, capsys, out
):
    """The right answers are the job's own rows', whatever the file of answers holds."""
    monkeypatch.setenv("TUTOR_KEY", "canary-7f3a9c1e")
    more = "samples: 4\nanswers: shared.jsonl\nsystem: d e\nteacher_prompt: '{prompt}'\nepochs: 1\n"
    file = text(folder, tmp_path, student, server.url)
    file.write_text(file.read_text().replace("epochs: 3\n", "") + more)
    assert cli.main(["distill", str(file)]) == 0
    (tmp_path / "out/run.safetensors").unlink()
    judged = ["distill", str(file), "verify=exact", f"out={tmp_path / out}"]
    assert cli.main([*judged, "--check"]) == 0
    assert cli.main(judged) == 0, capsys.readouterr().err
    assert len(server.asked) == 80  # once
    assert all(each["messages"][0] == {"role": "system", "content": "d e"} for each in server.asked)
    kept = [json.loads(x) for x in (tmp_path / out / "answers.kept.jsonl").open()]
    right = {
        row["prompt"]: row["answer"] for row in map(json.loads, (folder / "train.jsonl").open())
    }
    assert 0 < len(kept) < 80
    assert all(row["answer"] == right[row["prompt"][-1]["content"]] for row in kept)


def test_answers_are_held_against_the_rows_as_they_are_now(
    folder, tmp_path, student, server, monkeypatch
):
    """Mended in the data, a right answer is not that of an older file of answers."""
    monkeypatch.setenv("TUTOR_KEY", "canary-7f3a9c1e")
    rows = [json.loads(line) for line in (folder / "train.jsonl").open()]
    train = tmp_path / "train.jsonl"
    train.write_text("".join(json.dumps(row | {"answer": "wrong"}) + "\n" for row in rows))
    file = text(folder, tmp_path, student, server.url, "samples: 4\nanswers: shared.jsonl\n")
    given = ["distill", str(file), f"train={train}", "epochs=1", "verify=exact"]
    assert cli.main(given) == 2  # nothing agrees with it
    train.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert cli.main(given) == 0
    assert len(server.asked) == 80
    kept = [json.loads(x) for x in (tmp_path / "out/answers.kept.jsonl").open()]
    assert all(row["answer"] == row["about"]["answer"] for row in kept) and len(kept) < 80


def test_balance_counts_a_column_of_the_rows(
    folder, tmp_path, student, server, monkeypatch, capsys
):
    monkeypatch.setenv("TUTOR_KEY", "canary-7f3a9c1e")
    rows = [json.loads(line) for line in (folder / "train.jsonl").open()]
    train = tmp_path / "train.jsonl"
    topics = [{**row, "topic": "ab"[number < 5]} for number, row in enumerate(rows)]
    train.write_text("".join(json.dumps(row) + "\n" for row in topics))
    more = "filters: [{balanced: {by: topic}}]\n"
    file = text(folder, tmp_path, student, server.url, more)
    assert cli.main(["distill", str(file), f"train={train}", "epochs=1", "--check"]) == 0
    assert cli.main(["distill", str(file), f"train={train}", "epochs=1"]) == 0
    kept = [json.loads(x) for x in (tmp_path / "out/answers.kept.jsonl").open()]
    assert sorted(row["about"]["topic"] for row in kept) == 5 * ["a"] + 5 * ["b"]
    assert cli.main(["distill", str(file), "epochs=1", "--check"]) == 2
    assert "line 1: answers are held against the row's own 'topic'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("reply", "more", "words"),
    [
        ({"text": "a", "finish": "length"}, "", ("(20 truncated)", "raise max_new_tokens")),
        ({"text": "a", "finish": "stop"}, "schema: o.json\n", ("(20 malformed)", "mend schema")),
        ({"text": " ", "finish": "stop"}, "", ("(20 empty)", "all went into thoughts")),
        ({"text": "a", "finish": "content_filter"}, "", ("(20 refused)", "refusals: true")),
    ],
    ids=["truncated", "malformed", "empty", "refused"],
)
def test_what_was_lost_is_looked_for_where_it_is(
    folder, tmp_path, student, monkeypatch, capsys, reply, more, words
):
    monkeypatch.setenv("TUTOR_KEY", "canary-7f3a9c1e")
    (tmp_path / "o.json").write_text('{"type": "object"}')
    with Backend(lambda body: reply) as backend:
        file = text(folder, tmp_path, student, backend.url, more)
        assert cli.main(["distill", str(file)]) == 2
    message = capsys.readouterr().err
    assert all(each in message for each in words), message
    assert f"look into {tmp_path}/out/answers.rejected.jsonl, then" in message, message
    assert "change verify" not in message and "answers.jsonl" not in message, message


def test_losses_of_two_kinds_name_both_files(folder, tmp_path, student, monkeypatch, capsys):
    monkeypatch.setenv("TUTOR_KEY", "canary-7f3a9c1e")

    def reply(body):
        cut = body["messages"][-1]["content"][0] == "a"
        return {"text": "a", "finish": "length" if cut else "stop"}

    with Backend(reply) as backend:
        file = text(folder, tmp_path, student, backend.url, "filters: [{length: {least: 9}}]\n")
        assert cli.main(["distill", str(file)]) == 2
    message = capsys.readouterr().err
    assert "answers.rejected.jsonl, then raise max_new_tokens. Or look into " in message, message
    assert "out/answers.jsonl, then change verify or filters, or raise samples." in message


@pytest.mark.parametrize(
    ("check", "answers", "words"),
    [
        (
            "numeric",
            (1, "1,000", "so\n#### 3", "no idea"),
            "line 4: the row's own answer, 'no idea'",
        ),
        ("date", ("2024-03-12", "March"), "line 2: the row's own answer, 'March', does not pass"),
        ("date", ("3/4/2024",), "say day_first"),
        ("choice", ("A", "(b)", "F"), "line 3: the row's own answer, 'F'"),
        ("{check: label, labels: [yes, no]}", ("yes", "maybe"), "line 2: the row's own answer"),
    ],
)
def test_right_answers_that_no_verifier_reads_are_said_before_anybody_is_asked(
    folder, tmp_path, student, server, monkeypatch, capsys, check, answers, words
):
    monkeypatch.setenv("TUTOR_KEY", "canary-7f3a9c1e")
    train = tmp_path / "train.jsonl"
    rows = ({"prompt": f"a{'b' * n}", "answer": each} for n, each in enumerate(answers))
    train.write_text("".join(json.dumps(row) + "\n" for row in rows))
    file = text(folder, tmp_path, student, server.url, f"verify: {check}\n")
    for flag in (["--check"], []):
        assert cli.main(["distill", str(file), f"train={train}", *flag]) == 2
        assert words in (message := capsys.readouterr().err), message
    assert server.asked == []


@pytest.mark.parametrize(
    ("samples", "filters", "fits"),
    [
        (1, "[self_consistent]", False),
        (2, "[distinct, {self_consistent: {votes: 3}}]", False),
        (2, "[self_consistent]", True),
        (1, "[{self_consistent: {votes: 1}}]", True),
    ],
)
def test_a_vote_needs_voters(
    folder, tmp_path, student, monkeypatch, capsys, samples, filters, fits
):
    monkeypatch.setenv("TUTOR_KEY", "canary-7f3a9c1e")
    more = f"filters: {filters}\nsamples: {samples}\n"
    file = text(folder, tmp_path, student, "http://127.0.0.1:1/v1", more)
    assert cli.main(["distill", str(file), "--check"]) == (0 if fits else 2)
    assert fits or "line 10: self_consistent keeps what" in capsys.readouterr().err

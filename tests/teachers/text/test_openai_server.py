"""Asking over HTTP: what is sent, how many at once, how long is waited, where the key is not."""

import asyncio
import json
import os
import signal
import threading
import time
import traceback

import pytest

from distill_lab._util.jsonl import read_rows
from distill_lab.synthesis import OpenAIGenerator, TeacherStopped, generate
from distill_lab.synthesis.prompts import requests_of
from distill_lab.teachers.text import session
from distill_lab.teachers.text.faults import judge
from distill_lab.teachers.text.protocol import Sampling
from distill_lab.teachers.text.session import Limit
from tests.synthesis.http import Backend, FaultProxy

KEY = "sk-very-secret-0123456789"


@pytest.fixture(autouse=True)
def short_waits(monkeypatch):
    """The client's waits as they are, but from a hundredth of a second on."""
    monkeypatch.setattr(session, "FIRST_WAIT", 0.01)
    monkeypatch.setattr(session, "LONGEST_PAUSE", 0.05)


def teacher_at(url: str, **settings) -> OpenAIGenerator:
    return OpenAIGenerator(url, "fake", **settings)


@pytest.fixture
def threads():
    """The threads that ask, but for those that other tests have interrupted."""
    before = set(threading.enumerate())
    return lambda: [t for t in set(threading.enumerate()) - before if t.name == "generate"]


def interrupt_when(so) -> threading.Thread:
    """Press Ctrl-C as soon as something is so, from another thread."""

    def wait():
        while not so():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def error(status: str, words: str = "no", code: str | None = None, **headers: str):
    return {
        "status": status,
        "body": {"error": {"message": words, "code": code}},
        "headers": headers,
    }


@pytest.mark.parametrize("stream", [False, True])
def test_what_is_sent_and_what_is_kept(tmp_path, stream):
    schema = {"type": "object"}
    with Backend(lambda request_body: {"text": '{"a": 1}', "finish": "stop"}) as server:
        answers = generate(
            [{"prompt": "why?", "label": 3}],
            teacher_at(server.url, stream=stream, extra={"top_k": 5}),
            tmp_path / "a.jsonl",
            samples=2,
            temperature=0.7,
            top_p=0.9,
            max_new_tokens=17,
            seed=3,
            stop=["END"],
            schema=schema,
            system="be brief",
        )
    sent = server.asked[0]
    assert sent["messages"] == [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "why?"},
    ]
    assert (sent["model"], sent["temperature"], sent["top_p"]) == ("fake", 0.7, 0.9)
    assert (sent["max_tokens"], sent["stop"], sent["top_k"]) == (17, ["END"], 5)
    assert sent["response_format"]["json_schema"]["schema"] == schema
    assert "n" not in sent  # samples are requests of their own
    assert server.asked[0]["seed"] != server.asked[1]["seed"]
    row = read_rows(tmp_path / "a.jsonl")[0]
    assert row["answer"] == '{"a": 1}' and row["about"] == {"label": 3}
    assert row["tokens"] == [7, 5] and row["finish"] == "stop" and row["tries"] == 1
    assert len(answers.rows) == 2 and answers.alike == 1
    assert not server.headers[0].get("authorization", "").endswith(KEY)


def test_started_again_nothing_is_asked(tmp_path):
    prompts = [f"question {i}" for i in range(9)]
    with Backend() as server:
        generate(prompts[:4], teacher_at(server.url), tmp_path / "a.jsonl")
        assert len(server.asked) == 4
        generate(prompts, teacher_at(server.url), tmp_path / "a.jsonl")
        assert len(server.asked) == 9
        last = generate(
            [*prompts, *prompts], teacher_at(server.url), tmp_path / "a.jsonl", samples=1
        )
    assert len(server.asked) == 9 and last.asked == 0 and last.repeated == 9
    assert [row["prompt"][0]["content"] for row in last.rows] == prompts


def test_at_most_so_many_at_once(tmp_path):
    with Backend() as server:
        server.delay = 0.03
        generate(
            [f"q{i}" for i in range(30)],
            teacher_at(server.url, concurrency=5),
            tmp_path / "a.jsonl",
        )
        assert server.most_under_way == 5


def test_no_more_is_asked_than_can_be_written_down(tmp_path):
    """A kill loses what is under way, and as much again, however slow the disk is."""
    ahead = []

    def slow(request, outcome):
        time.sleep(0.01)
        ahead.append(len(server.asked) - len(ahead))

    with Backend() as server:
        prompts = [f"q{i}" for i in range(60)]
        request_body = list(requests_of(prompts, Sampling(), {"kind": "served", "model": "fake"}))
        teacher_at(server.url, concurrency=4).answer(request_body, slow)
    assert len(ahead) == 60 and max(ahead) <= 4 + 4 + 2


def test_a_wait_the_server_asks_for_is_kept(tmp_path):
    times = []

    def say(request_body):
        times.append(time.monotonic())
        if len(times) == 1:
            return error("429 Slow", retry_after="0.6")
        return {"text": "fine", "finish": "stop"}

    with Backend(say) as server:
        server.delay = 0.001
        teacher = teacher_at(server.url, concurrency=1)
        answers = generate(["a", "b", "c"], teacher, tmp_path / "a.jsonl")
    assert len(answers.rows) == 3
    assert times[1] - times[0] >= 0.6
    assert answers.rows[0]["tries"] == 2


@pytest.mark.parametrize("status", ["429 Slow", "503 Busy"])
def test_a_wait_beyond_all_patience_stops_the_run(tmp_path, status):
    with (
        Backend(lambda request_body: error(status, retry_after="3600")) as server,
        pytest.raises(TeacherStopped, match="asks to wait 3600 s"),
    ):
        generate(["a"], teacher_at(server.url), tmp_path / "a.jsonl")
    assert len(server.asked) == 1


def test_what_passes_is_tried_again_and_what_does_not_is_rejected(tmp_path):
    faults = {"a": 2, "b": 99}

    def say(request_body):
        word = request_body["messages"][0]["content"]
        if faults.get(word, 0) > 0:
            faults[word] -= 1
            return error("500 Oops", "out of memory")
        return {"text": "fine", "finish": "stop"}

    with Backend(say) as server:
        answers = generate(["a", "b", "c"], teacher_at(server.url, tries=4), tmp_path / "a.jsonl")
        assert [(row["tries"]) for row in answers.rows] == [3, 1]
        (row,) = answers.rejected
        assert row["kind"] == "failed" and "gave up after 4 tries" in row["reason"]
        assert "out of memory" in row["reason"]
        assert len(server.asked) == 3 + 4 + 1
        faults["b"] = 0
        assert not generate(["a", "b", "c"], teacher_at(server.url), tmp_path / "a.jsonl").asked
        answers = generate(
            ["a", "b", "c"], teacher_at(server.url), tmp_path / "a.jsonl", again=True
        )
    assert answers.asked == 1 and len(answers.rows) == 3 and not answers.rejected


def test_one_prompt_that_is_rejected_does_not_stop_the_others(tmp_path):
    def say(request_body):
        if "long" in request_body["messages"][0]["content"]:
            return error("400 Bad Request", "the prompt is too long")
        return {"text": "fine", "finish": "stop"}

    with Backend(say) as server:
        prompts = ["a", *(f"long {i}" for i in range(12)), "b"]
        answers = generate(prompts, teacher_at(server.url, concurrency=1), tmp_path / "a.jsonl")
    assert len(answers.rows) == 2 and len(answers.rejected) == 12
    assert {row["kind"] for row in answers.rejected} == {"invalid"}
    assert "too long" in answers.rejected[0]["reason"] and answers.rejected[0]["tries"] == 1


def test_where_every_request_is_rejected_the_run_stops_and_writes_none_down(tmp_path):
    with Backend(
        lambda request_body: error("400 Bad Request", "pinned to another model")
    ) as server:
        with pytest.raises(TeacherStopped, match=r"rejects one request after.*pinned to another"):
            teacher = teacher_at(server.url, concurrency=4)
            generate([f"q{i}" for i in range(99)], teacher, tmp_path / "a.jsonl")
        assert len(server.asked) < 40
    assert (tmp_path / "a.rejected.jsonl").read_text() == ""


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [
        ("401 No", None, "does not accept the key"),
        ("403 No", None, "does not allow"),
        ("404 No", None, "does the address end in /v1"),
        ("429 No", "insufficient_quota", "the account is empty"),
    ],
)
def test_what_no_retry_can_mend_stops_at_once(tmp_path, status, code, words):
    with Backend(lambda request_body: error(status, "sorry", code)) as server:
        with pytest.raises(TeacherStopped, match=words):
            generate(["a"] * 3, teacher_at(server.url), tmp_path / "a.jsonl")
        assert len(server.asked) == 1


def test_a_server_that_is_gone_stops_the_run_in_words(tmp_path):
    with Backend() as server:
        generate(["a"], teacher_at(server.url), tmp_path / "a.jsonl")
        url = server.url
    with pytest.raises(TeacherStopped, match="does not answer one request after the other"):
        generate([f"q{i}" for i in range(40)], teacher_at(url, tries=2), tmp_path / "a.jsonl")
    assert (tmp_path / "a.rejected.jsonl").read_text() == ""  # so they are asked again next time


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("fault", ["cut", "reset", "garbage", "page", "wrong", "time-out"])
def test_each_fault_is_survived(tmp_path, fault, stream):
    with Backend() as server, FaultProxy(server.port, 1.0, 2, faults=(fault,)) as proxy:
        teacher = teacher_at(proxy.url, timeout=0.5, stream=stream)
        answers = generate([f"q{i}" for i in range(3)], teacher, tmp_path / "a.jsonl")
        assert proxy.injected[fault] == 2
    assert [row["answer"] for row in answers.rows] == [f"answer to q{i}" for i in range(3)]
    assert sum(row["tries"] for row in answers.rows) == 5


def test_a_slow_stream_lives_as_long_as_pieces_come(tmp_path):
    """The whole takes longer than the time-out, no single piece does."""

    class Slow(Backend):
        async def serve(self, first, headers, body, reader, writer):
            head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
            writer.write(head.encode())
            for i in range(8):
                piece = {"choices": [{"index": 0, "delta": {"content": f"{i}"}}]}
                writer.write(b"data: " + json.dumps(piece).encode() + b"\n\n")
                await writer.drain()
                await asyncio.sleep(0.15)
            end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
            writer.write(b"data: " + json.dumps(end).encode() + b"\n\n")
            return False

    with Slow() as server:
        teacher = teacher_at(server.url, timeout=0.6, stream=True, tries=1)
        assert generate(["a"], teacher, tmp_path / "a.jsonl").rows[0]["answer"] == "01234567"


def test_the_key_is_nowhere_but_in_the_header(tmp_path, monkeypatch, caplog, capsys):
    """Not in files, exceptions, logs or on the screen, even if the server sends it back."""
    monkeypatch.setenv("MY_KEY", KEY)
    caplog.set_level("DEBUG")
    turns = []

    def say(request_body):
        turns.append(1)
        if len(turns) == 1:
            return error("500 Oops", f"your header was Bearer {KEY}")
        if "bad" in request_body["messages"][0]["content"]:
            return error("400 Bad Request", f"not with {KEY}")
        if "stop" in request_body["messages"][0]["content"]:
            return error("401 Unauthorized", f"Incorrect API key provided: {KEY}")
        return {"text": f"you sent {KEY}", "finish": "stop"}

    with Backend(say) as server:
        teacher = teacher_at(server.url, key_from="MY_KEY")
        generate(["fine", "bad"], teacher, tmp_path / "a.jsonl", progress=print)
        with pytest.raises(TeacherStopped) as raised:
            generate(["stop"], teacher, tmp_path / "a.jsonl")
        assert server.headers[0]["authorization"] == f"Bearer {KEY}".lower()
    shown = "".join(traceback.format_exception(raised.value))
    assert "[key]" in shown and "[key]" in (tmp_path / "a.jsonl").read_text()
    assert raised.value.__context__ is None  # nor behind it, where a logger may look
    files = "".join(p.read_text() for p in tmp_path.iterdir())
    output = capsys.readouterr()
    for place in (
        shown,
        files,
        caplog.text,
        output.out,
        output.err,
        repr(teacher),
        str(vars(teacher)),
    ):
        assert KEY not in place and "very-secret" not in place


def test_a_key_goes_only_where_it_was_sent(tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_ORG_ID", "org-mine")
    with Backend() as server:
        generate(["a"], teacher_at(server.url), tmp_path / "a.jsonl")
        assert KEY not in str(server.headers) and "org-mine" not in str(server.headers)
    with pytest.raises(ValueError, match="environment variable NO_SUCH_KEY holds no key"):
        generate(["a"], teacher_at(server.url, key_from="NO_SUCH_KEY"), tmp_path / "b.jsonl")


@pytest.mark.parametrize("url", ["http://me:pw@host/v1", "https://host/v1?key=1"])
def test_a_key_in_the_address_is_refused_and_not_repeated(url):
    with pytest.raises(ValueError, match="must hold no key") as raised:
        OpenAIGenerator(url, "m")
    assert "pw" not in str(raised.value).replace("password", "") and "=1" not in str(raised.value)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"url": "localhost:8000"}, "such as http://localhost:8000/v1"),
        ({"url": "http://host:99999/v1"}, "such as http://localhost:8000/v1"),
        ({"url": "http://a..b/v1"}, "such as http://localhost:8000/v1"),
        ({"url": f"http://{'x' * 64}.com/v1"}, "such as http://localhost:8000/v1"),
        ({"model": ""}, "the name under which the server"),
        ({"concurrency": 0}, "concurrency must be a positive"),
        ({"tries": 0}, "tries must be a positive"),
        ({"timeout": 0}, "timeout must be a positive"),
        ({"requests_per_minute": -1}, "requests_per_minute must be"),
    ],
    ids=str,
)
def test_settings_that_cannot_work(settings, words):
    with pytest.raises(ValueError, match=words):
        OpenAIGenerator(**{"url": "http://localhost:8000/v1", "model": "m", **settings})


def test_a_field_that_a_server_refuses_is_left_out(tmp_path):
    with Backend() as server:
        teacher = teacher_at(server.url, extra={"temperature": None, "top_k": 3})
        generate(["a"], teacher, tmp_path / "a.jsonl")
        assert "temperature" not in server.asked[0] and server.asked[0]["top_k"] == 3


@pytest.mark.parametrize("where", ["_body", "read_response"])
def test_a_mistake_of_our_own_ends_the_run_and_does_not_hang_it(tmp_path, monkeypatch, where):
    def wrong(*_):
        raise ZeroDivisionError("ours")

    owner = OpenAIGenerator if where == "_body" else session
    monkeypatch.setattr(owner, where, wrong)
    with Backend() as server, pytest.raises(ZeroDivisionError):
        generate(["a", "b"], teacher_at(server.url), tmp_path / "a.jsonl")


def test_a_fault_of_our_own_is_not_taken_for_the_servers():
    with pytest.raises(ZeroDivisionError):
        judge(ZeroDivisionError("ours"), 1.0)


def test_limits_by_the_minute():
    limit = Limit(600)  # ten a second, sixty at once
    waits = [limit.take(1, now=0.0) for _ in range(70)]
    assert waits[:60] == [0.0] * 60 and waits[69] == pytest.approx(1.0)
    assert limit.take(0, now=7.0) == 0.0 and limit.level == pytest.approx(60)
    tokens = Limit(6000)  # a hundred a second
    assert tokens.take(1600, now=0.0) == pytest.approx(10.0)
    assert tokens.take(-1500, now=0.0) == 0.0  # it took far fewer
    assert Limit(None).take(1e12) == 0.0


def test_a_limit_is_kept(tmp_path):
    """Six seconds' worth at once, then one at a time: no more than the limit allows leave."""
    with Backend() as server:
        teacher = teacher_at(server.url, requests_per_minute=600)
        began = time.monotonic()
        generate([f"q{i}" for i in range(70)], teacher, tmp_path / "a.jsonl")
        assert time.monotonic() - began >= 0.99


def test_inside_a_running_loop_as_in_a_notebook(tmp_path, threads):
    async def cell():
        return generate(["a"], teacher_at(server.url), tmp_path / "a.jsonl")

    with Backend() as server:
        assert len(asyncio.run(cell()).rows) == 1
    assert not threads()


def test_an_interrupt_in_a_notebook_ends_the_run_and_keeps_what_it_has(tmp_path, threads):
    async def cell():
        generate([f"q{i}" for i in range(99)], teacher_at(server.url, concurrency=2), path)

    path, loop = tmp_path / "a.jsonl", asyncio.new_event_loop()
    with Backend() as server:
        server.delay = 0.05
        waiting = interrupt_when(lambda: len(server.asked) >= 20)
        with pytest.raises(KeyboardInterrupt):
            loop.run_until_complete(cell())
        waiting.join()
        loop.close()
        assert not threads()
        kept = len(read_rows(path))
        assert 0 < kept < 99
        server.delay = 0
        answers = generate([f"q{i}" for i in range(99)], teacher_at(server.url), path)
        assert len(answers.rows) == 99 and answers.asked == 99 - kept


def test_an_interrupt_waits_for_no_answer(tmp_path, threads):
    """What is under way is given up at once, and nothing more is asked."""
    with Backend() as server:
        server.delay = 1.0
        waiting = interrupt_when(lambda: len(server.asked) == 4)
        began = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            teacher = teacher_at(server.url, concurrency=4)
            generate([f"q{i}" for i in range(9)], teacher, tmp_path / "a.jsonl")
        assert time.monotonic() - began < 0.9
        waiting.join()
        assert not threads()
        time.sleep(1.1)
        assert len(server.asked) == 4


def test_progress_counts_tokens_cost_and_the_time_left(tmp_path):
    seen = []
    with Backend() as server:
        server.delay = 0.1
        teacher = teacher_at(server.url, concurrency=2, prices=(1e6, 2e6))
        prompts = [f"q{i}" for i in range(20)]
        answers = generate(prompts, teacher, tmp_path / "a.jsonl", progress=seen.append)
    assert seen[-1].done == 20 == seen[-1].requests
    assert seen[-1].answer_tokens == 100 and seen[-1].prompt_tokens == 140
    assert seen[-1].cost == pytest.approx(140 * 1 + 100 * 2) == answers.progress.cost
    assert seen[0].seconds_left > 0 and seen[-1].tokens_per_second > 0
    assert "tokens/s" in str(seen[0]) and "left" in str(seen[0]) and "cost" in str(seen[0])

"""A key that every fault of a server echoes, and that stands nowhere at the end."""

import base64
import json
import traceback
import urllib.parse

import pytest

from distill_lab import cli
from distill_lab.synthesis import OpenAIGenerator, TeacherStopped, generate
from distill_lab.synthesis.cards import student_card
from distill_lab.teachers.text import session
from distill_lab.teachers.text.secrets import Scrubber
from tests.synthesis.http import Backend, Loopback, message

KEY = "sk-proj-Canary+7/Zq=WmXv0Lr8TsB2NhYdPfKe"
PIECES = [KEY[i : i + 12] for i in range(len(KEY) - 11)]
FORMS = {
    "as it is": KEY,
    "in capitals": KEY.upper(),
    "in a header": f"Authorization: Bearer {KEY}",
    "in a URL": urllib.parse.quote(KEY, safe=""),
    "in base64": base64.b64encode(KEY.encode()).decode(),
    "in base64, of a pair": base64.b64encode(f"user:{KEY}".encode()).decode(),
    "in base64, of a header": base64.b64encode(f"Bearer {KEY}".encode()).decode(),
    "in hexadecimal": KEY.encode().hex(),
    "as Python writes it": repr(KEY.encode()),
    "its beginning": f"{KEY[:20]}...",
    "its end": f"***{KEY[-15:]}",
    "twice": KEY + KEY,
}


def shows_key(text: str) -> list[str]:
    """The pieces of the key that stand in a text, in any of the forms of before."""
    coded = [base64.b64encode(b"\0" * n + KEY.encode()).decode()[6:-6] for n in range(3)]
    marks = [*PIECES, *(c[i : i + 16] for c in coded for i in range(0, len(c) - 16, 8))]
    marks += [KEY.encode().hex()[:24], urllib.parse.quote(KEY[:20], safe="")]
    return [mark for mark in marks if mark.lower() in text.lower()]


@pytest.mark.parametrize("form", FORMS)
def test_a_key_is_taken_out_however_a_server_writes_it(form):
    text = f"you sent {FORMS[form]}, which is wrong"
    clean = Scrubber(KEY)(text)
    assert not shows_key(clean) and clean.startswith("you ") and clean.endswith(" wrong")
    assert "[key]" in clean


def test_what_is_no_key_is_left_alone():
    text = "The project's sk-proj- prefix; base64 c2stcHJvai0 and the Canary islands. " * 9
    assert Scrubber(KEY)(text) == text and Scrubber("")(KEY) == KEY and Scrubber("ab")("ab") == "ab"
    deep = {"a": ["x", {KEY: (KEY, 3)}], "b": None}
    assert Scrubber(KEY).fields(deep) == {"a": ["x", {"[key]": ("[key]", 3)}], "b": None}


class Echo(Loopback):
    """Answers each request with another way to show the key it was sent."""

    def __init__(self) -> None:
        self.asked = 0
        super().__init__()

    async def serve(self, first, headers, body, reader, writer) -> bool:
        words = list(FORMS.values())
        echo = words[self.asked % len(words)]
        raw = self.answers(echo)[self.asked % 9]
        self.asked += 1
        writer.write(raw)
        await writer.drain()
        return True

    def answers(self, echo: str) -> list[bytes]:
        call = {"id": echo, "function": {"name": echo, "arguments": json.dumps({"key": echo})}}
        talk = {"role": "assistant", "content": echo, "reasoning_content": echo}
        choice = {"message": talk | {"tool_calls": [call]}, "finish_reason": "stop"}
        full = {"model": f"m {echo}", "system_fingerprint": echo, "choices": [choice]}
        odd = {"model": "m", "choices": [{"message": {"content": "x"}, "finish_reason": echo}]}
        refusal = {"message": {"content": "", "refusal": echo}, "finish_reason": "stop"}
        piece = {"choices": [{"delta": {"content": echo}, "finish_reason": "stop"}]}
        error = json.dumps({"error": {"message": echo, "code": echo}}).encode()
        return [
            message("200 OK", json.dumps(full).encode()),
            message("500 Oops", error),
            message("200 OK", error),
            message("400 Bad Request", echo.encode(), "text/plain"),
            message("200 OK", f"<html><title>{echo}</title></html>".encode(), "text/html"),
            message("302 Found", b"", location=f"http://elsewhere/{echo}"),
            message("200 OK", json.dumps(odd).encode(), x_echo=echo),
            message("200 OK", json.dumps({"choices": [refusal]}).encode()),
            message("200 OK", b"data: " + json.dumps(piece).encode(), "text/event-stream"),
        ]


def test_no_fault_of_a_server_leads_the_key_anywhere(tmp_path, monkeypatch, caplog, capsys):
    monkeypatch.setattr(session, "FIRST_WAIT", 0.001)
    monkeypatch.setenv("MY_KEY", KEY)
    caplog.set_level("DEBUG")
    prompts, out = tmp_path / "p.txt", tmp_path / "a.jsonl"
    prompts.write_text("\n".join(f"question {i}" for i in range(120)))
    with Echo() as server:
        words = ["generate", str(prompts), str(out), "--server", server.url, "--model", "m"]
        assert cli.main([*words, "--key-from", "MY_KEY", "--tries", "2"]) == 0
        assert server.asked > 120
    student = tmp_path / "student"
    student.mkdir()
    student_card(
        student, base=None, sets=[tmp_path / "a.card.json"], method="sft", settings={}
    ).write(student / "card.md")
    output = capsys.readouterr()
    places = {file.name: file.read_text() for file in tmp_path.rglob("*") if file.is_file()}
    places |= {"log": caplog.text, "out": output.out, "err": output.err}
    assert len(places["a.jsonl"].splitlines()) > 20 and "[key]" in places["a.jsonl"]
    assert {name: shows_key(text) for name, text in places.items() if shows_key(text)} == {}
    assert "[key]" in places["a.card.md"] and "[key]" in places["card.md"]


@pytest.mark.parametrize("status", ["401 No", "403 No", "404 No", "402 No", "501 No"])
def test_what_stops_a_run_shows_the_key_in_no_trace(tmp_path, monkeypatch, status):
    monkeypatch.setenv("MY_KEY", KEY)
    with Backend(lambda asked: {"status": status, "body": {"error": KEY}}) as server:
        teacher = OpenAIGenerator(server.url, "m", key_from="MY_KEY")
        with pytest.raises(RuntimeError) as raised:
            generate(["a"], teacher, tmp_path / "a.jsonl")
    trace = traceback.TracebackException.from_exception(raised.value, capture_locals=True)
    shown = "".join(trace.format()) + repr(teacher) + repr(vars(teacher))
    assert "[key]" in shown and not shows_key(shown)


@pytest.mark.parametrize("name", ["url", "model", "extra"])
def test_a_key_in_what_is_written_down_is_refused(tmp_path, monkeypatch, name):
    monkeypatch.setenv("MY_KEY", "sk-canary-123456")
    given = {"url": "http://localhost/sk-canary-123456/v1", "model": "sk-canary-123456"}
    given["extra"] = {"x": ["sk-canary-123456"]}
    settings = {"url": "http://localhost/v1", "model": "m", name: given[name]}
    with pytest.raises((ValueError, TeacherStopped), match=f"{name} holds the key") as raised:
        teacher = OpenAIGenerator(**settings, key_from="MY_KEY", tries=1)
        generate(["a"], teacher, tmp_path / "a.jsonl")
    assert "canary" not in str(raised.value) and not list(tmp_path.iterdir())

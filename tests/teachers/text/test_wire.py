"""What servers really send: ends without a reason, pages, errors with the status of an answer."""

import base64
import json

import pytest

from distill_lab.synthesis import OpenAIGenerator, TeacherStopped, generate
from distill_lab.synthesis.cards import set_card
from distill_lab.teachers.text import network, session
from distill_lab.teachers.text.faults import GarbageError
from distill_lab.teachers.text.secrets import Scrubber, check_no_secret, key_in
from distill_lab.teachers.text.wire import read_response
from tests.synthesis.http import Backend, Loopback, message

PAGE = b"<!doctype html><title>Open\n Chat</title>"


@pytest.fixture(autouse=True)
def short_waits(monkeypatch):
    monkeypatch.setattr(session, "FIRST_WAIT", 0.01)
    monkeypatch.setattr(session, "LONGEST_PAUSE", 0.05)


class Raw(Loopback):
    """A server that sends bytes as they are, in their turn; the last for ever."""

    def __init__(self, *bodies: bytes, kind: str = "application/json") -> None:
        self.bodies, self.kind, self.asked = list(bodies), kind, 0
        super().__init__()

    async def serve(self, first, headers, body, reader, writer) -> bool:
        self.asked += 1
        raw = self.bodies.pop(0) if len(self.bodies) > 1 else self.bodies[0]
        writer.write(message("200 OK", raw, self.kind))
        await writer.drain()
        return True


def whole(text: str = "fine", finish: str | None = "stop") -> bytes:
    choice = {"index": 0, "finish_reason": finish, "message": {"content": text}}
    return json.dumps({"model": "m", "choices": [choice]}).encode()


def pieces(*deltas: str, finish: object = None, end: bytes = b"data: [DONE]\n\n") -> bytes:
    events = [
        {"choices": [{"index": 0, "delta": {"content": d}, "finish_reason": finish}]}
        for d in deltas
    ]
    return b"".join(b"data: " + json.dumps(e).encode() + b"\n\n" for e in events) + end


def ask(url, path, prompts=("a", "b", "c"), **settings):
    return generate(list(prompts), OpenAIGenerator(url, "m", **settings), path / "a.jsonl")


def answered(url, path, prompts=("a", "b", "c"), **settings) -> int:
    """How many prompts are answered; none where the run stops."""
    try:
        return len(ask(url, path, prompts, **settings).rows)
    except TeacherStopped:
        return 0


@pytest.mark.parametrize("finish", [None, ""])
@pytest.mark.parametrize("end", [b"data: [DONE]\n\n", b"data:[DONE]", b"data: [DONE]\r\n\r\n"])
def test_a_stream_that_ends_with_done_alone_is_an_answer_and_said_once(tmp_path, finish, end):
    with Raw(pieces("fo", "ur", finish=finish, end=end), kind="text/event-stream") as server:
        answers = ask(server.url, tmp_path, stream=True)
        assert server.asked == 3
    assert [row["answer"] for row in answers.rows] == ["four"] * 3
    (answer,) = [w for w in set_card(answers).warnings if "finish reason" in w]
    assert "3 of 3" in answer


def test_a_stream_that_stops_without_done_is_cut(tmp_path):
    with Raw(pieces("fo", end=b""), pieces("four"), kind="text/event-stream") as server:
        answers = ask(server.url, tmp_path, ["a"], stream=True)
        assert server.asked == 2 and answers.rows[0]["answer"] == "four"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("body", "kind", "words"),
    [
        (PAGE, "text/html; charset=utf-8", "web page with the title 'Open Chat'"),
        (b"\n <HTML><body>log in</body>", "text/plain", "a web page"),
        (b'{"detail": "Not Found"}', "application/json", "'Not Found'"),
        (b'{"model": "m", "message": {"content": "4"}, "done": true}', "application/json", "Ollam"),
        (b'{"message": {"content": "4"}, "done": false}\n{"done": true}', "x-ndjson", "Ollama"),
        (
            b'{"type": "message", "content": [{"text": "4"}]}',
            "application/json",
            "'type', 'content'",
        ),
        (b'{"object": "response", "output": []}', "application/json", "'object', 'output'"),
        (b'{"candidates": [{"content": {}}]}', "application/json", "the fields 'candidates'"),
        (b'[{"generated_text": "4"}]', "application/json", "no chat completion"),
        (b'{"choices": [{"text": "4"}]}', "application/json", "plain completions"),
        (b"Ollama is running", "text/plain", "'Ollama is running', and no answer"),
        (b"<?xml version='1.0'?><Error/>", "application/xml", "a web page"),
        (b"{}", "application/json", "no chat completion"),
    ],
)
def test_a_page_stops_the_run_with_a_hint(tmp_path, stream, body, kind, words):
    with Raw(body, kind=kind) as server:
        with pytest.raises(TeacherStopped, match=rf"{words}.*end in /v1\?"):
            ask(server.url, tmp_path, stream=stream)
        assert server.asked <= 6
    assert (tmp_path / "a.rejected.jsonl").read_text() == ""


def test_a_page_among_answers_passes(tmp_path):
    with Raw(whole(), PAGE, PAGE, PAGE, PAGE, whole()) as server:
        assert answered(server.url, tmp_path, concurrency=1) == 3


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "fault",
    [
        {"error": {"code": 429, "message": "upstream is busy"}},
        {"error": {"code": "503", "message": "upstream is busy"}},
        {"error": "upstream is busy"},
        {"type": "error", "error": {"type": "overloaded_error", "message": "upstream is busy"}},
        {"object": "error", "message": "upstream is busy"},
        {"choices": [{"error": {"code": 502, "message": "upstream is busy"}}]},
    ],
    ids=str,
)
def test_an_error_in_the_body_speaks_for_itself_and_may_pass(tmp_path, fault, stream):
    raw = json.dumps(fault).encode()
    with Raw(raw, raw, whole()) as server:
        answers = ask(server.url, tmp_path, ["a"], stream=stream)
        assert server.asked == 3 and len(answers.rows) == 1
    many = [f"{i}" for i in range(9)]
    with Raw(raw) as server, pytest.raises(TeacherStopped, match="upstream is busy"):
        ask(server.url, tmp_path / "again", many, tries=2, stream=stream)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"code": 401, "message": "no"}, "does not accept the key"),
        ({"code": "invalid_api_key", "message": "no"}, "does not accept the key"),
        ({"type": "insufficient_quota", "message": "no"}, "account is empty"),
        ({"code": "model_not_found", "message": "no"}, "no such address or model"),
    ],
    ids=str,
)
def test_an_error_in_the_body_that_no_try_mends_stops_at_once(tmp_path, fault, words):
    with Raw(json.dumps({"error": fault}).encode()) as server:
        with pytest.raises(TeacherStopped, match=words):
            ask(server.url, tmp_path, concurrency=1)
        assert server.asked == 1


def read(*bodies: dict, stream: bool = False) -> dict:
    """What is read of bodies as they come."""
    if not stream:
        return read_response({}, json.dumps(bodies[0]).encode())
    events = b"".join(b"data: " + json.dumps(body).encode() + b"\r\n\r\n" for body in bodies)
    return read_response({"content-type": "text/event-stream"}, events + b"data: [DONE]\r\n\r\n")


@pytest.mark.parametrize(
    "message",
    [
        {"reasoning_content": "two and two", "content": [{"type": "text", "text": "4"}]},
        {"reasoning": "two and two", "content": "4"},
        {"thinking": "two and two", "content": {"type": "text", "text": "4"}},
        {"reasoning": {"text": "two and two"}, "reasoning_content": None, "content": ["4"]},
        {"content": [{"type": "thinking", "thinking": "two and two"}, "4"]},
        {
            "content": [
                {"type": "thinking", "thinking": [{"type": "text", "text": "two and two"}]},
                {"type": "text", "text": "4"},
            ],
            "thinking": {"type": "enabled"},
        },
        {"content": [{"type": "reasoning", "text": "two and two"}, {"text": "4"}]},
    ],
    ids=str,
)
@pytest.mark.parametrize("stream", [False, True])
def test_thoughts_come_under_several_names(message, stream):
    choice = {"delta" if stream else "message": message, "finish_reason": "stop"}
    fields = read({"choices": [choice]}, stream=stream)
    assert (fields["thinking"], fields["text"]) == ("two and two", "4")


def test_calls_that_come_in_pieces_are_put_together():
    def piece(index: int, name: str | None, arguments: str, **more) -> dict:
        call = {"index": index, "function": {"name": name, "arguments": arguments}} | more
        return {"choices": [{"delta": {"tool_calls": [call]}}]}

    pieces = [
        {"model": "m-1", "system_fingerprint": "fp", "choices": [{"delta": {"content": None}}]},
        piece(0, "add", "", id="c0", type="function"),
        piece(1, "say", '{"w', id="c1"),
        piece(0, None, '{"a": 1}'),
        piece(1, None, '": "é"}'),
        {"choices": [{"delta": {}, "finish_reason": "tool_calls"}]},
        {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 4}},
    ]
    fields = read(*pieces, stream=True)
    made = [
        (c["id"], c["function"]["name"], c["function"]["arguments"]) for c in fields["tool_calls"]
    ]
    assert made == [("c0", "add", '{"a": 1}'), ("c1", "say", '{"w": "é"}')]
    assert (fields["finish"], fields["tokens"]) == ("tool_calls", (3, 4))
    assert (fields["model"], fields["fingerprint"]) == ("m-1", "fp")


CALL = {"id": "c0", "type": "function", "function": {"name": "add", "arguments": '{"a": "é"}'}}
APART = CALL["function"] | {"arguments": {"a": "é"}}


@pytest.mark.parametrize(
    "message",
    [
        {"tool_calls": [CALL]},
        {"tool_calls": [CALL | {"function": APART, "index": 0}]},
        {"tool_calls": [{"id": "c0", **APART}]},
        {"tool_calls": CALL},
    ],
    ids=str,
)
@pytest.mark.parametrize("stream", [False, True])
def test_a_call_is_read_in_every_form(message, stream):
    """Arguments that are no text yet are none the less the arguments."""
    choice = {"delta" if stream else "message": message, "finish_reason": "tool_calls"}
    assert read({"choices": [choice]}, stream=stream)["tool_calls"] == (CALL,)
    old = {"content": None, "function_call": APART}
    choice = {"delta" if stream else "message": old, "finish_reason": "function_call"}
    (call,) = read({"choices": [choice]}, stream=stream)["tool_calls"]
    assert call["function"] == CALL["function"]


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ({"tool_calls": [None]}, "calls no function: 'None'"),
        ({"tool_calls": ["add"]}, "calls no function: 'add'"),
        ({"tool_calls": 3}, "calls no function"),
        ({"tool_calls": [{"function": "add"}]}, "calls no function"),
        ({"content": 4}, "has a content that is no text: 4"),
        ({"content": [{"type": "image_url"}]}, "a part of the type 'image_url'"),
        ("4", "holds no message"),
        (["4"], "holds no message"),
    ],
    ids=str,
)
@pytest.mark.parametrize("stream", [False, True])
def test_a_message_that_is_none_is_garbage_and_named(message, words, stream):
    choice = {"delta" if stream else "message": message, "finish_reason": "stop"}
    with pytest.raises(GarbageError, match=words):
        read({"choices": [choice]}, stream=stream)


STREAMED = pieces("fo", "ur é", end=b"data: [DONE]\n\n")
STREAMS = {
    "carriage returns": STREAMED.replace(b"\n", b"\r"),
    "no empty lines": STREAMED.replace(b"\n\n", b"\n"),
    "a mark in front": b"\xef\xbb\xbf" + STREAMED,
    "an end in small letters": STREAMED.replace(b"[DONE]", b"[done]"),
    "an end in quotes": STREAMED.replace(b"[DONE]", b'"[DONE]"'),
    "other fields": b"retry: 3\n\nevent: message\nid: 1\n" + STREAMED,
    "another answer beside": STREAMED.replace(
        b"\n\n", b'\n\ndata: {"choices": [{"index": 1, "delta": {"content": "no"}}]}\n\n', 1
    ),
}


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_is_read_whole_however_it_is_written(name):
    assert read_response({"content-type": "text/event-stream"}, STREAMS[name])["text"] == "four é"


def test_a_stream_of_another_interface_stops_the_run(tmp_path):
    event = {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "4"}}
    raw = b"event: content_block_delta\ndata: " + json.dumps(event).encode() + b"\n\n"
    with Raw(raw, kind="text/event-stream") as server:
        with pytest.raises(TeacherStopped, match="in another form"):
            ask(server.url, tmp_path, stream=True)
        assert server.asked <= 6
    with pytest.raises(GarbageError, match="piece of the stream is not JSON: 'boom'"):
        read_response({"content-type": "text/event-stream"}, b"event: error\ndata: boom\n\n")


def test_halves_of_a_character_that_come_in_two_pieces_are_one():
    halves = [
        {"choices": [{"delta": {"content": half}}]} for half in ("a\ud83d", "\ude00b", "\ud83d")
    ]
    assert read(*halves, stream=True)["text"] == "a😀b\ud83d"


BODY = '{"choices": [{"message": {"content": "caf\xe9"}, "finish_reason": "stop"}]}'


@pytest.mark.parametrize(
    ("kind", "raw"),
    [
        ("text/html", BODY.encode()),  # what small frameworks call every text
        ("text/event-stream", BODY.encode()),
        ("application/json", b"\xef\xbb\xbf" + BODY.encode()),
        ("application/json; charset=utf-16", BODY.encode("utf-16")),
        ("application/json; charset=iso-8859-1", BODY.encode("latin-1")),
    ],
)
def test_a_body_counts_for_more_than_its_name(kind, raw):
    assert read_response({"content-type": kind}, raw)["text"] == "café"


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (BODY.encode("latin-1"), "no text in UTF-8"),
        (b"", "is empty"),
        (b'{"created": ' + b"9" * 5000 + b"}", "not JSON"),
        (b'{"choices": ' + b"[" * 10**5, "not JSON"),
        (BODY.encode() * 2, "not JSON"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_a_body_that_cannot_be_read_is_garbage(raw, words):
    with pytest.raises(GarbageError, match=words):
        read_response({}, raw)


@pytest.mark.parametrize("count", [None, -1, "7", 1.5, True, 10**30])
def test_tokens_that_are_no_count_are_unknown(count):
    choice = {"message": {"content": "4"}, "finish_reason": "stop"}
    usage = {"prompt_tokens": count, "completion_tokens": 2}
    assert read({"choices": [choice], "usage": usage})["tokens"] == (None, 2)


def test_a_whole_answer_where_a_stream_was_asked_for(tmp_path):
    with Raw(whole()) as server:
        assert ask(server.url, tmp_path, stream=True).rows[0]["answer"] == "fine"


def rejecting(word: str):
    def say(asked):
        text = asked["messages"][0]["content"]
        if word in text:
            body = {"error": {"message": "bad request of yours"}}
            return {"status": "400 Bad Request", "body": body}
        return {"text": "fine", "finish": "stop"}

    return Backend(say)


@pytest.mark.parametrize("concurrency", [1, 4, 16])
@pytest.mark.parametrize(("bad", "good"), [(5, 1), (30, 1), (6, 20), (200, 100)])
def test_bad_prompts_first_are_set_aside_and_the_others_answered(tmp_path, bad, good, concurrency):
    prompts = [f"bad and long {i}" for i in range(bad)] + [f"{i}" for i in range(good)]
    with rejecting("bad") as server:
        assert answered(server.url, tmp_path, prompts, concurrency=concurrency) == good
        assert len(server.asked) == bad + good
        again = ask(server.url, tmp_path, prompts)
    assert again.asked == 0 and (len(again.rows), len(again.rejected)) == (good, bad)
    assert [row["prompt"][0]["content"] for row in again.rows] == prompts[bad:]


def test_a_file_of_prompts_that_are_all_too_long_is_set_aside(tmp_path):
    def say(asked):
        body = {"error": {"message": "maximum context length is 100 tokens"}}
        return {"status": "400 Bad Request", "body": body}

    with Backend(say) as server:
        answers = ask(server.url, tmp_path)
    assert not answers.rows and answers.reasons == {"invalid": 3}


VARIABLES = ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")


@pytest.fixture
def no_variables(monkeypatch):
    for name in (*VARIABLES, *network.CERTIFICATES, "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SSL_CERT_FILE", "/gone/ca.pem"),
        ("HTTP_PROXY", "http://127.0.0.1:9"),
        ("http_proxy", "http://127.0.0.1:9"),
        ("HTTP_PROXY", "nonsense"),
        ("ALL_PROXY", "socks5://127.0.0.1:9"),
        ("all_proxy", "http://127.0.0.1:9"),
    ],
)
def test_this_very_machine_is_asked_directly(tmp_path, monkeypatch, no_variables, name, value):
    monkeypatch.setenv(name, value)
    with Raw(whole()) as server:
        assert answered(server.url, tmp_path, tries=1) == 3


@pytest.mark.parametrize(
    ("name", "value", "url", "words"),
    [
        ("SSL_CERT_FILE", "/gone/ca.pem", "https://host/v1", "SSL_CERT_FILE names /gone/ca.pem"),
        ("REQUESTS_CA_BUNDLE", "/gone/ca.pem", "https://host/v1", "REQUESTS_CA_BUNDLE names"),
        ("HTTPS_PROXY", "gopher://x", "https://host/v1", "HTTPS_PROXY holds no address"),
        ("ALL_PROXY", "http://x:port", "http://host/v1", "ALL_PROXY holds no address"),
    ],
)
def test_a_variable_that_cannot_be_used_is_named(
    monkeypatch, no_variables, name, value, url, words
):
    monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match=words):
        network.route_to(url)


def test_a_file_of_certificates_that_is_none_is_named(tmp_path, monkeypatch, no_variables):
    (tmp_path / "ca.pem").write_text("nothing")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    with pytest.raises(ValueError, match=r"ca.pem cannot be read.*SSL_CERT_FILE"):
        network.route_to("https://host/v1")


def test_what_a_proxy_does_is_said_with_its_variable_but_not_its_value(
    tmp_path, monkeypatch, no_variables
):
    monkeypatch.setenv("HTTP_PROXY", "http://me:canary-word@127.0.0.1:9")
    with pytest.raises(TeacherStopped, match=r"proxy of HTTP_PROXY \(NO_PROXY=host.invalid") as e:
        ask("http://host.invalid/v1", tmp_path, tries=1)
    assert "canary-word" not in str(e.value)
    monkeypatch.setenv("NO_PROXY", "host.invalid")
    assert network.proxy_of("http://host.invalid/v1") is None


@pytest.mark.parametrize(
    ("key", "what"),
    [
        ("sk-canary\nCANARY", "a line break at place 10"),
        ("sk-canary CANARY", "a space"),
        ("sk-canary\u2019CANARY", r"U\+2019"),
        ("sk-canary\x00CANARY", None),
        ("sk-canary\tCANARY", r"U\+0009"),
    ],
)
def test_a_key_that_no_header_can_carry_is_refused_and_not_repeated(
    tmp_path, monkeypatch, key, what
):
    if what is None:  # no environment can hold it
        monkeypatch.setattr("os.environ", {"MY_KEY": key})
        what = r"U\+0000"
    else:
        monkeypatch.setenv("MY_KEY", key)
    with pytest.raises(ValueError, match=f"MY_KEY holds.*{what}") as raised:
        key_in("MY_KEY")
    assert "canary" not in str(raised.value).lower()


@pytest.mark.parametrize(
    "extra",
    [
        {"api_key": "sk-canary"},
        {"headers": {"X-Api-Key": "sk-canary"}},
        {"tools": [{"authorization": "Bearer sk-canary"}]},
    ],
)
def test_a_setting_that_is_written_down_holds_no_key(extra):
    with pytest.raises(ValueError, match="must hold no key") as raised:
        OpenAIGenerator("http://localhost/v1", "m", extra=extra)
    assert "canary" not in str(raised.value)
    check_no_secret("extra", {"max_tokens": 3, "token": 5, "keys": ["a"]})


def test_the_key_itself_in_a_setting_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("MY_KEY", "sk-canary-123456")
    with pytest.raises(ValueError, match="extra holds the key") as raised:
        ask("http://localhost/v1", tmp_path, key_from="MY_KEY", extra={"x": "sk-canary-123456"})
    assert "canary" not in str(raised.value)
    files = "".join(p.read_text() for p in tmp_path.iterdir())
    assert "canary" not in files


def test_a_key_is_taken_out_however_it_is_written():
    key = "sk-a+b/c=canary"
    coded = base64.b64encode(key.encode()).decode()
    for form in (key, coded, "sk-a%2Bb%2Fc%3Dcanary"):
        assert Scrubber(key)(f"you sent {form}!").startswith("you sent [key]")

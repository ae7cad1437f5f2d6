"""The wire itself: bodies in every form, lines that are closed, proxies, and other addresses."""

import asyncio
import gzip
import json
import shutil
import ssl
import subprocess
import threading
import zlib
from datetime import UTC, datetime

import pytest

from distill_lab.synthesis import OpenAIGenerator, TeacherStopped, generate
from distill_lab.teachers.text import network, session
from distill_lab.teachers.text.faults import BodyError, judge, seconds_asked
from distill_lab.teachers.text.secrets import Scrubber
from tests.synthesis.http import Backend, Loopback, completion, message, read_message

KEY = "sk-canary-0123456789abcdef"
ANSWER = json.dumps(completion({"text": "fine", "finish": "stop"})).encode()


@pytest.fixture(autouse=True)
def short_waits(monkeypatch):
    monkeypatch.setattr(session, "FIRST_WAIT", 0.001)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", *network.CERTIFICATES):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


class Bytes(Loopback):
    """Sends bytes as they are, in turn, the last for ever; and may hang up after each."""

    def __init__(self, *answers: bytes, hang_up: bool = False, wait: float = 0.0) -> None:
        self.answers, self.hang_up, self.wait = list(answers), hang_up, wait
        self.lines = self.asked = 0
        self.seen: list[tuple[str, dict[str, str], bytes]] = []
        super().__init__()

    async def _connection(self, reader, writer) -> None:
        self.lines += 1
        await super()._connection(reader, writer)

    async def serve(self, first, headers, body, reader, writer) -> bool:
        self.seen.append((first, headers, body))
        self.asked += 1
        raw = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        for start in range(0, len(raw), 7 if self.wait else len(raw)):
            writer.write(raw[start : start + 7] if self.wait else raw)
            await writer.drain()
            await asyncio.sleep(self.wait)
        return not self.hang_up


def head(*lines: str, status: str = "200 OK", version: str = "1.1") -> bytes:
    return "\r\n".join([f"HTTP/{version} {status}", *lines, "", ""]).encode()


def chunked(*parts: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    return b"".join(b"%x; a=b\r\n%s\r\n" % (len(part), part) for part in parts) + end


def ask(server, path, prompts=3, **settings):
    teacher = OpenAIGenerator(server.url, "m", **{"concurrency": 1, "tries": 3, **settings})
    return generate([f"q{i}" for i in range(prompts)], teacher, path / "a.jsonl")


CHUNKED = "transfer-encoding: chunked"
EVENT = b"data: " + json.dumps({"choices": [{"delta": {"content": "fine"}}]}).encode()
STREAM = "content-type: text/event-stream"
FORMS = {
    "in chunks": head(CHUNKED) + chunked(ANSWER[:9], ANSWER[9:]),
    "with fields behind": head(CHUNKED) + chunked(ANSWER, end=b"0\r\nx-sum: 1\r\n\r\n"),
    "after 100 and 103": head(status="100 Go on")
    + head("link: x", status="103 Hint")
    + message("200 OK", ANSWER),
    "packed": message("200 OK", gzip.compress(ANSWER, mtime=0), content_encoding="gzip"),
    "deflated": message("200 OK", zlib.compress(ANSWER), content_encoding="deflate"),
    "deflated without its head": message(
        "200 OK", zlib.compress(ANSWER)[2:-4], content_encoding="deflate"
    ),
    "packed in two members": message(
        "200 OK",
        gzip.compress(ANSWER[:9], mtime=0) + gzip.compress(ANSWER[9:], mtime=0),
        content_encoding="x-gzip",
    ),
    "packed twice": message(
        "200 OK",
        gzip.compress(gzip.compress(ANSWER, mtime=0), mtime=0),
        content_encoding="gzip, gzip",
    ),
    "packed, and no word of it": message("200 OK", gzip.compress(ANSWER, mtime=0)),
    "unpacked on the way": message("200 OK", ANSWER, content_encoding="gzip"),
    "chunks that are packed": head("transfer-encoding: gzip, chunked")
    + chunked(gzip.compress(ANSWER, mtime=0)),
    "line feeds alone": message("200 OK", ANSWER).replace(b"\r\n", b"\n"),
    "letters cut by chunks": head(CHUNKED)
    + chunked(*(bytes([byte]) for byte in ANSWER.replace(b"fine", "f\u00efne".encode()))),
    "a stream": head(STREAM, CHUNKED) + chunked(EVENT + b"\n\n", b"data: [DONE]\n\n"),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_body_is_read_and_the_line_kept(tmp_path, form):
    with Bytes(FORMS[form]) as server:
        answers = ask(server, tmp_path)
        assert {row["answer"].replace("\u00ef", "i") for row in answers.rows} == {"fine"}
        assert len(answers.rows) == 3
        assert (server.lines, server.asked) == (1, 3)


@pytest.mark.parametrize(
    "raw",
    [
        head("connection: close") + ANSWER,
        head("connection: close", f"content-length: {len(ANSWER)}") + ANSWER,
        head(f"content-length: {len(ANSWER)}", version="1.0") + ANSWER,
    ],
)
def test_a_line_that_the_server_closes_is_opened_again_and_no_try_lost(tmp_path, raw):
    with Bytes(raw, hang_up=True) as server:
        answers = ask(server, tmp_path, tries=1)
        assert [row["tries"] for row in answers.rows] == [1, 1, 1] and server.lines == 3


def test_a_body_that_comes_slowly_lives_as_long_as_bytes_come(tmp_path):
    with Bytes(message("200 OK", ANSWER), wait=0.01) as server:
        answers = ask(server, tmp_path, 1, timeout=0.25, tries=1)
        assert answers.rows[0]["seconds"] > 0.25


def test_comments_of_a_stream_count_as_life(tmp_path):
    parts = [b": waiting\n\n"] * 12 + [EVENT + b"\n\n", b"data: [DONE]\n\n"]
    with Bytes(head(STREAM, CHUNKED) + chunked(*parts), wait=0.005) as server:
        assert ask(server, tmp_path, 1, timeout=0.1, tries=1, stream=True).rows


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"SSH-2.0-OpenSSH_9\r\n\r\n", "no HTTP"),
        (head("content-length: many") + ANSWER, "no HTTP"),
        (head(CHUNKED) + b"zz\r\n", "no HTTP"),
        (message("200 OK", b"x", content_encoding="gzip"), "packed, and broken"),
        (
            message("200 OK", gzip.compress(ANSWER, mtime=0)[:-9], content_encoding="gzip"),
            "and broken",
        ),
        (message("200 OK", b"x\x9cab", content_encoding="deflate"), "packed, and broken"),
        (message("200 OK", ANSWER, content_encoding="br"), "packed the answer as 'br'"),
        (head(status="204 No Content"), "the answer is empty"),
        (head(status="304 Not Modified"), "sent the status 304 and no answer"),
        (head("content-length: 0", status="302 Found"), "sent the status 302 and no answer"),
        (head("content-length: 999") + ANSWER, "cut before its end"),
        (head(CHUNKED) + chunked(ANSWER, end=b""), "cut before its end"),
        (b"", "cut before its end"),
    ],
)
def test_what_is_no_answer_is_named(tmp_path, raw, words):
    with Bytes(raw, hang_up=True) as server, pytest.raises(TeacherStopped, match=words):
        ask(server, tmp_path, 9, tries=1)


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "308 Moved"])
def test_another_address_is_named_and_gets_no_key(tmp_path, monkeypatch, status):
    monkeypatch.setenv("MY_KEY", KEY)
    with Backend() as other:
        to = f"{other.url}/chat/completions?token={KEY}"
        words = r"sends on to http://127.0.0.1/v1/chat"
        with (
            Bytes(message(status, b"", location=to)) as server,
            pytest.raises(TeacherStopped, match=words) as e,
        ):
            ask(server, tmp_path, key_from="MY_KEY")
        assert not other.asked and "canary" not in str(e.value)


def test_a_proxy_is_asked_with_its_own_name_and_the_whole_address(tmp_path, monkeypatch):
    with Bytes(message("200 OK", ANSWER)) as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://me:p%40ss@127.0.0.1:{proxy.port}")
        teacher = OpenAIGenerator("http://host.invalid:81/v1", "m", tries=1)
        assert generate(["a"], teacher, tmp_path / "a.jsonl").rows
        first, headers, _ = proxy.seen[0]
    assert first == "POST http://host.invalid:81/v1/chat/completions HTTP/1.1"
    assert headers["proxy-authorization"] == "basic bwu6cebzcw=="  # the test's server lowers all
    assert headers["host"] == "host.invalid:81"


def test_a_proxy_that_gives_no_line_is_named(tmp_path, monkeypatch):
    refused = message("407 Proxy Authentication Required", b"")
    with Bytes(refused) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"127.0.0.1:{proxy.port}")
        with pytest.raises(TeacherStopped, match="the proxy wants another user or password"):
            generate(["a"], OpenAIGenerator("https://host.invalid/v1", "m"), tmp_path / "a.jsonl")
        assert proxy.seen[0][0] == "CONNECT host.invalid:443 HTTP/1.1"


class Socks(Loopback):
    """A SOCKS proxy that leads everybody to one port; with a password where one is wanted."""

    def __init__(self, to: int, wanted: bytes = b"", code: int = 0) -> None:
        self.to, self.wanted, self.code, self.names = to, wanted, code, []
        super().__init__()

    async def _connection(self, reader, writer) -> None:
        ways = (await reader.readexactly(2))[1]
        await reader.readexactly(ways)
        writer.write(b"\5\2" if self.wanted else b"\5\0")
        if self.wanted:
            got = await reader.readexactly(len(self.wanted))
            writer.write(b"\1\0" if got == self.wanted else b"\1\1")
        length = (await reader.readexactly(5))[4]
        self.names.append(await reader.readexactly(length + 2))
        writer.write(b"\5" + bytes([self.code]) + b"\0\1\0\0\0\0\0\0")
        asked = await read_message(reader)
        there, back = await asyncio.open_connection("127.0.0.1", self.to)
        first, headers, body = asked
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        back.write(f"{first}\r\n{lines}\r\n".encode() + body)
        writer.write(await there.read(1 << 16))
        await writer.drain()
        writer.close()
        back.close()


@pytest.mark.parametrize(
    ("user", "wanted"), [("", b""), ("me:p%40ss@", b"\1\2me\4p@ss")], ids=["open", "password"]
)
def test_a_socks_proxy_looks_the_name_up_and_leads_on(tmp_path, monkeypatch, user, wanted):
    with Backend() as server, Socks(server.port, wanted) as proxy:
        monkeypatch.setenv("ALL_PROXY", f"socks5h://{user}127.0.0.1:{proxy.port}")
        teacher = OpenAIGenerator("http://host.invalid:81/v1", "m", tries=1)
        assert generate(["a"], teacher, tmp_path / "a.jsonl").rows[0]["answer"] == "answer to a"
        assert proxy.names == [b"host.invalid\0Q"]


def test_a_socks_proxy_that_does_not_reach_it_is_named(tmp_path, monkeypatch):
    with Socks(9, code=4) as proxy:
        monkeypatch.setenv("ALL_PROXY", f"socks5://127.0.0.1:{proxy.port}")
        with pytest.raises(TeacherStopped, match=r"does not reach the server \(code 4\)"):
            teacher = OpenAIGenerator("http://host.invalid:81/v1", "m", tries=1)
            generate(["a"], teacher, tmp_path / "a.jsonl")


@pytest.mark.parametrize(
    ("bypass", "host", "direct"),
    [
        ("10.0.0.0/8", "10.2.3.4", True),
        ("192.168.0.0/16,10.0.0.0/8", "172.16.0.1", False),
        ("example.com", "api.example.com", True),
        ("fd00::/8", "[fd12::1]", True),
    ],
)
def test_networks_that_need_no_proxy_are_asked_directly(monkeypatch, bypass, host, direct):
    monkeypatch.setenv("HTTP_PROXY", "http://proxy:8080")
    monkeypatch.setenv("NO_PROXY", bypass)
    assert (network.proxy_of(f"http://{host}:8000/v1") is None) == direct


def test_a_proxy_shows_no_password():
    proxy = network.read_proxy("HTTP_PROXY", "http://me:canary@proxy:8080")
    assert "canary" not in repr(proxy) and "canary" not in repr(network.Route(None, proxy))


class Tls(Loopback):
    """A server with a certificate of its own."""

    def __init__(self, folder) -> None:
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        start = asyncio.start_server(self._connection, "127.0.0.1", 0, ssl=self.context)
        self.server = self._do(start)
        self.port = self.server.sockets[0].getsockname()[1]
        self.url = f"https://127.0.0.1:{self.port}/v1"

    async def serve(self, first, headers, body, reader, writer) -> bool:
        writer.write(message("200 OK", ANSWER))
        await writer.drain()
        return True


def test_a_certificate_of_ones_own_is_named_at_once_with_the_remedy(tmp_path, monkeypatch):
    if not shutil.which("openssl"):
        pytest.skip("needs openssl to make a certificate")
    make = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -keyout key.pem -out cert.pem"
    words = [*make.split(), "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(words, cwd=tmp_path, check=True, capture_output=True)
    with Tls(tmp_path) as server:
        with pytest.raises(TeacherStopped, match=r"is not trusted.*SSL_CERT_FILE"):
            ask(server, tmp_path)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "cert.pem"))
        assert len(ask(server, tmp_path).rows) == 3


class Plain(Backend):
    async def _connection(self, reader, writer) -> None:
        await reader.read(1)
        writer.write(head(status="400 Bad Request"))
        await writer.drain()
        writer.close()


def test_a_server_without_tls_is_named_at_once(tmp_path):
    with Plain() as server, pytest.raises(TeacherStopped, match="speaks no TLS"):
        server.url = server.url.replace("http:", "https:")
        ask(server, tmp_path)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("3", 3), ("-1", 0), ("inf", 0), ("nan", 0), ("Thu, 01 Jan 1970 00:00:00 GMT", 0), (None, 0)],
)
def test_what_a_server_asks_to_wait(value, seconds):
    assert seconds_asked(value) == seconds


def test_a_date_to_wait_for_is_kept_to():
    now = datetime(2026, 11, 28, 12, 0, 0, tzinfo=UTC)
    assert seconds_asked("Sat, 28 Nov 2026 12:00:30 GMT", now) == 30


def test_a_key_that_the_cut_of_a_long_message_halves_is_not_shown():
    scrub = Scrubber(KEY)
    for before in range(270, 300):
        words = judge(BodyError({"message": "x" * before + KEY + " and more" * 9}), 1.0, scrub)
        assert "canary" not in words.reason and "sk-c" not in words.reason

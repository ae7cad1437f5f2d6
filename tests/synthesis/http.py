"""Just enough HTTP to stand in for a server: a cheap OpenAI-compatible one, and a faulty proxy.

Both count what they did, so that a test can hold the files of a run against it. Standard library.
"""

import asyncio
import contextlib
import json
import random
import threading
import urllib.request
from collections import Counter
from collections.abc import AsyncIterator, Callable
from email.utils import formatdate
from typing import Any

Headers = dict[str, str]
USAGE = {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}


async def read_message(reader: asyncio.StreamReader) -> tuple[str, Headers, bytes] | None:
    """First line, headers and body of a request or an answer; None where the other side left."""
    try:
        raw = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    first, *lines = raw.decode("latin-1").split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines if ": " in line)
    if headers.get("transfer-encoding") == "chunked":
        body = b""
        while size := int(await reader.readline(), 16):
            body += (await reader.readexactly(size + 2))[:-2]
        await reader.readline()
        return first, headers, body
    return first, headers, await reader.readexactly(int(headers.get("content-length", 0)))


def message(status: str, body: bytes, kind: str = "application/json", **more: str) -> bytes:
    extra = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in more.items())
    length = f"content-length: {len(body)}\r\n"
    head = f"HTTP/1.1 {status}\r\ncontent-type: {kind}\r\n{length}{extra}\r\n"
    return head.encode() + body


class Loopback:
    """A server on loopback in a thread with a loop of its own."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        start = asyncio.start_server(self._connection, "127.0.0.1", 0, limit=1 << 22)
        self.server = self._do(start)
        self.port = self.server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/v1"

    def _do(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)

    async def _connection(self, reader, writer) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while (received := await read_message(reader)) is not None:
                if not await self.serve(*received, reader, writer):
                    break
        writer.close()

    async def serve(self, first, headers, body, reader, writer) -> bool:
        """Answer one request; False closes the connection."""
        raise NotImplementedError

    def close(self) -> None:
        async def stop() -> None:
            self.server.close()
            mine = asyncio.current_task()
            for task in asyncio.all_tasks() - {mine}:
                task.cancel()

        self._do(stop())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)

    def __enter__(self):
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def echo(body: dict[str, Any]) -> dict[str, Any]:
    """The usual answer: it repeats the last message; some words ask for an unusable one."""
    question = body["messages"][-1]["content"]
    reply = {"text": f"answer to {question}", "finish": "stop"}
    if "say nothing" in question:
        reply["text"] = " "
    elif "too long" in question:
        reply["finish"] = "length"
    elif "forbidden" in question:
        reply = {"text": "", "finish": "content_filter"}
    return reply


class Backend(Loopback):
    """A server that answers at once; ``answered`` counts what left it, by question and seed."""

    def __init__(self, say: Callable[[dict[str, Any]], dict[str, Any]] = echo) -> None:
        self.say = say
        self.asked: list[dict[str, Any]] = []
        self.headers: list[Headers] = []
        self.under_way = self.most_under_way = 0
        self.delay = 0.0
        self.usage: dict[str, int] | None = USAGE
        super().__init__()

    async def serve(self, first, headers, body, reader, writer) -> bool:
        if first.startswith("GET"):  # how a test in another process reads the count
            writer.write(message("200 OK", json.dumps({"asked": len(self.asked)}).encode()))
            return True
        question = json.loads(body)
        self.asked.append(question)
        self.headers.append(headers)
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            await asyncio.sleep(self.delay)
            reply = self.say(question)
            if "status" in reply:
                more = reply.get("headers", {})
                writer.write(message(reply["status"], json.dumps(reply["body"]).encode(), **more))
            elif question.get("stream"):
                await _stream(writer, reply)
            else:
                writer.write(message("200 OK", json.dumps(completion(reply, self.usage)).encode()))
            await writer.drain()
        finally:
            self.under_way -= 1
        return True


def completion(reply: dict[str, Any], usage: dict[str, int] | None = USAGE) -> dict[str, Any]:
    text = reply["text"]
    return {
        "id": "x",
        "object": "chat.completion",
        "created": 0,
        "model": "fake",
        "choices": [
            {
                "index": 0,
                "finish_reason": reply["finish"],
                "message": {"role": "assistant", "content": text} | reply.get("more", {}),
            }
        ],
        "usage": usage,
    }


async def _stream(writer, reply: dict[str, Any]) -> None:
    kind = "content-type: text/event-stream\r\ntransfer-encoding: chunked"
    head = f"HTTP/1.1 200 OK\r\n{kind}\r\n\r\n"
    writer.write(head.encode())
    async for piece in _pieces(reply):
        writer.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        await writer.drain()
    writer.write(b"0\r\n\r\n")


async def _pieces(reply: dict[str, Any]) -> AsyncIterator[bytes]:
    yield b": a comment, as servers send to keep a line open\n\n"
    words = reply["text"].split(" ")
    for i, word in enumerate(words):
        delta = {"content": word if i == 0 else f" {word}"}
        yield _event({"choices": [{"index": 0, "delta": delta}]})
    yield _event({"choices": [{"index": 0, "delta": {}, "finish_reason": reply["finish"]}]})
    yield _event({"choices": [], "usage": USAGE})
    yield b"data: [DONE]\n\n"


def _event(body: dict[str, Any]) -> bytes:
    event = {"id": "x", "object": "chat.completion.chunk", "created": 0, "model": "fake"} | body
    return b"data: " + json.dumps(event).encode() + b"\n\n"


FAULTS = (
    "429 with Retry-After",
    "429",
    "500",
    "503 with a date",
    "time-out",
    "cut",
    "reset",
    "garbage",
    "page",
    "wrong",
    "slow",
)


class FaultProxy(Loopback):
    """Stands before a server and spoils a share of the answers, until ``most`` are spoilt."""

    def __init__(self, port: int, share: float, most: int, seed: int = 0, faults=FAULTS) -> None:
        self.to, self.share, self.most, self.faults = port, share, most, faults
        self.chance = random.Random(seed)
        self.injected: Counter[str] = Counter()
        self.passed = 0
        super().__init__()

    async def serve(self, first, headers, body, reader, writer) -> bool:
        if first.startswith("GET /count"):
            counts = {"injected": dict(self.injected), "passed": self.passed}
            writer.write(message("200 OK", json.dumps(counts).encode()))
            return True
        if self.injected.total() >= self.most or self.chance.random() >= self.share:
            self.passed += 1
            writer.write(await self._forward(first, headers, body))
            await writer.drain()
            return True
        fault = self.faults[self.injected.total() % len(self.faults)]
        self.injected[fault] += 1
        return await self._spoil(fault, first, headers, body, reader, writer)

    async def _forward(self, first: str, headers: Headers, body: bytes) -> bytes:
        """The server's whole answer, its streams made into one piece."""
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.to, limit=1 << 22)
        except OSError:
            return message("502 Bad Gateway", b'{"error": {"message": "nobody there"}}')
        try:
            lines = "".join(f"{k}: {v}\r\n" for k, v in headers.items() if k != "connection")
            writer.write(f"{first}\r\n{lines}connection: close\r\n\r\n".encode("latin-1") + body)
            answer = await read_message(reader)
        except (OSError, asyncio.IncompleteReadError):
            answer = None
        finally:
            writer.close()
        if answer is None:
            return message("502 Bad Gateway", b'{"error": {"message": "it went away"}}')
        status, headers, content = answer
        more = {k.replace("-", "_"): v for k, v in headers.items() if k == "retry-after"}
        return message(status.split(" ", 1)[1], content, headers["content-type"], **more)

    async def _spoil(self, fault, first, headers, body, reader, writer) -> bool:
        error = json.dumps({"error": {"message": "an injected fault"}}).encode()
        if fault == "429 with Retry-After":
            writer.write(message("429 Too Many", error, retry_after="0.02"))
        elif fault == "429":
            writer.write(message("429 Too Many", error))
        elif fault == "500":
            writer.write(message("500 Oops", error))
        elif fault == "503 with a date":
            writer.write(message("503 Busy", error, retry_after=formatdate(usegmt=True)))
        elif fault == "time-out":
            with contextlib.suppress(ConnectionError):
                await reader.read()  # until the other side has had enough
            return False
        elif fault == "reset":
            writer.transport.abort()
            return False
        elif fault == "garbage":
            writer.write(message("200 OK", b'{"choices": [{"mess'))
        elif fault == "page":
            writer.write(message("200 OK", b"<html>Please log in</html>", "text/html"))
        elif fault == "wrong":
            writer.write(message("200 OK", b'{"object": "list", "data": []}'))
        else:
            whole = await self._forward(first, headers, body)
            if fault == "cut":  # in the middle of the body, which is of a promised length
                head = whole.index(b"\r\n\r\n") + 4
                writer.write(whole[: head + (len(whole) - head) // 2])
                await writer.drain()
                return False
            for start in range(0, len(whole), 97):  # slow, but whole: this one counts
                writer.write(whole[start : start + 97])
                await writer.drain()
                await asyncio.sleep(0.01)
            return True
        await writer.drain()
        return True


def count(port: int) -> dict[str, Any]:
    """What a server in another process has counted."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/count", timeout=10) as answer:
        return json.load(answer)

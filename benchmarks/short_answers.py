"""Short answers, many at once: `generate` against a plain threaded client, in turns.

A server in a process of its own answers each request after 0.1 s, and costs next to nothing. The
plain client has a thread and a line for each request that is under way (`http.client`) and writes
nothing down; `generate` comes with its files, checks and retries. Both ask the same, in turns.
"""

import asyncio
import http.client
import json
import multiprocessing
import statistics
import tempfile
import threading
import time
from pathlib import Path

from table import Row

from distill_lab.synthesis import OpenAIGenerator, generate

DELAY = 0.1  # seconds from a request to its answer
AT_ONCE = (64, 256)
TURNS = 40  # answers one after the other over each line
TARGET = 0.9
NOTE = "Answers a second through a server that takes 0.1 s: over 1 means that ours is faster."
TEXT = "an answer of some words, as a label or a short reply would be"
BODY = json.dumps(
    {
        "object": "chat.completion",
        "model": "plain",
        "choices": [{"finish_reason": "stop", "message": {"role": "assistant", "content": TEXT}}],
        "usage": {"prompt_tokens": 7, "completion_tokens": 13},
    }
).encode()
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(
    BODY
)


class _Line(asyncio.Protocol):
    """One line of the server: every whole request is answered after the delay."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport, self.held = transport, b""

    def data_received(self, data: bytes) -> None:
        self.held += data
        while (end := self.held.find(b"\r\n\r\n")) >= 0:
            length = int(self.held[:end].lower().split(b"content-length:")[1].split(b"\r\n")[0])
            if len(self.held) < end + 4 + length:
                return
            self.held = self.held[end + 4 + length :]
            loop = asyncio.get_running_loop()
            loop.call_later(DELAY, self.transport.write, ANSWER + BODY)


def _serve(port) -> None:
    async def run() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(_Line, "127.0.0.1", 0, backlog=1024)
        port.put(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(run())


def plain(port: int, prompts: list[str], at_once: int) -> None:
    """A thread for each request that is under way; nothing is written down."""
    waiting, lock, texts = iter(prompts), threading.Lock(), []

    def work() -> None:
        line = http.client.HTTPConnection("127.0.0.1", port)
        while True:
            with lock:
                prompt = next(waiting, None)
            if prompt is None:
                return
            messages = [{"role": "user", "content": prompt}]
            body = {"model": "plain", "messages": messages, "temperature": 1.0, "max_tokens": 512}
            line.request("POST", "/v1/chat/completions", json.dumps(body))
            answer = json.loads(line.getresponse().read())
            texts.append(answer["choices"][0]["message"]["content"])

    threads = [threading.Thread(target=work) for _ in range(at_once)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert texts == [TEXT] * len(prompts)


def ours(port: int, prompts: list[str], at_once: int) -> None:
    """The same with `generate`, into files."""
    with tempfile.TemporaryDirectory() as folder:
        teacher = OpenAIGenerator(f"http://127.0.0.1:{port}/v1", "plain", concurrency=at_once)
        answers = generate(prompts, teacher, Path(folder) / "a.jsonl")
        assert [row["answer"] for row in answers.rows] == [TEXT] * len(prompts)


def rows(rounds: int, turns: int = TURNS) -> list[Row]:
    """Both at each number of requests at once, ratios round by round; the first warms up."""
    context = multiprocessing.get_context("spawn")
    place = context.Queue()
    server = context.Process(target=_serve, args=(place,), daemon=True)
    server.start()
    port, lines = place.get(timeout=60), []
    for at_once in AT_ONCE:
        prompts = [f"question {i}" for i in range(at_once * turns)]
        speeds: dict[str, list[float]] = {"ours": [], "theirs": []}
        for turn in range(rounds + 1):
            for name, ask in (("theirs", plain), ("ours", ours)):
                began = time.perf_counter()
                ask(port, prompts, at_once)
                if turn:
                    speeds[name].append(len(prompts) / (time.perf_counter() - began))
        ratios = [a / b for a, b in zip(speeds["ours"], speeds["theirs"], strict=True)]
        median = statistics.median(ratios)
        lines.append(
            Row(
                f"generate, answers of 0.1 s, {at_once} at once",
                "plain threads, http.client",
                statistics.median(speeds["ours"]),
                statistics.median(speeds["theirs"]),
                "answers/s",
                min(ratios),
                median,
                max(ratios),
                TARGET,
                at_least=True,
                met=median >= TARGET,
                note=NOTE,
            )
        )
    server.terminate()
    return lines

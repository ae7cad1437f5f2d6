"""A real server: `transformers serve` on loopback with a tiny model, killed and started again."""

import threading
import time

import pytest

from distill_lab.synthesis import OpenAIGenerator, TeacherStopped, generate
from distill_lab.teachers.text import session
from tests.synthesis.tiny import WORDS, Server, free_port, save

pytest.importorskip("fastapi", reason="transformers serve needs fastapi and uvicorn")
pytest.importorskip("uvicorn", reason="transformers serve needs fastapi and uvicorn")
pytestmark = pytest.mark.server
PROMPTS = [f"what is {a} {b}" for a in WORDS[:10] for b in WORDS[:6]]


@pytest.fixture(autouse=True)
def short_waits(monkeypatch):
    """So that a server is asked often while it is gone."""
    monkeypatch.setattr(session, "FIRST_WAIT", 0.05)
    monkeypatch.setattr(session, "LONGEST_PAUSE", 0.3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save(tmp_path_factory.mktemp("teacher") / "tiny")


def test_answers_through_http_and_a_server_that_dies_and_comes_back(folder, tmp_path):
    """Killed with SIGKILL in the middle of a run: the run waits, goes on and loses nothing."""
    port = free_port()
    first, second = Server(folder, port), Server(folder, port)
    mended = threading.Thread(target=lambda: (second.start(), None))
    killed_at: list[int] = []

    def watch(progress):
        if progress.done >= 10 and not killed_at:
            killed_at.append(progress.done)
            first.kill()
            mended.start()

    with first, SecondClosed(second):
        teacher = OpenAIGenerator(first.url, str(folder), concurrency=4, tries=400)
        path = tmp_path / "a.jsonl"
        answers = generate(PROMPTS, teacher, path, samples=2, max_new_tokens=80, progress=watch)
        mended.join()
        assert 10 <= killed_at[0] < 2 * len(PROMPTS)
        assert len(answers.rows) + len(answers.rejected) == 2 * len(PROMPTS)
        assert {row["kind"] for row in answers.rejected} <= {"empty", "truncated"}
        assert max(row["tries"] for row in answers.rows) > 1
        vocabulary = {word for row in answers.rows for word in row["answer"].split()}
        assert vocabulary <= set(WORDS)
        assert all(row["tokens"][1] > 0 for row in answers.rows)
        again = generate(PROMPTS, teacher, path, samples=2, max_new_tokens=80)
        assert again.asked == 0 and again.rows == answers.rows

        streamed = OpenAIGenerator(first.url, str(folder), stream=True)
        streamed_answers = generate(PROMPTS[:8], streamed, tmp_path / "b.jsonl", max_new_tokens=80)
        assert len(streamed_answers.rows) + len(streamed_answers.rejected) == 8
        assert all(row["tokens"][1] > 0 for row in streamed_answers.rows)

        other = OpenAIGenerator(first.url, "another-model")
        with pytest.raises(TeacherStopped, match="pinned to"):
            generate(PROMPTS, other, tmp_path / "c.jsonl")


class SecondClosed:
    def __init__(self, server):
        self.server = server

    def __enter__(self):
        return self.server

    def __exit__(self, *_):
        time.sleep(0.1)
        self.server.kill()

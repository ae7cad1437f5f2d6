"""What a run may cost and would cost, and what is said of a fault as soon as it is there."""

import json

import pytest

from distill_lab import cli
from distill_lab.synthesis import OpenAIGenerator, TeacherStopped, generate
from distill_lab.synthesis.budget import Budget, estimate
from distill_lab.synthesis.cards import set_card
from distill_lab.teachers.text import session
from tests.synthesis.http import Backend

PROMPTS = [f"question {i:02}" for i in range(40)]


@pytest.fixture(autouse=True)
def short_waits(monkeypatch):
    monkeypatch.setattr(session, "FIRST_WAIT", 0.001)
    monkeypatch.setattr(session, "LONGEST_PAUSE", 0.005)


def teacher_at(url: str, **settings) -> OpenAIGenerator:
    return OpenAIGenerator(url, "fake", prices=(1e6, 1e6), **settings)  # 12 an answer, see Backend


@pytest.mark.parametrize("budget", [100.0, 250.0, 479.0])
@pytest.mark.parametrize("concurrency", [1, 16])
def test_a_budget_is_used_as_far_as_it_goes_and_never_passed(tmp_path, budget, concurrency):
    path = tmp_path / "a.jsonl"
    with Backend() as server:
        teacher = teacher_at(server.url, concurrency=concurrency)
        answers = generate(PROMPTS, teacher, path, max_new_tokens=9, budget=budget)
        spent = 12 * len(server.asked)
        # the next one could have cost 9 for its answer, 11 bytes and twice what a template writes
        assert budget - (9 + 11 + 32) < spent <= budget and answers.progress.cost == spent
        assert answers.left == 40 - len(server.asked) > 0 and "budget could be" in str(answers)
        again = generate(PROMPTS, teacher, path, max_new_tokens=9, budget=budget)
        assert 12 * len(server.asked) == spent and again.asked == 0  # what was paid stays paid
        rest = generate(PROMPTS, teacher, path, max_new_tokens=9, budget=480 + 52)
        assert len(rest.rows) == len(server.asked) == 40 and not rest.left


def test_what_the_server_does_not_count_is_taken_for_the_most_it_can_be(tmp_path):
    with Backend() as server:
        server.usage = None
        teacher, path = teacher_at(server.url), tmp_path / "a.jsonl"
        answers = generate(PROMPTS, teacher, path, max_new_tokens=9, budget=210.0)
        assert len(server.asked) == 4 and answers.left == 36  # 52 each
    assert answers.progress.cost_in_words().startswith("unknown")


def test_unusable_answers_are_paid_too_and_a_budget_needs_prices(tmp_path):
    with Backend() as server:
        prompts = [f"{i} too long" for i in range(20)]
        answers = generate(
            prompts, teacher_at(server.url), tmp_path / "a.jsonl", max_new_tokens=9, budget=100.0
        )
        assert 12 * len(answers.rejected) <= 100 and answers.left
        with pytest.raises(ValueError, match="a budget needs prices"):
            teacher = OpenAIGenerator(server.url, "fake")
            generate(prompts, teacher, tmp_path / "b.jsonl", budget=1.0)
    with pytest.raises(ValueError, match="budget must be"):
        Budget(0, (1.0, 1.0))


def test_an_estimate_asks_and_writes_nothing_and_knows_what_is_there(tmp_path):
    path = tmp_path / "new" / "a.jsonl"
    with Backend() as server:
        teacher = teacher_at(server.url)
        before = estimate([*PROMPTS, PROMPTS[0]], teacher, path, samples=2, max_new_tokens=9)
        assert not server.asked and not path.parent.exists()
        assert (before.prompts, before.requests, before.done) == (40, 80, 0)
        assert before.prompt_tokens == 80 * 3 and before.answer_tokens == 80 * 9
        assert "cost at most about 960" in str(before) and before.usual_tokens is None
        generate(PROMPTS, teacher, path, max_new_tokens=9)
        files = sorted(file.name for file in path.parent.iterdir())
        after = estimate(PROMPTS, teacher, path, samples=2, max_new_tokens=9)
        assert (after.done, after.usual_tokens) == (40, 40 * 5) and len(server.asked) == 40
        assert sorted(file.name for file in path.parent.iterdir()) == files
        with pytest.raises(ValueError, match="made with other settings: max_new_tokens was 9"):
            estimate(PROMPTS, teacher, path, max_new_tokens=10)


def test_a_file_of_before_is_known_by_its_old_word_and_asked_nothing_twice(tmp_path):
    """Settings and ids said max_tokens: the former say what jobs say now, the latter stay."""
    path, settings = tmp_path / "a.jsonl", tmp_path / "a.settings.json"
    with Backend() as server:
        generate(PROMPTS, teacher_at(server.url), path, max_new_tokens=9)
        assert '"max_new_tokens": 9' in settings.read_text()
        assert {asked["max_tokens"] for asked in server.asked} == {9}  # the server's own word
        settings.write_text(settings.read_text().replace("max_new_tokens", "max_tokens"))
        answers = generate(PROMPTS, teacher_at(server.url), path, max_new_tokens=9)
        assert len(answers.rows) == len(server.asked) == 40
        assert answers.settings["max_new_tokens"] == 9 and "max_tokens" not in answers.settings
        with pytest.raises(ValueError, match="settings: max_new_tokens was 9 and is now 10"):
            generate(PROMPTS, teacher_at(server.url), path, max_new_tokens=10)
    facts = set_card(answers, prompts="p.txt").facts()
    assert facts["settings"]["max_new_tokens"] == 9


def words(tmp_path, server, *more: str) -> list[str]:
    prompts = tmp_path / "p.txt"
    prompts.write_text("\n".join(PROMPTS))
    out = str(tmp_path / "a.jsonl")
    common = ["--server", server.url, "--model", "fake", "--price", "1000000", "1000000"]
    return ["generate", str(prompts), out, *common, "--max-tokens", "9", *more]


def test_the_command_says_what_it_would_do_and_stops_before_the_budget(tmp_path, capsys):
    with Backend() as server:
        assert cli.main(words(tmp_path, server, "--dry-run")) == 0
        assert (
            "40 prompts, 40 answers wanted: 0 there already, 40 to ask" in capsys.readouterr().out
        )
        assert not server.asked and not (tmp_path / "a.jsonl").exists()
        assert cli.main(words(tmp_path, server, "--budget", "100")) == 1
        output = capsys.readouterr()
        assert "not asked, since the budget could be passed" in output.out
        assert json.loads((tmp_path / "a.card.json").read_text())["answers"]["cost"] == "60.0000"
        assert cli.main(words(tmp_path, server, "--budget", "-1")) == 2
        assert "budget must be" in capsys.readouterr().err


def test_the_first_fault_is_said_at_once_with_what_happens_next(tmp_path, capsys):
    said_at = []
    turns = []

    def say(asked):
        turns.append(1)
        if len(turns) <= 12:
            return {"status": "503 Busy", "body": {"error": {"message": "upstream is busy"}}}
        return {"text": "fine", "finish": "stop"}

    def show(progress):
        if progress.notice:
            said_at.append((len(turns), str(progress)))

    with Backend(say) as server:
        teacher = teacher_at(server.url, concurrency=1, tries=20)
        generate(PROMPTS[:3], teacher, tmp_path / "a.jsonl", progress=show)
    assert len(said_at) == 2
    (first, text), (tenth, more) = said_at
    assert first < 10 <= tenth  # in another thread than the one that asks
    assert text.startswith("Fault: the server said 503: upstream is busy; asked again in 0.0")
    assert text.endswith("up to 19 times.") and "(10 times so far)" in more and "\n" not in text


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        ({"text": "I", "finish": "length"}, "truncated: cut off after max_new_tokens"),
        ({"text": " ", "finish": "stop"}, "empty: no text"),
        ({"status": "400 No", "body": {"error": "too long"}}, "invalid: the server rejected it"),
    ],
)
def test_an_answer_that_is_set_aside_is_said_once(tmp_path, capsys, reply, words):
    def say(asked):
        bad = asked["messages"][0]["content"] in PROMPTS[2:8]
        return reply if bad else {"text": "fine", "finish": "stop"}

    with Backend(say) as server:
        prompts = tmp_path / "p.txt"
        prompts.write_text("\n".join(PROMPTS))
        out = str(tmp_path / "a.jsonl")
        assert (
            cli.main(["generate", str(prompts), out, "--server", server.url, "--model", "m"]) == 0
        )
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("Fault")]
    assert words in line and line.endswith("; that one is set aside, the others go on.")


def test_a_server_that_is_not_there_says_so_before_all_tries_are_over(tmp_path, capsys):
    with Backend() as server:
        url = server.url
    with pytest.raises(TeacherStopped):
        teacher = teacher_at(url, tries=3)
        generate(PROMPTS, teacher, tmp_path / "a.jsonl", progress=print)
    first = capsys.readouterr().out.splitlines()[0]
    assert first.startswith("Fault: the connection failed: Connection refused; asked again in")

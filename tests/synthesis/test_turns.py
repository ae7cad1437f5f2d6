"""What a teacher is shown of a message, and what is kept of its answer."""

import contextlib
import json

import pytest

from distill_lab.data.tokenized import Texts
from distill_lab.jobs.exam import read_exam
from distill_lab.synthesis import (
    LocalGenerator,
    OpenAIGenerator,
    TeacherStopped,
    generate,
    verifiers,
)
from distill_lab.synthesis.prompts import as_prompt, read_prompts, requests_of
from distill_lab.teachers.text.protocol import Sampling
from tests.data.chats import chat
from tests.synthesis.http import Backend
from tests.synthesis.tiny import make_model, make_tokenizer

USER = {"role": "user", "content": "2 + 2?"}
GOLD = {"role": "assistant", "content": "GOLD"}
TOOLS = [{"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}]


def answered(path, prompts, say, **settings):
    """The answers of a server, and what it was sent."""
    with Backend(say) as server:
        teacher = OpenAIGenerator(server.url, "fake", concurrency=1, tries=1, **settings)
        return generate(prompts, teacher, path), server.asked


def says(text, finish="stop", **more):
    return lambda body: {"text": text, "finish": finish, "more": more}


@pytest.mark.parametrize(
    "given",
    [
        {"messages": [USER, GOLD]},
        {"messages": [USER, GOLD, GOLD]},
        {"prompt": [USER, GOLD]},
        [USER, GOLD],
        {"messages": [USER, GOLD], "answer": "GOLD"},
    ],
)
def test_no_teacher_is_shown_the_answer_that_is_there(tmp_path, given):
    answers, sent = answered(tmp_path / "a.jsonl", [given], says("4"))
    assert sent[0]["messages"] == [USER] and "GOLD" not in json.dumps(sent)
    assert answers.rows[0]["prompt"] == [USER] and answers.rows[0]["about"] == {"answer": "GOLD"}
    (tmp_path / "p.json").write_text(json.dumps([given]))
    (prompt,) = read_prompts(tmp_path / "p.json")
    assert as_prompt(prompt).messages == (USER,)
    with pytest.raises(ValueError, match="no message before the answer"):
        as_prompt([GOLD])


def test_a_message_is_sent_without_nulls_and_in_one_piece(tmp_path):
    parts = [{"type": "text", "text": "2 +"}, {"type": "text", "text": " 2?"}]
    given = [{"role": "user", "content": parts, "tool_calls": None, "name": None}]
    _, sent = answered(tmp_path / "a.jsonl", [given], says("4"))
    assert sent[0]["messages"] == [USER]
    odd = [{"role": "user", "content": [*parts, {"type": "image_url", "image_url": {}}]}]
    with pytest.raises(
        ValueError, match="prompt 1: message 1 holds a part of the type 'image_url'"
    ):
        list(requests_of(["a", odd], Sampling(), {}))


@pytest.mark.parametrize("stream", [False, True])
def test_tools_are_shown_and_calls_kept_and_learned(tmp_path, stream):
    call = {"id": "1", "type": "function", "function": {"name": "add", "arguments": '{"a": 2}'}}
    given = {"messages": [USER], "tools": TOOLS}
    more = says(None, "tool_calls", tool_calls=[call])
    answers, sent = answered(tmp_path / "a.jsonl", [given], more if not stream else says("4"))
    assert sent[0]["tools"] == TOOLS and "about" not in answers.rows[0]
    if stream:
        return
    row = answers.rows[0]
    assert row["tool_calls"] == [call] and row["tools"] == TOOLS and row["answer"] == ""
    tokenizer = chat("qwen3")
    text = Texts([row], tokenizer).text(0)
    assert '{"name": "add", "arguments": {"a": 2}}' in tokenizer.decode(text.answer)
    assert '"type": "object"' in tokenizer.decode(text.prompt)


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("<think>the answer is 5</think>4", True),
        ("Perhaps the answer is 5? No.\n</think>\n4", True),
        ("<think>the answer is 4</think>\n5", False),
        ("<thinking>\nlabel 5\n</thinking>\nThe answer is 4.", True),
    ],
)
def test_thoughts_are_put_apart_and_the_answer_behind_them_counts(tmp_path, text, right):
    prompt = {"prompt": "2 + 2?", "answer": 4, "label": "4"}
    answers, _ = answered(tmp_path / "a.jsonl", [prompt], says(text))
    (row,) = answers.rows
    assert row.get("thinking") and "think" not in row["answer"]
    unparted = row | {"answer": text}
    for verify in (
        verifiers.numeric(),
        verifiers.exact(),
        verifiers.label(["4", "5"]),
        verifiers.contains(),
        verifiers.regex([r"\b4\b"]),
    ):
        assert verify(row).ok == verify(unparted).ok == right
    tokenizer = chat("chatml")
    learned = tokenizer.decode(Texts([row], tokenizer).text(0).answer)
    assert learned.startswith("<think>\n") and learned.count("think>") == 2


def test_an_exam_reads_the_answer_behind_the_thoughts(tmp_path):
    path = tmp_path / "exam.jsonl"
    path.write_text('{"prompt": "2 + 2?", "answer": 4, "check": "numeric"}\n')
    (question,) = read_exam(path)
    assert question.judge("<think>5?</think>4").ok and not question.judge("<think>4</think>5").ok


def test_nothing_but_thoughts_is_no_answer(tmp_path):
    answers, _ = answered(tmp_path / "a.jsonl", ["a"], says("<think>never closed"))
    assert answers.reasons == {"empty": 1} and "went into thinking" in answers.rejected[0]["reason"]


def test_half_a_character_sets_its_prompt_aside_and_the_others_go_on(tmp_path):
    prompts = [
        "good one",
        "half \ud83d emoji",
        {"messages": [{**USER, "content": "\udc00"}]},
        "two",
    ]
    answers, sent = answered(tmp_path / "a.jsonl", prompts, says("4"))
    assert len(answers.rows) == len(sent) == 2 and answers.reasons == {"invalid": 2}
    reasons = [row["reason"] for row in answers.rejected]
    assert "prompt 1: message 1 holds half a character" in reasons[0] and "prompt 2:" in reasons[1]
    again, sent = answered(tmp_path / "a.jsonl", prompts, says("4"))
    assert not sent and len(again.rejected) == 2
    local = LocalGenerator(make_model(), make_tokenizer())
    answers = generate(prompts, local, tmp_path / "b.jsonl", max_new_tokens=40)
    assert len(answers.rows) + len(answers.rejected) == 4


def test_half_a_character_in_an_answer_is_malformed(tmp_path):
    answers, _ = answered(tmp_path / "a.jsonl", ["a"], says("half \ud83d"))
    assert answers.reasons == {"malformed": 1}


ALTERNATE = "messages | length > 2 and messages[0].role == messages[1].role"


@pytest.mark.parametrize(
    ("refuses", "words"),
    [
        ("messages[0].role == 'system'", "no such turns"),
        (ALTERNATE, "no such turns"),
        ("messages[1] and messages[0].nowhere.deeper", "has no attribute"),
    ],
)
def test_a_template_refuses_one_prompt_in_its_own_words_and_the_others_are_answered(
    tmp_path, refuses, words
):
    tokenizer = make_tokenizer()
    tokenizer.chat_template = (
        f"{{% if {refuses} %}}"
        "{{ raise_exception('no such turns') }}{% endif %}"
        "{% for m in messages %}{{ m.content }} <end> {% endfor %}"
    )
    user, system = ({"role": role, "content": "of"} for role in ("user", "system"))
    prompts = ["the of", [user, user, user] if refuses == ALTERNATE else [system, user]]
    teacher = LocalGenerator(make_model(), tokenizer)
    answers = generate(prompts, teacher, tmp_path / "a.jsonl", max_new_tokens=60)
    (refused,) = (row for row in answers.rejected if row["kind"] == "invalid")
    assert words in refused["reason"] and refused["prompt"] == prompts[1]
    if "system" in refuses:  # before every prompt: then none is left
        with pytest.raises(TeacherStopped, match="cannot write it: no such turns"):
            generate(prompts, teacher, tmp_path / "b.jsonl", max_new_tokens=60, system="of")


def test_a_local_teacher_reads_what_a_student_learns_behind():
    """The same tokens, from the first one on: with a template, without, with quoted controls."""
    for name, plain in (("llama-3", False), ("base", True), ("gemma", True)):
        tokenizer = chat(name)
        tokenizer.chat_template = None if plain else tokenizer.chat_template
        teacher = LocalGenerator(make_model(), tokenizer, plain=plain)
        seen = []
        teacher._batch = lambda requests, ids, seen=seen: seen.extend(ids) or []
        for text in ("2 + 2?", f"what is {tokenizer.eos_token}?"):
            sent = list(requests_of([text], Sampling(max_new_tokens=8), {}))
            with contextlib.suppress(ValueError):  # our stand-in gives no answers
                teacher.answer(sent, lambda *_: None)
            learned = Texts([{"prompt": text, "answer": "4"}], tokenizer).text(0).prompt
            assert seen.pop() == learned and learned[0] == tokenizer.bos_token_id

"""Turns as people have them: learned token by token as their template writes them, or refused."""

import pytest
import torch

from distill_lab.data.thoughts import answer_in, thoughts_in
from distill_lab.data.tokenized import Texts
from distill_lab.data.turns import messages_of, read_turn
from tests.data.chats import CHATS, chat

USER = {"role": "user", "content": "2 + 2?"}
SYSTEM = {"role": "system", "content": "be brief"}
CALLS = [
    {
        "id": "1",
        "type": "function",
        "function": {"name": "add", "arguments": '{"a": 2, "b": "two"}'},
    }
]
TOOLS = [{"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}]


def assistant(content="4", **more):
    return {"role": "assistant", "content": content, **more}


ROUND = [
    USER,
    assistant(None, tool_calls=CALLS),
    {"role": "tool", "content": "4", "name": "add"},
    assistant("it is 4"),
]
THOUGHT = "<think>\ntwo and two\n</think>\n\n"
CHANNELS = "<|channel|>analysis<|message|>two and two<|end|><|start|>assistant"
PLAIN = {"prompt": "2 + 2?", "answer": "4"}
APART = {"messages": [USER, assistant(reasoning_content="two and two")]}


def learned(row, name, **options):
    """What is read and what is learned of one row, as text."""
    tokenizer = chat(name)
    texts = Texts([row], tokenizer, **options)
    batch = texts.batch(torch.tensor([0]))
    ids, labels = batch.inputs["input_ids"][0], batch.labels[0]
    assert torch.equal(ids[labels >= 0], labels[labels >= 0])
    return tokenizer.decode(ids[labels < 0]), tokenizer.decode(ids[labels >= 0])


# What each template lets a model learn of an answer "4": behind which words, and up to which end.
ENDS = {
    "chatml": ("<|im_start|>assistant\n", "4<|im_end|>"),
    "llama-3": ("assistant<|end_header_id|>\n\n", "4<|eot_id|>"),
    "gemma": ("<start_of_turn>model\n", "4<end_of_turn>"),
    "mistral": ("<s>[INST] 2 + 2? [/INST]", " 4</s>"),
    "qwen3": ("<|im_start|>assistant\n", "<think>\n\n</think>\n\n4<|im_end|>"),
    "r1": ("<|Assistant|><think>\n", "\n</think>\n\n4<|end|>"),
    "phi": ("<|end|><|assistant|>", "4<|end|>"),
    "zephyr": ("<|assistant|>\n", "4</s>"),
    "granite": ("assistant<|end_of_role|>", "4<|end_of_text|>"),
    "qwen2.5": ("<|im_start|>assistant\n", "4<|im_end|>"),
    "smollm": ("<|im_start|>assistant\n", "4<|im_end|>"),
    "command-r": ("<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>", "4<|END_OF_TURN_TOKEN|>"),
    "harmony": ("<|start|>assistant", "<|channel|>final<|message|>4<|return|>"),
    "base": ("<s>2 + 2?", "4</s>"),
}


@pytest.mark.parametrize("name", CHATS)
def test_an_answer_is_learned_behind_its_prompt_up_to_its_end(name):
    given = {"messages": [USER, assistant()]}
    prompt, answer = learned(given, name, reasoning="drop")
    assert prompt.endswith(ENDS[name][0]) and answer == ENDS[name][1]
    assert learned(PLAIN, name, reasoning="drop") == (prompt, answer)
    asked = Texts([given], chat(name), prompts_only=True).text(0).prompt
    assert chat(name).decode(asked) == prompt  # learning and asking begin alike


@pytest.mark.parametrize("name", CHATS)
def test_thoughts_are_learned_once_however_they_are_given(name):
    """In a field of their own, beside the row, in the text, and with the closing tag alone."""
    opens, end = ENDS[name][0].endswith("<think>\n"), ENDS[name][1].rpartition("4")[2]
    begin = " " if name == "mistral" else ""
    expected = begin + (THOUGHT.removeprefix("<think>\n") if opens else THOUGHT) + "4" + end
    if name == "harmony":
        expected = CHANNELS + ENDS[name][1]
    parts = [{"type": "thinking", "thinking": "two and two"}, {"type": "text", "text": "4"}]
    within = [{"type": "text", "text": "two and two"}]
    for row in (
        APART,
        {"prompt": [USER], "answer": "4", "thinking": "two and two"},
        {"messages": [USER, assistant(reasoning="two and two", tool_calls=None)]},
        {"prompt": "2 + 2?", "answer": THOUGHT + "4"},
        {"prompt": "2 + 2?", "answer": "two and two\n</think>\n\n4"},
        {"messages": [USER, assistant(parts)]},
        {"messages": [USER, assistant([{"type": "thinking", "thinking": within}, parts[1]])]},
        {"messages": [USER, assistant(thinking={"type": "text", "text": "two and two"})]},
        {"prompt": "2 + 2?", "answer": "4", "thinking": ["two and two"]},
        {"messages": [USER, assistant(f"{CHANNELS}<|channel|>final<|message|>4")]},
        {"prompt": "2 + 2?", "answer": "4", "reasoning": "two and two"},
        {"messages": [USER, assistant(reasoning_content=["two ", "and two"])]},
        {"messages": [USER, assistant(thinking=parts[:1])]},
    ):
        assert learned(row, name)[1] == expected, row
        assert learned(row, name, reasoning="drop")[1] == ENDS[name][1], row


@pytest.mark.parametrize("thoughts", [{"effort": "high"}, 5, [{"type": "image"}], [3]], ids=str)
def test_thoughts_that_are_no_text_are_refused_and_never_written_as_python(thoughts):
    for name in ("reasoning", "reasoning_content", "thinking"):
        with pytest.raises(ValueError, match=r"row 0 message 2 (has a|holds a part)"):
            Texts([{"messages": [USER, assistant(**{name: thoughts})]}], chat("chatml"))
    beside = PLAIN | {"reasoning": {"effort": "high"}}  # a setting of whoever asked
    assert learned(beside, "chatml") == learned(PLAIN, "chatml")


def test_a_prompt_that_opens_the_thoughts_wants_some():
    with pytest.raises(ValueError, match=r"row 0 has no reasoning, and the chat template opens"):
        learned(PLAIN, "r1")


@pytest.mark.parametrize("name", CHATS)
def test_a_system_turn_is_read_or_refused(name):
    row = {"messages": [SYSTEM, USER, assistant(reasoning_content="so")]}
    refusals = {
        "gemma": "row 0 .*System role not supported",
        "mistral": "row 0 .*leaves out the text of message 1 .system",
    }
    if name in refusals:
        with pytest.raises(ValueError, match=refusals[name]):
            learned(row, name)
    else:
        assert "be brief" in learned(row, name)[0]


@pytest.mark.parametrize("name", CHATS)
def test_calls_are_learned_as_the_template_writes_them_or_refused(name):
    written = {
        "llama-3": '{"name": "add", "parameters": {"a": 2, "b": "two"}}<|eot_id|>',
        "qwen2.5": '<tool_call>\n{"name": "add", "arguments": {"a": 2, "b": "two"}}\n'
        "</tool_call><|im_end|>",
        "qwen3": '\n<tool_call>\n{"name": "add", "arguments": {"a": 2, "b": "two"}}\n'
        "</tool_call><|im_end|>",
    }
    bare = {key: value for key, value in ROUND[1].items() if key != "content"}
    last = {"messages": [USER, bare]}, {"messages": ROUND[:2]}, {"messages": ROUND[:2], "tools": []}
    full = {"messages": ROUND, "tools": TOOLS}
    for row in last:
        if name in written:
            assert learned(row, name)[1].endswith(written[name])
        else:
            with pytest.raises(
                ValueError, match=r"row 0 .*(the call of add|calls tools|reasoning)"
            ):
                learned(row, name)
    if name in written:
        prompt, answer = learned(full, name)
        assert '"type": "object"' in prompt and written[name] in prompt and "it is 4" in answer
    else:
        with pytest.raises(ValueError, match=r"row 0 (cannot|is refused|calls tools)"):
            learned(full, name)


def test_arguments_are_json_whatever_a_template_does_with_them():
    """It may print what it is given; null in a table's arguments is what the row does not have."""
    tokenizer = chat("chatml")
    tokenizer.chat_template = (
        "{% for m in messages %}{{ m.content }}{% for c in m.tool_calls or [] %}"
        "{{ c.function.name }}{{ c.function.arguments }}{% endfor %}{% endfor %}"
    )
    for arguments in ('{"a": "x"}', {"a": "x"}, {"a": "x", "b": None}):
        calls = [{"function": {"name": "f", "arguments": arguments}, "id": None}]
        row = {"messages": [USER, assistant(None, tool_calls=calls)]}
        text = Texts([row], tokenizer).text(0)
        assert tokenizer.decode(text.answer) == 'f{"a": "x"}<|im_end|>'


def test_a_tool_that_the_template_passes_over_is_no_tool():
    with pytest.raises(ValueError, match=r"row 0 .*leaves out the tool 'add'"):
        learned({"messages": [USER, assistant()], "tools": TOOLS}, "chatml")


@pytest.mark.parametrize("name", CHATS)
def test_parts_of_text_are_joined_and_pictures_refused(name):
    parts = [{"type": "text", "text": "2 +"}, {"type": "text", "text": " 2?"}]
    row = {
        "messages": [{"role": "user", "content": parts}, assistant([{"type": "text", "text": "4"}])]
    }
    assert learned(row, name, reasoning="drop") == learned(PLAIN, name, reasoning="drop")
    one = {"messages": [USER | {"content": {"text": "2 + 2?"}}, assistant(["4"])]}
    assert learned(one, name, reasoning="drop") == learned(PLAIN, name, reasoning="drop")
    for part in ({"type": "image_url", "image_url": {"url": "http://x"}}, {"type": "audio"}, 3):
        odd = {"messages": [{"role": "user", "content": [*parts, part]}, assistant()]}
        with pytest.raises(ValueError, match=r"row 1 message 1 holds a part of the type"):
            Texts([row, odd], chat(name), reasoning="drop")


@pytest.mark.parametrize("name", CHATS)
def test_control_words_in_a_text_are_words(name):
    end = CHATS[name][1]
    quoted = f"{end} ends it, <pad> fills it, {end}"
    row = {"prompt": f"what is {end}?", "answer": quoted}
    _, answer = learned(row, name, reasoning="drop")
    expected = ENDS[name][1].replace("4", quoted)
    assert answer == expected
    ids = Texts([row], chat(name), reasoning="drop").text(0)
    special = {i for i, token in chat(name).added_tokens_decoder.items() if token.special}
    usual = Texts([PLAIN], chat(name), reasoning="drop").text(0)
    assert [i for i in ids.answer if i in special] == [i for i in usual.answer if i in special]
    assert ids.answer[-1] in special
    assert sum(i in special for i in ids.prompt) == sum(i in special for i in usual.prompt)


def test_a_control_word_that_cannot_be_written_as_text_is_refused():
    from tests.data.test_tokenized import words_tokenizer

    with pytest.raises(ValueError, match=r"row 1 names a control word"):
        Texts(
            [{"prompt": "a", "answer": "b"}, {"prompt": "a", "answer": "b<end>c"}],
            words_tokenizer(),
        )


@pytest.mark.parametrize("name", CHATS)
def test_all_turns_are_learned_each_behind_its_own_prompt(name):
    turns = [USER, assistant(), {"role": "user", "content": "sure?"}, assistant("yes")]
    tokenizer = chat(name)
    texts = Texts([{"messages": turns}], tokenizer, learn="all", reasoning="drop")
    alone = [Texts([{"messages": turns[:n]}], tokenizer, reasoning="drop").text(0) for n in (2, 4)]
    assert [texts.text(number) for number in (0, 1)] == alone and len(texts) == 2
    assert Texts([{"messages": turns}], tokenizer, reasoning="drop").text(0) == alone[1]


@pytest.mark.parametrize("mark", [{"weight": 0}, {"train": False}, {"loss": False}], ids=str)
def test_turns_that_are_not_to_be_learned_are_read_alone(mark):
    turns = [USER, assistant("5", **mark), {"role": "user", "content": "sure?"}, assistant()]
    row = {"messages": turns}
    (text,) = map(Texts([row], chat("chatml"), learn="all").text, range(1))
    assert chat("chatml").decode(text.answer) == "4<|im_end|>"
    assert "5<|im_end|>" in chat("chatml").decode(text.prompt)
    assert len(Texts([row], chat("chatml"), learn="all")) == 1
    assert Texts([row], chat("chatml")).text(0) == text
    assert messages_of(turns)[1] == assistant("5")  # a server is not sent the mark
    end = {"messages": [USER, assistant(weight=1), USER, assistant("5", **mark)]}
    assert len(Texts([end], chat("chatml"), learn="all")) == 1
    with pytest.raises(ValueError, match=r"row 0 has nothing to learn: .*or say learn: all"):
        Texts([end], chat("chatml"))
    for learn in ("last", "all"):
        with pytest.raises(ValueError, match=r"row 0 has nothing to learn: .*Leave the row out\.$"):
            Texts([{"messages": [USER, assistant(**mark)]}], chat("chatml"), learn=learn)


def test_a_context_that_a_template_forgets_is_refused():
    tokenizer = chat("chatml")
    tokenizer.chat_template = "{{ messages[-1].content }}"
    turns = [USER, assistant(), {"role": "user", "content": "sure?"}, assistant("yes")]
    with pytest.raises(ValueError, match=r"row 0 cannot be written: .*message 1 .user"):
        Texts([{"messages": turns}], tokenizer)


def test_empty_answers_are_left_out_and_counted():
    rows = [PLAIN, *({"prompt": "a", "answer": blank} for blank in ("", " \n", THOUGHT))]
    texts = Texts(rows, chat("chatml"))
    assert len(texts) == 1 and texts.empty == 3 and texts.too_long == 0
    with pytest.raises(ValueError, match="3 have an empty answer"):
        Texts(rows[1:], chat("chatml"))
    never_closed = {"prompt": "a", "answer": "<think>hm"}
    assert Texts([PLAIN, never_closed], chat("chatml")).empty == 1


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"prompt": "half \ud83d", "answer": "b"}, "half a character"),
        ({"prompt": "a", "answer": "\udc00"}, "half a character"),
        (
            {"messages": [USER, assistant(tool_calls=[{"name": 3}])]},
            "calls no function by its name",
        ),
        ({"messages": [USER, assistant(7)]}, "message 2 has a content that is no text: 7"),
        ({"messages": [USER, assistant(None)]}, "message 2 has no content"),
        ({"messages": [USER | {"role": "User"}, assistant()]}, "the role 'User'.* Write 'user'"),
        ({"messages": [USER | {"role": "user "}, assistant()]}, "the role 'user '.* Write 'user'"),
        ({"messages": [{**SYSTEM, "role": "SYSTEM"}, USER, assistant()]}, "Write 'system'"),
        ({"messages": [USER, assistant(reasoning=True)]}, "message 2 has a reasoning that is no"),
        ({"messages": [USER, assistant(thinking=3)]}, "has a thinking that is no text: 3"),
        ({"messages": [USER, assistant(reasoning={"effort": "low"})]}, "a reasoning that is no"),
        ({"messages": [USER, {"content": "b"}]}, "message 2 must be"),
        ({"messages": [USER]}, "has the fields"),
        ({"messages": [USER, assistant()], "tools": "add"}, "tools that are no list"),
        ({"prompt": "a", "answer": 4}, "has the fields"),
        ({"prompt": "a", "answer": None}, "has the fields"),
    ],
)
def test_a_row_that_is_none_is_refused_by_its_number(row, words):
    with pytest.raises(ValueError, match=rf"row 1 .*{words}"):
        Texts([PLAIN, row], chat("chatml"))


def test_options_reach_the_template():
    assert learned(PLAIN, "qwen3", template={"enable_thinking": False})[1] == "4<|im_end|>"
    row = PLAIN | {"chat_template_kwargs": {"enable_thinking": False}}
    assert learned(row, "qwen3")[1] == "4<|im_end|>"
    with pytest.raises(ValueError, match="learn must be 'last' or 'all'"):
        Texts([PLAIN], chat("chatml"), learn="first")
    with pytest.raises(ValueError, match="reasoning must be 'learn' or 'drop'"):
        Texts([PLAIN], chat("chatml"), reasoning="keep")


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("4", "4"),
        ("<think>5?</think>4", "4"),
        ("5? No.\n</think>\n4", "4"),
        ("<thinking>\n5?\n</thinking>\n\n4", "4"),
        ("a</think>b</think>c", "c"),
        ("<think>never closed", ""),
        (
            "<|channel|>analysis<|message|>5?<|end|><|start|>assistant<|channel|>final<|message|>4",
            "4",
        ),
        ("The tag </think> closes a thought.", "The tag </think> closes a thought."),
        ("Write `</think>` behind it.", "Write `</think>` behind it."),
        ("Use <think> first.", "Use <think> first."),
        ("[THINK]5?[/THINK]4", "4"),  # Mistral's
        ("5? No.[/THINK]\n4", "4"),
        ("[THINK]never closed", ""),
        ("Write `[/THINK]` behind it.", "Write `[/THINK]` behind it."),
        ("<seed:think>5?</seed:think>4", "4"),
        ("◁think▷5?◁/think▷4", "4"),
        ("<|channel>thought\n5?<channel|>4", "4"),
        ("<THINK>5?</Think>\n4", "4"),
        ("<|channel|>final<|message|>4<|return|>", "4"),
        ("<|channel|>analysis<|message|>never closed", ""),
        ("The word <|channel|>final<|message|> is Harmony's.",) * 2,
    ],
)
def test_an_answer_stands_behind_its_thoughts(text, answer):
    assert answer_in(text) == answer
    if "<|channel|>" not in text:
        assert "".join(thoughts_in(text)) == text


MARKED = {
    "brackets": "[THINK]five? no[/THINK]4",
    "closed": "five? no[/THINK]4",
    "seed": "<seed:think>five? no</seed:think>4",
    "triangles": "◁think▷five? no◁/think▷\n4",
    "capitals": "<THINK>five? no</THINK>4",
}


@pytest.mark.parametrize("answer", MARKED.values(), ids=MARKED)
def test_thoughts_between_own_marks_are_kept_or_dropped(answer):
    row = {"prompt": "2 + 2?", "answer": answer}
    assert learned(row, "chatml")[1] == f"{answer}<|im_end|>"
    assert learned(row, "chatml", reasoning="drop")[1] == "4<|im_end|>"


def test_a_server_is_sent_no_null_and_no_parts():
    turns = [
        {"role": "user", "content": [{"type": "text", "text": "hi"}], "name": None},
        assistant(
            None, tool_calls=[{"function": {"name": "f", "arguments": {"a": 1}}, "id": None}]
        ),
        {"role": "tool", "content": {"b": 2}, "tool_call_id": "1"},
    ]
    call = {"type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
    assert messages_of(turns) == [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "content": '{"b": 2}', "tool_call_id": "1"},
    ]
    assert read_turn(turns[2])["content"] == '{"b": 2}'

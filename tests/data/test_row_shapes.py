"""The shapes in which people have rows, through a file and each chat template in use.

Each is learned as the template writes it, token by token, or refused with its file and line.
"""

import json
import re

import pytest

from distill_lab.data.datasets.exchanges import exchange_of
from distill_lab.data.datasets.tables import load_table
from distill_lab.data.tokenized import Texts
from tests.data.chats import CHATS, chat
from tests.data.test_turns import CALLS, ENDS, ROUND, SYSTEM, THOUGHT, TOOLS, USER, assistant

HUMAN = {"from": "human", "value": "2 + 2?"}
PARTS = [{"type": "text", "text": "2 +"}, {"type": "text", "text": " 2?"}]
EARLIER = [{"role": "user", "content": "1 + 1?"}, assistant("2")]
CALL = {"role": "assistant", "tool_calls": CALLS}

# What each shape is: an answer, an answer with thoughts, a call, silence, or nothing to learn.
SHAPES = {
    "prompt/answer": ("plain", {"prompt": "2 + 2?", "answer": "4"}),
    "prompt/completion": ("plain", {"prompt": "2 + 2?", "completion": "4"}),
    "alpaca": ("plain", {"instruction": "2 + 2?", "input": "", "output": "4"}),
    "sharegpt": ("plain", {"conversations": [HUMAN, {"from": "gpt", "value": "4"}]}),
    "trl": ("plain", {"prompt": [USER], "completion": [assistant("4")]}),
    "question/answer": ("plain", {"question": "2 + 2?", "answer": "4"}),
    "messages": ("plain", {"messages": [USER, assistant("4")]}),
    "multi-turn": ("plain", {"messages": [*EARLIER, USER, assistant("4")]}),
    "parts": (
        "plain",
        {"messages": [{"role": "user", "content": PARTS}, assistant([PARTS[0] | {"text": "4"}])]},
    ),
    "nulls": ("plain", {"messages": [USER | {"name": None}, assistant("4", tool_calls=None)]}),
    "system": ("system", {"messages": [SYSTEM, USER, assistant("4")]}),
    "reasoning_content": (
        "thought",
        {"messages": [USER, assistant(reasoning_content="two and two")]},
    ),
    "thinking beside": ("thought", {"prompt": "2 + 2?", "answer": "4", "thinking": "two and two"}),
    "thoughts inside": ("thought", {"prompt": "2 + 2?", "answer": THOUGHT + "4"}),
    "call, content null": ("call", {"messages": [USER, CALL | {"content": None}]}),
    "call, no content": ("call", {"messages": [USER, CALL]}),
    "tools and results": ("tools", {"messages": ROUND, "tools": TOOLS}),
    "empty": ("empty", {"prompt": "2 + 2?", "answer": ""}),
    "blank": ("empty", {"prompt": "2 + 2?", "answer": " \n"}),
    "pairs": ("refused", {"prompt": "2 + 2?", "chosen": "4", "rejected": "5"}),
    "text": ("refused", {"text": "2 + 2? 4"}),
    "number": ("refused", {"prompt": "2 + 2?", "answer": 4}),
    "null": ("refused", {"prompt": "2 + 2?", "answer": None}),
    "picture": (
        "refused",
        {"messages": [{"role": "user", "content": [{"type": "image"}]}, assistant()]},
    ),
}
NO_SYSTEM, WITH_TOOLS = {"gemma", "mistral"}, {"llama-3", "qwen2.5", "qwen3"}
GOOD = {"prompt": "a", "answer": "b", "thinking": "c"}


def learn(path, row, name, **options):
    """The texts of a file whose third line is the row, or the words of its refusal."""
    path.write_text("\n".join(map(json.dumps, [GOOD, GOOD, row])), encoding="utf-8")
    table, tokenizer = load_table(str(path)), chat(name)
    try:
        rows = [exchange_of(table[number], table.place(number)) for number in range(3)]
        return Texts(rows, tokenizer, place=table.place, **options), ""
    except ValueError as error:
        return None, str(error)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", CHATS)
def test_a_shape_is_learned_or_refused_with_its_line(tmp_path, name, shape):
    kind, row = SHAPES[shape]
    path = tmp_path / "rows.jsonl"
    texts, refusal = learn(path, row, name)
    if (
        kind == "refused"
        or (kind == "system" and name in NO_SYSTEM)
        or (kind in ("call", "tools") and name not in WITH_TOOLS)
        or (kind in ("plain", "system") and name == "r1")  # it opens thoughts, and there are none
    ):
        assert texts is None and refusal.startswith(f"{path}, line 3"), refusal
        return
    assert texts is not None, refusal
    if kind == "empty":
        assert len(texts) == 2 and texts.empty == 1
        return
    tokenizer, text = chat(name), texts.text(2)
    prompt, answer = tokenizer.decode(text.prompt), tokenizer.decode(text.answer)
    begin, end = ENDS[name]
    assert prompt.endswith(begin.rpartition("2 + 2?")[2]) and prompt.count("2 + 2?") == 1
    if kind in ("plain", "system"):
        assert answer == end
        assert ("be brief" in prompt) == (kind == "system")
        assert ("1 + 1?" in prompt) == (shape == "multi-turn")
    elif kind == "thought":
        assert answer.count("two and two") == 1 and "two and two" not in prompt
        assert answer.endswith(end[end.index("4") :])
        assert (prompt + answer).count("<think>") == (prompt + answer).count("</think>") <= 1
    elif kind == "call":
        assert re.search(r'"name": "add".*"a": 2, "b": "two"', answer) and "None" not in answer
    else:
        assert '"type": "object"' in prompt and '"b": "two"' in prompt and "it is 4" in answer
    begins = text.prompt.count(tokenizer.bos_token_id)
    assert begins == ("<s>" in (CHATS[name][0] or "<s>") or "bos_token" in (CHATS[name][0] or ""))
    ends = [tokenizer.convert_tokens_to_ids(word) for word in re.findall(r"<[^<>]*>$", end)]
    assert text.answer[-1:] == ends or answer.endswith(end[-3:])


@pytest.mark.parametrize("name", sorted({*CHATS} - {"base", "r1"}))  # r1 opens what it never writes
def test_what_is_learned_stands_in_the_whole_as_the_template_writes_it(name):
    """Against the template itself: what is read and learned begins what it writes of all turns."""
    tokenizer, turns = chat(name), [*EARLIER, USER, assistant("4")]
    text = Texts([{"messages": turns}], tokenizer).text(0)
    whole = tokenizer(
        tokenizer.apply_chat_template(turns, tokenize=False), add_special_tokens=False
    )
    ids = text.prompt + text.answer
    assert whole["input_ids"][: len(ids)] == ids

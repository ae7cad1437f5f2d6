"""People's files as they are: every row right and with its place, or a refusal that names both."""

import copy
import csv
import gzip
import json
import pickle
import shutil
import struct

import pytest
import torch

from distill_lab.data.datasets import (
    PictureFolder,
    Table,
    formats,
    load_dataset,
    load_table,
    tables,
    text_formats,
)
from distill_lab.data.datasets.exchanges import exchange_of, pair_of
from distill_lab.data.labelled import Labelled
from distill_lab.data.tokenized import Texts
from tests.data.chats import chat

ROWS = [{"text": "héllo, world", "label": "a"}, {"text": 'say "hi"\nand go', "label": "b"}]
JSONL = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS)
CSV = 'text,label\n"héllo, world",a\n"say ""hi""\nand go",b\n'
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d\nsize 132\n"


def write(folder, name, raw):
    path = folder / name
    path.write_bytes(raw if isinstance(raw, bytes) else raw.encode())
    return path


def parquet(rows):
    import io

    import pyarrow
    from pyarrow import parquet as form

    out = io.BytesIO()
    form.write_table(pyarrow.Table.from_pylist(rows), out, row_group_size=1)
    return out.getvalue()


FORMS = {
    "rows.jsonl": JSONL,
    "crlf.jsonl": JSONL.replace("\n", "\r\n"),
    "bom.jsonl": "\ufeff" + JSONL,
    "no-end.jsonl": JSONL.rstrip("\n"),
    "list.jsonl": json.dumps(ROWS),
    "pretty.jsonl": json.dumps(ROWS, indent=2),
    "rows.json": json.dumps(ROWS),
    "pretty.json": json.dumps(ROWS, indent=2, ensure_ascii=False),
    "lines.json": JSONL,
    "several.json": "\n".join(json.dumps(row, indent=1) for row in ROWS),
    "rows.csv": CSV,
    "bom-crlf.csv": ("\ufeff" + CSV.replace("text,label\n", "text,label\r\n")),
    "semicolons.csv": CSV.replace('",', '";').replace("text,label", "text;label"),
    "excel.csv": "sep=;\r\n" + CSV.replace('",', '";').replace("text,label", "text;label"),
    "rows.tsv": CSV.replace('",', '"\t').replace("text,label", "text\tlabel"),
    "rows.parquet": parquet(ROWS),
    "returns.jsonl": JSONL.replace("\n", "\r"),
    "mixed.jsonl": JSONL.replace("\n", "\r", 1),
    "returns.csv": CSV.replace("\n", "\r"),
    "marks.jsonl": "".join(f"\ufeff{line}\n" for line in JSONL.splitlines()),
    "utf-16.jsonl": JSONL.encode("utf-16"),
    "utf-16-le.csv": CSV.encode("utf-16-le"),
    "utf-16.json": json.dumps(ROWS, indent=1).encode("utf-16"),
}


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gz"])
@pytest.mark.parametrize("name", FORMS)
def test_every_form_gives_the_same_rows(tmp_path, name, packed):
    raw = FORMS[name] if isinstance(FORMS[name], bytes) else FORMS[name].encode()
    path = write(tmp_path, name, raw)
    if packed:
        path = write(tmp_path, f"{name}.gz", gzip.compress(raw))
    table = load_dataset(path)
    assert isinstance(table, Table) and list(table) == ROWS
    assert [table[0], table[-1]] == ROWS and table.columns == ["text", "label"]
    assert table.column("label") == ["a", "b"]
    with pytest.raises(IndexError):
        table[2]


@pytest.mark.parametrize(
    ("name", "raw", "places"),
    [
        ("a.jsonl", '{"a": 1}\n\n{"a": 2}\n', ["line 1", "line 3"]),
        ("a.json", '[\n{"a": 1},\n\n{"a":\n 2}, {"a": 3}]', ["line 2", "line 4", "line 5"]),
        ("a.csv", 'a,b\n"x\ny",1\n\nz,2\n', ["line 2", "line 5"]),
        ("a.csv", 'sep=,\na,b\n"x\ny",1\nz,2\n', ["line 3", "line 5"]),
        ("a.txt", "\n a\n\nb", ["line 2", "line 4"]),
        ("a.txt", "a\rb\r\nc\r", ["line 1", "line 2", "line 3"]),
        ("a.parquet", parquet([{"a": 1}, {"a": 2}]), ["row 1", "row 2"]),
    ],
)
def test_every_row_has_its_place(tmp_path, name, raw, places):
    path = write(tmp_path, name, raw)
    table = load_table(path)
    assert [table.place(number) for number in range(len(table))] == [f"{path}, {p}" for p in places]


@pytest.mark.parametrize(
    ("name", "raw", "words"),
    [
        ("a.jsonl", '{"a": 1}\n{"a": b}\n{"a": 3}\n', r"a\.jsonl, line 2: this is not JSON"),
        ("a.jsonl", '{"a": b}\n{"a": 3}\n', r"a\.jsonl, line 1: this is not JSON"),
        ("a.jsonl", '{"a": 1}\n{"a": 2', r"a\.jsonl, line 2: .* may have been cut short"),
        ("a.jsonl", '{"a": 1}\n7\n', r"a\.jsonl, line 2: expected an object, got '7'"),
        ("a.json", '[{"a": 1},\n{"a": 2}\n', r"a\.json, line 3: the list has no end"),
        ("a.json", '[{"a": 1},\n{"a": 2,}]', r"a\.json, line 2: this is not JSON"),
        ("a.json", '[{"a": 1}\n{"a": 2}]', r"a\.json, line 2: a comma is missing"),
        ("a.json", '[{"a": 1}] x', r"a\.json, line 1: something stands behind"),
        ("a.json", '{"version": 1, "data": [{"a": 1}]}', r"its rows seem to lie under 'data'"),
        ("a.json", '{"a": {"0": 1, "1": 2}, "b": {"0": 1, "1": 2}}', r"columns in place of rows"),
        ("a.json", '{"a": [1, 2], "b": [1, 2]}', r"columns in place of rows"),
        ("a.csv", "a,b\n1,2\n1,2,3\n", r"a\.csv, line 3: 3 cells.* 2 columns"),
        ("a.csv", 'a,b\n1,"x" y\n', r"a\.csv, line 2: "),
        ("a.csv", 'a,b\n1,"x\n2,y\n', r"a\.csv, line 2: "),
        ("a.csv", "a,a\n1,2\n", r"a\.csv, line 1: two columns have one name"),
        ("a.csv", "a,b\n", r"a\.csv holds no rows"),
        ("a.csv", b"a,b\n1,caf\xe9\n", r"a\.csv, line 2: the byte 0xe9 is no text in utf-8"),
        ("a.jsonl", b"", r"a\.jsonl is empty"),
        ("a.jsonl", '{"a": 1}\n{"a": 1, "a": 2}\n', r"a\.jsonl, line 2: 'a' stands twice in one"),
        ("a.json", '[{"b": {"a": 1,\n "a": 2}}]', r"a\.json, line 1: 'a' stands twice"),
        (
            "a.jsonl",
            '{"a": 1}\n{"a": ' + "9" * 5000 + "}",
            r"line 2: a number has thousands of dig",
        ),
        ("a.json", '[{"a": ' + "9" * 5000 + "}]", r"a\.json, line 1: a number has thousands"),
        ("a.jsonl", '{"a": ' + "[" * 10**5 + "]" * 10**5 + "}", r"line 1: .* nested too deeply"),
        ("a.jsonl", b'{"a": 1}\n' + b"\0" * 5000, r"a\.jsonl, line 2: this is not JSON"),
        ("a.csv", b"a,b\n1,\0\n", r"a\.csv, line 2 holds the character NUL"),
        ("a.csv", b"a,b\n1,2\r3,4\n", r"a\.csv, line 2: a carriage return stands alone"),
        ("a.csv", "a,b\n1,日本\n".encode("iso-2022-jp"), r"a\.csv seems to be .*iso-2022-jp"),
        (
            "a.jsonl",
            gzip.compress(gzip.compress(b"{}", mtime=0), mtime=0),
            r"a\.jsonl is compressed by gzip twice",
        ),
        ("a.jsonl", b"BZh91AY&SY", r"a\.jsonl is compressed by bzip2"),
        ("a.csv", bytes.fromhex("d0cf11e0a1b11ae1"), r"a\.csv is an old Excel"),
        ("a.jsonl", b"x" * 257 + b"ustar\x0000", r"a\.jsonl is a tar archive"),
        ("a.jsonl", pickle.dumps([{"a": 1}]), r"a\.jsonl is pickled, and may run code"),
        ("a.jsonl", "\n<!DOCTYPE html>\n<html>", r"a\.jsonl is a web page"),
        ("a.csv", "<?xml version='1.0'?><Error/>\n", r"a\.csv is XML"),
        ("a.txt", "<html>\n</html>\n", r"a\.txt is a web page"),
        (
            "a.jsonl.gz",
            gzip.compress(JSONL.encode() * 99, mtime=0)[:60],
            r"a\.jsonl\.gz is damaged or cut",
        ),
        ("a.parquet", b"PAR1 and no more", r"a\.parquet cannot be read as Parquet"),
        ("a.parquet", parquet(ROWS)[:300], r"a\.parquet cannot be read as Parquet"),
        ("a.parquet", LFS, r"a\.parquet is a Git LFS pointer.*git lfs pull"),
        ("a.jsonl", LFS, r"a\.jsonl is a Git LFS pointer"),
        ("a.md", "a\n", r"a\.md is no list of rows by its ending"),
        ("a.csv.zip", "a\n", r"a\.csv\.zip is no list of rows"),
    ],
)
def test_what_is_wrong_is_named_with_file_and_line(tmp_path, name, raw, words):
    with pytest.raises(ValueError, match=words):
        list(load_table(write(tmp_path, name, raw)))


@pytest.mark.parametrize("size", [1, 2, 3])
def test_a_return_at_the_border_of_two_pieces_ends_a_line_as_any_other(tmp_path, monkeypatch, size):
    monkeypatch.setattr(formats, "CHUNK", size)
    path = write(tmp_path, "a.txt", "a\rbc\r\nd\r\r\ne\n\rf\r")
    assert [row["text"] for row in load_table(path)] == ["a", "bc", "d", "e", "f"]


def test_quotation_marks_in_tsv_are_text_where_they_are_not_closed_by_the_rules(tmp_path):
    path = write(tmp_path, "a.tsv", 'a\tb\n"Hello" he said\t1\n5" pipe\t"2"\n')
    assert [row["a"] for row in load_table(path)] == ['"Hello" he said', '5" pipe']


def test_an_encoding_by_name(tmp_path):
    path = write(tmp_path, "a.csv", CSV.encode("cp1252"))
    assert list(load_table(path, encoding="cp1252")) == ROWS
    with pytest.raises(ValueError, match=r"a\.csv: there is no encoding 'klingon'"):
        load_table(path, encoding="klingon")
    with pytest.raises(ValueError, match=r"a\.csv is no text in ascii"):
        load_table(path, encoding="ascii")


def test_our_names_for_columns(tmp_path):
    path = write(tmp_path, "a.csv", "id,question,prompt\n1,why?,unused\n")
    table = load_table(path, columns={"prompt": "question"})
    assert list(table) == [{"prompt": "why?", "id": "1"}]
    with pytest.raises(
        ValueError, match=r"a\.csv, line 2: columns names 'query'.*'id', 'question'"
    ):
        load_table(path, columns={"prompt": "query"})
    with pytest.raises(ValueError, match=r"no column 'label'; there are 'id'"):
        load_table(path).column("label")


def test_several_files_patterns_and_folders(tmp_path):
    for number in (2, 1):
        write(tmp_path, f"part-{number}.jsonl", f'{{"n": {number}}}\n{{"n": {number + 10}}}\n')
    expected = [{"n": n} for n in (1, 11, 2, 12)]
    for given in (tmp_path, f"{tmp_path}/part-*.jsonl", f"{tmp_path}/**/part-?.jsonl"):
        assert list(load_table(given)) == expected
    table = load_table([tmp_path / "part-2.jsonl", tmp_path / "part-1.jsonl"])
    assert [row["n"] for row in table] == [2, 12, 1, 11] == [table[i]["n"] for i in range(4)]
    assert table.place(2).endswith("part-1.jsonl, line 1")
    with pytest.raises(FileNotFoundError, match="no file fits the pattern"):
        load_table(f"{tmp_path}/none-*.jsonl")
    write(tmp_path, "test-1.csv", "n\n1\n")
    with pytest.raises(ValueError, match="holds several forms: name the files"):
        load_table(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="empty holds no data"):
        load_table(tmp_path / "empty")


def test_a_folder_that_datasets_saved(tmp_path):
    datasets = pytest.importorskip("datasets")
    data = datasets.Dataset.from_list([{"text": "x", "label": 0}, {"text": "y", "label": 1}])
    data = data.cast_column("label", datasets.ClassLabel(names=["no", "yes"]))
    datasets.DatasetDict({"train": data, "test": data}).save_to_disk(tmp_path / "both")
    table = load_table(tmp_path / "both/train")
    assert list(table) == [{"text": "x", "label": "no"}, {"text": "y", "label": "yes"}]
    assert table.place(1).endswith("train, row 2")
    with pytest.raises(ValueError, match=r"holds the splits 'test', 'train': name one"):
        load_table(tmp_path / "both")


def test_the_content_is_the_name(tmp_path):
    path = write(tmp_path, "a.jsonl", JSONL)
    other = write(tmp_path, "b.jsonl", JSONL.replace("world", "World"))
    again = write(tmp_path, "c.jsonl", JSONL)
    name = load_table(path).fingerprint
    assert name == load_table(again).fingerprint != load_table(other).fingerprint
    assert name != load_table(path, columns={"label": "text"}).fingerprint


def test_a_big_list_is_read_piece_by_piece(tmp_path, monkeypatch):
    """Values, numbers and letters of several bytes that lie across the border of two pieces."""
    from distill_lab.data.datasets import json_values

    rows = [{"n": 10**number, "t": "é€😀" * number} for number in range(20)]
    path = write(tmp_path, "a.json", json.dumps(rows, ensure_ascii=False))
    loose = write(tmp_path, "b.json", " ".join(json.dumps(row, ensure_ascii=False) for row in rows))
    for size in (1, 2, 3, 7, 64):
        monkeypatch.setattr(json_values, "CHUNK", size)
        assert list(load_table(path)) == rows == list(load_table(loose))


def test_paths_of_people(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SETS", str(tmp_path))
    write(tmp_path, "a.jsonl", JSONL)
    assert len(load_table("~/a.jsonl")) == len(load_table("$SETS/a.jsonl")) == 2
    with pytest.raises(ValueError, match="holds the control character"):
        load_table("C:\temp.jsonl")


U, A = {"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}
B, SHAREGPT = {"role": "assistant", "content": "b"}, {"from": "human", "value": "q"}


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"prompt": "q", "answer": "a", "id": 3}, {"prompt": "q", "answer": "a", "id": 3}),
        ({"prompt": "q", "completion": "a"}, {"prompt": "q", "answer": "a"}),
        ({"question": "q", "answer": "a"}, {"prompt": "q", "answer": "a"}),
        ({"query": "q", "response": "a"}, {"prompt": "q", "answer": "a"}),
        (
            {"instruction": "Add.", "input": "2, 2", "output": "4"},
            {"prompt": "Add.\n\n2, 2", "answer": "4"},
        ),
        ({"instruction": "q", "input": "", "output": "a"}, {"prompt": "q", "answer": "a"}),
        (
            {"instruction": "Sum up.", "context": "It rains.", "response": "Rain.", "category": 1},
            {"prompt": "Sum up.\n\nIt rains.", "answer": "Rain.", "category": 1},
        ),
        (
            {"question": "q", "context": "it rains", "answer": "a"},
            {"prompt": "q\n\nit rains", "answer": "a"},
        ),
        ({"prompt": "q", "context": 3, "answer": "a"},) * 2,
        (
            {"system_prompt": "s", "question": "q", "response": "a"},
            {"prompt": [{"role": "system", "content": "s"}, U], "answer": "a"},
        ),
        ({"system_prompt": "", "question": "q", "response": "a"}, {"prompt": "q", "answer": "a"}),
        ({"system": " ", "messages": [U, A]}, {"messages": [U, A]}),
        (
            {"system": "s", "prompt": [U], "answer": "a"},
            {"prompt": [{"role": "system", "content": "s"}, U], "answer": "a"},
        ),
        ({"messages": [U, A], "tools": None}, {"messages": [U, A]}),
        ({"messages": [{**U, "name": None}, A]}, {"messages": [U, A]}),
        ({"prompt": [U], "completion": [A]}, {"messages": [U, A]}),
        ({"prompt": [U], "answer": "a"}, {"prompt": [U], "answer": "a"}),
        (
            {"conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}]},
            {"messages": [U, A]},
        ),
        ({"conversation": [U, A]}, {"messages": [U, A]}),
        (
            {"system": "s", "question": "q", "response": "a"},
            {"prompt": [{"role": "system", "content": "s"}, U], "answer": "a"},
        ),
        # what belongs to a question goes with it
        ({"instruction": "q", "context": "c", "output": "a"}, {"prompt": "q\n\nc", "answer": "a"}),
        ({"question": "q", "context": " ", "answer": "a"}, {"prompt": "q", "answer": "a"}),
        (
            {"prompt": "q", "context": "mine", "answer": "a"},
            {"prompt": "q", "answer": "a", "context": "mine"},
        ),
        (
            {"instruction": "q", "output": "a", "system": "s", "history": [["q", "a"]]},
            {"prompt": [{"role": "system", "content": "s"}, U, A, U], "answer": "a"},
        ),
        (
            {"prompt": "q", "answer": "a", "history": json.dumps([U, A])},
            {"prompt": [U, A, U], "answer": "a"},
        ),
        (
            {"prompt": "q", "answer": "a", "history": "none"},
            {"prompt": "q", "answer": "a", "history": "none"},
        ),
        ({"prompt": "q", "answer": "a", "history": []}, {"prompt": "q", "answer": "a"}),
        # a column that is left over takes no place
        (
            {"problem": "q", "solution": "a", "answer": "42"},
            {"prompt": "q", "answer": "a"},
        ),
        (
            {"instruction": "q", "input": "c", "output": "a", "prompt": "Below is ...", "n": 1},
            {"prompt": "q\n\nc", "answer": "a", "n": 1},
        ),
        ({"instruction": "q", "output": "a", "answer": "x"}, {"prompt": "q", "answer": "a"}),
        ({"query": "q", "response": "a", "answer": 7}, {"prompt": "q", "answer": "a"}),
        # and lists may stand in a cell as their JSON
        ({"messages": json.dumps([U, A])}, {"messages": [U, A]}),
        ({"messages": [U, A], "functions": [{"name": "f"}]},
         {"messages": [U, A], "tools": [{"name": "f"}]}),
    ],
)  # fmt: skip
def test_shapes_of_rows_for_language_models(row, expected):
    before = copy.deepcopy(row)
    assert exchange_of(row, "f.jsonl, line 3") == expected
    assert row == before


@pytest.mark.parametrize(
    ("row", "answer"),
    [
        ({"problem": "q", "solution": "steps", "answer": "42"}, "42"),
        ({"problem": "q", "solution": "steps"}, "steps"),
        ({"instruction": "q", "output": "steps", "answer": "42"}, "42"),
    ],
)
def test_an_answer_to_compare_with_is_the_result(row, answer):
    """Whoever is asked writes the steps; a verifier reads the result where the row has one."""
    assert exchange_of(row, "x", prompt_only=True) == {"prompt": "q", "answer": answer}


@pytest.mark.parametrize("left_over", [{}, {"answer": "x"}, {"solution": "x"}])
def test_a_pair_differs_whatever_stands_beside_it(left_over):
    first, second = pair_of({"problem": "q", "chosen": "a", "rejected": "b"} | left_over, "x")
    assert (first["answer"], second["answer"]) == ("a", "b")


@pytest.mark.parametrize("write", [json.dumps, repr], ids=["JSON", "Python"])
@pytest.mark.parametrize(
    ("row", "plain"),
    [
        ({"prompt": [U], "chosen": [A], "rejected": [B]}, {}),
        ({"prompt": "q", "chosen": [A], "rejected": [B]}, {"prompt": "q"}),
        ({"chosen": [U, A], "rejected": [U, B]}, {}),
        ({"prompt": [SHAREGPT], "chosen": [A], "rejected": [B]}, {}),
        ({"prompt": [U], "chosen": "a", "rejected": "b"}, {"chosen": "a", "rejected": "b"}),
        ({"prompt": [U], "completion": [A]}, {}),
        ({"prompt": [U], "answer": "a"}, {"answer": "a"}),
        ({"question": [U, A, U], "response": "a"}, {"response": "a"}),
        ({"messages": [U, A]}, {}),
    ],
    ids=[
        *("turns", "text and turns", "whole conversations", "sharegpt", "turns and texts"),
        *("completion", "turns and answer", "history and response", "messages"),
    ],
)
def test_messages_in_a_cell_are_messages_and_not_their_json(tmp_path, row, plain, write):
    """A table knows no lists: what a cell writes is what the rows of a JSONL hold."""
    file = tmp_path / "rows.csv"
    cells = {name: write(value) for name, value in row.items()} | plain
    with file.open("w", newline="", encoding="utf-8") as lines:
        table = csv.DictWriter(lines, cells)
        table.writeheader()
        table.writerow(cells)
    (read,) = load_table(file)
    of_row = pair_of if "chosen" in row else exchange_of
    assert of_row(read, "x") == of_row(row, "x")


@pytest.mark.parametrize(
    "text",
    ['[{"role": "user", "content": "q"}] is what to send', '[{"name": "f"}]', '[{"role": "user"}]'],
)
def test_a_text_that_only_looks_like_messages_stays_a_text(text):
    row = {"prompt": text, "chosen": '[{"role": "user", "content": "q"}]', "rejected": "b"}
    first, second = pair_of(row, "x")
    assert [first["prompt"], first["answer"], second["answer"]] == [*row.values()]
    row = {"prompt": "q", "answer": '[{"role": "user", "content": "q"}]'}
    assert exchange_of(row, "x") == row


def test_messages_as_numpy_shows_them_are_refused():
    shown = "[{'role': 'user', 'content': 'q'}\n {'role': 'user', 'content': 'q'}]"
    with pytest.raises(ValueError, match=r"rows.csv, line 2: expected messages as JSON.*tolist"):
        exchange_of({"prompt": shown, "answer": "a"}, "rows.csv, line 2")


@pytest.mark.parametrize("turn", [{"value": None}, {}, {"text": "q"}])
def test_a_turn_without_words_is_no_empty_question(turn):
    """ShareGPT's turns hold theirs under `value`; another name is another shape."""
    row = {"conversations": [{"from": "human"} | turn, {"from": "gpt", "value": "a"}]}
    with pytest.raises(ValueError, match="message 1 has no content"):
        Texts([exchange_of(row, "f.jsonl, line 3")], chat("chatml"))


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"text": "all in one"}, 'the columns are \'text\'; expected "prompt" and "answer"'),
        ({"prompt": "q", "chosen": "a", "rejected": "b"}, "preference pairs .*answer: chosen"),
        ({"chosen": [U, A], "rejected": [U, A]}, "preference pairs"),
        ({"prompt": "q", "answer": 4}, "answer must be a text, got 4"),
        ({"prompt": "q", "answer": None}, "'answer' is null: fill it, or leave the row out"),
        ({"prompt": 3, "answer": "a"}, "prompt must be a text, got 3"),
        ({"instruction": "q", "input": ["x"], "output": "a"}, "input must be a text, got"),
        ({"question": "q", "context": {"t": 1}, "answer": "a"}, "context must be a text, got"),
        ({"prompt": "q", "answer": "a", "system": ["s"]}, "system must be a text, got"),
        ({"messages": [U]}, "the last message has to be the assistant's"),
        ({"messages": [A]}, "there are no messages before the answer"),
        ({"messages": "hi"}, "messages must be a list of messages"),
        ({"messages": [{"content": "x"}]}, "a message needs a role"),
        ({"conversations": [{"from": "alien", "value": "x"}]}, "there is no speaker 'alien'"),
        ({"prompt": "q", "answer": "a", "history": [["q"]]}, "history must be a list of messages"),
        ({"prompt": "q", "answer": "a", "history": ["q", "a"]}, "history must be a list"),
    ],
)
def test_other_shapes_are_refused_with_their_place(row, words):
    with pytest.raises(ValueError, match=f"^f.jsonl, line 3: {words}"):
        exchange_of(row, "f.jsonl, line 3")


MIXED = [
    (7, 8, "7a"),
    ("7a", 7),
    (True, "x"),
    (7, [1, 2]),
    (1, True),
    (1.5, None, "x"),
    (2**70, "a"),
]


@pytest.mark.parametrize("values", MIXED, ids=str)
def test_a_column_of_several_types_stays_what_it_is(tmp_path, values):
    """A typed table has no room for it: rows are read and kept as they stand, on the disk too."""
    rows = [{"prompt": "q", "answer": "a", "about": {"gold": value}} for value in values]
    path = write(tmp_path, "a.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    for read in (load_table(path), load_table(write(tmp_path, "a.json", json.dumps(rows)))):
        got = [row["about"]["gold"] for row in read]
        assert got == list(values) and [*map(type, got)] == [*map(type, values)]
        assert len(Texts(read, chat("chatml"), folder=tmp_path / "tokens")) == len(values)
    answers = "".join(json.dumps({"prompt": "q", "answer": value}) + "\n" for value in values)
    table = load_table(write(tmp_path, "b.jsonl", answers))
    number = next(i for i, value in enumerate(values) if value != str(value))
    words = rf"b\.jsonl, line {number + 1}: answer must be a text, got"
    with pytest.raises(ValueError, match=words):
        exchange_of(table[number], table.place(number))


@pytest.mark.parametrize(
    ("values", "number"), [((7, 8, "7a"), 2), ((1.5, "x"), 1), ((True, "x"), 1)]
)
def test_labels_of_several_types_are_named_as_that(values, number):
    with pytest.raises(
        ValueError, match=rf"labels holds numbers and text \(first: example {number}"
    ):
        Labelled(["a"] * len(values), list(values), chat("chatml"))


@pytest.fixture
def pets(tmp_path):
    image = pytest.importorskip("PIL.Image")
    for name, colour in (("dog", 200), ("cat", 100)):
        (tmp_path / "pets" / name).mkdir(parents=True)
        for number, ending in enumerate(("png", "jpg")):
            picture = image.new("RGB", (9, 6 + number), (colour, 0, 0))
            picture.save(tmp_path / "pets" / name / f"{number}.{ending}")
    (tmp_path / "pets/cat/.DS_Store").touch()
    return tmp_path / "pets"


def test_pictures_in_folders(pets):
    pictures = load_dataset(pets)
    assert isinstance(pictures, PictureFolder) and len(pictures) == 4
    assert pictures.classes == ["cat", "dog"] and pictures.labels.tolist() == [0, 0, 1, 1]
    picture, label = pictures[2]
    assert picture.dtype == torch.uint8 and picture.shape == (3, 6, 9) and label == 1
    assert picture[0].float().mean() == 200
    assert pictures[1][0].shape == (3, 7, 9) and pictures.place(2).endswith("dog/0.png")
    small = PictureFolder(pets, size=4, transform=lambda x: x.float() / 255)
    assert small[0][0].shape == (3, 4, 4) and small.fingerprint != pictures.fingerprint
    scaled = PictureFolder(pets, size=4, scaled=True)
    assert torch.equal(scaled[0][0], small[0][0]) and scaled.fingerprint != small.fingerprint
    same, other = (
        PictureFolder(pets, size=4, transform=lambda x, by=by: x.float() / by) for by in (255, 128)
    )
    again = PictureFolder(pets, size=4, transform=lambda x, by=255: x.float() / by)  # as in a rerun
    assert same.fingerprint == again.fingerprint != other.fingerprint


def test_pictures_are_known_by_the_settings_of_their_transform(pets, tmp_path):
    class Scale:
        def __init__(self, by):
            self.by = by

        def __call__(self, picture):
            return picture / self.by

    first = PictureFolder(pets, transform=Scale(255)).fingerprint
    assert first != PictureFolder(pets, transform=Scale(128)).fingerprint
    shutil.copytree(pets, tmp_path / "moved")
    assert PictureFolder(tmp_path / "moved", transform=Scale(255)).fingerprint == first


def test_what_a_decoder_stumbles_over_is_the_pictures_fault_and_named(pets, monkeypatch):
    """Decoders fail in many ways: by struct, by type, by a value; none of them names the file."""
    image = pytest.importorskip("PIL.Image")
    from PIL import PngImagePlugin

    notes = PngImagePlugin.PngInfo()
    notes.add_text("note", "x" * 3_000_000, zip=True)
    image.new("RGB", (4, 4)).save(pets / "cat/2.png", pnginfo=notes)
    (broken,) = PictureFolder(pets).broken()
    assert "2.png cannot be read as a picture: Decompressed data too large" in broken
    image.new("RGB", (4, 4)).save(pets / "cat/2.png")
    for error in (struct.error("no integer"), TypeError("abs"), ValueError("raw mode")):
        for way in ("open", "Image.convert"):
            with monkeypatch.context() as patch:

                def fall(*_, error=error, **__):
                    raise error

                patch.setattr(f"PIL.Image.{way}", fall)
                broken = PictureFolder(pets).broken()
            assert len(broken) == 5 and f"cannot be read as a picture: {error}" in broken[0]


@pytest.mark.parametrize("ending", ["png", "jpg", "webp", "tiff"])
def test_a_camera_that_was_turned_is_turned_back_whatever_else_its_tags_say(tmp_path, ending):
    image = pytest.importorskip("PIL.Image")
    upright = torch.zeros(12, 20, 3, dtype=torch.uint8)
    upright[:6, :10, 0], upright[6:, :10, 1], upright[:6, 10:, 2] = 255, 255, 255
    (tmp_path / "a").mkdir()
    turns = {2: (0,), 3: (0, 1), 4: (1,), 5: "T", 6: "left", 7: "anti", 8: "right"}
    for mark, turn in turns.items():
        held = {  # what the camera saw of it
            "T": upright.transpose(0, 1),
            "left": upright.rot90(1),
            "anti": upright.flip(0, 1).transpose(0, 1),
            "right": upright.rot90(-1),
        }.get(turn)
        if held is None:
            held = upright.flip([1 - axis for axis in turn])
        exif = image.Exif()
        exif[0x0112] = mark
        exif[0x010E] = "of an old camera"
        picture = image.fromarray(held.contiguous().numpy())
        picture.save(tmp_path / f"a/{mark}.{ending}", exif=exif)
    for number in range(len(turns)):
        seen = PictureFolder(tmp_path)[number][0]
        assert seen.shape == (3, 12, 20)
        corners = seen[:, [2, 9, 2], [4, 4, 15]] > 127
        assert corners.equal(torch.eye(3) > 0), PictureFolder(tmp_path).place(number)


def test_pictures_that_are_none(pets):
    image = pytest.importorskip("PIL.Image")
    (pets / "cat/2.png").write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"2\.png cannot be read as a picture"):
        load_dataset(pets)[2]
    (pets / "cat/2.png").write_bytes(LFS)
    with pytest.raises(ValueError, match="git lfs pull"):
        load_dataset(pets)[2]
    image.new("I;16", (4, 4), 40_000).save(pets / "cat/2.png")
    with pytest.raises(ValueError, match="more than 8 bits each"):
        load_dataset(pets)[2]
    (pets / "cat/notes.txt").touch()
    with pytest.raises(ValueError, match=r"notes\.txt is no picture"):
        load_dataset(pets)
    with pytest.raises(ValueError, match=r"holds the splits train: name one"):
        (pets.parent / "sets").mkdir()
        pets.rename(pets.parent / "sets/train")
        load_dataset(pets.parent / "sets")


def test_gray_pictures_and_those_with_transparency_have_three_colours(pets):
    image = pytest.importorskip("PIL.Image")
    image.new("L", (5, 5), 7).save(pets / "cat/5.png")
    image.new("RGBA", (5, 5), (1, 2, 3, 255)).save(pets / "cat/6.png")
    image.new("P", (5, 5), 0).save(pets / "cat/7.png")
    pictures = load_dataset(pets)
    assert [pictures[number][0].shape for number in (2, 3, 4)] == [(3, 5, 5)] * 3
    assert pictures[2][0].unique().tolist() == [7]


def test_the_module_says_what_it_reads():
    assert "Parquet" in (tables.load_dataset.__doc__ or "")


@pytest.mark.parametrize("size", [1, 3, 7, 1 << 20])
def test_lines_are_found_in_pieces_of_any_size(tmp_path, monkeypatch, size):
    """Blank lines of every kind, Windows' ends, signs of two bytes, no end of the last line."""
    monkeypatch.setattr(text_formats, "CHUNK", size)
    lines = ["ü", "", " \t", "\u00a0", "\u3000 x", "\x1c", "\x07", "yz\r", "\r", "{}", "é"]
    table = load_table(write(tmp_path, "a.txt", "\n".join(lines)))
    filled = [(number, line) for number, line in enumerate(lines, 1) if line.strip()]
    assert [row["text"] for row in table] == [line.strip() for _, line in filled]
    numbers = [table.place(row).rpartition(" ")[2] for row in range(len(table))]
    assert numbers == [str(number) for number, _ in filled]
    bad = "ü\nab".encode() + b"c\xff\nd\n"
    with pytest.raises(ValueError, match="line 2: the byte 0xff"):
        load_table(write(tmp_path, "b.jsonl", bad))


def test_pictures_that_nobody_reads_are_named(pets):
    (pets / "cat/9.png").symlink_to(pets / "gone.png")
    (broken,) = PictureFolder(pets).broken()
    assert "9.png is a link to a file that is not there" in broken
    shutil.copy(pets / "cat/0.png", pets / "loose.png")
    with pytest.warns(UserWarning, match=r"1 pictures lie beside the classes \(first: loose.png\)"):
        assert PictureFolder(pets).classes == ["cat", "dog"]

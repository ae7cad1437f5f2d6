"""`distill-lab show DATA --tokenizer DIR`: rows token by token, with what is learned marked."""

import argparse
import json
import os
import sys
import unicodedata
from collections.abc import Iterator
from typing import Any

from distill_lab._util.checks import error_in_words
from distill_lab._util.jsonl import Row

ABOUT = """Rows of a data file as a language model learns them, token by token.

Each token stands between bars; one that only goes on with the character before it is shown as "…".
Lines that begin with "read" are read, lines that begin with "LEARN" are learned: what the model has
to write behind its chat template's own prompt. A row that the template cannot write is named with
its file, its line and the reason.
"""
EXAMPLES = """examples:
  distill-lab show train.jsonl --tokenizer models/student
  distill-lab show train.csv --tokenizer models/student --columns '{"prompt": "question"}'
  distill-lab show chats.jsonl --tokenizer models/student --learn all --reasoning drop --rows 20
"""
WIDTH = 96  # columns of a line
BAR = "│"
MARKS = {"read": "", "LEARN": "\033[32m"}  # and the colour of a terminal


def add_to(commands: Any) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "show",
        help="print rows of training data token by token",
        description=ABOUT,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "data", nargs="+", metavar="DATA", help="files of rows, as `train:` of jobs"
    )
    parser.add_argument(
        "--tokenizer", required=True, metavar="DIR", help="a folder or hub name with a tokenizer"
    )
    parser.add_argument("--rows", type=_count, default=5, help="how many are shown (default: 5)")
    parser.add_argument(
        "--tokens",
        type=_count,
        default=400,
        help="shown of what is read and of what is learned; the middle is left out (default: 400)",
    )
    parser.add_argument("--learn", choices=("last", "all"), default="last", help="default: last")
    parser.add_argument(
        "--reasoning", choices=("learn", "drop"), default="learn", help="default: learn"
    )
    parser.add_argument("--template", type=_mapping, metavar="JSON", help="options of the template")
    parser.add_argument("--columns", type=_mapping, metavar="JSON", help="as `columns:` of jobs")
    parser.add_argument("--encoding", metavar="NAME", help="of a text that is not UTF-8")


def run(args: argparse.Namespace) -> int:
    """Print the rows: 0 where all can be learned, 1 where one cannot, 2 for another mistake."""
    from distill_lab.data.datasets.exchanges import exchange_of
    from distill_lab.data.datasets.tables import load_table

    reading = {"learn": args.learn, "reasoning": args.reasoning, "template": args.template}
    refused = 0
    try:
        tokenizer = _tokenizer(args.tokenizer)
        table = load_table(args.data, columns=args.columns, encoding=args.encoding)
        for number in range(min(args.rows, len(table))):
            place = table.place(number)
            try:
                print(
                    "\n".join(
                        _shown(
                            exchange_of(table[number], place),
                            place,
                            tokenizer,
                            args.tokens,
                            reading,
                        )
                    )
                )
            except ValueError as error:
                refused += 1
                print(f"{error}\n")
        if len(table) > args.rows:
            print(f"and {len(table) - args.rows:,} more: --rows {len(table)} shows them all")
    except Exception as error:
        if (words := error_in_words(error)) is None:
            raise
        print(words, file=sys.stderr)
        return 2
    return 1 if refused else 0


def _shown(
    row: Row, place: str, tokenizer: Any, most: int, reading: dict[str, Any]
) -> Iterator[str]:
    """The lines of one row. Raises ValueError, with its place, where it cannot be learned."""
    from distill_lab.data.tokenized import Texts

    where = place.replace("{", "{{").replace("}", "}}").format  # whatever the number
    try:
        texts = Texts([row], tokenizer, max_length=sys.maxsize, place=where, **reading)
    except ValueError as error:
        if "have an empty answer" not in str(error):
            raise
        yield f"{place}: its answer is empty: it is left out, and counted\n"
        return
    for number in range(len(texts)):
        text = texts.text(number)
        total = len(text.prompt) + len(text.answer)
        yield f"{place}: {total:,} tokens, {len(text.answer):,} of them learned"
        for mark, tokens in (("read", text.prompt), ("LEARN", text.answer)):
            yield from _lines(tokenizer, mark, tokens, most)
        yield ""


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be 1 or more, got {text}")
    return number


def _mapping(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError(f"must be JSON such as '{{\"name\": ...}}', got {text!r}")
    return value


def _tokenizer(name: str) -> Any:
    from transformers import AutoTokenizer

    from distill_lab._util.io import user_path
    from distill_lab._util.model_files import model_folder

    folder = user_path(name, "--tokenizer")
    source = folder if folder.is_dir() else model_folder(name, "--tokenizer") or name
    try:
        return AutoTokenizer.from_pretrained(source, trust_remote_code=False)
    except Exception as error:  # of any kind: it is a library's word on what it cannot read
        words = " ".join(str(error).split())
        raise OSError(f"no tokenizer could be loaded from {name!r}: {words}") from error


def _lines(tokenizer: Any, mark: str, tokens: list[int], most: int) -> Iterator[str]:
    """Tokens between bars, behind a mark, broken into lines; the middle of many is left out."""
    pieces = _pieces(tokenizer, tokens)
    if len(pieces) > most:
        half = (most + 1) // 2
        left_out = f" {len(pieces) - most:,} tokens "
        pieces = [*pieces[:half], left_out, *pieces[len(pieces) - (most - half) :]]
    begin = f"  {mark:<5} {BAR}"
    line = begin
    for piece in pieces:
        if line != begin and _width(line) + _width(piece) >= WIDTH:
            yield _coloured(line, mark)
            line = begin
        line += piece + BAR
    if tokens:
        yield _coloured(line, mark)


def _pieces(tokenizer: Any, tokens: list[int]) -> list[str]:
    """What each token says; what cannot be seen is escaped."""
    pieces: list[str] = []
    start = 0
    for end in range(1, len(tokens) + 1):
        text = tokenizer.decode(tokens[start:end], skip_special_tokens=False)
        if "\ufffd" in text and end - start < 4 and end < len(tokens):
            continue  # a part of a character: the next tokens go on with it
        shown = "".join(c if c.isprintable() and c != BAR else ascii(c)[1:-1] for c in text)
        pieces += [shown, *["…"] * (end - start - 1)]
        start = end
    return pieces


def _width(text: str) -> int:
    """The columns of a text in a terminal."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def _coloured(line: str, mark: str) -> str:
    wanted = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    return f"{MARKS[mark]}{line}\033[0m" if wanted and MARKS[mark] else line

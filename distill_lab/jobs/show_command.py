"""`distill-lab show DATA --tokenizer DIR`: rows token by token, with what is learned marked."""

import argparse
import json
import sys
from typing import Any

from distill_lab._util.checks import error_in_words

ABOUT = """Rows of a data file as a language model learns them, token by token.

Each token stands between bars. Lines that begin with "read" are read, lines that begin with
"LEARN" are learned: what the model has to write behind its chat template's own prompt. A row that
the template cannot write is named with its line and the reason.
"""
EXAMPLES = """examples:
  distill-lab show train.jsonl --tokenizer models/student
  distill-lab show train.csv --tokenizer models/student --columns '{"prompt": "question"}'
  distill-lab show chats.jsonl --tokenizer models/student --learn all --reasoning drop --rows 20
"""
WIDTH = 96  # characters of a line


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
    parser.add_argument("--rows", type=int, default=5, help="how many are shown (default: 5)")
    parser.add_argument("--learn", choices=("last", "all"), default="last", help="default: last")
    parser.add_argument(
        "--reasoning", choices=("learn", "drop"), default="learn", help="default: learn"
    )
    parser.add_argument(
        "--template", type=json.loads, metavar="JSON", help="options of the template"
    )
    parser.add_argument("--columns", type=json.loads, metavar="JSON", help="as `columns:` of jobs")
    parser.add_argument("--encoding", metavar="NAME", help="of a text that is not UTF-8")


def run(args: argparse.Namespace) -> int:
    """Print the rows: 0 where all can be learned, 1 where one cannot, 2 for another mistake."""
    from distill_lab.data.datasets.exchanges import exchange_of
    from distill_lab.data.datasets.tables import load_table
    from distill_lab.data.tokenized import Texts

    reading = {"learn": args.learn, "reasoning": args.reasoning, "template": args.template}
    refused = 0
    try:
        tokenizer = _tokenizer(args.tokenizer)
        table = load_table(args.data, columns=args.columns, encoding=args.encoding)
        for number in range(min(args.rows, len(table))):
            place = table.place(number)
            try:
                row = exchange_of(table[number], place)
                where = place.replace("{", "{{").replace("}", "}}").format  # whatever the number
                texts = Texts([row], tokenizer, max_length=sys.maxsize, place=where, **reading)
            except ValueError as error:
                refused += 1
                print(f"{error}\n")
                continue
            for text in map(texts.text, range(len(texts))):
                learned = f"{len(text.answer)} of them learned"
                print(f"{place}: {len(text.prompt) + len(text.answer)} tokens, {learned}")
                print("\n".join(_lines(tokenizer, "read ", text.prompt)))
                print("\n".join(_lines(tokenizer, "LEARN", text.answer)), end="\n\n")
    except Exception as error:
        if (words := error_in_words(error)) is None:
            raise
        print(words, file=sys.stderr)
        return 2
    return 1 if refused else 0


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


def _lines(tokenizer: Any, mark: str, tokens: list[int]) -> list[str]:
    """Tokens between bars, behind a mark, broken into lines; what cannot be seen is escaped."""
    lines, line = [], f"  {mark} |"
    for token in tokens:
        text = tokenizer.decode([token], skip_special_tokens=False)
        shown = "".join(c if c.isprintable() and c != "|" else ascii(c)[1:-1] for c in text)
        if len(line) + len(shown) >= WIDTH and not line.endswith(f"{mark} |"):
            lines.append(line)
            line = f"  {mark} |"
        line += f"{shown}|"
    return [*lines, line]

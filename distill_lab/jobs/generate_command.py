"""`distill-lab generate PROMPTS OUT`: a teacher answers a file of prompts."""

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from distill_lab._util.checks import error_in_words

ABOUT = """A teacher answers every prompt of a file, and every answer is kept.

PROMPTS is a text file (.txt) with a prompt a line, or rows as JSON lines, JSON, CSV, TSV or
Parquet, each also as .gz, or a Hugging Face folder. A row has "prompt" or "messages" (or question,
instruction and input, conversations); what else it holds is kept under "about". An answer that is
there already is not shown to the teacher. JSON may hold strings and lists of messages as well.

OUT.jsonl gets one usable answer a line. Beside it: OUT.rejected.jsonl with what cannot be used, and
why; OUT.settings.json; and the card OUT.card.md (and .json), which says whether the
teacher's licence allows training on its answers. Killed at any moment, the same command goes on
where it stopped and asks nothing twice.
"""
EXAMPLES = """examples:
  distill-lab generate prompts.txt answers.jsonl --local data/tutor
  distill-lab generate prompts.jsonl answers.jsonl --server http://localhost:8000/v1 \\
      --model Qwen/Qwen2.5-7B-Instruct --samples 4 --temperature 0.7
  distill-lab generate prompts.jsonl answers.jsonl --server https://api.example.com/v1 \\
      --model big --key-from EXAMPLE_KEY --rpm 500 --tpm 200000 --price 0.5 1.5
"""
INTERRUPTED = 130


def add_to(commands: Any) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "generate",
        help="let a teacher answer a file of prompts",
        description=ABOUT,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("prompts", metavar="PROMPTS", type=Path, help="the file of prompts")
    parser.add_argument("out", metavar="OUT.jsonl", type=Path, help="the file of answers")
    who = parser.add_argument_group("who answers (one of --server and --local)")
    who.add_argument("--server", metavar="URL", help="an OpenAI-compatible server, up to /v1")
    who.add_argument("--model", metavar="NAME", help="the model's name on that server")
    who.add_argument("--local", metavar="PATH", help="a model in this process: folder or hub name")
    how = parser.add_argument_group("how")
    how.add_argument("--samples", type=int, default=1, help="answers a prompt (default: 1)")
    how.add_argument("--temperature", type=float, default=1.0, help="0: always the likeliest token")
    how.add_argument("--top-p", type=float, default=1.0, metavar="P", help="nucleus (default: 1)")
    how.add_argument(
        *("--max-new-tokens", "--max-tokens"),  # the latter: its name of before
        type=int,
        default=512,
        metavar="N",
        help="of an answer (default: 512)",
    )
    how.add_argument("--stop", action="append", default=[], metavar="TEXT", help="may be repeated")
    how.add_argument("--seed", type=_seed, default=0, help="a number, or none (default: 0)")
    how.add_argument("--system", metavar="TEXT", help="a system message before every prompt")
    how.add_argument(
        "--teacher-prompt",
        metavar="TEXT",
        help="what the teacher reads in a prompt's place: '{prompt} Hint: {hint}', with columns",
    )
    how.add_argument(
        "--teacher-system", metavar="TEXT", help="a system message that only the teacher reads"
    )
    how.add_argument("--schema", type=Path, metavar="FILE", help="JSON schema of every answer")
    how.add_argument(
        "--keep-refusals", action="store_true", help="keep what merely begins like a refusal"
    )
    how.add_argument("--column", metavar="KEY", help="the column that the prompt stands in")
    how.add_argument("--encoding", metavar="NAME", help="of a text that is not UTF-8")
    how.add_argument(
        "--again", action="store_true", help="ask once more for what was never answered"
    )
    server = parser.add_argument_group("with --server")
    server.add_argument("--key-from", metavar="VARIABLE", help="environment variable with the key")
    server.add_argument("--concurrency", type=int, default=16, help="at once (default: 16)")
    server.add_argument("--rpm", type=float, metavar="N", help="requests a minute at most")
    server.add_argument("--tpm", type=float, metavar="N", help="tokens a minute at most")
    server.add_argument(
        "--timeout", type=float, default=120.0, help="seconds without a byte (default: 120)"
    )
    server.add_argument("--tries", type=int, default=8, help="before giving up (default: 8)")
    server.add_argument(
        "--stream", action="store_true", help="the time-out counts for each piece of an answer"
    )
    server.add_argument(
        "--price", type=float, nargs=2, metavar=("PROMPT", "ANSWER"), help="of a million tokens"
    )
    server.add_argument(
        "--extra", type=json.loads, default={}, metavar="JSON", help="sent as it is"
    )
    server.add_argument(
        "--budget", type=float, metavar="SUM", help="ask nothing that could cost more, with --price"
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="say how many rows and tokens, at what cost; no more"
    )
    local = parser.add_argument_group("with --local")
    local.add_argument("--batch-size", type=int, default=16, help="answers at once (default: 16)")
    local.add_argument("--plain", action="store_true", help="use no chat template")
    local.add_argument("--device", help="cpu, cuda, cuda:1, mps, ... (default: the best)")


def run(args: argparse.Namespace) -> int:
    """Ask, write, and say how it ended: 0 well, 1 stopped, 2 could not begin, 130 interrupted."""
    from distill_lab.data.teacher_prompt import TeacherPrompt
    from distill_lab.synthesis import TeacherStopped, generate
    from distill_lab.synthesis.budget import estimate
    from distill_lab.synthesis.cards import card_path, set_card
    from distill_lab.synthesis.prompts import read_prompts
    from distill_lab.synthesis.replies import read_schema

    line = _line(sys.stderr)
    try:
        prompts = read_prompts(args.prompts, args.column, args.encoding)
        settings: dict[str, Any] = {
            "samples": args.samples,
            "temperature": args.temperature,
            "top_p": args.top_p,
            "max_new_tokens": args.max_new_tokens,
            "stop": args.stop,
            "seed": args.seed,
            "schema": None if args.schema is None else read_schema(args.schema, "--schema"),
            "refusals": not args.keep_refusals,
            "system": args.system,
        }
        if args.teacher_prompt is not None or args.teacher_system is not None:
            view = TeacherPrompt(args.teacher_prompt, args.teacher_system)
            settings["teacher_prompt"] = view
        teacher = _teacher(args)
        if args.dry_run:
            print(estimate(prompts, teacher, args.out, **settings))
            return 0
        answers = generate(
            prompts,
            teacher,
            args.out,
            **settings,
            again=args.again,
            budget=args.budget,
            progress=line,
        )
    except KeyboardInterrupt:
        print("\nInterrupted. The same command goes on where it stopped.", file=sys.stderr)
        return INTERRUPTED
    except TeacherStopped as stopped:
        print(f"\nStopped: {stopped}", file=sys.stderr)
        return 1
    except Exception as error:
        if (words := error_in_words(error)) is None:
            raise
        print(words, file=sys.stderr)
        return 2
    if sys.stderr.isatty():
        print(file=sys.stderr)  # below the line of progress
    card = set_card(answers, prompts=str(args.prompts))
    path = card.write(card_path(args.out))
    for warning in card.warnings:
        print(f"Warning: {warning}", file=sys.stderr)
    print(f"{answers}; card in {path.name}")
    return 0 if answers.rows and not answers.left else 1


def _teacher(args: argparse.Namespace) -> Any:
    if (args.server is None) == (args.local is None):
        raise ValueError("name who answers: --server URL --model NAME, or --local PATH.")
    if args.local is not None:
        from distill_lab.teachers.text import LocalGenerator

        return LocalGenerator(
            args.local, batch_size=args.batch_size, plain=args.plain, device=args.device
        )
    if not args.model:
        raise ValueError("name the model that the server shall use: --model NAME.")
    from distill_lab.teachers.text import OpenAIGenerator

    return OpenAIGenerator(
        args.server,
        args.model,
        key_from=args.key_from,
        concurrency=args.concurrency,
        requests_per_minute=args.rpm,
        tokens_per_minute=args.tpm,
        timeout=args.timeout,
        tries=args.tries,
        stream=args.stream,
        extra=args.extra,
        prices=tuple(args.price) if args.price else None,
    )


def _seed(text: str) -> int | None:
    if text.lower() == "none":
        return None
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"expected a whole number or none, but got {text!r}"
        ) from None


def _line(where: Any, every: float = 10.0) -> Callable[[Any], None]:
    """One line that is written over on a terminal, elsewhere a line now and then; faults stay."""
    shown = -every

    def show(progress: Any) -> None:
        nonlocal shown
        if progress.notice:
            print("\r\033[K" * where.isatty() + progress.notice, file=where, flush=True)
        elif where.isatty():
            print(f"\r\033[K{progress}", end="", file=where, flush=True)
        elif time.monotonic() - shown >= every:
            shown = time.monotonic()
            print(progress, file=where, flush=True)

    return show

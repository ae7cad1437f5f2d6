"""A card beside every synthetic set and every student: where it is from, and whether one may.

Two files with the same content: Markdown for people, JSON for programs.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from glob import glob, has_magic
from pathlib import Path
from typing import Any

from distill_lab import __version__
from distill_lab._util.io import user_path, write_whole
from distill_lab._util.jsonl import beside, in_words, rows_in
from distill_lab.synthesis.answers import Answers
from distill_lab.synthesis.licences import UNKNOWN, Terms, terms_of
from distill_lab.synthesis.markdown import markdown_of, safe
from distill_lab.synthesis.pipeline import FilterResult

FORMAT = "distill-lab card 1"
PARTS = (".safetensors", ".json", ".jinja", ".model", ".txt")  # of a saved model


@dataclass(frozen=True)
class Card:
    """Sections of plain values, in order, and warnings that stand above all of them."""

    title: str
    warnings: tuple[str, ...]
    sections: Mapping[str, Any]

    def facts(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "format": FORMAT,
            "title": self.title,
            "warnings": list(self.warnings),
            **self.sections,
        }

    def to_json(self) -> str:
        """For programs."""
        return json.dumps(self.facts(), indent=1, ensure_ascii=False) + "\n"

    def to_markdown(self) -> str:
        """For people."""
        lines = [f"# {safe(self.title)}", ""]
        lines += [f"> **Warning.** {safe(warning)}\n" for warning in self.warnings]
        for name, content in self.sections.items():
            lines += [f"## {name.capitalize()}", "", *markdown_of(content), ""]
        return "\n".join(lines).rstrip() + "\n"

    def write(self, markdown: str | Path) -> Path:
        """Write both files, whole or not at all; the JSON beside the Markdown, with its ending."""
        path = user_path(markdown, "the card")
        texts = {path.with_suffix(".json"): self.to_json(), path: self.to_markdown()}
        for file, text in texts.items():
            with in_words(file):
                write_whole(file, text.encode("utf-8", "replace"))
        return path


def set_card(
    answers: Answers,
    *,
    prompts: str = "",
    filtered: FilterResult | None = None,
    file: str | Path | None = None,
    licence: Terms | None = None,
    evaluation: Mapping[str, Any] | None = None,
) -> Card:
    """Make the card of a synthetic set: what `generate` left, and what filters made of it.

    Args:
        answers: What `generate` returned.
        prompts: Where the prompts are from.
        filtered: What a pipeline kept of the answers.
        file: The set itself, where it is not the file of the answers.
        licence: What you know of the teacher's, in place of the table's.
        evaluation: What is known of how good the set is.

    Raises:
        FileNotFoundError: Where the set is not there.
    """
    name = str(answers.teacher.get("name", "the teacher"))
    terms, warnings = _terms(name, answers.models, licence)
    path = user_path(file or answers.path)
    if not path.exists():
        raise FileNotFoundError(f"there is no file {path}: check the path.")
    if silent := answers.counts.silent:
        warnings.append(
            f"{silent:,} of {len(answers.rows):,} answers came without a finish reason: the server "
            "does not say why they ended, so some may be cut off."
        )
    if answers.several >= 3 and answers.alike == answers.several:
        warnings.append(
            f"All {answers.several:,} prompts with several samples got the same text each time: "
            "does the server sample? transformers serve, for one, ignores the temperature of a "
            "model whose own generation settings do not say do_sample."
        )
    sections: dict[str, Any] = {
        "teacher": {
            **answers.teacher,
            "answered as": dict(answers.models) or "not said",
            "fingerprints": dict(answers.fingerprints) or "not said",
            **terms.facts(),
        },
        "prompts": {"source": prompts or "not given", **answers.prompts},
        "settings": {k: v for k, v in answers.settings.items() if k != "teacher"},
        "answers": {
            "requests": answers.progress.requests,
            "usable": len(answers.rows),
            "rejected": dict(answers.reasons),
            "prompt tokens": _tokens(answers, 0),
            "answer tokens": _tokens(answers, 1),
            **_cost(answers),
        },
        "filters": filtered.facts() if filtered else "none",
        "file": {"name": path.name, "rows": sum(1 for _ in rows_in(path)), "sha256": sha256(path)},
        "evaluation": dict(evaluation) if evaluation else "none",
        "made": _made(),
    }
    return Card(f"Synthetic set {path.stem}", tuple(filter(None, warnings)), sections)


def student_card(
    folder: str | Path,
    *,
    base: str | None,
    sets: Sequence[str | Path | Card] = (),
    teachers: Iterable[str] = (),
    method: str,
    settings: Mapping[str, Any],
    evaluation: Mapping[str, Any] | None = None,
    licence: Terms | None = None,
    data: Iterable[str | Path] = (),
) -> Card:
    """Make the card of a student: what it was made from, how it learned, and how good it is.

    Args:
        folder: Where the student is saved.
        base: The model it starts from, None where it starts from nothing.
        sets: The cards of what it was trained on, each a Card or the path of its JSON; their
            warnings pass on to the student.
        teachers: Names of those that wrote no set, such as a teacher of logits.
        method: How it learned.
        settings: With which settings.
        evaluation: How good it is.
        licence: What you know of the licence of `teachers`.
        data: Files and folders that it was trained on; those that a card describes are named once.

    Raises:
        FileNotFoundError: For a folder or card that is not there.
        ValueError: For a file that is no card.
    """
    folder = user_path(folder, "the folder")
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {folder}: save the student first.")
    cards = [card.facts() if isinstance(card, Card) else read_card(card) for card in sets]
    terms_by_name = {name: licence or terms_of(name) for name in teachers}
    warnings = [warning for card in cards for warning in card["warnings"]]
    warnings += [w for name, terms in terms_by_name.items() if (w := terms.warning(name))]
    files = sorted(p for p in folder.iterdir() if p.suffix in PARTS)
    sections: dict[str, Any] = {
        "student": {
            "starts from": base or "nothing",
            "licence of that": terms_of(base).licence if base else "none",
        },
        "teachers": {name: terms.facts() for name, terms in terms_by_name.items()}
        | {str(c["teacher"].get("name")): c["teacher"] for c in cards if "teacher" in c},
        "data": _data(cards, data) or "none",
        "training": {"method": method, **settings},
        "evaluation": dict(evaluation) if evaluation else "none",
        "files": {p.name: sha256(p) for p in files if not p.name.startswith("card.")},
        "made": _made(),
    }
    path = folder.resolve()
    name = path.parent.name if path.name == "student" else path.name  # as a job saves it
    return Card(f"Student {name}", tuple(dict.fromkeys(warnings)), sections)


def card_path(answers: str | Path) -> Path:
    """Say where the card of an answers file lies."""
    return beside(user_path(answers), "card.md")


def read_card(path: str | Path) -> dict[str, Any]:
    """Read the facts of a card from its JSON.

    Raises:
        FileNotFoundError: Where there is none.
        ValueError: For a file that is no card.
    """
    path = user_path(path)
    if not path.exists():
        raise FileNotFoundError(f"there is no card {path}: write one with set_card(...).write().")
    try:
        facts = json.loads(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"{path} is no card: it is not JSON ({error}).") from None
    if not isinstance(facts, dict) or facts.get("format") != FORMAT:
        raise ValueError(f"{path} is no card of this version (expected {FORMAT!r}).")
    return facts


def sha256(path: str | Path) -> str:
    """Compute the SHA-256 of a file, in hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def contents(paths: Iterable[str | Path]) -> list[dict[str, str]]:
    """Name what files hold, so that another content is seen.

    Args:
        paths: files, patterns, or folders with all that is in them.

    Returns:
        Of each its name, and its hash or "not a file".
    """
    entries = []
    for path in (file for given in paths for file in _files(user_path(given))):
        if path.is_file():
            entries.append({"name": path.name, "sha256": sha256(path)})
        elif path.is_dir():
            entries.append({"name": path.name, "sha256": _of_folder(path)})
        else:  # a data set that is known by its name
            entries.append({"name": str(path), "sha256": "not a file"})
    return entries


def _terms(
    name: str, models: Mapping[str, int], licence: Terms | None
) -> tuple[Terms, list[str | None]]:
    """The terms of what was asked and of what the server says that answered, and all warnings."""
    if licence is not None:
        return licence, [licence.warning(name)]
    others = [model for model in models if model.casefold() != name.casefold()]
    known = {model: terms for model in (*others, name) if (terms := terms_of(model)) != UNKNOWN}
    warnings = [terms.warning(model) for model, terms in known.items()] or [UNKNOWN.warning(name)]
    warnings += [
        f"{name} was asked, and the server says that {model} answered."
        for model in others
        if not _same(name, model)
    ]
    order = ("forbidden", "unknown", "conditions", "allowed")
    return min(known.values(), key=lambda t: order.index(t.training), default=UNKNOWN), warnings


def _same(wanted: str, named: str) -> bool:
    """Whether two names may mean one model: one holds the other, without owner and folder."""
    a, b = (text.casefold().rstrip("/").rsplit("/", 1)[-1] for text in (wanted, named))
    return a.startswith(b) or b.startswith(a)


def _cost(answers: Answers) -> dict[str, str]:
    """What it cost, where prices were given."""
    price = answers.progress.price
    if price is None:
        return {}
    each = f"{price[0]:g} and {price[1]:g} a million tokens of prompt and answer"
    return {"price": each, "cost": answers.progress.cost_in_words(4)}


def _tokens(answers: Answers, side: int) -> int | str:
    """Tokens of the prompts (0) or the answers (1), of every run that wrote this file."""
    count = answers.counts.tokens[side]
    return "unknown" if count is None else count


def _data(cards: Iterable[Mapping[str, Any]], paths: Iterable[str | Path]) -> list[dict[str, Any]]:
    """What a student learned from, each with its hash."""
    data = [{"title": card["title"], **card.get("file", {})} for card in cards]
    hashes = {facts.get("sha256") for facts in data}
    new = (entry for entry in contents(paths) if entry["sha256"] not in hashes)
    return data + [{"title": "Training data", "rows": "not counted", **entry} for entry in new]


def _files(path: Path) -> list[Path]:
    """The files that fit a pattern; what is none stands for itself."""
    if path.exists() or not has_magic(str(path)):
        return [path]
    return sorted(map(Path, glob(str(path), recursive=True))) or [path]


def _of_folder(folder: Path) -> str:
    """The SHA-256 of the names and hashes of all files in a folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    lines = (f"{sha256(path)}  {path.relative_to(folder).as_posix()}\n" for path in files)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _made() -> dict[str, str]:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return {"on": now, "by": f"distill-lab {__version__}"}

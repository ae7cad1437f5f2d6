"""What a run of `generate` left: rows on the disk, and what is counted of them."""

from array import array
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from distill_lab._util.io import short_hash
from distill_lab._util.jsonl import Row, StoredRows
from distill_lab.synthesis.progress import GenerationProgress
from distill_lab.teachers.text.protocol import digest


@dataclass(frozen=True)
class AnswerCounts:
    """What is counted of answers, in one reading of all of them.

    Args:
        models: Usable answers of each model, as the server names it.
        fingerprints: Usable answers of each build.
        silent: Usable answers that came without a finish reason.
        tokens: Of all prompts and of all answers; None where none was counted.
        several: Prompts with several usable answers.
        alike: Of these, those whose answers are all the same.
    """

    models: Counter[str]
    fingerprints: Counter[str]
    silent: int
    tokens: tuple[int | None, int | None]
    several: int
    alike: int

    @classmethod
    def of(cls, rows: Iterable[Row], rejected: Iterable[Row]) -> "AnswerCounts":
        """Read all rows once.

        Args:
            rows: The usable ones.
            rejected: The others, of which tokens are counted alone.
        """
        models: Counter[str] = Counter()
        fingerprints: Counter[str] = Counter()
        names: list[array[int]] = [array("Q"), array("Q")]  # of prompts and of answers
        silent, used = 0, _TokenSum()
        for row in rows:
            models.update([row["model"]] if row.get("model") else [])
            fingerprints.update([row["fingerprint"]] if row.get("fingerprint") else [])
            silent += not row.get("finish")
            used.add(row)
            names[0].append(int(digest(row["prompt"]), 16))
            names[1].append(int(short_hash(row["answer"].encode("utf-8", "surrogatepass")), 16))
        for row in rejected:
            used.add(row)
        prompts, answers = (np.frombuffer(each, np.uint64) for each in names)
        _, group, sizes = np.unique(prompts, return_inverse=True, return_counts=True)
        pairs = np.unique(np.stack([group.astype(np.uint64), answers]), axis=1)[0]
        different = np.bincount(pairs.astype(np.int64), minlength=len(sizes))
        several = int((sizes > 1).sum())
        alike = int(((sizes > 1) & (different == 1)).sum())
        return cls(models, fingerprints, silent, used.sums(), several, alike)


class _TokenSum:
    """Tokens of prompts and of answers, where they were counted."""

    def __init__(self) -> None:
        self.total, self.unknown = [0, 0], [False, False]

    def add(self, row: Row) -> None:
        for side, count in enumerate(row.get("tokens") or ()):
            self.total[side] += count or 0
            self.unknown[side] |= count is None

    def sums(self) -> tuple[int | None, int | None]:
        known = [
            None if unknown and not total else total
            for total, unknown in zip(self.total, self.unknown, strict=True)
        ]
        return known[0], known[1]


@dataclass(frozen=True)
class Answers:
    """What a run left: the usable rows and the rejected ones, in the order of the prompts.

    Both are read from the disk when they are asked for. A row holds `id`, `sample`, `prompt`
    (messages), `answer`, `finish`, `tokens`, `seconds`, `tries` and `about`, and where there are
    any `tools`, `tool_calls` and `thinking`; a rejected one also `kind` and `reason`.

    Args:
        path: The file of the answers.
        rows: The usable ones.
        unusable: The others, on the disk; `rejected` reads them.
        progress: How many, how fast, at what cost.
        repeated: Requests that came twice, and were asked once.
        asked: Requests of this run; the others were answered before.
        torn: Bytes of a line that was cut short, and left out.
        teacher: Who answered.
        settings: How answers were drawn.
        prompts: Where the prompts came from.
        left: Requests that were not asked, since the budget would have been passed.
    """

    path: Path
    rows: StoredRows
    unusable: StoredRows
    progress: GenerationProgress
    repeated: int = 0
    asked: int = 0
    torn: int = 0
    teacher: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    prompts: Mapping[str, Any] = field(default_factory=dict)
    left: int = 0

    @cached_property
    def rejected(self) -> list[Row]:
        """The rows that cannot be used, each with `kind` and `reason`: read now, all of them."""
        return list(self.unusable)

    @cached_property
    def reasons(self) -> Counter[str]:
        """How many were rejected, by kind."""
        return Counter(row["kind"] for row in self.unusable)

    @cached_property
    def counts(self) -> "AnswerCounts":
        """What is known of all rows together, read once."""
        return AnswerCounts.of(self.rows, self.unusable)

    @property
    def alike(self) -> int:
        """Prompts with several usable answers that are all the same."""
        return self.counts.alike

    @property
    def models(self) -> Counter[str]:
        """How many usable answers each model gave, as the server names it."""
        return self.counts.models

    @property
    def fingerprints(self) -> Counter[str]:
        """How many usable answers came from each build, as the server names it."""
        return self.counts.fingerprints

    @property
    def several(self) -> int:
        """Prompts with several usable answers."""
        return self.counts.several

    def __str__(self) -> str:
        parts = [f"{len(self.rows):,} answers in {self.path.name}"]
        if self.unusable:
            why = ", ".join(f"{count:,} {kind}" for kind, count in self.reasons.most_common())
            parts.append(f"{len(self.unusable):,} rejected ({why})")
        if self.repeated:
            parts.append(f"{self.repeated:,} repeated requests asked once")
        parts.append(f"{self.asked:,} asked now")
        if self.progress.price is not None:
            parts.append(f"cost {self.progress.cost_in_words(4)}")
        if self.left:
            parts.append(f"{self.left:,} not asked, since the budget could be passed")
        return "; ".join(parts)

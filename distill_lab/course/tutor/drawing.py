"""The conversations of a part of the tutor's training: drawn, made into token ids, kept once."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterable
from concurrent.futures import Future, ProcessPoolExecutor
from pathlib import Path
from typing import Any

from distill_lab.course.tutor.lessons import Packed, Rows, joined, rows_of
from distill_lab.course.tutor.recipe import Draw, Part, Recipe, draws_of
from distill_lab.course.tutor.vocabulary import hugging_face, learn_tokenizer

__all__ = ["Conversations"]

MANY = 20_000  # conversations that are worth the start of other processes


class Conversations:
    """The tokenizer, and the conversations of a part as token ids: the last ones are kept.

    Large parts are drawn by as many processes as there are processors, the next part of a GPU's
    run while it learns from this one; what is drawn does not depend on how many they are.
    """

    def __init__(self, recipe: Recipe, work: Path) -> None:
        self.recipe = recipe
        self.kept: tuple[list[Draw], Packed] | None = None
        self.tokenizer = self._tokenizer(work / "tokenizer")
        self.ordered: tuple[list[Draw], list[Future[Rows]]] | None = None
        self.pool: ProcessPoolExecutor | None = None

    def order(self, part: Part) -> list[Future[Rows]]:
        """Begin to draw a part."""
        draws = draws_of(self.recipe, part)
        if self.ordered is None or self.ordered[0] != draws:
            if self.pool is None:
                spawn = multiprocessing.get_context("spawn")
                self.pool = ProcessPoolExecutor(os.cpu_count(), mp_context=spawn)
            tasks = [self.pool.submit(drawn, draw, self.tokenizer) for draw in draws]
            self.ordered = draws, tasks
        return self.ordered[1]

    def of(self, part: Part) -> Packed:
        """The conversations of a part."""
        draws = draws_of(self.recipe, part)
        if self.kept is None or self.kept[0] != draws:
            self.kept = None  # two parts in memory are one too many
            pieces: Iterable[Rows]
            if part.talks < MANY:
                pieces = (drawn(draw, self.tokenizer) for draw in draws)
            else:
                pieces = (task.result() for task in self.order(part))
            self.kept = draws, joined(list(pieces))
            self.ordered = None  # its pieces would stay in memory beside the whole
        return self.kept[1]

    def close(self) -> None:
        """End the other processes."""
        if self.pool is not None:
            self.pool.shutdown(cancel_futures=True)

    def _tokenizer(self, folder: Path) -> Any:
        """Learnt from the tasks of the first part, once: a resumed run reads it."""
        if not folder.is_dir():
            draws = draws_of(self.recipe, self.recipe.parts[0])
            talks = [talk for draw in draws if draw.first for talk in draw.talks()]
            texts = (f" {talk[0].prompt}\n {task.target}" for talk in talks for task in talk)
            beside = folder.with_name("tokenizer.partial")
            learn_tokenizer(texts, self.recipe.vocabulary).save_pretrained(beside)
            beside.rename(folder)
        return hugging_face().AutoTokenizer.from_pretrained(folder)


def drawn(draw: Draw, tokenizer: Any) -> Rows:
    """What one process draws, as token ids."""
    return rows_of(draw.talks(), tokenizer)

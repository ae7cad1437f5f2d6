"""The rows that a job's files hold, as language models learn them, and how long they may be."""

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import cached_property, partial
from itertools import islice
from pathlib import Path
from typing import Any

from distill_lab._util.jsonl import Row
from distill_lab.data import fingerprints
from distill_lab.data.datasets.exchanges import exchange_of, pair_of
from distill_lab.data.datasets.tables import Table, load_table
from distill_lab.data.preferences import Preferences
from distill_lab.data.tokenized import NoTextLeft, Texts, name_of_rows
from distill_lab.jobs.held_out import Subset, far_off, kept_apart
from distill_lab.jobs.job import Job
from distill_lab.jobs.kinds.language_model import PAIRED
from distill_lab.jobs.setups.setup import counting, tokens_folder
from distill_lab.models.positions import positions_of

TRAINING_ROWS = 200  # that figures are measured on, at most, where nothing is held out


class Exchanges:
    """Prompts with their answers, or prompts alone, each brought into form when it is asked for.

    Args:
        table: the rows as they stand in the files, or some of them.
        prompt_only: whether the answers are left away, and may be missing.
        pairs: whether each row has a chosen and a rejected answer.
        beside: columns that are there beside a prompt, such as the answer, for who judges others.
        reading: how they become `Texts`.
        most: how many of the rows are used, from the first; None for all.
        folder: where their tokens are kept; rows with tokens there were looked through before.
        longer: says of a limit in tokens which settings it follows from, and what mends it.

    Raises:
        ValueError: for a row of another shape, with file and line.
    """

    def __init__(
        self,
        table: Table | Subset,
        *,
        prompt_only: bool = False,
        pairs: bool = False,
        beside: Collection[str] = (),
        reading: Mapping[str, Any] | None = None,
        most: int | None = None,
        folder: Path | None = None,
        longer: Callable[[int], tuple[str, str]] | None = None,
    ) -> None:
        self.longer = longer
        self.table, self.prompt_only, self.reading = table, prompt_only, dict(reading or {})
        self.most, self.folder, self.pairs, self.beside = most, folder, pairs, beside
        if not self.were_read():
            for _ in self:  # a mistake in the last row is better known before a model is loaded
                pass

    def __len__(self) -> int:
        return len(self.table) if self.most is None else min(self.most, len(self.table))

    def __iter__(self) -> Iterator[Row]:
        for number, row in enumerate(islice(self.table, self.most)):
            yield self._formed(row, self.table.place(number))

    def __getitem__(self, number: int) -> Row:
        return self._formed(self.table[number], self.table.place(number))

    def _formed(self, row: Row, place: str) -> Row:
        """A row of the files as it is learned from."""
        if self.pairs:
            chosen, _ = pair_of(row, place)
            if not self.prompt_only:
                return {name: value for name, value in row.items() if value is not None}
            row = chosen
        given = exchange_of(row, place, prompt_only=self.prompt_only)
        if self.prompt_only:
            fields = ("prompt", "messages", "tools", "chat_template_kwargs", *self.beside)
            given = {name: given[name] for name in fields if name in given}
        return given

    @cached_property
    def fingerprint(self) -> str:
        """A short name for the content of the rows, by which their tokens are known again."""
        if self.most is not None:
            return name_of_rows([*self])
        return fingerprints.of_facts([self.table.fingerprint, self.prompt_only])

    def texts(
        self,
        tokenizer: Any,
        limit: int,
        rows: Iterable[Row] | None = None,
        place: Callable[[int], str] | None = None,
        **keeping: Any,
    ) -> Any:
        """Tokenise them.

        Args:
            tokenizer: the model's.
            limit: tokens of a text, at most.
            rows: some of them; None for all.
            place: where the row of a number stands; needed for some of them.
            **keeping: where tokens are kept, and who is told how far it is.

        Returns:
            `Texts`, or `Preferences` where the rows are pairs.

        Raises:
            ValueError: for what cannot be written, with its place.
        """
        some, where = (self if rows is None else rows), place or self.table.place
        how: dict[str, Any] = {"max_length": limit, "place": where, **self.reading}
        try:
            if self.pairs:
                del how["learn"]
                return Preferences(some, tokenizer, **how, **keeping)
            return Texts(some, tokenizer, prompts_only=self.prompt_only, **how, **keeping)
        except NoTextLeft as error:
            if self.longer is None:
                raise
            what, mend = self.longer(limit)
            words = str(error).replace(f"max_length = {limit} tokens", what)
            raise NoTextLeft(words.replace("a larger max_length", mend)) from None

    def were_read(self) -> bool:
        """Whether all of them became tokens before: then there is no mistake to look for."""
        if self.folder is None or not self.folder.is_dir():
            return False
        return any(self.folder.glob(f"{self.fingerprint}-*.arrow"))


def read_exchanges(
    job: Job,
    files: str | list[str],
    *,
    prompt_only: bool = False,
    most: int | None = None,
    apart: bool = False,
    beside: Collection[str] = (),
) -> Exchanges:
    """Read the rows of some files of a job.

    Args:
        job: for its columns and encoding, and whether its method learns from pairs.
        files: `train` or `validation`.
        prompt_only: whether prompts are all that is wanted.
        most: how many rows are wanted, from the first; None for all.
        beside: columns that are there beside prompts.
        apart: whether the rows that the job keeps apart are wanted, in place of the others.

    Returns:
        The rows.

    Raises:
        FileNotFoundError: where there is no file.
        ValueError: for what cannot be read, with file and line.
    """
    table: Table | Subset = load_table(files, columns=job.columns, encoding=job.encoding)
    pairs, answers = job.method in PAIRED, prompt_only and job.method == "on-policy"
    if job.held_out is not None:  # by their questions: of two answers to one none is held out alone
        prompts = Exchanges(table, prompt_only=True, pairs=pairs)
        questions = (json.dumps(row, sort_keys=True, default=str) for row in prompts)
        numbers = kept_apart(questions, job.held_out, job.origin.training.seed)
        table = Subset(table, numbers[apart])
    return Exchanges(
        table,
        prompt_only=prompt_only,
        pairs=pairs,
        beside=beside,
        reading=job.reading(),
        most=most,
        folder=tokens_folder(job.out),
        longer=partial(longer_than, job, answers=answers),
    )


def held_out_rows(job: Job) -> Exchanges:
    """Read the rows that a job measures on: its validation, its share, or some of the training's.

    Args:
        job: names them.

    Returns:
        The rows.

    Raises:
        FileNotFoundError: where there is no file.
        ValueError: for what cannot be read, with file and line.
    """
    if job.validation is not None:
        return read_exchanges(job, job.validation)
    if job.held_out is not None:
        return read_exchanges(job, job.train, apart=True)
    return read_exchanges(job, job.train, most=TRAINING_ROWS)


def texts_of(
    rows: Exchanges, tokenizer: Any, limit: int, log: Callable[[str], None], what: str
) -> Any:
    """Tokenise rows, or take their tokens from the disk; those that are too long are said.

    Args:
        rows: what is tokenised.
        tokenizer: the model's.
        limit: tokens of a text, at most.
        log: called with how far a long tokenisation is, and how many are left out.
        what: the rows' name, "train" or "validation".

    Returns:
        The texts, or pairs of them.
    """
    texts = rows.texts(tokenizer, limit, folder=rows.folder, progress=counting(log, what))
    say_left_out(texts, limit, log, what)
    return texts


def say_share(job: Job, rows: Exchanges, log: Callable[[str], None]) -> None:
    """Tell where a share that is held out became another, for many rows ask the same.

    Args:
        job: says which share.
        rows: those that are held out.
        log: called with a line, if any.
    """
    if isinstance(rows.table, Subset):
        apart = len(rows.table)
        if note := far_off(job.held_out, len(rows.table.table) - apart, apart):
            log(f"validation: {note}")


def say_left_out(texts: Any, limit: int, log: Callable[[str], None], what: str) -> None:
    """Tell how many rows are not learned from, and why.

    Args:
        texts: what is left.
        limit: tokens of a text, at most.
        log: called with one line a stage.
        what: the rows' name.
    """
    if texts.too_long:
        log(f"{what}: {texts.too_long} rows are longer than {limit} tokens: left out")
    if texts.empty:
        log(f"{what}: {texts.empty} answers are empty: left out")
    if alike := getattr(texts, "alike", 0):
        log(f"{what}: {alike} pairs have two equal answers: left out")


def longer_than(job: Job, limit: int, *, answers: bool = False) -> tuple[str, str]:
    """What makes a text too long: the settings that a limit follows from, and what mends it.

    Args:
        job: with these settings.
        limit: tokens of a text, at most, as `length_limit` gives it.
        answers: whether room for an answer was taken off.

    Returns:
        The limit in words, and what to do.
    """
    if limit == job.max_length:
        return job.setting("max_length"), "a larger max_length"
    if answers:
        own = f"the {limit} tokens that the models' positions leave beside an answer of "
        return own + job.setting("max_new_tokens"), "a lower max_new_tokens"
    return f"the {limit} positions of the models", "models with more of them"


def length_limit(job: Job, *models: Any, answers: bool = False) -> int:
    """How many tokens a text may have: what the job says, and no more than the models can place.

    Args:
        job: for `max_length` and `max_new_tokens`.
        *models: models or their configs; None is passed over.
        answers: whether the models write `max_new_tokens` behind it.

    Returns:
        The number of tokens.

    Raises:
        ValueError: where no room is left for a prompt.
    """
    positions = [count for model in models if (count := positions_of(model)) is not None]
    room = min(positions, default=job.max_length + job.max_new_tokens)
    if answers and room <= job.max_new_tokens:
        raise ValueError(
            f"{job.setting('max_new_tokens')} leaves no room for a prompt: the models have {room} "
            "positions. Lower it."
        )
    return min(job.max_length, room - job.max_new_tokens * answers)

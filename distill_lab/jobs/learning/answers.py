"""Answers as texts: those of the data, or those that the teacher writes to the prompts."""

import dataclasses
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from distill_lab import methods
from distill_lab._util.io import partial_file
from distill_lab._util.jsonl import Row, StoredRows, in_words, line_of
from distill_lab.data.tokenized import Texts
from distill_lab.jobs.learning.judging import (
    beside_prompts,
    check_gold,
    columns_judged,
    kept_of,
    pipeline_of,
)
from distill_lab.jobs.learning.learning import Learning, Material
from distill_lab.jobs.learning.views import SAMPLE, prompts_of
from distill_lab.jobs.rows import Exchanges, length_limit, longer_than
from distill_lab.jobs.setups.setup import Context, Log, counting, tokens_folder
from distill_lab.jobs.vocabularies import Models
from distill_lab.methods import Method
from distill_lab.models.positions import positions_of
from distill_lab.synthesis.cards import Card, card_path, set_card
from distill_lab.synthesis.generate import generate
from distill_lab.synthesis.journal import check_made_with
from distill_lab.synthesis.made_with import settings_of
from distill_lab.synthesis.pipeline import FilterResult
from distill_lab.synthesis.replies import read_schema
from distill_lab.teachers.text import LocalGenerator, OpenAIGenerator, TeacherStopped
from distill_lab.teachers.text.protocol import Sampling, TextTeacher
from distill_lab.teachers.text.secrets import key_in

UNLOADED = ("weights", "decoding")  # what a teacher that is not loaded does not show


class GivenAnswers(Learning):
    """Learn the answers of the training data."""

    def method(self, tokenizer: Any) -> Method:
        """Cross-entropy on the answers' tokens."""
        return methods.tokens(alpha=0.0)


class TeacherAnswers(GivenAnswers):
    """Let the teacher answer the training prompts once, and learn its answers."""

    prompts_only = True

    def rows(self) -> Exchanges:
        """Read the prompts, and their own answers where others are held against them."""
        rows = super().rows()
        if columns_judged(self.job):
            check_gold(self.job, rows)
        return rows

    @property
    def beside(self) -> set[str]:
        """The columns that the teacher's prompt names, and answers that others are held against."""
        return super().beside | columns_judged(self.job)

    def forecast(self, rows: Exchanges, models: Models, tokens: int) -> Iterator[str]:
        """Refuse a key that is not there, and filters that cannot be."""
        pipeline_of(self.job, rows)
        self._sampling()
        yield from self._amount(len(rows), tokens)
        if models.teacher_tokenizer is not None:
            self._check_template(models)
            yield from self._room(rows, models)
        if models.teacher is not None or self.job.teacher_server is not None:
            self._check_file(models)
        if self.job.teacher_server is not None:
            server = self.job.teacher_server
            if server["key_env"]:
                key_in(server["key_env"])
            yield f"teacher: {server['model']} at {server['url']}, which is not asked now"

    def check_prompts(self, rows: Sequence[Row] | Exchanges, models: Models, texts: Any) -> None:
        """Refuse prompts that are all too long; where some are, these have no answer."""
        job, room = self.job, None if models.teacher is None else positions_of(models.teacher)
        if room is None or job.plain or job.view is None:  # the rows' own: `_room`
            return
        shortest = int(prompts_of(job, rows, models.teacher_tokenizer).lengths.min())
        if shortest + job.max_new_tokens > room:
            raise ValueError(
                f"max_new_tokens = {job.max_new_tokens:,} leaves no room for any prompt: the "
                f"shortest that the teacher would read has {shortest:,} tokens, and it has "
                f"{room:,} positions. Lower it."
            )

    def _amount(self, prompts: int, tokens: int) -> Iterator[str]:
        """How much the teacher is asked for, what it may cost, and how long that is learned."""
        job, total = self.job, prompts * self.job.samples
        steps = job.training.length(total)[1]
        line = f"answers: {total:,}, of at most {job.max_new_tokens:,} tokens each"
        price = (job.teacher_server or {}).get("price")
        if price is not None:
            sides = (tokens * job.samples, total * job.max_new_tokens)
            cost = sum(each * side for each, side in zip(price, sides, strict=True)) / 1e6
            line += f", for at most about {cost:.4f}"
        yield f"{line}; where all are kept: {steps:,} steps"

    def _room(self, rows: Exchanges, models: Models) -> Iterator[str]:
        """How many of the first prompts leave no room for an answer; refused where all of them."""
        job, limit = self.job, length_limit(self.job, models.teacher, answers=True)
        if job.plain or job.view is not None:  # these are other prompts, looked at elsewhere
            return
        prompts = prompts_of(job, islice(rows, SAMPLE), models.teacher_tokenizer)
        if beyond := int((prompts.lengths > limit).sum()):
            what, mend = longer_than(job, limit, answers=True)
            line = f"{beyond} of the first {len(prompts)} prompts are longer than {what}"
            if beyond == len(prompts):
                raise ValueError(f"{line}: give {mend}, or shorter prompts.")
            yield f"{line}: the teacher cannot answer them"

    def material(self, rows: Exchanges, models: Models, context: Context) -> Material:
        """Ask the teacher, and tokenise what it wrote and what is kept of it."""
        cards: list[Card] = []
        tables: list[FilterResult] = []

        def ask() -> dict[str, Any]:
            kept, card, learned = self._answers(rows, models, context.log)
            cards.append(card)
            tables.append(kept)
            return {"path": str(learned.path), "places": learned.places.tolist()}

        learned = context.dist.once(ask)  # the others read what the main process wrote
        limit = self.limit(models, train=True)
        texts = Texts(
            StoredRows(Path(learned["path"]), learned["places"]),
            models.tokenizer,
            max_length=limit,
            folder=tokens_folder(self.job.origin.out),
            progress=counting(context.log, "answers"),
            **self.job.reading(),
        )
        judged = [table for table in tables if table.steps]
        return Material(texts, sets=cards, answers=judged[0] if judged else None)

    def _sampling(self) -> dict[str, Any]:
        """How answers are drawn, as `generate` takes it."""
        job = self.job
        return {
            "samples": job.samples,
            "temperature": job.temperature,
            "top_p": job.top_p,
            "max_new_tokens": job.max_new_tokens,
            "stop": tuple(job.stop or ()),
            "seed": job.origin.training.seed,
            "schema": None if job.schema is None else read_schema(job.schema),
            "refusals": not job.refusals,
            "system": job.system,
            "teacher_prompt": job.view,
        }

    @property
    def _file(self) -> Path:
        """Where the teacher's answers are written."""
        job = self.job
        return Path(job.origin.out) / "answers.jsonl" if job.answers is None else Path(job.answers)

    def _check_file(self, models: Models) -> None:
        """Refuse a file of answers that was made otherwise; of weights nothing is known yet."""
        teacher, drawn = self._teacher(models), self._sampling()
        system, view = drawn.pop("system"), drawn.pop("teacher_prompt")
        unknown: tuple[str, ...] = ()
        if isinstance(teacher, LocalGenerator):
            known, unknown = teacher.facts, UNLOADED
        else:
            known = teacher.identity
        made_with = settings_of(known, Sampling(**drawn), system, view)
        check_made_with(self._file, made_with, unknown)

    def _check_template(self, models: Models) -> None:
        """Refuse a teacher that has no template for prompts and is not to be asked without."""
        if not self.job.plain and not getattr(models.teacher_tokenizer, "chat_template", None):
            raise ValueError(
                f"the teacher {self.job.teacher} has no chat template: plain: true shows it the "
                "bare text of each prompt."
            )

    def _teacher(self, models: Models) -> TextTeacher:
        if (server := self.job.teacher_server) is None:
            self._check_template(models)
            length_limit(self.job, models.teacher, answers=True)  # the least room there is
            return LocalGenerator(
                models.teacher,
                models.teacher_tokenizer,
                plain=self.job.plain,
                template=self.job.template,
            )
        names = ("concurrency", "requests_per_minute", "tokens_per_minute", "timeout")
        return OpenAIGenerator(
            server["url"],
            server["model"],
            key_from=server["key_env"],
            prices=None if server["price"] is None else tuple(server["price"]),
            extra=server["extra"] or {},
            **{name: server[name] for name in (*names, "tries", "stream")},
        )

    def _answers(
        self, rows: Exchanges, models: Models, log: Log
    ) -> tuple[FilterResult, Card, StoredRows]:
        """The teacher's answers, asked once, resumable; their card, and what is learned of them."""
        job = self.job
        pipeline = pipeline_of(job, rows)
        out = Path(job.origin.out)
        out.mkdir(parents=True, exist_ok=True)
        server = job.teacher_server or {}
        try:
            answers = generate(
                rows,
                self._teacher(models),
                self._file,
                **self._sampling(),
                budget=server.get("budget"),
                progress=lambda state: log(state.notice) if state.notice else None,
            )
        except TeacherStopped as stopped:
            raise ConnectionError(f"{stopped} The same command goes on from there.") from stopped
        log(str(answers))
        kept = kept_of(answers, pipeline, beside_prompts(job, rows))
        file = None
        if kept.steps:
            removed = (f"{step.name} removed {step.n_removed:,}" for step in kept.steps)
            log("; ".join([kept.title, *removed]))
            file = out / "answers.kept.jsonl"
            with in_words(file), partial_file(file) as partial, open(partial, "wb") as lines:
                lines.writelines(map(line_of, kept.rows))
        # its name is the folder's or the hub's: it decides the licence, as in every other method
        named = {**answers.teacher, "name": str(job.teacher)}
        card = set_card(
            dataclasses.replace(answers, teacher=named),
            prompts=str(job.train),
            filtered=kept if kept.steps else None,
            file=file,
        )
        card.write(card_path(out / "answers.jsonl"))
        return kept, card, answers.rows if file is None else StoredRows.of(file)

"""Ask a teacher for many answers, and keep every one of them."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from distill_lab._util.io import user_path
from distill_lab._util.jsonl import Row
from distill_lab.synthesis.budget import Budget
from distill_lab.synthesis.intake import Intake, spread
from distill_lab.synthesis.journal import Journal
from distill_lab.synthesis.progress import GenerationProgress, Show
from distill_lab.synthesis.prompts import wanted_of
from distill_lab.synthesis.replies import check_schema
from distill_lab.teachers.text.protocol import Sampling, TextTeacher, digest


@dataclass(frozen=True)
class Answers:
    """What a run left: the usable rows and the rejected ones, in the order of the prompts.

    A row holds `id`, `sample`, `prompt` (messages), `answer`, `finish`, `tokens`, `seconds`,
    `tries` and `about`, and where there are any `tools`, `tool_calls` and `thinking`; a rejected
    one also `kind` and `reason`.

    Args:
        path: The file of the answers.
        rows: The usable ones.
        rejected: The others.
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
    rows: list[Row]
    rejected: list[Row]
    progress: GenerationProgress
    repeated: int = 0
    asked: int = 0
    torn: int = 0
    teacher: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    prompts: Mapping[str, Any] = field(default_factory=dict)
    left: int = 0

    @property
    def reasons(self) -> Counter[str]:
        """How many were rejected, by kind."""
        return Counter(row["kind"] for row in self.rejected)

    @property
    def alike(self) -> int:
        """Prompts with several usable answers that are all the same."""
        answers: dict[str, list[str]] = {}
        for row in self.rows:
            answers.setdefault(digest(row["prompt"]), []).append(row["answer"])
        return sum(len(texts) > 1 and len(set(texts)) == 1 for texts in answers.values())

    @property
    def models(self) -> Counter[str]:
        """How many usable answers each model gave, as the server names it."""
        return Counter(row["model"] for row in self.rows if row.get("model"))

    @property
    def fingerprints(self) -> Counter[str]:
        """How many usable answers came from each build, as the server names it."""
        return Counter(row["fingerprint"] for row in self.rows if row.get("fingerprint"))

    @property
    def several(self) -> int:
        """Prompts with several usable answers."""
        return sum(n > 1 for n in Counter(digest(row["prompt"]) for row in self.rows).values())

    def __str__(self) -> str:
        parts = [f"{len(self.rows):,} answers in {self.path.name}"]
        if self.rejected:
            why = ", ".join(f"{count:,} {kind}" for kind, count in self.reasons.most_common())
            parts.append(f"{len(self.rejected):,} rejected ({why})")
        if self.repeated:
            parts.append(f"{self.repeated:,} repeated requests asked once")
        parts.append(f"{self.asked:,} asked now")
        if self.progress.price is not None:
            parts.append(f"cost {self.progress.cost_in_words(4)}")
        if self.left:
            parts.append(f"{self.left:,} not asked, since the budget could be passed")
        return "; ".join(parts)


def generate(
    prompts: Iterable[Any],
    teacher: TextTeacher,
    path: str | Path,
    *,
    samples: int = 1,
    temperature: float = 1.0,
    top_p: float = 1.0,
    max_tokens: int = 512,
    stop: str | Sequence[str] = (),
    seed: int | None = 0,
    schema: Mapping[str, Any] | None = None,
    refusals: bool = True,
    system: str | None = None,
    again: bool = False,
    budget: float | None = None,
    progress: Show | None = None,
) -> Answers:
    """Let a teacher answer every prompt, and write each answer down as it comes.

    Killed at any moment and started again with the same arguments, nothing answered is asked again
    and nothing is lost. More prompts or more samples may be asked for later; other settings are
    refused. A prompt that comes twice is asked once, and keeps what the first had beside it.
    Thoughts that stand in an answer are put beside it, as `thinking`.

    Args:
        prompts: Strings, lists of messages, or dicts with `prompt` or `messages`, whose other
            entries are kept under `about`.
        teacher: A `LocalGenerator`, an `OpenAIGenerator`, or a `TextTeacher` of your own.
        path: A .jsonl file. What cannot be used (empty, cut off, refused, malformed, never
            answered) goes with its reason to `<name>.rejected.jsonl` beside it. All rows of the
            file are held in memory.
        samples: Answers a prompt.
        temperature: What logits are divided by; 0 is always the likeliest token.
        top_p: The probability that the nucleus holds.
        max_tokens: The length of an answer in tokens, at most.
        stop: Strings that end an answer.
        seed: Every request has a seed of its own, made from this one, the prompt and the sample's
            number; servers that batch need not obey it.
        schema: A JSON schema. It is sent to a server as response_format, and every answer is held
            against it; a local model is not guided by it.
        refusals: Whether answers that merely begin like a refusal are rejected.
        system: A system message before every prompt that has none.
        again: Whether to ask once more for what no answer ever came to.
        budget: What all answers of the file together may cost, by the teacher's prices. Nothing is
            asked that could pass it; what a server counts for answers that got lost is not known.
        progress: Called about twice a second, and at once with the first fault of each kind.

    Returns:
        The rows, and what became of the others.

    Raises:
        ValueError: For settings that cannot work, or that differ from those of the file.
        BlockingIOError: Where another process writes the file.
        TeacherStopped: Where going on is useless.
    """
    stops = (stop,) if isinstance(stop, str) else tuple(stop)
    sampling = Sampling(samples, temperature, top_p, max_tokens, stops, seed, schema, refusals)
    if schema is not None:
        check_schema(schema)
    identity = dict(teacher.identity)
    wanted, total = wanted_of(prompts, sampling, identity, system)
    purse = None if budget is None else Budget(budget, teacher.prices)
    settings = {"teacher": identity, **sampling.facts(), "system": system}
    with Journal(path, settings) as journal:
        run = Intake(journal, wanted, again, progress, teacher.prices, purse)
        waiting = [request for request in wanted.values() if run.is_open(request.id)]
        for request in waiting:
            if request.unfit:
                run.set_aside(request)
        asking = [request for request in waiting if not request.unfit]
        left = asking if journal.rows else spread(asking)
        while some := left if purse is None else purse.affordable(left):
            teacher.answer(some, run.take)
            run.end()
            left = left[len(some) :]
        state = run.meter.state()
        if progress is not None:
            progress(state)
        first = [list(r.prompt.messages) for r in wanted.values() if r.sample == 0]
        return Answers(
            path=user_path(path, "the answers"),
            rows=[journal.rows[i] for i in wanted if i in journal.rows],
            rejected=[journal.rejected[i] for i in wanted if i in journal.rejected],
            progress=state,
            repeated=total - len(wanted),
            asked=len(asking) - len(left),
            torn=journal.torn,
            teacher={"name": teacher.name, **identity, **_address(teacher)},
            settings=settings | {"samples": samples},
            prompts={"count": len(first), "hash": digest(first)},
            left=len(left),
        )


def _address(teacher: TextTeacher) -> dict[str, str]:
    """Where a served teacher was asked; not part of its identity, since it may move."""
    url = getattr(teacher, "url", None)
    return {"address": url} if isinstance(url, str) else {}

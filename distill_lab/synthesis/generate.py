"""Ask a teacher for many answers, and keep every one of them."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from distill_lab._util.io import user_path
from distill_lab.synthesis.answers import Answers
from distill_lab.synthesis.budget import Budget
from distill_lab.synthesis.intake import Intake, spread
from distill_lab.synthesis.journal import Journal
from distill_lab.synthesis.made_with import settings_of
from distill_lab.synthesis.progress import Show
from distill_lab.synthesis.prompts import TeacherView
from distill_lab.synthesis.replies import check_schema
from distill_lab.synthesis.requests import wanted_of
from distill_lab.teachers.text.protocol import Sampling, TextTeacher


def generate(
    prompts: Iterable[Any],
    teacher: TextTeacher,
    path: str | Path,
    *,
    samples: int = 1,
    temperature: float = 1.0,
    top_p: float = 1.0,
    max_new_tokens: int = 512,
    stop: str | Sequence[str] = (),
    seed: int | None = 0,
    schema: Mapping[str, Any] | None = None,
    refusals: bool = True,
    system: str | None = None,
    teacher_prompt: TeacherView | None = None,
    again: bool = False,
    budget: float | None = None,
    progress: Show | None = None,
) -> Answers:
    """Let a teacher answer every prompt, and write each answer down as it comes.

    Killed at any moment and started again with the same arguments, nothing answered is asked again
    and nothing is lost. More prompts or more samples may be asked for later; other settings are
    refused. A prompt that comes twice is asked once, and keeps what the first had beside it.
    Thoughts that stand in an answer are put beside it, as `thinking`. Prompts and answers stay on
    the disk: in memory there are names and places alone, some hundred bytes a request.

    Args:
        prompts: Strings, lists of messages, or dicts with `prompt` or `messages`, whose other
            entries are kept under `about`. They are read once, one by one.
        teacher: A `LocalGenerator`, an `OpenAIGenerator`, or a `TextTeacher` of your own.
        path: A .jsonl file. What cannot be used (empty, cut off, refused, malformed, never
            answered) goes with its reason to `<name>.rejected.jsonl` beside it.
        samples: Answers a prompt.
        temperature: What logits are divided by; 0 is always the likeliest token.
        top_p: The probability that the nucleus holds.
        max_new_tokens: The length of an answer in tokens, at most.
        stop: Strings that end an answer.
        seed: Every request has a seed of its own, made from this one, the prompt and the sample's
            number; servers that batch need not obey it.
        schema: A JSON schema. It is sent to a server as response_format, and every answer is held
            against it; a local model is not guided by it.
        refusals: Whether answers that merely begin like a refusal are rejected.
        system: A system message before every prompt that has none.
        teacher_prompt: What the teacher reads in a prompt's place: a function from the prompt as it
            was given to a text or messages, such as a `TeacherPrompt`. The rows hold the prompt
            that was given, for the student, and the other as `teacher_prompt`.
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
    sampling = Sampling(samples, temperature, top_p, max_new_tokens, stops, seed, schema, refusals)
    if schema is not None:
        check_schema(schema)
    identity = dict(teacher.identity)
    file = user_path(path, "the answers", "file")
    wanted, total = wanted_of(prompts, sampling, identity, system, file, teacher_prompt)
    purse = None if budget is None else Budget(budget, teacher.prices)
    settings = settings_of(identity, sampling, system, teacher_prompt)
    with Journal(path, settings) as journal:
        run = Intake(journal, wanted, again, progress, teacher.prices, purse)
        waiting = run.open_of(wanted)
        for request in waiting.unfit():
            run.set_aside(request)
        asking = waiting.fit()
        left = asking if journal.rows else spread(asking)
        while some := left if purse is None else purse.affordable(left):
            teacher.answer(some, run.take)
            run.end()
            left = left[len(some) :]
        state = run.meter.state()
        if progress is not None:
            progress(state)
        return Answers(
            path=file,
            rows=journal.rows.chosen(wanted.ids()),
            unusable=journal.rejected.chosen(wanted.ids()),
            progress=state,
            repeated=total - len(wanted),
            asked=len(asking) - len(left),
            torn=journal.torn,
            teacher={"name": teacher.name, **identity, **_address(teacher)},
            settings=settings | {"samples": samples},
            prompts={"count": len(wanted.store), "hash": wanted.store.hash},
            left=len(left),
        )


def _address(teacher: TextTeacher) -> dict[str, str]:
    """Where a served teacher was asked; not part of its identity, since it may move."""
    url = getattr(teacher, "url", None)
    return {"address": url} if isinstance(url, str) else {}

"""Jobs that distil one language model into another: what does not fit, and who runs them."""

from collections.abc import Iterator
from typing import Any

from distill_lab.jobs.kinds.judging import VERIFIERS
from distill_lab.jobs.kinds.language_model import ALONE, METHODS, SERVER, SETTINGS, TOKEN_WISE
from distill_lab.jobs.settings import Kind, Log, Values


def _misfits(values: Values) -> Iterator[tuple[str, str]]:
    method, teacher = values.get("method"), values.get("teacher")
    if method in METHODS and method not in ALONE and not teacher:
        yield "method", f"method {method} needs a teacher: name one."
    if isinstance(values.get("student"), dict) and not teacher:
        yield "student", "a new student takes the teacher's tokenizer: name one."
    if method == "uld" and values.get("alpha", 1.0) == 1:
        yield (
            "alpha" if "alpha" in values else "method",
            "sorted probabilities do not say which token is meant: uld needs an alpha below 1 for "
            "the answers' own tokens, such as alpha: 0.6.",
        )
    if method in (*TOKEN_WISE, "uld") and values.get("alpha") == 0:
        yield (
            "alpha",
            f"at alpha = 0 {method} asks no teacher, and learns the answers alone: use sft.",
        )
    if method == "jsd" and (beta := values.get("beta")) is not None and not beta < 1:
        what = "beta 0 and 1 are token-kl and reverse-kl: use these."
        yield "beta", what if beta == 1 else f"beta of jsd is a share, up to 1; got {beta!r}."
    if isinstance(values.get("student"), dict) and (values.get("lora") or {}).get("merge") is False:
        yield "lora.merge", "adapters kept apart need a base model: give the student a folder."
    if isinstance(shape := values.get("student"), dict):
        yield from _misfits_of_shape(shape)
    if values.get("task") and values.get("exam"):
        yield "task", "task is an exam's data: name exam alone."
    for where, key in (("exam", "verify"), ("verify", "check")):
        if isinstance(judged := values.get(where), dict):
            for name in sorted({*judged} & {each for read in VERIFIERS.values() for each in read}):
                readers = [check for check, read in VERIFIERS.items() if name in read]
                if judged[name] is not None and judged.get(key) not in readers:
                    yield f"{where}.{name}", f"{name} is read by {key}: {', '.join(readers)} alone."
    if values.get("temperature") == 0 and values.get("samples", 1) > 1:
        yield "samples", "at temperature 0 all samples are the same: raise it, or ask for one."
    if method == "seq-kd":
        yield from _misfits_of_votes(values)
    if isinstance(teacher, dict) and "url" in teacher:
        yield from _misfits_of_server(values, teacher)
    if values.get("teacher_prompt"):
        yield from _misfits_of_view(values)
    if isinstance(teacher, dict) and isinstance(kept := teacher.get("keep"), dict):
        yield from _misfits_of_keep(method, kept)


def _misfits_of_votes(values: Values) -> Iterator[tuple[str, str]]:
    """A vote that no answer can win, since too few have one."""
    samples = values.get("samples") or 1
    for one in values.get("filters") or ():
        votes = one["self_consistent"].get("votes", 2) if "self_consistent" in one else 0
        if isinstance(votes, int) and isinstance(samples, int) and votes > samples:
            yield (
                "filters",
                f"self_consistent keeps what {votes} samples of a prompt agree on, and samples is "
                f"{samples}: nothing could be kept. Raise samples, or leave it out.",
            )


def _misfits_of_server(values: Values, teacher: Values) -> Iterator[tuple[str, str]]:
    from distill_lab.teachers.text import OpenAIGenerator

    if (method := values.get("method")) in METHODS and method != "seq-kd":
        yield "teacher.url", f"method {method} asks a teacher that is here: seq-kd asks a server."
    if isinstance(values.get("student"), dict):
        yield "student", "a server hands out no tokenizer: name a student that is there."
    if teacher.get("budget") and not teacher.get("price"):
        yield "teacher.budget", "budget needs price: what a million tokens cost."
    if values.get("plain"):
        yield "plain", "a server writes prompts by its own template: plain is for a teacher here."
    if isinstance(teacher["url"], str) and isinstance(teacher.get("model"), str):
        for name, extra in (("url", {}), ("extra", teacher.get("extra") or {})):
            try:
                OpenAIGenerator(teacher["url"], teacher["model"], extra=extra)
            except ValueError as error:
                yield f"teacher.{name}", str(error)
                return


def _misfits_of_view(values: Values) -> Iterator[tuple[str, str]]:
    from distill_lab.data.teacher_prompt import TeacherPrompt

    if values.get("learn") == "all":
        yield "learn", "a teacher's own prompt is that of the last answer: learn: last."
    texts = values["teacher_prompt"]
    try:
        TeacherPrompt(**texts if isinstance(texts, dict) else {"user": texts})
    except TypeError:  # for a part that is none, or no text, which has its own line already
        return
    except ValueError as error:
        yield "teacher_prompt", str(error)


def _misfits_of_shape(shape: Values) -> Iterator[tuple[str, str]]:
    """Sizes of a Llama that each are one, and do not go together."""
    names = ("hidden_size", "num_attention_heads")
    hidden, heads = (shape.get(name) for name in names)
    if not (isinstance(hidden, int) and isinstance(heads, int)):
        return  # missing, or no numbers: said already
    if hidden % heads == 0 and hidden // heads % 2:
        yield (
            "student.hidden_size",
            f"a head would be {hidden // heads} wide, and positions turn pairs of numbers: choose "
            "a hidden_size that is an even multiple of num_attention_heads.",
        )
    shared = shape.get("num_key_value_heads")
    if isinstance(shared, int) and heads % shared:
        yield (
            "student.num_key_value_heads",
            f"{heads} heads cannot share {shared} heads of keys and values: choose a divisor.",
        )


def _misfits_of_keep(method: Any, kept: Values) -> Iterator[tuple[str, str]]:
    if method in METHODS and method not in TOKEN_WISE:
        readers = ", ".join(TOKEN_WISE)
        yield "teacher.keep", f"method {method} has no use for kept answers; {readers} have."
    elif len([name for name, value in kept.items() if value is not None]) != 1:
        yield "teacher.keep", "name one of top_k and sampled, as in {top_k: 64}."


def _make(values: Values) -> Any:
    from distill_lab.jobs.job import Job

    if isinstance(teacher := values["teacher"], dict):
        values = values | {"teacher": teacher["model"], "teacher_keep": teacher.get("keep")}
        if "url" in teacher:
            defaults = {each.name: each.default for each in SERVER}
            values["teacher_server"] = defaults | teacher
    return Job.of(**values)


def _check(job: Any, log: Log) -> None:
    from distill_lab.jobs.checking import check

    check(job, log)


def _run(job: Any, **options: Any) -> Any:
    from distill_lab.jobs.running import run_job

    return run_job(job, **options)


LANGUAGE_MODEL = Kind(
    "language-model",
    "distil one language model into another",
    METHODS,
    SETTINGS,
    misfits=_misfits,
    make=_make,
    check=_check,
    run=_run,
)

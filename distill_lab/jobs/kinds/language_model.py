"""Jobs that distil one language model into another."""

from collections.abc import Iterator
from typing import Any

from distill_lab.jobs.kinds.judging import JUDGED, TAKEN, VERIFIERS
from distill_lab.jobs.run_options import HELD_OUT, RUN_OPTIONS
from distill_lab.jobs.settings import DATA, Kind, Log, Setting, Values, training
from distill_lab.jobs.values import (
    choice,
    flag,
    integer,
    mapping,
    names,
    number,
    optional,
    prices,
    share,
    text,
    texts,
)

METHODS = {
    "sft": "learn the answers of the training data",
    "seq-kd": "let the teacher answer the training prompts, and learn its answers",
    "token-kl": "forward KL to the teacher at each answer token",
    "reverse-kl": "reverse KL to the teacher at each answer token",
    "jsd": "generalised JSD to the teacher at each answer token",
    "on-policy": "the student answers the prompts, reverse KL to the teacher on its answers",
    "uld": "sorted probabilities of a teacher with another tokenizer, at each answer token",
    "dpo": "raise the chosen of two answers over the rejected one",
}
PAIRED = ("dpo",)  # learn from two answers to a prompt
ALONE = ("sft", *PAIRED)  # ask no teacher
TOKEN_WISE = ("token-kl", "reverse-kl", "jsd")
TAKE_T = (*TOKEN_WISE, "on-policy", "uld")

KEEP = (
    Setting("top_k", "likeliest tokens at each place, all others as one", integer, None),
    Setting("sampled", "bytes a place for weighted draws; read by token-kl", integer, None),
)
TEACHER = (
    Setting("model", "a folder or a name on the hub", text, path="model"),
    Setting(
        "keep",
        "its distributions are kept on disk, and it is not there while the student learns",
        mapping,
        None,
        methods=TOKEN_WISE,
        parts=KEEP,
    ),
)
SERVER = (
    Setting("url", "the address of an OpenAI-compatible server, up to /v1", text),
    Setting("model", "the name under which the server knows it", text),
    Setting("key_env", "the environment variable that holds the server's key", text, None),
    Setting("concurrency", "requests under way at once", integer, 16),
    Setting("requests_per_minute", "that may be sent", optional(number), None),
    Setting("tokens_per_minute", "of prompts and answers together", optional(number), None),
    Setting("timeout", "seconds without a byte", number, 120.0),
    Setting("price", "of a million tokens of prompts and of answers, as [0.5, 1.5]", prices, None),
    Setting("budget", "what all answers may cost; needs price", optional(number), None),
)
SHAPE = (
    Setting("hidden_size", "width of a token's vector", integer),
    Setting("num_hidden_layers", "layers", integer),
    Setting("num_attention_heads", "heads a layer", integer),
    Setting("intermediate_size", "width inside a layer's network", integer),
    Setting("num_key_value_heads", "heads of keys and values; else all", integer, None),
)
LORA = (
    Setting("r", "rank of the adapters", integer, 8),
    Setting("alpha", "their scale is alpha / r", number, 16),
    Setting("dropout", "in front of the adapters", share, 0.0),
    Setting(
        "target_modules", "names of the layers that get one; else all linear ones", texts, None
    ),
    Setting("merge", "add them to the weights at the end; else they are kept alone", flag, True),
)
EXAM = (
    Setting("data", "the questions: files in any form that train may have", texts, path="file"),
    Setting(
        "verify",
        f"how answers are judged: {', '.join(VERIFIERS)}; else as the check of each row says",
        choice(*VERIFIERS),
        None,
    ),
    Setting("columns", "our names for columns, as in {prompt: question}", names, None),
    Setting("encoding", "of data that are not UTF-8", text, None),
    Setting("most", "questions that are asked, at most", integer, None),
    *TAKEN,
)
SETTINGS = (
    Setting(
        "student",
        "a folder, a name on the hub, or the shape of a new Llama with the teacher's tokenizer",
        text,
        path="model",
        parts=SHAPE,
    ),
    *DATA[:1],
    Setting("method", "how to learn", choice(*METHODS)),
    Setting("out", "the folder that everything is written into", text, path="out"),
    Setting(
        "teacher",
        "a folder, a name on the hub, {model: ..., keep: {top_k: 64}}, or {url: ..., model: ...}",
        text,
        None,
        path="model",
        parts=TEACHER,
        forms={"url": SERVER},
    ),
    DATA[1],
    HELD_OUT,
    *DATA[2:],
    Setting(
        "exam",
        "questions for the models before and after: a file, or {data: ..., verify: ...}",
        texts,
        None,
        path="file",
        parts=EXAM,
    ),
    Setting(
        "task",
        "an exam file whose rows name their checks: exam with data alone",
        text,
        None,
        path="file",
    ),
    Setting("T", "temperature of the distributions", number, 1.0, methods=TAKE_T),
    Setting(
        "alpha",
        "the teacher's share of the loss; uld needs one below 1",
        share,
        1.0,
        methods=(*TOKEN_WISE, "uld"),
    ),
    Setting(
        "beta",
        "the teacher's share of the JSD's mixture (0.5); how strongly dpo holds the student to "
        "its start (0.1)",
        number,
        None,
        methods=("jsd", "dpo"),
    ),
    Setting(
        "temperature",
        "what logits are divided by when an answer is sampled",
        number,
        1.0,
        methods=("seq-kd", "on-policy"),
    ),
    *JUDGED,
    Setting(
        "learn",
        "the assistant's last turn of a conversation, or all",
        choice("last", "all"),
        "last",
        methods=tuple(name for name in METHODS if name not in PAIRED),
    ),
    Setting(
        "reasoning",
        "learn the thoughts before an answer, or drop them",
        choice("learn", "drop"),
        "learn",
    ),
    Setting("template", "options of the chat template", optional(mapping), None),
    Setting("max_length", "length of a training text in tokens, at most", integer, 512),
    Setting(
        "max_new_tokens",
        "length of a sampled answer in tokens, at most",
        integer,
        128,
        methods=("seq-kd", "on-policy"),
        read_with=("exam", "task"),
    ),
    Setting(
        "gradient_checkpointing",
        "compute layers again in the backward pass, which saves memory and costs time",
        flag,
        False,
    ),
    Setting("lora", "low-rank adapters, which alone learn", optional(mapping), None, parts=LORA),
    *training(),
    *RUN_OPTIONS,
)


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
    if isinstance(teacher, dict) and "url" in teacher:
        yield from _misfits_of_server(values, teacher)
    if isinstance(teacher, dict) and isinstance(kept := teacher.get("keep"), dict):
        yield from _misfits_of_keep(method, kept)


def _misfits_of_server(values: Values, teacher: Values) -> Iterator[tuple[str, str]]:
    from distill_lab.teachers.text import OpenAIGenerator

    if (method := values.get("method")) in METHODS and method != "seq-kd":
        yield "teacher.url", f"method {method} asks a teacher that is here: seq-kd asks a server."
    if isinstance(values.get("student"), dict):
        yield "student", "a server hands out no tokenizer: name a student that is there."
    if teacher.get("budget") and not teacher.get("price"):
        yield "teacher.budget", "budget needs price: what a million tokens cost."
    if isinstance(teacher["url"], str) and isinstance(teacher.get("model"), str):
        try:
            OpenAIGenerator(teacher["url"], teacher["model"])
        except ValueError as error:
            yield "teacher.url", str(error)


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
    elif "sampled" in kept and method != "token-kl":
        yield (
            "teacher.keep",
            f"method {method} needs more than draws: keep top_k, as {{top_k: 64}}.",
        )


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

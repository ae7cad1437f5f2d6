"""What a job that distils one language model into another may say."""

from distill_lab.jobs.kinds.asking import ASKING, SAMPLED
from distill_lab.jobs.kinds.judging import JUDGED, TAKEN, VERIFIERS
from distill_lab.jobs.run_options import HELD_OUT, RUN_OPTIONS
from distill_lab.jobs.settings import DATA, Setting, in_words, training
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
BUNDLED = ("sft", "seq-kd", *TOKEN_WISE, "on-policy")  # what learns from single texts
TAKE_T = (*TOKEN_WISE, "on-policy", "uld")

KEEP = (
    Setting("top_k", "likeliest tokens at each place, all others as one", integer, None),
    Setting("sampled", "bytes a place for weighted draws and certain tokens", integer, None),
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
    Setting("tries", "how often a request is sent, at most", integer, 8),
    Setting("stream", "answers come piece by piece, and timeout is for each", flag, False),
    Setting(
        "extra",
        "what only this server knows, sent as it is; null leaves out",
        optional(mapping),
        None,
    ),
    Setting("price", "of a million tokens of prompts and of answers, as [0.5, 1.5]", prices, None),
    Setting("budget", "what all answers may cost; needs price", optional(number), None),
)
VIEW = (
    Setting("user", "the text in place of the last user's message", text, None),
    Setting("system", "the text in place of the system message", text, None),
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
    Setting("method", in_words(METHODS), choice(*METHODS)),
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
        "teacher_prompt",
        "what the teacher alone reads, with columns in braces: '{prompt} Hint: {hint}', or "
        "{system: ...}",
        text,
        None,
        methods=("seq-kd", *TOKEN_WISE, "on-policy"),
        parts=VIEW,
    ),
    SAMPLED,
    *ASKING,
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
        "bundle",
        "batches of texts of like length, so that little of them is padding",
        flag,
        False,
        methods=BUNDLED,
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

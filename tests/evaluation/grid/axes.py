"""What there is to combine, and which values do not go together because they would mean nothing."""

from tests.training.grid.covering import Case, Rule

SEEDS = 3

VECTORS = ("classes", "labels", "yes", "numbers", "number", "order", "embeddings")
TEXTS = ("tags", "language", "number tokens", "topics")
ONE = ("classes", "topics")  # one class an example; topics are those of texts
WHOLE = (*ONE, "tags", "language", "maps", "embeddings")  # classes as whole numbers
NUMBERS = ("numbers", "number", "number tokens")
ROOMS = (*ONE, "labels", "yes", "tags", "maps")  # what has a headroom
TASKS = {
    "classes": "classification",
    "topics": "classification",
    "labels": "multilabel",
    "yes": "multilabel",
    "tags": "tagging",
    "language": "language",
    "maps": "segmentation",
    "numbers": "regression",
    "number": "regression",
    "number tokens": "regression",
    "lists": "ranking",
    "order": "ranking",
    "embeddings": "embedding",
}
MANY = ("seeds", "recorded seeds", "runs")  # contenders with a network a seed
RECORDED = ("recorded", "recorded numpy", "recorded half", "recorded seeds")
OF_ROWS = ("module", "compiled", "function", "frozen", "double", "int8")
TOKENISED = ("labelled", "texts")
DICTS = ("dict", "lists", "hf", "collate", "ragged", "encoding")

AXES = {
    "answer": tuple(TASKS),
    "named": (True, False),
    "form": (
        *("columns", "dict", "encoding", "numpy", "lists", "hf", "collate", "source", "rows"),
        *("ragged", "stacked", "stacked numpy", "labelled", "texts"),
    ),
    "model": (
        *("module", "frozen", "function", "of a batch", "compiled", "int8", "exported", "onnx"),
        *("recorded", "recorded numpy", "recorded half", "seeds", "recorded seeds", "runs"),
        *("in place", "one buffer"),
    ),
    "labels": ("all", "some", "ignored", "absent", "single", "narrow", "behind padding", None),
    "output": (
        *("tensor", "logits", "read", "one more axis", "bf16", "fp16", "ties", "probabilities"),
        *("bf16 probabilities", "nan"),
    ),
    "examples": (1, 2, 3, 7, 70),
    "teacher": (None, "named", "own", "seeds"),
    "baseline": (None, "other", "student"),
    "weights": (None, "floats"),
    "class_names": (None, "list", "by number", "string", "one too few"),
    "measures": (None, "function", "by model"),
    "splits": (None, (50, 20)),
    "columns": ("quality", "costs", "timed"),
}

# Which values mean nothing together: nobody would write them, or there is no way to.
RULES: list[Rule] = [
    (("answer", "form"), lambda a, f: f not in ("ragged", "encoding") or a in TEXTS),
    (
        ("answer", "form"),
        lambda a, f: a not in TEXTS or f in (*DICTS, *TOKENISED, "source", "rows"),
    ),
    (("answer", "form"), lambda a, f: f != "labelled" or a in ("topics", "tags")),
    (("answer", "form"), lambda a, f: f != "texts" or a == "language"),
    (("form", "labels"), lambda f, y: f != "texts" or y == "some"),  # prompts are not learned
    (("form", "labels"), lambda f, y: f != "labelled" or y in ("all", "some", "absent", "single")),
    (("form", "weights"), lambda f, w: f != "texts" or w is None),
    (("form", "model"), lambda f, m: f not in TOKENISED or m not in RECORDED),
    (("answer", "form"), lambda a, f: not f.startswith("stacked") or a == "classes"),
    (("form", "model"), lambda f, m: not f.startswith("stacked") or m in ("module", "seeds")),
    (("form", "weights"), lambda f, w: not f.startswith("stacked") or w is None),
    (
        ("form", "named", "model", "teacher"),  # else they are positions of texts
        lambda f, n, m, t: n or not f.startswith("stacked") or "seeds" in (m, t),
    ),
    (("model", "weights"), lambda m, w: m != "runs" or w is None),
    (("form", "teacher"), lambda f, t: not f.startswith("stacked") or t != "own"),
    (("form", "labels"), lambda f, y: not f.startswith("stacked") or y is not None),
    (("answer", "model"), lambda a, m: m not in ("exported", "onnx") or a in VECTORS),
    (("answer", "model"), lambda a, m: m != "runs" or a == "classes"),
    (("model", "labels"), lambda m, y: m != "runs" or y not in ("ignored", None)),
    (("form", "model"), lambda f, m: m not in ("exported", "onnx", "runs") or f == "columns"),
    (("form", "model"), lambda f, m: m != "in place" or f in ("columns", "numpy", "rows")),
    (("answer", "model"), lambda a, m: m != "in place" or a in (*VECTORS, "maps", "lists")),
    (("form", "model"), lambda f, m: f != "ragged" or m not in RECORDED),
    (("model", "output"), lambda m, o: o == "tensor" or m not in ("exported", "onnx", "runs")),
    (("model", "output"), lambda m, o: m not in RECORDED or o not in ("logits", "read")),
    (("model", "output"), lambda m, o: m != "one buffer" or o == "tensor"),
    (("model", "output"), lambda m, o: m != "recorded half" or o in ("tensor", "nan")),
    (("model", "examples"), lambda m, n: m != "int8" or n != 70),  # its scale is that of a batch
    (("model", "examples"), lambda m, n: m != "recorded seeds" or n != SEEDS),  # either way round
    (("answer", "output"), lambda a, o: o != "one more axis" or a in ("yes", "number", "order")),
    (
        ("answer", "output"),
        lambda a, o: "probabilities" not in o or a in (*ONE, "labels", "tags", "language"),
    ),
    (("output", "examples"), lambda o, n: "probabilities" not in o or n > 2),
    (("answer", "labels"), lambda a, y: y != "ignored" or a != "order"),
    (("answer", "labels"), lambda a, y: y != "some" or a != "order"),
    (("answer", "labels"), lambda a, y: y != "absent" or a in (*ONE, "tags", "labels")),
    (("answer", "labels"), lambda a, y: y != "narrow" or a not in (*NUMBERS, "order")),
    (("answer", "labels"), lambda a, y: y != "single" or a != "language"),
    (("answer", "labels"), lambda a, y: y != "behind padding" or a in ("tags", "number tokens")),
    (("form", "labels"), lambda f, y: y != "behind padding" or f != "ragged"),
    (("form", "labels"), lambda f, y: y is not None or f in ("columns", "numpy", "dict")),
    (("answer", "labels"), lambda a, y: y is not None or a not in ("language", *TEXTS)),
    (("answer", "named"), lambda a, n: n or a in (*ONE, "tags", "language", "maps")),
    (("answer", "class_names"), lambda a, c: c is None or a in (*ONE, "tags")),
    (("output", "labels"), lambda o, y: o != "nan" or y in ("all", "absent", "single", "narrow")),
    (
        ("labels", "examples", "form"),
        lambda y, n, f: n > 2 or y not in ("some", "ignored", "absent") or f == "texts",
    ),
    (("answer", "splits"), lambda a, s: s is None or a in ("classes", "numbers", "lists")),
    (("model", "teacher", "splits"), lambda m, t, s: s is None or m in MANY or t == "seeds"),
    (("model", "columns"), lambda m, c: c != "timed" or m not in ("in place", "one buffer")),
]

# What is refused: the values, and what the sentence has to name.
REFUSALS: list[tuple[tuple[str, ...], object, str]] = [
    (("output",), lambda o: "probabilities" in o, r"'student'.*probabilities, where logits are"),
    (("output",), lambda o: o == "nan", r"'student'.*nan|'student'.*hold NaN"),
    (("class_names",), lambda c: c == "string", r"class_names must be a list of names"),
    (("class_names",), lambda c: c == "one too few", r"class_names must name the \d classes"),
    (
        ("labels", "answer"),
        lambda y, a: y is None and a != "embeddings",
        r"without labels cannot be guessed|the data have no labels",
    ),
]
ALLOWED: list[Rule] = [
    *RULES,
    *((names, lambda *values, no=no: not no(*values)) for names, no, _ in REFUSALS),
]


def refusal_of(case: Case) -> list[str]:
    """What the sentences name that may refuse a case; none where it is to be measured."""
    return [words for names, no, words in REFUSALS if no(*(case[name] for name in names))]

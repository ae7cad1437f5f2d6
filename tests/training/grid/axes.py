"""What there is to combine, and which values do not go together because they would mean nothing."""

from tests.training.grid.covering import Case, Rule

EXAMPLES, EPOCHS, STEPS = 22, 2, 5

SOFTMAX = ("classes", "tokens", "bare tokens", "maps")
SIGMOIDS = ("labels", "yes", "yes tokens", "label tokens", "label maps")
NUMBERS = ("numbers", "number", "number tokens", "numbers tokens")
TEXTS = ("tokens", "yes tokens", "label tokens", "number tokens", "numbers tokens")
TEXTS += ("language", "text embeddings")
BARE = ("bare tokens", "bare language")  # texts without a mask of attention
LANGUAGE = ("language", "bare language")
EMBEDDINGS = ("embeddings", "text embeddings")
ONE_EACH = ("yes", "yes tokens", "number", "number tokens")  # no axis for a single number
MAPS = ("maps", "label maps")
BY_EXAMPLE = ("classes", "labels", "yes", "numbers", "number", "gaussian", "embeddings")
FEATURES = (*SOFTMAX, *SIGMOIDS, *NUMBERS, "gaussian", *EMBEDDINGS, *LANGUAGE)
BESIDE = {"attention": MAPS, "crd": BY_EXAMPLE, "cosine": (*BY_EXAMPLE, *TEXTS, *BARE)}
MAPPED = ("hint", "cosine", "both")  # the student's features go through a map that learns
CLASSED = ("supervised", "smoothed", "soft", "standardized", "matching", "decision", "dkd", "dist")
LIVE = ("frozen", "module")
ALONE = ("supervised", "smoothed", "next token")  # who asks no teacher
ROUGH = ("arrays", "probabilities", "table", "cached", "top_k")  # in float32 on their way

AXES = {
    "answer": (*SOFTMAX, *SIGMOIDS, *NUMBERS, "gaussian", *EMBEDDINGS, *LANGUAGE, "lists"),
    "method": (
        *("supervised", "smoothed", "soft", "only soft", "standardized", "matching", "decision"),
        *("dkd", "dist", "cosine", "mse", "similarities", "margin", "listwise"),
        *("next token", "forward", "reverse", "jsd", "variation"),
    ),
    "several": (None, "peers", "exits"),
    "beside": (None, "hint", "cosine", "relation", "attention", "both", "crd"),
    "feature_mask": ("auto", None),
    "labels": ("all", "some", "none in a batch", "soft", None),
    "unknown": ("usual", 255, "whole numbers"),
    "mask": ("auto", "labels", "attention_mask", None),
    "weights": (None, "floats", "some 0"),
    "class_weights": (None, "floats", "one 0"),
    "order": ("shuffled", "as they are", "balanced", "own", "by length"),
    "teacher": (
        *(None, "frozen", "module", "function", "arrays", "probabilities", "table", "recorded"),
        *("cached", "top_k", "mean of probabilities", "mean of logits", "routed", "ema"),
    ),
    "form": (
        *("columns", "dict", "numpy", "rows", "collate", "hf", "source", "ragged"),
        *("other names", "lists", "stream"),
    ),
    "returns": ("tensor", "logits", "read"),
    "batch": (6, 30),  # that is more than there are
    "accumulate": (1, 2, 3),
    "drop_last": (False, True),
    "length": ("epochs", "steps"),
    "clip": (None, 0.05),
    "optimizer": ("adamw", "sgd", "groups"),
    "schedule": ("constant", "cosine", "linear", "milestones", "function"),
    "warmup": (0, 2),
    "early": (None, "best", "patience"),
    "inside": (None, "batch norm", "dropout", "frozen body"),
    "before": (None, "used"),  # whether the method has been used already, on batches that were cut
    "end": ("through", "resumed", "extended", "seeds"),
}

METHODS_OF = {
    **dict.fromkeys(SOFTMAX, (*CLASSED, "only soft")),
    **dict.fromkeys((*SIGMOIDS, *NUMBERS, "gaussian"), ("supervised", "soft", "only soft")),
    **dict.fromkeys(EMBEDDINGS, ("cosine", "mse", "similarities")),
    **dict.fromkeys(LANGUAGE, ("next token", "forward", "reverse", "jsd", "variation")),
    "lists": ("margin", "listwise"),
}
BY_LABEL = (*CLASSED, *METHODS_OF["language"])  # what has no meaning without labels
TO_FEW = ("soft", "only soft", "decision", "forward", "reverse", "jsd")  # of a top k
TEACHERS_OF = {
    "probabilities": ("classes", "tokens", *BARE, *SIGMOIDS, "language"),
    "table": ("classes", "tokens", *BARE, "language"),
    "top_k": ("classes", "tokens", *BARE, "language"),
    "mean of probabilities": (*SOFTMAX, *LANGUAGE),
}


def compares(method: str, beside: str | None) -> bool:
    """Whether a term is between the examples of a piece."""
    return method in ("dist", "similarities") or beside in ("relation", "both")


def examples_of(order: str) -> int:
    """How many an epoch has."""
    return 17 if order == "own" else EXAMPLES


def smallest_piece(order: str, batch: int, accumulate: int, drop_last: bool) -> int:
    """Of all pieces of a run the smallest."""
    last = 0 if drop_last else examples_of(order) % batch
    return (last or batch) // accumulate


# Which values mean nothing together: nobody would write them, or there is no way to.
RULES: list[Rule] = [
    (("answer", "method"), lambda a, m: m in METHODS_OF[a]),
    (
        ("method", "beside", "several", "teacher"),
        lambda m, b, s, t: (t is None) == (bool(s) or (m in ALONE and b is None)),
    ),
    (("answer", "optimizer"), lambda a, o: a != "gaussian" or o != "sgd"),  # variances run away
    (
        ("beside", "answer", "feature_mask"),
        lambda b, a, m: m == "auto" or (b in ("hint", "cosine", "relation", "both") and a in TEXTS),
    ),
    (("several", "beside"), lambda s, b: not s or not b),
    (("several", "answer"), lambda s, a: not s or a in (*SOFTMAX, *SIGMOIDS, *NUMBERS)),
    (("several", "labels"), lambda s, y: s != "exits" or y is not None),
    (("several", "returns"), lambda s, r: not s or r == "tensor"),
    (("several", "optimizer"), lambda s, o: not s or o != "groups"),
    (("several", "end"), lambda s, e: not s or e != "seeds"),
    (("several", "method"), lambda s, m: s != "exits" or m != "smoothed"),
    (("beside", "teacher"), lambda b, t: b is None or t in LIVE),
    (("answer", "beside"), lambda a, b: b is None or a in BESIDE.get(b, FEATURES)),
    (("answer", "labels"), lambda a, y: a not in (*EMBEDDINGS, "lists") or y is None),
    (("answer", "labels"), lambda a, y: y != "soft" or a in SOFTMAX),
    (("method", "labels"), lambda m, y: y is not None or m not in BY_LABEL),
    (("answer", "unknown"), lambda a, u: u == "usual" or a in (*SOFTMAX, *SIGMOIDS)),
    (("answer", "unknown"), lambda a, u: u != "whole numbers" or a in SIGMOIDS),
    (("labels", "unknown"), lambda y, u: u == "usual" or y in ("some", "none in a batch")),
    (("answer", "mask"), lambda a, m: m == "auto" or a not in (*EMBEDDINGS, "lists", *LANGUAGE)),
    (("answer", "class_weights"), lambda a, w: w is None or a in (*SOFTMAX, *SIGMOIDS)),
    (("method", "class_weights"), lambda m, w: w is None or m != "only soft"),
    (("form", "order"), lambda f, o: o != "by length" or f == "ragged"),
    (("answer", "form"), lambda a, f: f != "ragged" or a in TEXTS),
    (("answer", "teacher"), lambda a, t: a in TEACHERS_OF.get(t, AXES["answer"])),
    (("answer", "teacher"), lambda a, t: a != "text embeddings" or t in (*LIVE, "function", "ema")),
    (("form", "teacher"), lambda f, t: f != "ragged" or t not in ("recorded", "table")),
    (("teacher", "method"), lambda t, m: t != "top_k" or m in TO_FEW),
    (("teacher", "returns"), lambda t, r: t != "ema" or r != "read"),
    (("batch", "labels"), lambda b, y: b == 6 or y != "none in a batch"),
    (("batch", "warmup", "length"), lambda b, w, n: b == 6 or not w or n == "steps"),
    (("batch", "warmup", "end"), lambda b, w, e: b == 6 or not w or e != "extended"),
    (("before", "beside"), lambda u, b: not u or b not in (*MAPPED, "crd")),  # these learn
    (("before", "mask", "teacher"), lambda u, m, t: not u or m or t not in ("cached", "top_k")),
    (("before", "method"), lambda u, m: not u or m != "dist"),  # a piece may keep one example
    (("end", "beside"), lambda e, b: e != "seeds" or b != "crd"),  # no memory is shared
    (("several", "inside"), lambda s, i: not s or i != "frozen body"),
    (("answer", "inside"), lambda a, i: a != "lists" or i != "batch norm"),
    (("end", "inside"), lambda e, i: e in ("resumed", "extended") or i != "dropout"),
    (("end", "schedule"), lambda e, s: e != "extended" or s not in ("linear", "cosine")),
    (("end", "early"), lambda e, s: e != "extended" or s is None),  # the last step is measured
    (  # the shorter run would be over with its warm-up
        ("end", "warmup", "order", "drop_last"),
        lambda e, w, o, d: e != "extended" or not w or o != "own" or not d,
    ),
    (("end", "form"), lambda e, f: e != "seeds" or f == "columns"),
    (("end", "answer"), lambda e, a: e != "seeds" or a in ("classes", "yes", "number", *BARE)),
    (("end", "labels"), lambda e, y: e != "seeds" or y in ("all", "some", "none in a batch")),
    (("end", "weights"), lambda e, w: e != "seeds" or w is None),
    (("end", "accumulate"), lambda e, n: e != "seeds" or n == 1),
    (("end", "optimizer"), lambda e, o: e != "seeds" or o == "adamw"),
    (("end", "early"), lambda e, s: e != "seeds" or s is None),
    (("end", "returns"), lambda e, r: e != "seeds" or r != "read"),
    (("end", "teacher"), lambda e, t: e != "seeds" or t != "ema"),
]

# The differences that are known: what is written beside each is what the documentation says of it.
KNOWN: list[Rule] = [
    # a layer that no term reaches in a step has no gradient in `distill`, and one of 0 in a stack
    (("end", "labels", "beside"), lambda e, y, b: (e, y) != ("seeds", "none in a batch") or not b)
]
# What is refused: the values, and what the sentence has to name.
REFUSALS: list[tuple[tuple[str, ...], object, str]] = [
    (
        ("answer", "mask"),
        lambda a, m: m == "labels" and a in (*NUMBERS, "gaussian"),
        r"mask must be one of",
    ),
    (
        ("answer", "mask"),
        lambda a, m: m == "attention_mask" and a not in TEXTS,
        r"mask='attention_mask' says which of the positions",
    ),
    (
        ("answer", "labels", "mask"),
        lambda a, y, m: a in SOFTMAX and m == "labels" and y in ("soft", None),
        r"mask='labels' says which of the positions",
    ),
    (
        ("labels", "class_weights"),
        lambda y, w: y == "soft" and w is not None,
        r"class_weights weigh labels of one class each",
    ),
    (
        ("answer", "returns"),
        lambda a, r: a in EMBEDDINGS and r == "logits",
        r"an embedding has shape \(B, D\)",
    ),
    (
        ("answer", "form", "teacher"),
        lambda a, f, t: a in ONE_EACH and f == "ragged" and t == "cached",
        r"Give texts of different lengths as",
    ),
    (("labels", "method"), lambda y, m: y == "soft" and m == "dkd", r"labels must be class ind"),
    (
        ("method", "beside", "answer", "order", "batch", "accumulate", "drop_last"),
        lambda m, b, a, *piece: (
            compares(m, b)
            and smallest_piece(*piece) < 2
            and not (m == "dist" and a != "classes" and b is None)  # one text has many positions
        ),
        r"compares examples with each other",
    ),
    (
        ("inside", "order", "batch", "accumulate", "drop_last", "answer"),
        lambda i, *piece: (
            i == "batch norm" and piece[-1] in BY_EXAMPLE and smallest_piece(*piece[:-1]) < 2
        ),
        r"batch statistics need more",
    ),
    (("batch", "drop_last"), lambda b, d: b > EXAMPLES and d, r"drop_last leaves out all"),
    (
        ("beside", "inside"),
        lambda b, i: b is not None and i == "frozen body",
        r"gives features without a gradient",
    ),
]
ALLOWED: list[Rule] = [
    *RULES,
    *KNOWN,
    *((names, lambda *values, no=no: not no(*values)) for names, no, _ in REFUSALS),
]


def refusal_of(case: Case) -> list[str]:
    """What the sentences name that may refuse a case; none where it is to run."""
    return [words for names, no, words in REFUSALS if no(*(case[name] for name in names))]

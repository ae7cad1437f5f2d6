"""Jobs that put texts in classes."""

from distill_lab.jobs.kinds.model_settings import (
    ANSWERS,
    LABELS,
    MATCH,
    MAX_LENGTH,
    SEPARATOR,
    balance,
)
from distill_lab.jobs.kinds.shared import make_kind

TEXT_CLASSIFICATION = make_kind(
    "text-classification",
    "distil a classifier of texts, of one class each or several labels",
    ANSWERS
    | {
        "binary-kd": "the teacher's sigmoids at T: several labels a text",
        "regression": "a number a text, the teacher's beside the labels'",
    },
    ("text", "label"),
    (LABELS, SEPARATOR, MAX_LENGTH, balance("sampler", "weights"), MATCH),
)

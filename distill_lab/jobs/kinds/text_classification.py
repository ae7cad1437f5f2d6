"""Jobs that put texts in classes."""

from distill_lab.jobs.kinds.shared import ANSWERS, LABELS, MAX_LENGTH, make_kind

TEXT_CLASSIFICATION = make_kind(
    "text-classification",
    "distil a classifier of texts, of one class each",
    ANSWERS,
    ("text", "label"),
    (LABELS, MAX_LENGTH),
)

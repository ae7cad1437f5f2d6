"""Jobs that give each word of a text a class."""

from distill_lab.jobs.kinds.model_settings import ANSWERS, LABELS, MATCH, MAX_LENGTH, balance
from distill_lab.jobs.kinds.shared import make_kind

TOKEN_CLASSIFICATION = make_kind(
    "token-classification",
    "distil a tagger, a class for each word",
    {name: ANSWERS[name] for name in ("supervised", "kd", "logit-matching")},
    ("tokens", "tags"),
    (LABELS, MAX_LENGTH, balance("weights"), MATCH),
)

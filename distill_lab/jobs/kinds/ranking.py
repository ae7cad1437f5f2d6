"""Jobs that make a smaller ranker."""

from distill_lab.jobs.kinds.model_settings import ANSWERS, MATCH, MAX_LENGTH
from distill_lab.jobs.kinds.shared import make_kind
from distill_lab.jobs.settings import Setting
from distill_lab.jobs.values import choice

RANKING = make_kind(
    "ranking",
    "distil a ranker: a cross-encoder teaches one, or an encoder of query and texts apart",
    {
        "supervised": ANSWERS["supervised"],
        "margin-mse": "by how much the teacher puts the right candidate above each other",
        "listwise": "the teacher's softmax over the candidates, at T",
    },
    ("query", "positive", "negative"),
    (
        MAX_LENGTH,
        Setting(
            "reads",
            "how the student reads query and candidate: together, or apart, as two vectors",
            choice("together", "apart"),
            "together",
        ),
        MATCH,
    ),
)

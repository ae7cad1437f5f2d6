"""Jobs that make a smaller embedder of texts."""

from distill_lab.jobs.kinds.model_settings import LABELS, MATCH, MAX_LENGTH
from distill_lab.jobs.kinds.shared import make_kind

EMBEDDING = make_kind(
    "embedding",
    "distil an embedder of texts: the mean of the tokens' last states, or what the teacher reads",
    {
        "cosine": "the direction of the teacher's embedding of each text",
        "mse": "the teacher's embedding itself",
        "similarities": "how alike the teacher finds every two texts",
    },
    ("text", "label"),
    (LABELS, MAX_LENGTH, MATCH),
)

"""The kinds of job, each with its settings, its checks and what runs it."""

from distill_lab.jobs.kinds.embedding import EMBEDDING
from distill_lab.jobs.kinds.image_classification import IMAGE_CLASSIFICATION
from distill_lab.jobs.kinds.language_kind import LANGUAGE_MODEL
from distill_lab.jobs.kinds.ranking import RANKING
from distill_lab.jobs.kinds.text_classification import TEXT_CLASSIFICATION
from distill_lab.jobs.kinds.token_classification import TOKEN_CLASSIFICATION
from distill_lab.jobs.settings import Kind

_ALL = (
    *(LANGUAGE_MODEL, TEXT_CLASSIFICATION, TOKEN_CLASSIFICATION, IMAGE_CLASSIFICATION),
    *(EMBEDDING, RANKING),
)
KINDS: dict[str, Kind] = {kind.name: kind for kind in _ALL}

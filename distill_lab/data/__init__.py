"""Data: batches that know their examples, tokenised texts, fingerprints, and the data sets."""

from distill_lab.data.batches import Batch, Source, as_data
from distill_lab.data.forms import Buffered
from distill_lab.data.generated import Generated
from distill_lab.data.labelled import Labelled
from distill_lab.data.preferences import Preferences
from distill_lab.data.samplers import ByLength, ClassBalanced, InOrder, Sampler, Weighted
from distill_lab.data.sources import DatasetSource
from distill_lab.data.teacher_prompt import TeacherPrompt
from distill_lab.data.tokenized import Texts
from distill_lab.data.two_tokenizers import TwoTokenizers

__all__ = [
    "Batch",
    "Buffered",
    "ByLength",
    "ClassBalanced",
    "DatasetSource",
    "Generated",
    "InOrder",
    "Labelled",
    "Preferences",
    "Sampler",
    "Source",
    "TeacherPrompt",
    "Texts",
    "TwoTokenizers",
    "Weighted",
    "as_data",
]

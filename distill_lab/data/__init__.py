"""Data: batches that know their examples, tokenised texts, fingerprints, and the data sets."""

from distill_lab.data.batches import Batch, DatasetSource, Source, as_data
from distill_lab.data.forms import Buffered
from distill_lab.data.generated import Generated
from distill_lab.data.tokenized import Texts

__all__ = ["Batch", "Buffered", "DatasetSource", "Generated", "Source", "Texts", "as_data"]

"""The forms in which people have their data, and how these become tensors.

`columns` says what examples consist of and makes tensors of all of them at once, which is all that
plain tensors need; `collation` does so with the rows of a batch. Both read other numbers by
`numbers`, and what is none is named by `refusals`.
"""

from distill_lab.data.forms.collation import Collate, by_function, in_batch
from distill_lab.data.forms.columns import Parts, checked_weights, in_columns, in_tensors, parts_of
from distill_lab.data.forms.numbers import as_tensor, known_to_torch
from distill_lab.data.forms.refusals import refusal_of
from distill_lab.data.forms.rows import Buffered, Rows

__all__ = [
    "Buffered",
    "Collate",
    "Parts",
    "Rows",
    "as_tensor",
    "by_function",
    "checked_weights",
    "in_batch",
    "in_columns",
    "in_tensors",
    "known_to_torch",
    "parts_of",
    "refusal_of",
]

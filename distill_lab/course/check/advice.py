"""What an exception in a learner's function usually means, and what to try."""

from __future__ import annotations

import linecache
import re
import traceback
from collections.abc import Callable
from typing import Any

__all__ = ["stopped"]

# An axis taken away by a call with an argument, in a line that also computes with its result.
_REDUCES = r"\.(sum|mean|norm|std|var|amax|amin|max|min|logsumexp)\((?!\))"
_FIRST = r"((dim|axis)=)?0\)"
_DOWN = rf"\.(sum|mean)\({_FIRST}"
_OPERATES = r"[\w)\]]\s*[-+*/]\s*[\w(]"
# One reduction of all that was computed: nothing computes with its result, so it is no culprit.
_AT_THE_END = rf"(return\s+|[\w, ]+=\s*)?\(((?!{_REDUCES}).)*\){_REDUCES}[^()]*\)(\.\w+\(\))*$"

# What the error's text contains, what the failing line contains, the advice. The first that fits
# is taken; the advice begins with the mistake's name.
_ADVICE: tuple[tuple[str, str, str], ...] = (
    (
        r"must match the size of tensor",
        rf"^(?=.*{_REDUCES}(?!{_FIRST}))(?=.*{_OPERATES})"
        rf"(?!.*keepdim)(?!.*\[.*None)(?!{_AT_THE_END})",
        "`keepdim=True` is missing. A sum, mean or norm over an axis removes that axis; "
        "`sum(-1, keepdim=True)` keeps it with length 1, so that rows stay beside rows.",
    ),
    (  # without its first axis a tensor still fits beside itself: no `keepdim` is missing
        r"must match the size of tensor",
        rf"^(?=.*{_DOWN})(?=.*{_OPERATES})(?!.*keepdim)(?!{_AT_THE_END})",
        "`sum(0)` or `mean(0)` runs down the rows. Classes are on the last axis: `sum(-1)` leaves "
        "one value for each row.",
    ),
    (
        r"must match the size of tensor|shape mismatch|output with shape",
        r"\bmask\b|\bkeep\b",
        "The mask has another shape than the values. Cut both in the same way, and give the mask "
        "an axis of length 1 for each axis it lacks: `mask[:, None, None, :]`.",
    ),
    (
        r"must match the size of tensor|shape mismatch|output with shape",
        "",
        "Two shapes do not fit each other. Compare them from the last axis to the first: each pair "
        "must be equal, or one of them 1. Print `.shape` of both sides.",
    ),
    (
        r"shape of the mask|boolean dimension",
        "",
        "The mask has another shape than the values. Cut both in the same way: logits[:, :-1] "
        "beside labels[:, 1:].",
    ),
    (
        r"cannot be multiplied|batch2|size mismatch|inconsistent tensor size",
        "",
        "A matrix has to be transposed. In `a @ b` the last axis of a must be as long as the "
        "one before last of b: try `.T`, or `.transpose(-1, -2)` with a batch in front.",
    ),
    (
        r"return_types\.(max|min|median|sort|topk)|NoneType' and 'torch|'torch\.return_types",
        "",
        "`max(dim)` gives two things: values and indices. Take `.values`, or call `amax`.",
    ),
    (
        r"does not require grad|can be implicitly created only for scalar",
        "",
        "Autograd is asked for, but not needed. Write the formula itself; nothing in the arguments "
        "records a gradient.",
    ),
    (
        r"expected scalar type|Expected floating point type|not implemented for 'Long'|"
        r"must be floating|Input dtype must be|to be the same dtype|expected m1 and m2|"
        r"only supported for floating|floating point dtype",
        "",
        "A tensor has the wrong dtype. Counts, labels and masks are whole numbers: turn them into "
        "floats with `.float()` before means and products.",
    ),
    (
        r"result type .* can't be cast",
        "",
        "A tensor has the wrong dtype. Whole numbers cannot hold a fraction in place: begin with "
        "a float tensor.",
    ),
    (
        r"view size is not compatible|is invalid for input of size|must have same number of elem"
        r"|unflatten",
        "",
        "The numbers do not fill that shape. The lengths of the axes must multiply to the number "
        "of elements; write -1 for the one to be worked out, and `reshape` for `view`.",
    ),
    (
        r"Dimension out of range|too many indices",
        "",
        "That axis does not exist. Print `.shape`: axes are counted from 0, or from the end with "
        "-1.",
    ),
    (
        r"Boolean value of Tensor|truth value of an array",
        "",
        "`if` gets a tensor with many values. Use `torch.where` or a mask, or ask `.any()` or "
        "`.all()`.",
    ),
    (
        r"only one element tensors|a Tensor with .* elements cannot|can be converted to Python sc",
        "",
        "A tensor with many values is turned into one number. Reduce it first, with `.sum()` or "
        "`.mean()`.",
    ),
    (
        r"call numpy\(\)|requires_grad",
        "",
        "NumPy breaks the gradient. Stay with torch's functions, so that training can go through.",
    ),
    (
        r"modified by an inplace operation|leaf Variable that requires grad",
        "",
        "A tensor that the gradient needs is changed in place. Write `x = x + y`, not `x += y`.",
    ),
    (
        r"NoneType' object|NoneType' and|not 'NoneType'|NoneType'$",
        "",
        "Something is None. `re.search` gives None where nothing fits, and a function without "
        "`return` does so always: test for it first.",
    ),
    (
        r"list index out of range|pop from empty|min\(\) arg|max\(\) arg|empty sequence|"
        r"max\(\) iterable|min\(\) iterable|not enough values to unpack",
        "",
        "A list is shorter than your code expects. Look at the arguments below: test the length "
        "before you take an element.",
    ),
    (
        r"unhashable type",
        "",
        "A set holds no lists. Turn each into a tuple first: `tuple(words[i : i + n])`.",
    ),
    (
        r"invalid literal for int",
        "",
        "`int` gets a text that is no number. Let the pattern pick the digits alone.",
    ),
    (
        r"division by zero",
        "",
        "There is a division by zero. Look at the arguments below: which count is zero there?",
    ),
    (
        r"not defined for negative|must be a non-negative integer",
        "",
        "A count is below 0. Look at the arguments below: which difference is negative there? "
        "`math.comb(a, k)` needs no special case, it is 0 where k is larger than a.",
    ),
    (
        r"index .* out of bounds|index out of range|out of bounds for dimension",
        "",
        "An index is too large. Labels and classes begin at 0; -100 is a sign and no class.",
    ),
    (
        r"is not defined",
        "",
        "A name is not known here. Run the cell of imports first (Run → Run All Above Selected "
        "Cell), and look for a misspelt name.",
    ),
    (
        r"has no attribute",
        "",
        "There is no such method. Look for a misspelt name, and whether the value is a tensor, a "
        "list or a text.",
    ),
    (
        r"required positional argument|unexpected keyword|got multiple values|"
        r"takes .* positional|received an invalid combination",
        "",
        "A function is called with other arguments than it takes. Count them, and look at its "
        "help with `?` behind the name.",
    ),
)


def stopped(error: Exception, fn: Callable[..., Any]) -> tuple[str, str]:
    """Describe a learner's own exception: what it usually means, its text, and its line.

    Args:
        error: What was raised.
        fn: The learner's function.

    Returns:
        The mistake's name, and the finding.
    """
    line, number = _line(error, fn)
    kind = f"{type(error).__name__}: {error}"
    where = f"  (line {number} of the cell" + (f": `{line}`)" if line else ")") if number else ""
    sentence = f"Your function stopped with {kind}{where}"
    for pattern, in_line, advice in _ADVICE:
        if re.search(pattern, kind) and re.search(in_line, line):
            name = re.split(r"[.:]\s", advice, maxsplit=1)[0]
            return name, f"Likely: {advice} {sentence}"
    return f"Your function stopped with {type(error).__name__}", sentence


def _line(error: Exception, fn: Callable[..., Any]) -> tuple[str, int]:
    """The learner's line that raised, and its number; of a helper in the same cell too."""
    file = getattr(getattr(fn, "__code__", None), "co_filename", None)
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == file]
    if not frames:
        return "", 0
    number = frames[-1].lineno or 0
    return (frames[-1].line or linecache.getline(file or "", number)).strip(), number

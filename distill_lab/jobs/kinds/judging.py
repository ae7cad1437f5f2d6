"""How answers are judged: the verifiers and filters that a job names, with what each takes."""

from typing import Any

from distill_lab.jobs.settings import Setting
from distill_lab.jobs.values import at_least_0, choice, flag, integer, optional, text, texts

# Names of `synthesis.verifiers`, each with the settings that it takes.
VERIFIERS: dict[str, tuple[str, ...]] = {
    "exact": (),
    "numeric": ("tolerance",),
    "mathematical": (),
    "label": ("labels",),
    "choice": ("letters",),
    "listed": ("ordered", "tolerance"),
    "date": ("day_first",),
    "contains": (),
    "regex": ("require", "refuse", "max_words"),
}
# Names of `synthesis.filters` (and `votes`), each with the settings that it takes.
FILTERS: dict[str, tuple[str, ...]] = {
    "length": ("least", "most"),
    "not_repetitive": ("share", "n"),
    "distinct": ("threshold", "n"),
    "self_consistent": ("least", "votes"),
    "balanced": ("by", "at_most"),
}
TAKEN = (
    Setting(
        "tolerance", "of numeric, listed: how far off a number may be, in parts", at_least_0, None
    ),
    Setting("labels", "of label: all that there are; else those of the data", texts, None),
    Setting("letters", "of choice: all that there are; else ABCDE", text, None),
    Setting("ordered", "of listed: whether the order counts", flag, None),
    Setting("day_first", "of date: how 3/4/2024 is read; else such a date is rejected", flag, None),
)
VERIFY = (
    Setting("check", "which verifier", choice(*VERIFIERS)),
    *TAKEN,
    Setting("require", "of regex: patterns that all have to be found", texts, None),
    Setting("refuse", "of regex: patterns of which none may be found", texts, None),
    Setting("max_words", "of regex: words of an answer, at most", integer, None),
)


def chosen_filters(name: str, value: object) -> list[dict[str, dict[str, Any]]]:
    """Some filters by their names, each alone or with its settings.

    Args:
        name: the setting's.
        value: a list, as in `[distinct, {length: {most: 200}}]`.

    Returns:
        A name and its settings each.

    >>> chosen_filters("filters", ["distinct", {"length": {"most": 200}}])
    [{'distinct': {}}, {'length': {'most': 200}}]
    """
    form = "[distinct, {length: {most: 200}}]"
    if not isinstance(value, list) or not value:
        raise ValueError(f"{name} must be a list, as in {form}, got {value!r}.")
    chosen = []
    for each in value:
        one = {each: {}} if isinstance(each, str) else each
        if not isinstance(one, dict) or len(one) != 1:
            raise ValueError(f"each of {name} is a name, or one with settings, as in {form}.")
        ((which, settings),) = one.items()
        if which not in FILTERS:
            raise ValueError(f"there is no filter {which!r}; known: {', '.join(FILTERS)}.")
        if not isinstance(settings, dict):
            raise ValueError(f"the filter {which} takes a mapping, as in {form}.")
        for odd in settings.keys() - {*FILTERS[which]}:
            raise ValueError(f"{which} has no setting {odd!r}; known: {', '.join(FILTERS[which])}.")
        chosen.append({which: settings})
    return chosen


JUDGED = (
    Setting(
        "verify",
        "only answers that agree with the row's own are learned: "
        f"{', '.join(VERIFIERS)}; or {{check: numeric, tolerance: 0.01}}",
        optional(choice(*VERIFIERS)),
        None,
        ("seq-kd",),
        parts=VERIFY,
    ),
    Setting(
        "filters",
        f"that answers have to pass, of {', '.join(FILTERS)}, as in [distinct, {{length: "
        "{most: 200}}]",
        optional(chosen_filters),
        None,
        ("seq-kd",),
    ),
)

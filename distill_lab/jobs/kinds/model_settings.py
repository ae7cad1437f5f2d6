"""Settings that several kinds of classifiers, taggers, embedders and rankers have."""

from collections.abc import Callable
from typing import Any

from distill_lab.jobs.settings import Setting
from distill_lab.jobs.values import choice, integer, mapping, names, number, optional, text

SHAPE = ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")


def layers(name: str, value: object) -> list[int]:
    """The numbers of some layers, from 0.

    Args:
        name: the setting's.
        value: what was given.

    Returns:
        The list.
    """
    numbers = value if isinstance(value, list) else []
    if not numbers or any(not isinstance(i, int) or isinstance(i, bool) or i < 0 for i in numbers):
        raise ValueError(f"{name} must list layers of the teacher, as [0, 5]; got {value!r}.")
    return list(numbers)


def labels(name: str, value: object) -> tuple[str, ...]:
    """The names of at least two classes.

    Args:
        name: the setting's.
        value: what was given.

    Returns:
        Each once.
    """
    listed = value if isinstance(value, list) else []
    named = tuple(str(each).strip() for each in listed)
    if len(named) < 2 or len(set(named)) < len(named) or not all(named):
        raise ValueError(f"{name} must list the classes, each once, as [no, yes]; got {value!r}.")
    return named


def columns_of(*known: str) -> Callable[[str, Any], dict[str, Any]]:
    """A check of `columns`: our names, each with a column of the data, or a list of them."""

    def check(name: str, value: object) -> dict[str, Any]:
        for key, other in mapping(name, value).items():
            if key not in known:
                raise ValueError(f"{name} has no {key!r}; it may name {', '.join(known)}.")
            for each in other if isinstance(other, list) and other else [other]:
                text(f"{key} in {name}", each)
        return dict(mapping(name, value))

    return check


# Which settings of its own each method reads.
TAKES = {
    "kd": ("T", "alpha"),
    "dkd": ("T", "alpha", "beta"),
    "dist": ("T", "beta", "gamma"),
    "logit-matching": ("alpha",),
    "binary-kd": ("T", "alpha"),
    "listwise": ("T",),
    "regression": ("alpha",),
}
SEPARATOR = Setting(
    "separator", "between several labels in one cell, as in joy|anger", optional(text), None
)
LABELS = Setting("labels", "the classes' names, in the teacher's order", optional(labels), None)
MAX_LENGTH = Setting("max_length", "of a text in tokens; longer ones are cut", integer, 128)
MATCH = Setting(
    "match",
    "layers that are matched to the teacher's beside the method, by their paths",
    optional(mapping),
    None,
    parts=(
        Setting("layers", "the student's layer to the teacher's, by path", names),
        Setting(
            "kind",
            "hint, cosine, attention (maps alone) or relations; else hint",
            choice("hint", "cosine", "attention", "relations"),
            "hint",
        ),
        Setting("weight", "what they weigh; else as usual for the kind", optional(number), None),
    ),
)


def balance(*ways: str) -> Setting:
    """The setting that makes rare classes count as much as frequent ones.

    Args:
        *ways: of "sampler" and "weights", those that the kind has.

    Returns:
        The setting.
    """
    about = {
        "sampler": "sampler draws each class as often as every other",
        "weights": "weights lets the labels of rare ones weigh more",
    }
    return Setting("balance", "; ".join(about[way] for way in ways), optional(choice(*ways)), None)


ANSWERS = {
    "supervised": "learn the labels alone",
    "kd": "the teacher's softmax at T, beside the labels",
    "dkd": "decoupled distillation, beside the labels",
    "dist": "correlations with the teacher's probabilities, beside the labels",
    "logit-matching": "the teacher's logits, squared differences",
}

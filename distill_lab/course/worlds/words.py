"""The words that the worlds are made of, and a few ways to put them together."""

from __future__ import annotations

import random


def listed(words: str, *, by: str | None = None) -> tuple[str, ...]:
    """Words written in one string: `listed("a b")`, or with `by=","` phrases of several.

    >>> listed("car park,pool", by=",")
    ('car park', 'pool')
    """
    return tuple(words.split(by))


SHE = listed(
    "Ada Anna Bea Clara Dora Ella Emma Fay Gina Hana Ida Ines Iris Jane Julia Kate Lea Lena Lisa "
    "Lucy Maria Maya Mia Nina Nora Olga Paula Rita Rosa Ruth Sara Sofia Tina Vera Zoe"
)
HE = listed(
    "Adam Alan Ben Carl Dan David Emil Felix Finn Fred George Hugo Ian Ivan Jack Jan Joel John "
    "Karl Leo Luke Mark Max Noah Omar Oscar Paul Peter Ravi Sam Simon Theo Tim Tom Victor"
)
NEW_SHE = listed("Alma Bridget Celia Edith Greta Hilda Irene Joan Kira Leila Mona Pia Wanda Yara")
NEW_HE = listed("Amir Boris Conrad Dirk Ernest Gavin Henry Igor Kurt Lars Milo Otto Quentin Zane")

CITIES = listed(
    "Athens Bergen Berlin Bern Bonn Bristol Cork Delhi Derby Dublin Florence Geneva Ghent Hull "
    "Kyoto Leeds Lima Lisbon London Lyon Madrid Milan Naples Nice Oslo Paris Porto Prague Quito "
    "Riga Rome Seville Tokyo Turin Vienna York Zurich"
)
NEW_CITIES = listed("Aarhus Basel Cairo Dakar Essen Hanoi Kazan Malmo Osaka Pisa Split Tunis")

DAYS = listed("Monday Tuesday Wednesday Thursday Friday Saturday Sunday")


def people(rng: random.Random, n: int, *, new: bool = False) -> list[tuple[str, str]]:
    """`n` different people as (name, pronoun); `new` names never occur in training.

    >>> people(random.Random(0), 2, new=True)
    [('Zane', 'he'), ('Wanda', 'she')]
    """
    she, he = (NEW_SHE, NEW_HE) if new else (SHE, HE)
    return rng.sample([(name, "she") for name in she] + [(name, "he") for name in he], n)


def cities(*, new: bool = False) -> tuple[str, ...]:
    """The cities of training, or those that never occur there."""
    return NEW_CITIES if new else CITIES


def a(noun: str) -> str:
    """The noun with its article.

    >>> a("apple"), a("pear")
    ('an apple', 'a pear')
    """
    return ("an " if noun[0] in "aeiou" else "a ") + noun


def capital(sentence: str) -> str:
    """The sentence with a capital first letter; the rest stays as it is.

    >>> capital("in Oslo it rains.")
    'In Oslo it rains.'
    """
    return sentence[:1].upper() + sentence[1:]


def after(name: str, frame: str) -> str:
    """What stands behind a place in a frame: how to ask again about what stands there.

    >>> after("text", "Text: {text} Question: {ask}")
    'Question: {ask}'
    """
    return frame.partition("{" + name + "} ")[2]

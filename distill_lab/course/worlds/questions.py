"""Reading: a short passage about a few people, a question, and an answer of a word or two.

Some questions take two facts (who lives in Oslo, and what does that one keep?), and some have no
answer in the text, which is then the answer.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from distill_lab.course.worlds.checks import Exact
from distill_lab.course.worlds.task import Task
from distill_lab.course.worlds.words import a, after, capital, cities, listed, people

UNKNOWN = "The text does not say."
SILENT = (UNKNOWN, "It is not in the text.", "Unknown")


@dataclass(frozen=True)
class Relation:
    """One kind of fact: how it is said and asked both ways, and what its answers look like.

    `says` begins with the person and answers `asks`; `says_of` begins with the value and answers
    `asks_who`. Nothing is asked against the direction in which it was told: to read backwards is
    beyond a network as small as ours.
    """

    says: tuple[str, ...]
    says_of: tuple[str, ...]
    asks: tuple[str, ...]
    asks_who: tuple[str, ...]
    one_who: str  # the person, by this fact
    of_one: str  # the question about somebody so described
    values: tuple[str, ...]
    new_values: tuple[str, ...]
    article: bool = False
    before: str = ""  # a word that may come before the answer


RELATIONS = {
    "lives": Relation(
        ("{name} lives in {v}.", "the home of {name} is in {v}.", "{name} has a flat in {v}."),
        ("{v} is the home of {name}.", "in {v} lives {name}."),
        ("Where does {name} live?", "In which city does {name} live?"),
        ("Who lives in {v}?", "Who has a home in {v}?"),
        "lives in {v}",
        "Where does the one who {one} live?",
        cities(),
        cities(new=True),
        before="in",
    ),
    "works": Relation(
        ("{name} works as {v}.", "{name} is {v}.", "{name} earns money as {v}."),
        ("the town has {v}: {name}.", "we know {v}: {name}."),
        ("What is the job of {name}?", "What does {name} work as?"),
        ("Who works as {v}?", "Who is {v}?"),
        "works as {v}",
        "What is the job of the one who {one}?",
        listed(
            "baker nurse painter teacher lawyer farmer pilot tailor cook judge miller singer "
            "driver dentist"
        ),
        ("glazier", "plumber", "surgeon", "weaver"),
        article=True,
    ),
    "keeps": Relation(
        ("{name} keeps {v}.", "{name} has {v} at home.", "the animal of {name} is {v}."),
        ("{v} belongs to {name}.", "{v} lives with {name}."),
        ("What animal does {name} keep?", "Which animal belongs to {name}?"),
        ("Who keeps {v}?", "Who has {v}?"),
        "keeps {v}",
        "What animal does the one who {one} keep?",
        listed("dog cat horse goat parrot rabbit donkey snake hen duck mouse pony fish frog"),
        ("ferret", "lizard", "llama", "turtle"),
        article=True,
    ),
    "plays": Relation(
        ("{name} plays the {v}.", "{name} practises the {v}.", "{name} is good at the {v}."),
        ("the {v} is played by {name}.", "the {v} is the hobby of {name}."),
        ("Which instrument does {name} play?", "What does {name} play?"),
        ("Who plays the {v}?", "Who practises the {v}?"),
        "plays the {v}",
        "Which instrument does the one who {one} play?",
        listed("piano violin flute clarinet guitar harp cello organ trumpet banjo"),
        ("bassoon", "lute", "tuba", "zither"),
        before="the",
    ),
    "likes": Relation(
        ("{name} likes {v}.", "{name} loves to eat {v}.", "the favourite food of {name} is {v}."),
        ("{v} for dinner, says {name}.", "{v}, that is what {name} likes."),
        ("What does {name} like to eat?", "What food does {name} like?"),
        ("Who likes {v}?", "Who loves to eat {v}?"),
        "likes {v}",
        "What does the one who {one} like to eat?",
        listed(
            "soup,rice,bread,cheese,pasta,fish pie,plums,cake,salad,pancakes,beans,honey", by=","
        ),
        ("figs", "lentils", "porridge", "waffles"),
    ),
}

Fact = tuple[str, str, str]  # (name, relation, value)
Asked = tuple[str, tuple[str, ...], str, dict[Fact, bool]]
FRAMES = ("Text: {text} Question: {ask}", "{text} Question: {ask}", "Read: {text} Asked: {ask}")
FACTS = {1: 3, 2: 5, 3: 8}  # in a passage of each level


def draw(rng: random.Random, level: int, ood: bool) -> Task:
    """One question. Level 1: three facts, one needed; 2: five, sometimes two needed; 3: eight.

    Out of distribution: names, places and things that training never has, and eight facts.
    """
    facts = _facts(rng, FACTS[3 if ood else level], ood)
    kind = rng.choices(
        ("value", "who", "two", "none"), (4, 3, 0, 1) if level == 1 else (4, 3, 1.5, 1)
    )[0]
    questions = _question(rng, kind, facts)
    return _tasks(rng, facts, [questions], level)[0]


def talk(rng: random.Random, level: int) -> list[Task]:
    """Questions about one passage: one for every fact, often one over two or without an answer."""
    facts = _facts(rng, FACTS[level], False)
    questions = [_question(rng, "two", facts)] if level > 1 and rng.random() < 0.5 else []
    turned = questions[0][3] if questions else {}
    questions += [
        _question(rng, "who" if turned.get(fact, rng.random() < 0.5) else "value", [fact])
        for fact in facts
    ]
    if rng.random() < 0.6:
        questions.append(_question(rng, "none", facts))
    rng.shuffle(questions)
    return _tasks(rng, facts, questions, level)


def _tasks(rng: random.Random, facts: list[Fact], questions: list[Asked], level: int) -> list[Task]:
    """The passage that answers these questions, and each of them as a task about it."""
    turned = {fact: backwards for one in questions for fact, backwards in one[3].items()}
    sentences = list(facts)
    rng.shuffle(sentences)
    text = " ".join(_tell(rng, fact, turned.get(fact)) for fact in sentences)
    frame = rng.choice(FRAMES)
    return [
        Task(
            world="questions",
            prompt=frame.format(text=text, ask=ask),
            answer=accepted[0],
            accepted=accepted,
            key=key,
            check=Exact(accepted),
            level=level,
            follow=after("text", frame).format(ask=ask),
        )
        for ask, accepted, key, _ in questions
    ]


def _facts(rng: random.Random, count: int, ood: bool) -> list[Fact]:
    """Facts of which no two share their person and relation, nor their relation and value.

    The first person has two, so that a question can go over both.
    """
    names = [name for name, _ in people(rng, max(2, (count + 1) // 2), new=ood)]
    owners = [names[0], *names]
    while len(owners) < count:
        owners.append(rng.choice(names[1:]))
    facts: list[Fact] = []
    values = {
        name: rng.sample(r.new_values if ood else r.values, len(names))
        for name, r in RELATIONS.items()
    }
    for owner in owners:
        taken = {relation for name, relation, _ in facts if name == owner}
        relation = rng.choice([one for one in RELATIONS if one not in taken])
        facts.append((owner, relation, values[relation].pop()))
    return facts


def _question(rng: random.Random, kind: str, facts: list[Fact]) -> Asked:
    """The question, the accepted answers (the gold one first), and what has to be known.

    Last, of the facts that it takes, which are told with the value first.
    """
    if kind == "two":
        first, second = rng.sample(facts[:2], 2)
        (name, relation, given), (_, wanted, value) = first, second
        one = RELATIONS[relation].one_who.format(v=_shown(relation, given))
        ask = RELATIONS[wanted].of_one.format(one=one)
        key = f"{name} {relation} {given} {wanted} {value}"
        return ask, _accepted(name, wanted, value), f"two {key}", {first: True, second: False}
    if kind == "none":
        unknown = [(n, r) for n in {n: 0 for n, _, _ in facts} for r in RELATIONS]
        name, relation = rng.choice([x for x in unknown if x not in {f[:2] for f in facts}])
        ask = rng.choice(RELATIONS[relation].asks).format(name=name)
        return ask, SILENT, f"none {name} {relation} {sorted(facts)}", {}
    name, relation, value = fact = rng.choice(facts)
    ways = RELATIONS[relation]
    if kind == "who":
        ask = rng.choice(ways.asks_who).format(v=_shown(relation, value))
        says = ways.says[0].format(name=name, v=_shown(relation, value))
        return ask, (name, capital(says)), f"who {name} {relation} {value}", {fact: True}
    ask = rng.choice(ways.asks).format(name=name)
    return ask, _accepted(*fact), f"value {' '.join(fact)}", {fact: False}


def _accepted(name: str, relation: str, value: str) -> tuple[str, ...]:
    ways = RELATIONS[relation]
    says = tuple(capital(one.format(name=name, v=_shown(relation, value))) for one in ways.says)
    before = [f"{ways.before} {value}"] if ways.before else []
    return (value, *before, *([a(value)] if ways.article else []), *says)


def _tell(rng: random.Random, fact: Fact, backwards: bool | None) -> str:
    """The fact as a sentence, the value first or last; None: either."""
    name, relation, value = fact
    ways = RELATIONS[relation]
    turned = rng.random() < 0.5 if backwards is None else backwards
    says = rng.choice(ways.says_of if turned else ways.says)
    return capital(says.format(name=name, v=_shown(relation, value)))


def _shown(relation: str, value: str) -> str:
    return a(value) if RELATIONS[relation].article else value

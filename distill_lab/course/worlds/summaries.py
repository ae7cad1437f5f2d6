"""Summaries: a short report with more in it than matters, and one sentence with what does.

Who won, whether a vote passed, whether sales rose: that has to be seen from the figures. The
verifier asks for the facts and refuses others, and refuses a summary that keeps everything.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from distill_lab.course.worlds.checks import Facts
from distill_lab.course.worlds.task import Task
from distill_lab.course.worlds.words import DAYS, capital, cities, listed, people

TEAMS = listed("Bears Lions Hawks Wolves Foxes Eagles Tigers Sharks Rovers Rangers Kings Pirates")
NEW_TEAMS = listed("Badgers Cobras Otters Ravens")
PLANS = listed(
    "bridge,school,park,library,pool,market,theatre,museum,station,clinic,stadium,car park", by=","
)
NEW_PLANS = listed("harbour,observatory,skating rink,tunnel", by=",")
GOODS = listed("cakes bikes shoes books lamps chairs hats phones pens boats tents carpets")
NEW_GOODS = listed("gloves kites ladders violins")
PLACES = listed("barn house shop factory hotel mill school garage warehouse cinema")
NEW_PLACES = listed("brewery chapel shed tannery")

ASIDES = (
    "{name} was there from the beginning.",
    "it rained a little.",
    "{name} had come with {n} friends.",
    "the road was closed for {n} hours.",
    "many people talked about it.",
    "tickets had cost {n} euro.",
    "{name} took {n} pictures.",
    "the sun came out late.",
    "a band played {n} songs.",
    "nobody had expected it, said {name}.",
)
Rule = tuple[str, tuple[str, ...]]  # what it is, and the patterns that state it
FRAMES = ("Report: {text} Summary:", "Sum up: {text}", "{text} In short:")


@dataclass(frozen=True)
class Event:
    """What happened: how it is told, how it is summed up, and what a summary has to say."""

    sentences: tuple[str, ...]  # sentences in order
    short: tuple[str, ...]  # good summaries
    key: str
    required: tuple[Rule, ...]
    refused: tuple[Rule, ...]
    numbers: tuple[str, ...]


def draw(rng: random.Random, level: int, ood: bool) -> Task:
    """One report. Level 1: one aside; 2: two or three; 3: five.

    Out of distribution: teams, cities, plans and things training never has, and five asides.
    """
    kind = rng.choice(list(KINDS))
    event = KINDS[kind](rng, ood)
    (name, _), other = people(rng, 2, new=ood)[0], rng.choice(cities(new=ood))
    count = {1: 1, 2: rng.choice((2, 3)), 3: 5}[3 if ood else level]
    story = list(event.sentences)
    for aside in rng.sample(ASIDES, count):
        story.insert(rng.randint(1, len(story)), aside.format(name=name, n=rng.randint(2, 60)))
    text = " ".join(map(capital, story))
    names = [day for day in DAYS if day not in event.short[0]] + [name, other]
    return Task(
        world="summaries",
        prompt=rng.choice(FRAMES).format(text=text),
        answer=rng.choice(event.short),
        accepted=event.short,
        key=f"{kind} {event.key}",
        check=Facts(
            event.required,
            event.refused,
            event.numbers,
            tuple(word for word in names if word not in event.short[0]),
            max_words=16,
        ),
        level=level,
    )


def _match(rng: random.Random, ood: bool) -> Event:
    home, away = rng.sample(NEW_TEAMS if ood else TEAMS, 2)
    city, day = rng.choice(cities(new=ood)), rng.choice(DAYS)
    x, y = rng.randint(0, 9), rng.randint(0, 9)
    sentences = (
        rng.choice(
            (
                f"on {day} the {home} met the {away} in {city}.",
                f"the {home} played the {away} in {city} on {day}.",
                f"{city} saw the {home} and the {away} on {day}.",
            )
        ),
        rng.choice(
            (
                f"the {home} got {x} goals and the {away} {y}.",
                f"the {away} shot {y} goals, the {home} {x}.",
                f"goals of the {home}: {x}, goals of the {away}: {y}.",
            )
        ),
    )
    h, w = home.lower(), away.lower()
    rule: Rule
    refused: tuple[Rule, ...]
    if x == y:
        short = (
            f"The {home} and the {away} drew {x}-{y} on {day}.",
            f"The {away} and the {home} drew {x}-{y} on {day}.",
        )
        rule = (
            f"a draw of {home} and {away}",
            (f"{h} and (the )?{w} drew", f"{w} and (the )?{h} drew"),
        )
        refused = (("names a winner of a draw", ("beat", "won", "lost")),)
    else:
        (up, down), (most, least) = ((h, w), (x, y)) if x > y else ((w, h), (y, x))
        winner, loser = (home, away) if x > y else (away, home)
        short = (
            f"The {winner} beat the {loser} {most}-{least} on {day}.",
            f"On {day} the {winner} beat the {loser} {most}-{least}.",
        )
        rule = (
            f"that the {winner} beat the {loser}",
            (
                f"{up} (beat|won against|defeated) (the )?{down}",
                f"{down} lost (to|against) (the )?{up}",
            ),
        )
        refused = (("calls it a draw", ("drew", "draw")),)
        x, y = most, least
    score = (f"the score, {x}-{y}", (f"{x}[-:]{y}", f"{x} to {y}"))
    key = f"{home} {away} {x} {y} {day}"
    return Event(sentences, short, key, (rule, score, _at(day)), refused, (str(x), str(y)))


def _vote(rng: random.Random, ood: bool) -> Event:
    plan, city = rng.choice(NEW_PLANS if ood else PLANS), rng.choice(cities(new=ood))
    day = rng.choice(DAYS)
    yes, no = rng.sample(range(2, 40), 2)
    sentences = (
        rng.choice(
            (
                f"on {day} the council of {city} voted on a new {plan}.",
                f"a new {plan} for {city} was put to the vote on {day}.",
                f"{city} had to decide on {day} about a new {plan}.",
            )
        ),
        rng.choice(
            (
                f"{yes} were for it and {no} against.",
                f"there were {no} votes against it and {yes} for it.",
                f"{yes} said yes, {no} said no.",
            )
        ),
    )
    done = "approved" if yes > no else "rejected"
    short = (f"{city} {done} a new {plan} on {day}.", f"On {day} {city} {done} a new {plan}.")
    wrong = "rejected|refused|failed|voted against" if yes > no else "approved|accepted|passed"
    right = "approved|accepted|passed" if yes > no else "rejected|refused|voted against"
    rule = (f"that the plan was {done}", (right,))
    required = (rule, _named("the city", city), _named("the plan", plan), _at(day))
    refused = (("has the vote the wrong way round", (wrong,)),)
    numbers = (str(yes), str(no))
    return Event(sentences, short, f"{city} {plan} {day} {yes} {no}", required, refused, numbers)


def _sales(rng: random.Random, ood: bool) -> Event:
    goods, city = rng.choice(NEW_GOODS if ood else GOODS), rng.choice(cities(new=ood))
    (owner, _), (first, second) = people(rng, 1, new=ood)[0], sorted(rng.sample(range(7), 2))
    before, after = rng.sample(range(10, 100), 2)
    sentences = (
        rng.choice(
            (
                f"{owner} sells {goods} in {city}.",
                f"in {city} people buy {goods} from {owner}.",
                f"{owner} has a shop for {goods} in {city}.",
            )
        ),
        rng.choice(
            (
                f"on {DAYS[first]} it was {before} {goods}.",
                f"{before} {goods} were sold on {DAYS[first]}.",
            )
        ),
        rng.choice((f"on {DAYS[second]} it was {after}.", f"{after} went on {DAYS[second]}.")),
    )
    direction = "rose" if after > before else "fell"
    short = (
        f"Sales of {goods} in {city} {direction} from {before} to {after}.",
        f"{capital(goods)} in {city}: sales {direction} from {before} to {after}.",
    )
    required = (
        (
            f"that sales {direction}",
            ("rose|grew|went up",) if after > before else ("fell|went down",),
        ),
        (f"from {before} to {after}", (f"from {before} to {after}",)),
        _named("what was sold", goods),
    )
    wrong = "fell|went down|sank" if after > before else "rose|grew|went up"
    refused = (("has the sales the wrong way round", (wrong,)),)
    key = f"{goods} {city} {before} {after}"
    return Event(sentences, short, key, required, refused, (str(before), str(after)))


def _fire(rng: random.Random, ood: bool) -> Event:
    place, city = rng.choice(NEW_PLACES if ood else PLACES), rng.choice(cities(new=ood))
    day, hurt, after = rng.choice(DAYS), rng.choice((0, *range(2, 12))), rng.randint(2, 20)
    sentences = (
        rng.choice(
            (
                f"a {place} in {city} caught fire on {day}.",
                f"on {day} there was a fire in a {place} in {city}.",
                f"in {city} a {place} was in flames on {day}.",
            )
        ),
        f"the fire was out after {after} hours." if rng.random() < 0.5 else "help came soon.",
        "nobody was hurt."
        if hurt == 0
        else rng.choice((f"{hurt} people were hurt.", f"{hurt} had to go to hospital.")),
    )
    who = "nobody was hurt" if hurt == 0 else f"{hurt} were hurt"
    short = (
        f"A {place} in {city} burned on {day} and {who}.",
        f"On {day} a {place} burned in {city} and {who}.",
    )
    rule: Rule = ("that nobody was hurt", ("nobody", "no one", "none"))
    refused: tuple[Rule, ...] = ()
    if hurt:
        rule = (f"that {hurt} were hurt", (f"{hurt} (people )?(were|was) hurt", f"hurt {hurt}"))
        refused = (("says nobody was hurt", ("nobody", "no one")),)
    required = (rule, _named("what burned", place), _named("the city", city), _at(day))
    return Event(sentences, short, f"{place} {city} {day} {hurt}", required, refused, (str(hurt),))


KINDS: dict[str, Callable[[random.Random, bool], Event]] = {
    "match": _match,
    "vote": _vote,
    "sales": _sales,
    "fire": _fire,
}


def _at(day: str) -> Rule:
    return f"the day, {day}", (day.lower(),)


def _named(what: str, word: str) -> Rule:
    return f"{what}, {word}", (word.lower(),)

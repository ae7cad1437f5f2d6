"""A support desk: the case on the agent's screen, a customer's message, and what to answer.

What is right follows from the rules of the shop (`shop`). Several wordings are right, so the
verifier looks for the decision and the facts, and for contradictions, not for a sentence.
"""

from __future__ import annotations

import random

from distill_lab.course.worlds.shop import DELIVERED, INTENTS, PACKED, SHIPPED, Order, check, fill
from distill_lab.course.worlds.task import Task
from distill_lab.course.worlds.words import DAYS, listed, people

ITEMS = listed(
    "lamp chair desk kettle radio clock mirror carpet pillow blanket vase basket bench toaster "
    "mixer fan shelf sofa stool jacket scarf helmet tent rucksack camera printer keyboard phone "
    "guitar drum"
)
NEW_ITEMS = listed("anvil compass hammock lantern saddle telescope trumpet umbrella")
STREETS = listed(
    "Elm Road,Mill Lane,Park Street,King Street,Lake Road,Hill Lane,Church Road", by=","
)
NEW_STREETS = listed("Fox Alley,Quay Walk,Bell Square", by=",")

GREETINGS = ("", "Hello. ", "Hi, ", "Good morning. ", "Hi there. ", "Hello, {name} here. ")


def draw(rng: random.Random, level: int, ood: bool) -> Task:
    """One message. Level 1: one order on the screen; 2: one or two; 3: three.

    Out of distribution: customers, goods and streets that training never names, and three orders.
    """
    count = {1: 1, 2: rng.choice((1, 2)), 3: 3}[3 if ood else level]
    items = rng.sample(NEW_ITEMS if ood else ITEMS, count)
    orders = [_order(rng, item) for item in items]
    about, street = rng.choice(orders), _street(rng, ood)
    name, _ = people(rng, 1, new=ood)[0]
    return _task(rng, name, orders, about, street, rng.choice(list(INTENTS)), level)


def talk(rng: random.Random, level: int) -> list[Task]:
    """Several messages about one case, no two of the same kind about the same order."""
    count = {1: 1, 2: rng.choice((1, 2)), 3: 3}[level]
    orders = [_order(rng, item) for item in rng.sample(ITEMS, count)]
    name, _ = people(rng, 1)[0]
    pairs = [(intent, order) for intent in INTENTS for order in orders]
    return [
        _task(rng, name, orders, about, _street(rng, False), intent, level)
        for intent, about in rng.sample(pairs, min(8, len(pairs)))
    ]


def _task(
    rng: random.Random,
    name: str,
    orders: list[Order],
    about: Order,
    street: str,
    intent: str,
    level: int,
) -> Task:
    asks, reply = INTENTS[intent]
    good = reply(about, street)
    message = rng.choice(GREETINGS) + rng.choice(asks)
    message = "Customer: " + message.format(item=about.item, name=name, street=street)
    lines = " ".join(order.line() for order in orders)
    wordings = tuple(fill(wording, about, street) for wording in good.wordings)
    return Task(
        world="support",
        prompt=f"Case of {name}, {lines} {message}",
        answer=rng.choice(wordings),
        accepted=wordings,
        key=f"{intent} {about.item} {about.status} {about.day} {about.spare}",
        check=check(good, about, street, [o.item for o in orders if o is not about]),
        level=level,
        follow=message,
    )


def _street(rng: random.Random, ood: bool) -> str:
    return f"{rng.choice(NEW_STREETS if ood else STREETS)} {rng.randint(2, 99)}"


def _order(rng: random.Random, item: str) -> Order:
    return Order(
        rng.randint(1000, 9999),
        item,
        rng.randint(10, 99),
        rng.choice((PACKED, SHIPPED, DELIVERED)),
        rng.choice(DAYS),
        rng.random() < 0.5,
    )

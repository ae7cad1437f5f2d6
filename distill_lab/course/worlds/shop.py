"""The rules of the support desk's shop: what to answer to whom, and how an answer is judged.

An order can be cancelled, or its address changed, only while it is being packed; it can come back
once it was delivered; what is broken is replaced where there is another one, else paid back.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from distill_lab.course.worlds.checks import Facts
from distill_lab.course.worlds.words import DAYS

PACKED, SHIPPED, DELIVERED = "being packed", "on its way", "delivered"

# patterns of each decision, for the verifier: what states it, whatever the rest says
DECISIONS = {
    "being packed": ("(is|are) (still )?being packed",),
    "on its way": ("(is|are) on (its|the) way", "has been sent", "has left"),
    "delivered": ("(was|were|has been) delivered", "has arrived", "arrived"),
    "cancelled": ("(?<!not )(is|are|have|been) cancelled", "we cancelled", "we have cancelled"),
    "too late to cancel": ("cannot be cancelled", "can not be cancelled", "too late to cancel"),
    "address changed": ("will go to", "goes to", "is changed to", "changed the address to"),
    "too late to change the address": ("cannot be changed", "too late to change"),
    "take it back": ("send it back", "send the \\w+ back", "take it back", "take the \\w+ back"),
    "not yet": ("once it has arrived", "when it has arrived", "after it has arrived"),
    "a new one": ("send (you )?(a new|another)", "a new \\w+ (is coming|will come)"),
    "none left": ("(have|there is) no other", "there is no \\w+ left"),
}


@dataclass(frozen=True)
class Order:
    """One line of the case."""

    number: int
    item: str
    price: int
    status: str
    day: str
    spare: bool

    def line(self) -> str:
        """Say where the order stands, in one line."""
        state = self.status if self.status == DELIVERED else f"{self.status}, due"
        return (
            f"{self.item}: order {self.number}, {self.price} euro, {state} {self.day}, "
            f"{'in' if self.spare else 'out of'} stock."
        )


@dataclass(frozen=True)
class Reply:
    """What a good answer is: wordings, decisions in it, facts in it."""

    wordings: tuple[str, ...]
    decisions: tuple[str, ...]
    facts: tuple[str, ...]


def _where(order: Order, street: str) -> Reply:
    if order.status == DELIVERED:
        wordings: tuple[str, ...] = (
            "Your {item} was delivered on {day}.",
            "The {item} has been delivered on {day}.",
        )
    else:
        wordings = (
            f"Your {{item}} is {order.status} and will arrive on {{day}}.",
            f"The {{item}} is {order.status} and should be with you on {{day}}.",
        )
    return Reply(wordings, (order.status,), ("item", "day"))


def _cancel(order: Order, street: str) -> Reply:
    if order.status == PACKED:
        wordings = (
            "Order {number} is cancelled and you get {price} euro back.",
            "We have cancelled order {number} and pay back {price} euro.",
        )
        return Reply(wordings, ("cancelled",), ("number", "price"))
    wordings = (
        "Order {number} cannot be cancelled, for the {item} has left.",
        "It is too late to cancel order {number}: the {item} has left.",
    )
    return Reply(wordings, ("too late to cancel",), ("number",))


def _back(order: Order, street: str) -> Reply:
    if order.status == DELIVERED:
        wordings = (
            "Please send the {item} back and we pay you {price} euro.",
            "You can send the {item} back and get {price} euro.",
        )
        return Reply(wordings, ("take it back",), ("item", "price"))
    wordings = (
        "You can send the {item} back once it has arrived on {day}.",
        "We take the {item} back when it has arrived on {day}.",
    )
    return Reply(wordings, ("take it back", "not yet"), ("item", "day"))


def _broken(order: Order, street: str) -> Reply:
    if order.spare:
        new = (
            "We are sorry and send you a new {item}.",
            "Sorry for that. We will send another {item}.",
        )
        return Reply(new, ("a new one",), ("item",))
    wordings = (
        "We are sorry: there is no {item} left, so you get {price} euro back.",
        "Sorry for that. We have no other {item} and pay back {price} euro.",
    )
    return Reply(wordings, ("none left",), ("item", "price"))


def _address(order: Order, street: str) -> Reply:
    if order.status == PACKED:
        wordings = (
            "Order {number} will go to {street}.",
            "We have changed the address to {street} for order {number}.",
        )
        return Reply(wordings, ("address changed",), ("number", "street"))
    wordings = (
        "The address of order {number} cannot be changed, for the {item} has left.",
        "It is too late to change the address of order {number}.",
    )
    return Reply(wordings, ("too late to change the address",), ("number",))


def _number(order: Order, street: str) -> Reply:
    wordings = (
        "The number of your {item} is {number}.",
        "Your {item} has the order number {number}.",
    )
    return Reply(wordings, (), ("item", "number"))


def _price(order: Order, street: str) -> Reply:
    wordings = ("You paid {price} euro for the {item}.", "The {item} cost {price} euro.")
    return Reply(wordings, (), ("item", "price"))


INTENTS: dict[str, tuple[tuple[str, ...], Callable[[Order, str], Reply]]] = {
    "where": (
        (
            "where is my {item}?",
            "when does my {item} come?",
            "what about the {item} I ordered?",
            "I am waiting for the {item}.",
            "any news of my {item}?",
            "is the {item} here soon?",
        ),
        _where,
    ),
    "cancel": (
        (
            "please cancel the {item}.",
            "I do not need the {item} any more.",
            "can I cancel my order of the {item}?",
            "stop the order of the {item}, please.",
        ),
        _cancel,
    ),
    "back": (
        (
            "I want to return the {item}.",
            "can I give the {item} back?",
            "I do not like the {item}, can it go back?",
            "how do I return my {item}?",
        ),
        _back,
    ),
    "broken": (
        (
            "the {item} came broken.",
            "my {item} does not work.",
            "there is a crack in the {item}.",
            "the {item} fell apart at once.",
            "half of the {item} is missing.",
        ),
        _broken,
    ),
    "address": (
        (
            "please bring the {item} to {street}.",
            "I moved to {street}, please send the {item} there.",
            "my new address for the {item} is {street}.",
            "can the {item} go to {street}?",
        ),
        _address,
    ),
    "number": (
        (
            "what is the order number of my {item}?",
            "I lost the number of the {item}.",
            "which number has my {item}?",
        ),
        _number,
    ),
    "price": (
        (
            "what did I pay for the {item}?",
            "how much was the {item}?",
            "I forgot the price of my {item}.",
        ),
        _price,
    ),
}


def fill(wording: str, order: Order, street: str) -> str:
    """A wording with what is known of the order in its places."""
    return wording.format(
        item=order.item, number=order.number, price=order.price, day=order.day, street=street
    )


def check(good: Reply, order: Order, street: str, others: list[str]) -> Facts:
    """The verifier of a reply; `others` are what else is on the screen."""
    values = {name: fill("{" + name + "}", order, street).lower() for name in good.facts}
    labels = {
        "number": "the order number",
        "price": "the amount",
        "day": "the day",
        "item": "which item",
        "street": "the address",
    }
    facts = [(f"{labels[name]}, {value}", (value,)) for name, value in values.items()]
    decisions = [(f"the decision: {name}", DECISIONS[name]) for name in good.decisions]
    allowed = {*good.decisions, *(["on its way", "delivered", "being packed"] * (not decisions))}
    if "not yet" in allowed:
        allowed.add("delivered")  # "once it has arrived" is not "it has arrived"
    if {"too late to cancel", "too late to change the address"} & allowed:
        allowed.add(order.status)
    allowed |= {"on its way"} if order.status != PACKED else set()
    refused = [
        (f"decides otherwise ({name})", patterns)
        for name, patterns in DECISIONS.items()
        if name not in allowed
    ]
    days = [day for day in DAYS if day != order.day]
    true = (str(order.number), str(order.price), street.split()[-1])
    return Facts((*decisions, *facts), tuple(refused), true, (*days, *others), max_words=25)

"""Inference: does the hypothesis follow from the premise, contradict it, or neither?

A sentence is a scene with up to four parts: who, doing what, where, when, and what they are like.
Both sentences speak of the same scene, as in SNLI (Bowman et al. 2015, section 2): another
person, deed, place or time is a contradiction, and what the premise leaves open is neutral.
"""

from __future__ import annotations

import hashlib
import random

from distill_lab.course.worlds.checks import Label
from distill_lab.course.worlds.task import Task
from distill_lab.course.worlds.words import a, after, capital

LABELS = ("entailment", "neutral", "contradiction")

# each with what it is a kind of
WHO = {
    "man": "adult",
    "woman": "adult",
    "boy": "child",
    "girl": "child",
    "dog": "animal",
    "cat": "animal",
    "horse": "animal",
    "goat": "animal",
}
DOES = {
    "playing a guitar": "making music",
    "playing a flute": "making music",
    "playing a violin": "making music",
    "eating an apple": "eating",
    "eating a pear": "eating",
    "eating soup": "eating",
    "reading a letter": "reading",
    "reading a novel": "reading",
    "reading a map": "reading",
    "painting a wall": "painting",
    "painting a fence": "painting",
    "painting a boat": "painting",
    "baking bread": "baking",
    "baking a cake": "baking",
    "driving a van": "driving",
    "driving a bus": "driving",
    "playing chess": "playing a game",
    "playing cards": "playing a game",
}
ANIMAL_DOES = {
    "chasing a ball": "running",
    "chasing a bird": "running",
    "chasing a hen": "running",
    "chewing a bone": "eating",
    "chewing grass": "eating",
    "drinking milk": "drinking",
    "drinking water": "drinking",
}
WHERE = {
    "in a kitchen": "indoors",
    "in an office": "indoors",
    "in a library": "indoors",
    "in a cellar": "indoors",
    "in a hall": "indoors",
    "in a park": "outdoors",
    "in a garden": "outdoors",
    "on a beach": "outdoors",
    "in a forest": "outdoors",
    "in a field": "outdoors",
}
WHEN = dict.fromkeys(("in the morning", "at noon", "in the evening", "at night"), "")
LIKE = {"tall": "short", "old": "young", "happy": "sad", "clean": "dirty", "quiet": "loud"}
OPPOSITE = LIKE | {other: one for one, other in LIKE.items()}

PARTS = ("like", "who", "does", "where", "when")
Scene = dict[str, str]

FRAMES = (
    "Premise: {p} Hypothesis: {h}",
    "Text: {p} Claim: {h}",
    "Given: {p} Does it follow: {h}",
    "We know: {p} Somebody says: {h}",
)
DENIALS = ("It is not true that {s}.", "It is false that {s}.", "It is wrong to say that {s}.")
DENIED = {1: 0.0, 2: 0.2, 3: 0.5}  # the share of hypotheses that are denied, by level


def draw(rng: random.Random, level: int, ood: bool) -> Task:
    """One pair. Level 1: one part changes; 2: up to two, some denied; 3: up to three, half denied.

    Out of distribution: no premise of training has this person do this deed, and half are denied,
    the others have three parts changed.
    """
    denied = rng.random() < (0.5 if ood else DENIED[level])
    label = rng.choice(LABELS)
    changes = 1 if level == 1 else rng.randint(1, level)
    premise, hypothesis = _pair(
        rng, ood, _turned(label) if denied else label, 3 if ood and not denied else changes
    )
    second = _claimed(rng, hypothesis, denied)
    frame = rng.choice(FRAMES)
    first = capital(_sentence(rng, premise)) + "."
    return _task(frame, first, second, (premise, hypothesis, denied), label, level)


def talk(rng: random.Random, level: int) -> list[Task]:
    """Several hypotheses about one premise, of every label as many."""
    premise = _premise(rng, False)
    first, frame = capital(_sentence(rng, premise)) + ".", rng.choice(FRAMES)
    tasks = []
    for label in rng.sample(LABELS * 3, 9):
        denied = rng.random() < DENIED[level]
        changes = 1 if level == 1 else rng.randint(1, level)
        hypothesis = _hypothesis(rng, premise, _turned(label) if denied else label, changes)
        if hypothesis is not None:
            second = _claimed(rng, hypothesis, denied)
            tasks.append(_task(frame, first, second, (premise, hypothesis, denied), label, level))
    return tasks


def _task(
    frame: str, first: str, second: str, scenes: tuple[Scene, Scene, bool], label: str, level: int
) -> Task:
    premise, hypothesis, denied = scenes
    return Task(
        world="nli",
        prompt=frame.format(p=first, h=second),
        answer=label,
        accepted=(label.capitalize(), label + "."),
        key=f"{sorted(premise.items())} {sorted(hypothesis.items())} {denied}",
        check=Label(label, LABELS),
        level=level,
        follow=after("p", frame).format(h=second),
    )


def _claimed(rng: random.Random, scene: Scene, denied: bool) -> str:
    claimed = _sentence(rng, scene)
    return rng.choice(DENIALS).format(s=claimed) if denied else capital(claimed) + "."


def relation(premise: Scene, hypothesis: Scene) -> str:
    """What the parts say: one that clashes decides, then one that is open.

    >>> relation({"who": "man", "does": "reading a map"}, {"who": "adult", "does": "reading"})
    'entailment'
    >>> relation({"who": "man", "does": "reading"}, {"who": "man", "does": "reading a map"})
    'neutral'
    >>> relation({"who": "man", "does": "reading"}, {"who": "man", "does": "eating soup"})
    'contradiction'
    """
    labels = [_part(name, premise.get(name, ""), claimed) for name, claimed in hypothesis.items()]
    return next((label for label in ("contradiction", "neutral") if label in labels), "entailment")


def _part(name: str, given: str, claimed: str) -> str:
    if not given:
        return "neutral"
    if given == claimed:
        return "entailment"
    if name == "like":
        return "contradiction" if OPPOSITE[given] == claimed else "neutral"
    if _kind(name, given) == claimed:
        return "entailment"
    return "neutral" if _kind(name, claimed) == given else "contradiction"


def _kind(name: str, word: str) -> str:
    return _kinds(name).get(word, "")


def _kinds(name: str) -> dict[str, str]:
    return {"who": WHO, "does": DOES | ANIMAL_DOES, "where": WHERE, "when": WHEN}[name]


def _premise(rng: random.Random, ood: bool) -> Scene:
    """A scene; whether who and what they do go together in training follows from the pair."""
    while True:
        who = rng.choice(list(WHO))
        does = rng.choice(list(ANIMAL_DOES if WHO[who] == "animal" else DOES))
        if _held_out(who, does) == ood:
            break
    scene = {"who": who, "does": does}
    for name, share in (("like", 0.5), ("where", 0.7), ("when", 0.35)):
        if rng.random() < share:
            scene[name] = rng.choice(list(OPPOSITE if name == "like" else _kinds(name)))
    for name in ("who", "does", "where"):  # now and then only the kind is known
        if name in scene and rng.random() < 0.15:
            scene[name] = _kind(name, scene[name])
    return scene


def _pair(rng: random.Random, ood: bool, label: str, changes: int) -> tuple[Scene, Scene]:
    """Two scenes that stand so to each other, with up to so many parts changed."""
    while True:
        premise = _premise(rng, ood)
        scene = _hypothesis(rng, premise, label, changes)
        if scene is not None:
            return premise, scene


def _hypothesis(rng: random.Random, premise: Scene, label: str, changes: int) -> Scene | None:
    """A scene that stands so to the premise; some premises cannot have every label."""
    for _ in range(20):
        scene = dict(premise)
        for name in rng.sample(PARTS, changes):
            _change(rng, scene, name)
        if scene != premise and relation(premise, scene) == label:
            return scene
    return None


def _change(rng: random.Random, scene: Scene, name: str) -> None:
    """Generalise, drop, make more exact, replace or add one part."""
    if name == "like":
        given = scene.pop(name, "")
        if not given or rng.random() < 0.7:
            words = [word for word in OPPOSITE if word != given]
            scene[name] = OPPOSITE[given] if given and rng.random() < 0.6 else rng.choice(words)
        return
    given, kinds = scene.get(name, ""), _kinds(name)
    animal = scene["who"] == "animal" or WHO.get(scene["who"]) == "animal"
    words = list(kinds)
    if name == "does":
        words = list(ANIMAL_DOES if animal else DOES)
    elif name == "who":
        words = [word for word in kinds if (kinds[word] == "animal") == animal]
    within = [word for word in words if kinds[word] == given]
    ways = [words, words]  # another word, or where nothing is known a new one
    if kinds.get(given):
        ways += [[kinds[given]]] * 2
    if within:
        ways += [within] * 3
    scene[name] = rng.choice(rng.choice(ways))
    if given and name in ("where", "when") and rng.random() < 0.35:
        del scene[name]


def _turned(label: str) -> str:
    """What becomes of a label when the hypothesis is denied."""
    return {"entailment": "contradiction", "contradiction": "entailment"}.get(label, label)


def _held_out(who: str, does: str) -> bool:
    return hashlib.sha256(f"{who} {does}".encode()).digest()[0] % 6 == 0


def _sentence(rng: random.Random, scene: Scene) -> str:
    """One of several ways to say it."""
    who = a(" ".join(scene[name] for name in ("like", "who") if name in scene))
    tail = [scene[name] for name in ("where", "when") if name in scene]
    rng.shuffle(tail)
    if tail and rng.random() < 0.25:
        return f"{tail.pop()} {who} is {' '.join([scene['does'], *tail])}"
    start = f"there is {who}" if rng.random() < 0.3 else f"{who} is"
    return " ".join([start, scene["does"], *tail])

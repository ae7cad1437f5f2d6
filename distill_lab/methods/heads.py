"""Recipes without a teacher of one's own: the exits of one network, and peers, teach each other."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from distill_lab._util.tensors import Batch
from distill_lab.methods.method import Method, Student, TeacherFn, Terms
from distill_lab.methods.response import kd, supervised


def early_exits(shallow: Method | None = None, *, deep: Method | None = None) -> Method:
    """Teach a network's shallow exits from its deepest one, whose answer is detached.

    The deepest exit learns by `deep` and is the teacher of every other exit. The gradient of a
    shallow exit enters the stages that both share, and nothing behind them. Where `shallow` weighs
    much, as a high T with its T^2 does, these stages can change at the deepest exit's cost: measure
    it beside `shallow=supervised()`.

    Formula: deep's terms + mean_k shallow's terms(exit k, teacher = stop_gradient(deepest exit)).

    Args:
        shallow: how a shallow exit learns, a recipe on answers; without it kd(T=4, alpha=0.5).
            `supervised()` is the control: the same exits with labels alone.
        deep: how the deepest exit learns; without it from the labels, `supervised()`.

    Returns:
        A method with the terms of `deep`, and those of `shallow` under the names "shallow_...".

    Raises:
        ValueError: for recipes on features or on texts of the student's own; when it runs, for a
            student without exits.

    Source: Zhang et al. 2019 (Be Your Own Teacher), section 3.

    >>> early_exits(kd(T=3.0, alpha=0.75)).weights
    {'ce': 1.0, 'shallow_kd': 0.75, 'shallow_ce': 0.25}
    """
    shallow, deep = shallow or kd(T=4.0, alpha=0.5), deep or supervised()
    name = f"early_exits({shallow.name}, deep={deep.name})"
    for method in (shallow, deep):
        _check_on_answers(name, method)
    own_teacher = _Given()  # one object for all steps, since a method looks at a new one closely

    def terms(batch: Batch, student: Student, teacher: TeacherFn) -> Terms:
        *early, deepest = _all_logits(name, student, batch, "EarlyExits(stages, heads)")
        own_teacher.logits = deepest.detach()
        result = deep.counted_terms(batch, _Given(deepest), teacher)
        values = [shallow.counted_terms(batch, _Given(logits), own_teacher) for logits in early]
        return result | {f"shallow_{term}": value / len(early) for term, value in _sum(values)}

    def count(batch: Batch) -> dict[str, float]:
        counts = {f"shallow_{term}": n for term, n in shallow.counts(batch).items()}
        return deep.counts(batch) | counts

    def look(batch: Batch, student: Student, teacher: TeacherFn) -> None:
        first, *_, deepest = _all_logits(name, student, batch, "EarlyExits(stages, heads)")
        for method, logits in ((shallow, first), (deep, deepest)):
            if method.look is not None:
                method.look(batch, _Given(logits), teacher)

    weights = {f"shallow_{term}": weight for term, weight in shallow.weights.items()}
    at_least = max(shallow.at_least, deep.at_least)
    return Method(
        name,
        terms,
        {**deep.weights, **weights},
        deep.needs_teacher,
        count=count,
        at_least=at_least,
        look=look,
        ignore=deep.ignore,
    )


def mutual(method: Method | None = None) -> Method:
    """Let peers teach each other: each learns by `method` with the others' answers as its teacher.

    A peer's answer is detached where it teaches, and every step moves all peers at once, each by
    the gradient that it would have alone. (In the paper they step one after the other.)

    Formula: sum_i mean_{j != i} terms(peer i, teacher = stop_gradient(peer j)).

    Args:
        method: how one peer learns, a recipe on answers; without it kd(T=1, alpha=0.5), which is
            half the paper's loss. `supervised()` is the control: the same peers with labels alone.

    Returns:
        A method with the terms of `method`, each a sum over the peers.

    Raises:
        ValueError: for recipes on features or on texts of the student's own; when it runs, for a
            student that is no `Peers`.

    Source: Zhang et al. 2018 (Deep Mutual Learning), section 3.2, eq. 6 and 8.

    >>> mutual(kd(T=2.0, alpha=0.25)).weights
    {'kd': 0.25, 'ce': 0.75}
    """
    method = method or kd(T=1.0, alpha=0.5)
    name = f"mutual({method.name})"
    _check_on_answers(name, method)
    peer_teacher = _Given()

    def terms(batch: Batch, student: Student, teacher: TeacherFn) -> Terms:
        answers = _all_logits(name, student, batch, "Peers(a, b)")
        values = []
        for i, learner in enumerate(answers):
            for peer in answers[:i] + answers[i + 1 :]:
                peer_teacher.logits = peer.detach()
                values.append(method.counted_terms(batch, _Given(learner), peer_teacher))
        return {term: value / (len(answers) - 1) for term, value in _sum(values)}

    def look(batch: Batch, student: Student, teacher: TeacherFn) -> None:
        if method.look is not None:
            first, *_ = _all_logits(name, student, batch, "Peers(a, b)")
            method.look(batch, _Given(first), teacher)

    return Method(
        name,
        terms,
        method.weights,
        False,
        count=method.count,
        at_least=method.at_least,
        look=look,
        ignore=method.ignore,
    )


class _Given:
    """A student or a teacher whose answer is known already."""

    def __init__(self, logits: Tensor | None = None) -> None:
        self.logits = logits

    def __call__(self, *_: Any, **__: Any) -> Any:
        return self.logits


def _all_logits(name: str, student: Student, batch: Batch, form: str) -> tuple[Tensor, ...]:
    if not hasattr(student, "all_logits"):
        raise ValueError(
            f"method {name} needs a student with several answers, and {type(student).__name__} "
            f"gives one: wrap it as distill_lab.models.{form}."
        )
    answers: tuple[Tensor, ...] = student.all_logits(batch.inputs)
    return answers


def _sum(values: Sequence[Terms]) -> list[tuple[str, Tensor]]:
    """Each term, summed over several answers."""
    return [(term, sum((v[term] for v in values[1:]), start=values[0][term])) for term in values[0]]


def _check_on_answers(name: str, method: Method) -> None:
    if method.taps or method.projections is not None or method.prepare is not None:
        raise ValueError(
            f"{name}: {method.name} looks inside the student or writes its texts, and here only "
            "answers are taught: use a recipe on answers, such as kd() or supervised()."
        )

"""One case measured by `compare` and by hand; what differs is printed so that it can be pasted."""

import copy
import math
import re
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from distill_lab.evaluation import COLUMNS, Difference, Report, compare, headroom
from distill_lab.evaluation.measures import default_columns
from distill_lab.teachers import freeze
from tests.evaluation.grid import by_hand, forms, problems
from tests.evaluation.grid.axes import AXES, NUMBERS, ONE, ROOMS, TASKS, refusal_of
from tests.training.grid.cases import Cases, DiffersError
from tests.training.grid.covering import Case

COSTS = ("parameters", "size", "flops")
TIMED = ("latency_p50", "latency_in_turn", "speed_up")
USUAL = {
    "answer": "classes", "named": True, "form": "columns", "model": "module", "labels": "all",
    "output": "tensor", "examples": 7, "columns": "quality",
}  # fmt: skip
RESAMPLED = 1000


CASES = Cases("tests.evaluation.grid.compare", AXES, USUAL)
case, pasted = CASES.case, CASES.pasted


def check(one: Case) -> str:
    """Hold one case against the figures by hand.

    Returns:
        "measured", or "refused" for a case that is refused as it should be.

    Raises:
        DiffersError: with the lines to paste.
    """
    with warnings.catch_warnings(action="ignore"), CASES.printed(one):
        return _check(one, refusal_of(one))


def _check(one: Case, words: list[str]) -> str:
    problem = problems.problem_of(one)
    data, more = forms.as_given(one, problem)
    student, answers = forms.contender(one, problem, data)
    other = problems.made(one["answer"], 300)
    teachers = forms.teachers_of(one)
    models: dict[str, Any] = {"student": student, "other": other}
    raw = {"student": answers, "other": _each(one, problem, [other])}
    teacher: Any = None
    if one["teacher"] == "own":
        teacher, raw["teacher"] = freeze(teachers[0]), _each(one, problem, teachers)
    elif teachers:
        models["big"] = teachers if len(teachers) > 1 else teachers[0]
        teacher, raw["big"] = "big", _each(one, problem, teachers)
    reads = {"student": lambda out: out[1]} if one["output"] == "read" else None
    settings: dict[str, Any] = {"collate": more.get("collate"), "read": reads}
    task = TASKS[one["answer"]] if one["named"] else None
    if problem.ignore is not None:
        settings["ignore"] = problem.ignore
    before = _state(models, data, teacher)
    try:
        report = compare(
            models,
            data,
            teacher,
            task=task,
            measures=_measures(one),
            baseline=one["baseline"],
            columns=_columns(one),
            splits=one["splits"],
            class_names=_names(one),
            runs=2,
            warmup=0,
            **settings,
        )
    except (ValueError, TypeError) as error:
        if words and any(re.search(word, str(error), re.DOTALL) for word in words):
            _untouched(before, _state(models, data, teacher))
            return "refused"
        raise
    if words:
        raise DiffersError(f"measured, and should be refused: {words}")
    _untouched(before, _state(models, data, teacher))
    _Held(one, problem, raw, report).check()
    if one["answer"] in (*ROOMS, "language") and one["teacher"] in ("named", "seeds"):
        _headroom(one, problem, models, data, settings | {"task": task}, raw)
    return "measured"


def _each(one: Case, problem: problems.Problem, nets: list[Any]) -> list[Tensor]:
    if one["form"].startswith("stacked"):
        each = nets if len(nets) > 1 else nets * len(problem.inputs["x"])
        return [forms.asked(n, {"x": x}) for n, x in zip(each, problem.inputs["x"], strict=True)]
    return [forms.asked(net, problem.inputs) for net in nets]


def _names(one: Case) -> Any:
    names = problems.TAGS if one["answer"] == "tags" else problems.CLASSES
    return {
        None: None,
        "list": names,
        "by number": dict(enumerate(names)),
        "string": "abcde"[: len(names)],
        "one too few": names[1:],
    }[one["class_names"]]


def _columns(one: Case) -> list[str]:
    quality = [c for c in default_columns(TASKS[one["answer"]]) if c not in (*COSTS, *TIMED)]
    quality = [c for c in quality if "latency" not in c]
    return [*quality, *{"costs": COSTS, "timed": TIMED}.get(one["columns"], ())]


def _first(answers: Tensor, labels: Any) -> float:
    """A measure of one's own: it says what it is given."""
    known = 0.0 if labels is None else float(labels.double().nan_to_num(0.5).sum())
    return float(answers.double().sum()) + 1000 * known + 1e6 * answers.dim()


def _measures(one: Case) -> Any:
    return {None: None, "function": {"own": _first}, "by model": {"own": {"student": 0.25}}}[
        one["measures"]
    ]


def _state(models: Mapping[str, Any], data: Any, teacher: Any) -> dict[str, Any]:
    """Whatever a report may not change."""
    nets = [m for each in (*models.values(), teacher) for m in _modules(each)]
    parts = data if isinstance(data, tuple) else (data,)
    return {
        "the modes": [(m.training, len(m._forward_hooks)) for net in nets for m in net.modules()],
        "gradients": [(p.requires_grad, p.grad is None) for n in nets for p in n.parameters()],
        "weights": [p.detach().clone() for net in nets for p in net.parameters()],
        "torch's random state": torch.get_rng_state(),
        "NumPy's random state": np.random.get_state()[1].copy(),  # noqa: NPY002
        "the data": [copy.deepcopy(p) for part in parts for p in _tensors(part)],
    }


def _modules(model: Any) -> list[nn.Module]:
    each = model if isinstance(model, list) else [getattr(model, "model", model)]
    return [m for m in each if isinstance(m, nn.Module)]


def _tensors(part: Any) -> list[Any]:
    if hasattr(part, "parts"):
        part = part.parts
    if isinstance(part, Mapping):
        part = list(part.values())
    if isinstance(part, list | tuple):
        return [tensor for each in part for tensor in _tensors(each)]
    return [torch.as_tensor(part)] if isinstance(part, Tensor | np.ndarray) else []


def _untouched(before: dict[str, Any], after: dict[str, Any]) -> None:
    for name, value in before.items():
        for a, b in zip(value, after[name], strict=True):
            same = (
                torch.equal(a.nan_to_num(0.5), b.nan_to_num(0.5))
                if isinstance(a, Tensor)
                else np.array_equal(a, b)
            )
            if not same:
                raise DiffersError(f"{name} changed while the report was made")


class _Held:
    """A report beside the figures by hand."""

    def __init__(
        self, one: Case, problem: problems.Problem, raw: dict[str, list[Tensor]], report: Report
    ) -> None:
        self.one, self.report, self.answer = one, report, one["answer"]
        self.stacked = one["form"].startswith("stacked")
        self.teacher = {"own": "teacher", None: None}.get(one["teacher"], "big")
        names = problems.TAGS if one["class_names"] and self.answer == "tags" else None
        self.names, self.rough = names, 1e-4 if one["model"] == "int8" else 1e-7
        if self.answer == "language" or one["model"] in ("onnx", "runs"):
            self.rough = 2e-5
        truth = None if problem.truth is None else problem.truth.numpy()
        kept = slice(None)
        if truth is not None:
            kept = by_hand.labelled(self.answer, truth[0] if self.stacked else truth)
        self.truth = truth
        if truth is not None:
            self.truth = truth[:, kept] if self.stacked else truth[kept]
        self.answers = {
            name: [self._laid(z.double().numpy())[kept] for z in each] for name, each in raw.items()
        }
        self.raw = raw
        self.figures = {
            name: [self._of(z, i) for i, z in enumerate(each)]
            for name, each in self.answers.items()
        }

    def _laid(self, z: Any) -> Any:
        wide = self.one["output"] == "one more axis"
        return z[..., 0] if wide and z.ndim > 1 and z.shape[-1] == 1 else z

    def _labels(self, seed: int) -> Any:
        return self.truth[seed] if self.stacked else self.truth

    def _of(self, z: Any, seed: int) -> dict[str, float]:
        if self.truth is None:
            return {}
        return by_hand.figures(self.answer, z, self._labels(seed), self.names)

    def check(self) -> None:
        if self.report.task != TASKS[self.answer] or self.report.teacher != self.teacher:
            raise DiffersError(f"taken for {self.report.task}, beside {self.report.teacher}")
        for name, each in self.answers.items():
            row = self.report[name]
            wanted = {key: [f[key] for f in self.figures[name]] for key in self.figures[name][0]}
            if self.answer in ONE:
                wanted |= self._worst(name)
            if self.teacher:
                wanted |= self._beside(name, each)
            for key, values in wanted.items():
                itself = self.answer in ONE and name == self.teacher
                sure = {"agreement": 100.0, "kl_to_teacher": 0.0, "retained": 100.0}
                own = [sure[key]] if itself and key in sure else values  # by definition
                self._near(f"{name}'s {key}", row[key], _mean(own))
                if key in row.by_seed:
                    for i, (a, b) in enumerate(zip(row.by_seed[key], values, strict=True)):
                        self._near(f"{name}'s {key} of seed {i}", a, b)
            extra = set(row.scores) | {k for k in row.by_seed if k in COLUMNS}
            if missing := extra - wanted.keys():
                raise DiffersError(f"{name} has figures that nobody knows by hand: {missing}")
            self._extra(name, row)
        self._differences()
        text = f"{self.report}{self.report.to_html()}"
        self.report.to_frame()
        if "nan" in re.sub(r"[a-z]+nan|nan[a-z]+|differ.*", "", text):
            raise DiffersError("the report prints nan, not words")

    def _worst(self, name: str) -> dict[str, list[float]]:
        """The class that is worst on the mean over seeds, in each seed that has it."""
        each: dict[int, list[float]] = {}
        for i, z in enumerate(self.answers[name]):
            y = self._labels(i)
            for c in set(y.tolist()):
                each.setdefault(c, []).append(100 * (z.argmax(-1) == y)[y == c].mean())
        worst = min(sorted(each), key=lambda c: round(np.mean(each[c]), 9))
        names = self.one["class_names"] and problems.CLASSES
        wanted = names[worst] if names else str(worst)
        if self.report[name].worst_class_name != wanted:
            raise DiffersError(f"{name}'s worst class is {self.report[name].worst_class_name}")
        return {"worst_class": each[worst]}

    def _beside(self, name: str, each: list[Any]) -> dict[str, list[float]]:
        known = self.answers[self.teacher]
        many = max(len(each), len(known))
        pairs = [
            by_hand.beside(
                self.answer,
                each[min(i, len(each) - 1)],
                known[min(i, len(known) - 1)],
                None if self.truth is None else self._labels(i),
            )
            for i in range(many)
        ]
        return {key: [pair[key] for pair in pairs] for key in pairs[0]}

    def _extra(self, name: str, row: Any) -> None:
        if self.one["measures"] == "by model":
            self._near(f"{name}'s own", row["own"], 0.25 if name == "student" else None)
        elif (
            self.one["measures"] == "function"
            and self.answer in (*ONE, *NUMBERS, "lists")
            and self.one["labels"] in ("all", "single")  # elsewhere they are laid out
            and self.answer != "number tokens"
        ):
            axes = {"classes": 2, "topics": 2, "numbers": 2, "lists": 2}.get(self.answer)
            axes = axes if axes else self.raw[name][0].dim()
            padded = [
                1
                if self.truth is None
                else float(np.nan_to_num(self._labels(i).astype(float), nan=0.5).sum())
                for i in range(len(self.answers[name]))
            ]
            wanted = [
                float(z.sum()) + 1000 * y + 1e6 * axes
                for z, y in zip(self.answers[name], padded, strict=True)
            ]
            self._near(f"{name}'s own", row["own"], _mean(wanted), 1e-3)

    def _differences(self) -> None:
        main = by_hand.MAIN[self.answer] if not self.names else "span_f1"
        wanted = []
        for against in dict.fromkeys((self.one["baseline"], self.teacher)):
            for name in self.answers:
                if against and name != against and (against, name) not in wanted:
                    wanted.append((name, against))
        if self.answer not in ONE and (self.truth is None or len(self.truth) < 2):
            wanted = []
        tested = [(d.model, d.against) for d in self.report.differences]
        if sorted(tested) != sorted(wanted):
            raise DiffersError(f"tested are {tested}, and should be {wanted}")
        for difference in self.report.differences:
            self._difference(difference, main)

    def _difference(self, d: Difference, main: str) -> None:
        a, b = ([f[main] for f in self.figures[n]] for n in (d.model, d.against))
        values = {"mean": d.interval.mean, "low": d.interval.low, "high": d.interval.high}
        values |= {"n": d.interval.n, "p": d.p}
        shares = main in by_hand.SHARES
        if max(len(a), len(b)) > 1:
            if not all(map(math.isfinite, (*a, *b))):
                wanted: dict[str, Any] = {"mean": math.nan, "low": math.nan, "high": math.nan}
            else:
                wanted = by_hand.of_seeds(a, b, shares, self.one["splits"])
        elif self.answer in ONE:
            one, other = (self.answers[n][0].argmax(-1) == self.truth for n in (d.model, d.against))
            wanted = by_hand.of_two(one, other)
        else:
            wanted = {"mean": a[0] - b[0]}
            if d.of == "resamples" and len(self.truth) <= 3 and math.isfinite(a[0] - b[0]):
                wanted |= self._resampled(d, main)
            elif d.of == "examples":
                wanted |= self._by_example(d, main)
        for key, value in wanted.items():
            self._near(f"{d.model} less {d.against}, {key}", values[key], value)

    def _resampled(self, d: Difference, main: str) -> dict[str, float]:
        generator, count = torch.Generator().manual_seed(0), len(self.truth)
        drawn = [torch.randint(count, (100, count), generator=generator) for _ in range(10)]
        known: dict[tuple[int, ...], float] = {}

        def of(rows: Any) -> float:
            key = tuple(sorted(rows.tolist()))
            if key not in known:
                y, index = self.truth, np.array(key)
                x = (self.answers[n][0] for n in (d.model, d.against))
                one, other = (
                    by_hand.figures(self.answer, z[index], y[index], self.names)[main] for z in x
                )
                # of samples the sign alone is looked at, and rounding has none
                known[key] = 0.0 if abs(one - other) < 1e-9 else one - other
            return known[key]

        if self.answer in ("embeddings",):
            return {}
        return by_hand.of_resamples(of, torch.cat(drawn).numpy())

    def _by_example(self, d: Difference, main: str) -> dict[str, float]:
        rows = []
        for name in (d.model, d.against):
            z = self.answers[name][0]
            if self.answer == "embeddings":
                return {}
            each = [
                by_hand.figures(self.answer, z[i : i + 1], self.truth[i : i + 1], self.names)[main]
                for i in range(len(z))
            ]
            rows.append(each)
        return by_hand.of_seeds(*rows, main in by_hand.SHARES)

    def _near(self, what: str, value: Any, wanted: Any, rough: float | None = None) -> None:
        if value is None or wanted is None:
            same = value is wanted or (value is None and math.isnan(wanted))
        elif not math.isfinite(wanted):
            same = str(float(value)) == str(float(wanted))
        else:
            same = abs(value - wanted) <= (rough or self.rough) * (1 + abs(wanted))
        if not same:
            raise DiffersError(f"{what} is {value}, by hand {wanted}")


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


def _headroom(
    one: Case, problem: problems.Problem, models: Any, data: Any, settings: Any, raw: Any
) -> None:
    answer, stacked = one["answer"], one["form"].startswith("stacked")
    each = [[z.double().numpy() for z in raw[name]] for name in ("big", "student")]
    if max(map(len, each)) > 1 and answer not in ONE:
        return
    assert problem.truth is not None
    truth = problem.truth.numpy()
    rows = list(truth) if stacked else [truth] * max(map(len, each))
    kept = by_hand.labelled(answer, rows[0])
    rows = [y[kept] for y in rows]
    seeds = [
        (t[kept], z[kept].reshape(t[kept].shape))
        for t, z in zip(*(x * (len(rows) // len(x)) for x in each), strict=True)
    ]
    read = (settings["read"] or {}).get("student")
    settings = settings | {"read": {"student": read} if read else None}
    try:
        room = headroom(models["big"], models["student"], data, **settings)
    except ValueError as error:
        if _scored(answer, rows[0]) < 2 and "two" in str(error):
            return
        raise
    except TypeError as error:
        if answer == "language" and "expected a torch module" in str(error):
            return
        raise
    rooms = [by_hand.room(answer, t, z, y) for (t, z), y in zip(seeds, rows, strict=True)]
    wanted = by_hand.of_rooms(rooms) if len(rooms) > 1 else rooms[0]
    for name in ("score_gap", "nll_gap"):
        gap, got = wanted.pop(name), getattr(room, name)
        wanted |= {f"{name} {k}": (getattr(got, k), v) for k, v in gap.items() if k != "p"}
    rough = 2e-5 if answer == "language" or one["model"] in ("onnx", "int8", "runs") else 1e-7
    for name, value in wanted.items():
        got, value = value if isinstance(value, tuple) else (getattr(room, name), value)
        if not abs(got - value) <= rough * (1 + abs(value)):
            raise DiffersError(f"headroom's {name} is {got}, by hand {value}")


def _scored(answer: str, truth: Any) -> int:
    """How many examples have something that is scored."""
    if answer in ONE:
        return len(truth)
    counted = truth[:, 1:] if answer == "language" else truth
    return int(((counted != -100) & ~np.isnan(counted)).reshape(len(truth), -1).any(1).sum())


__all__ = ["DiffersError", "case", "check", "pasted"]

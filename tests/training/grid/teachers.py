"""Teachers as a user would give them, and what each says, worked out by hand."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from distill_lab import teachers
from distill_lab.teachers import Ensemble, cache, freeze, keep, record
from tests.training.grid.axes import LANGUAGE, MAPS, SOFTMAX
from tests.training.grid.covering import Case
from tests.training.grid.problems import NARROW, Problem, made, teacher_net

T = 2.0
KEPT = 3  # classes of a cached top k


def answer_of(net: nn.Module, inputs: Any) -> Tensor:
    return net(**inputs) if isinstance(inputs, dict) else net(inputs)


def is_softmax(case: Case) -> bool:
    return case["answer"] in (*SOFTMAX, *LANGUAGE)


def teacher_of(case: Case, problem: Problem, data: Any, more: dict[str, Any], folder: Path) -> Any:
    """The teacher of a case, made anew, as `distill` takes it."""
    kind, answer = case["teacher"], case["answer"]
    if kind is None:
        return None
    net = teacher_net(case)
    if kind == "module":
        return net
    if kind == "function":
        return lambda batch: answer_of(net, batch.inputs)
    if kind in ("arrays", "probabilities"):
        return _of_arrays(net, is_softmax(case), kind)
    if kind == "table":
        return teachers.probabilities(net(**problem.inputs).softmax(-1))
    if kind == "recorded":
        return record(freeze(net), data, batch_size=5, **more)
    if kind in ("cached", "top_k"):
        signal = (
            keep.top_k(KEPT, T=T, dtype="float32") if kind == "top_k" else keep.dense("float32")
        )
        return cache(freeze(net), data, folder, signal=signal, batch_size=5, progress=False, **more)
    if kind.startswith("mean of "):
        members = [freeze(net), freeze(teacher_net(case, 1))]
        axis = 1 if answer in MAPS and answer in SOFTMAX else None
        return Ensemble(members, mean=kind.removeprefix("mean of "), T=T, axis=axis)
    if kind == "routed":
        other = teacher_net(case, 1)
        return teachers.route({"a": net, "b": other}, by=lambda batch: batch.ids % 2)
    if kind == "ema":
        return teachers.EMA(other_start(case), decay=0.75)
    return freeze(net)


def _of_arrays(net: nn.Module, softmax: bool, kind: str) -> Any:
    """A function of NumPy arrays that says what its numbers are."""
    says = "logits" if softmax else "values"
    if kind == "probabilities":
        says = "probabilities" if softmax else "binary_probabilities"

    def answer(arrays: Any) -> Any:
        named = isinstance(arrays, dict)
        of = torch.from_numpy
        z = answer_of(net, {k: of(v) for k, v in arrays.items()} if named else of(arrays))
        if kind == "probabilities":
            z = z.softmax(-1) if softmax else z.sigmoid()
        return z.numpy()

    return teachers.function(answer, says=says, takes="arrays")


def other_start(case: Case) -> nn.Module:
    """Where the average begins: not at the student, beside which there would be no gradient."""
    return made(case["answer"], 300, NARROW, case["returns"], case["inside"])


class Says:
    """What the teacher of a case answers, in float64; of the top k its classes and their logs."""

    def __init__(self, case: Case) -> None:
        self.case, self.kind, self.softmax = case, case["teacher"], is_softmax(case)
        self.nets = [teacher_net(case), teacher_net(case, 1)]
        self.steps = 0
        if self.kind == "ema":
            self.average = other_start(case).eval().requires_grad_(False)

    def follow(self, student: nn.Module) -> None:
        """Mean Teacher: d = min(decay, 1 - 1 / (n + 1)) after step n."""
        if self.kind != "ema":
            return
        self.steps += 1
        d = min(0.75, 1 - 1 / (self.steps + 1))
        state = student.state_dict()
        for name, mine in self.average.state_dict().items():
            its = state[name]  # counters are copied
            mine.copy_(d * mine + (1 - d) * its if mine.is_floating_point() else its)

    def __call__(self, inputs: dict[str, Tensor], ids: Tensor) -> Any:
        with torch.no_grad():
            if self.kind == "ema":
                out = self.average(**inputs)
                return out["logits"] if isinstance(out, dict) else out
            first, second = (net(**inputs) for net in self.nets)
        axis = 1 if self.case["answer"] in MAPS else -1
        if self.kind == "routed":
            even = (ids % 2 == 0).reshape(-1, *[1] * (first.dim() - 1))
            return torch.where(even, first, second)
        if self.kind == "mean of logits":
            return (first + second) / 2
        if self.kind == "mean of probabilities":
            mean = ((first / T).softmax(axis) + (second / T).softmax(axis)) / 2
            return T * mean.log()
        if self.kind in ("probabilities", "table") and self.softmax:
            return first.log_softmax(axis)
        if self.kind == "top_k":
            log_p, ids = (first / T).log_softmax(-1).topk(KEPT)
            return ids, log_p
        return first

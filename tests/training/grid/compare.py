"""One case run by the engine and by hand; what differs is printed so that it can be pasted."""

import re
import tempfile
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import nn

from distill_lab.seeds import distill_seeds
from distill_lab.training import distill
from tests.training.grid import by_hand, forms, formulas, problems, recipes, teachers
from tests.training.grid.axes import AXES, ROUGH, refusal_of
from tests.training.grid.cases import Cases, DiffersError
from tests.training.grid.covering import Case

SEED, SEEDS, STOP = 3, (3, 8), 3
LOOK_ALIKE = "they look like probabilities of independent labels"
USUAL = {
    "answer": "classes", "method": "soft", "labels": "all", "mask": "auto", "teacher": "frozen",
    "form": "columns", "order": "shuffled", "unknown": "usual", "returns": "tensor",
    "feature_mask": "auto", "batch": 6, "accumulate": 1, "drop_last": False, "length": "epochs",
    "optimizer": "adamw", "schedule": "constant", "warmup": 0, "end": "through",
}  # fmt: skip


CASES = Cases("tests.training.grid.compare", AXES, USUAL)
case, pasted = CASES.case, CASES.pasted


def check(one: Case) -> str:
    """Hold one case against the loop by hand.

    Returns:
        "learned", or "refused" for a case that the engine refuses as it should.

    Raises:
        DiffersError: with the lines to paste.
    """
    words = refusal_of(one)
    ignored = warnings.catch_warnings(action="ignore")
    with tempfile.TemporaryDirectory() as folder, ignored, CASES.printed(one):
        return _check(one, words, Path(folder))


def _check(one: Case, words: list[str], folder: Path) -> str:
    first = torch.arange(0)
    if one["labels"] == "none in a batch" or one["weights"] is not None:
        # lengths do not depend on which examples are without a label
        known = problems.problem_of(one | {"labels": None, "weights": None}, first)
        plain = one if one["order"] != "balanced" else one | {"labels": "some"}
        first = by_hand.batches_of(one, forms.sampler_of(plain, known), SEED)[0][0]
    problem = problems.problem_of(one, first)
    try:
        by_hand_ends = _by_hand(one, problem) if not words else None
    except formulas.RefusedError as error:
        words = [str(error)]
    try:
        engine = _engine(one, problem, folder)
    except (ValueError, TypeError) as error:
        if LOOK_ALIKE in str(error):  # a guess, of a few numbers by chance
            return "refused"
        if words and any(re.search(word, str(error)) for word in words):
            return "refused"
        raise
    if words:
        raise DiffersError(f"learned, and should be refused: {words}")
    _compare(one, engine, by_hand_ends)
    return "learned"


def _by_hand(one: Case, problem: problems.Problem) -> list[by_hand.Ended]:
    mapped = recipes.maps_of(one)
    sampler = forms.sampler_of(one, problem)
    seeds = SEEDS if one["end"] == "seeds" else (SEED,)
    return [
        by_hand.train(one, problem, problems.student_of(one, seed), sampler, seed, mapped)
        for seed in seeds
    ]


def _engine(one: Case, problem: problems.Problem, folder: Path) -> list[by_hand.Ended]:
    if one["end"] == "seeds":
        return _seeds(one, problem, folder)
    through = _run(one, problem, folder)
    if one["end"] in ("resumed", "extended"):
        path = {"checkpoint": folder / "run", "checkpoint_every": 2}
        shorter = {"epochs": 1} if one["length"] == "epochs" else {"steps": STOP}
        stopped = {"callbacks": [lambda step: step.step == STOP]}
        _run(one, problem, folder, **(shorter if one["end"] == "extended" else stopped), **path)
        again = _run(one, problem, folder, **path)
        for module, other in zip(_modules(through), _modules(again), strict=True):
            bits = zip(module.state_dict().items(), other.state_dict().values(), strict=True)
            for (name, a), b in bits:
                if not torch.equal(a, b):
                    raise DiffersError(f"{one['end']}, {name} has other bits than run through")
        if through.terms != again.terms:
            raise DiffersError(f"{one['end']}, the history is another than run through")
    return [through]


def _modules(ended: by_hand.Ended) -> list[nn.Module]:
    return [ended.student, ended.maps]


def _prepared(one: Case, problem: problems.Problem, folder: Path) -> Any:
    data, more = forms.as_given(one, problem)
    teacher = teachers.teacher_of(one, problem, data, more, folder / "cache")
    maps = recipes.maps_of(one)
    return data, more, teacher, maps, recipes.method_of(one, maps)


def _run(one: Case, problem: problems.Problem, folder: Path, **also: Any) -> by_hand.Ended:
    student = problems.student_of(one, SEED)
    data, more, teacher, maps, method = _prepared(one, problem, folder)
    settings = recipes.settings_of(one, SEED) | also
    if one["before"]:
        first = recipes.settings_of(one | {"length": "steps", "warmup": 0}, SEED)
        first |= {"steps": 1, "accumulate": 2, "drop_last": False}
        other = problems.student_of(one, SEED + 1)
        distill(other, data, teacher=teacher, method=method, **more, **first)
        data, more, teacher, *_ = _prepared(one, problem, folder)
    settings["sampler"] = None if one["order"] == "shuffled" else forms.sampler_of(one, problem)
    history = distill(student, data, teacher=teacher, method=method, **more, **settings)
    return by_hand.Ended(student, maps, {name: list(history[name]) for name in history.terms})


def _seeds(one: Case, problem: problems.Problem, folder: Path) -> list[by_hand.Ended]:
    data, _, teacher, _, method = _prepared(one, problem, folder)
    settings = recipes.settings_of(one, SEED)
    for name in ("seed", "accumulate", "shares_every", "progress"):
        settings.pop(name)
    if one["order"] != "shuffled":
        settings["sampler"] = forms.sampler_of(one, problem)
    runs = distill_seeds(
        *(lambda seed: problems.student_of(one, seed), data),
        seeds=SEEDS,
        teacher=teacher,
        method=method,
        progress=False,
        **settings,
    )
    terms = [{name: each[:, i].tolist() for name, each in runs.terms.items()} for i in range(2)]
    return [by_hand.Ended(runs.model(i), nn.ModuleList(), terms[i]) for i in range(2)]


def _compare(one: Case, engine: list[by_hand.Ended], ours: list[by_hand.Ended]) -> None:
    if one["inside"] == "dropout":
        return  # who draws it otherwise learns another thing: bits are held against each other
    rough = one["teacher"] in ROUGH or one["beside"] == "crd"  # whose bank is in float32
    for run, mine in zip(engine, ours, strict=True):
        for name, values in mine.terms.items():
            if "/" in name and one["end"] == "seeds":
                continue  # nothing is shown there
            a, b = torch.tensor(run.terms[name]).double(), torch.tensor(values).double()
            if a.shape != b.shape:
                raise DiffersError(f"{len(a)} steps and by hand {len(b)}")
            # each step scored alone agrees; later ones carry on what float32 rounded
            tolerance = 3e-4 if rough else 1e-9 if one["end"] != "seeds" else 1e-6
            near = (a - b).abs() <= tolerance * (1 + b.abs())
            if not near.all():
                step = int((~near).nonzero()[0])
                values = f"{a[step].item():.10g} at step {step + 1}, by hand {b[step].item():.10g}"
                raise DiffersError(f"{name} is {values}")
        modules = _modules(run) if one["end"] != "seeds" else [run.student]
        for module, other in zip(modules, _modules(mine), strict=False):
            states = module.state_dict(), other.state_dict()
            for (name, a), b in zip(states[0].items(), states[1].values(), strict=True):
                apart = (a - b).abs().max().item()
                if not apart <= (3e-3 if rough else 1e-8):
                    raise DiffersError(f"{name} is {apart:.3g} from that by hand")

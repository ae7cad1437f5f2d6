"""One loop of plain PyTorch: order, pieces, terms, clipping, schedule, optimizer, early end."""

import math
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.training.grid.axes import ALONE, EPOCHS, EXAMPLES, MAPS, STEPS
from tests.training.grid.covering import Case
from tests.training.grid.features import Bank, beside_of
from tests.training.grid.formulas import by_teacher, sums_of, sums_of_several, weights_of
from tests.training.grid.problems import Problem
from tests.training.grid.teachers import Says

LR, DECAY, EVERY, PATIENCE = 0.02, 0.1, 3, 1
RATES = {"head": 0.01, "": 0.03}


@dataclass
class Ended:
    """What a run left."""

    student: nn.Module
    maps: nn.ModuleList  # what learned beside it
    terms: dict[str, list[float]] = field(default_factory=dict)


def batches_of(case: Case, sampler: Any, seed: int) -> tuple[list[Tensor], int]:
    """The examples of every step, and how many steps an epoch has."""
    result: list[Tensor] = []
    epoch = 0
    per_epoch = 0
    while True:
        if sampler is None:
            generator = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
            order = torch.randperm(EXAMPLES, generator=generator)
        else:
            order = sampler.order(EXAMPLES, seed, epoch)
        own = [
            part
            for part in order.split(case["batch"])
            if len(part) == case["batch"] or not case["drop_last"]
        ]
        per_epoch = len(own)
        if not own:  # such a run is refused
            return [order[:0]], 0
        result += own
        epoch += 1
        if case["length"] == "epochs" and epoch == EPOCHS:
            return result, per_epoch
        if case["length"] == "steps" and len(result) >= STEPS:
            return result[:STEPS], per_epoch


def piece_of(case: Case, problem: Problem, ids: Tensor) -> dict[str, Any]:
    """Some examples as a model reads them; ragged rows are as wide as the longest of the piece."""
    inputs = {name: column[ids] for name, column in problem.inputs.items()}
    labels = None if problem.labels is None else problem.labels[ids]
    weights = torch.ones(len(ids)).double() if problem.weights is None else problem.weights[ids]
    if case["form"] == "ragged":
        assert problem.lengths is not None
        lengths = problem.lengths[ids]
        width = int(lengths.max())
        inputs = {name: column[:, :width] for name, column in inputs.items()}
        if labels is not None:
            behind = torch.arange(width) >= lengths[:, None]
            fill = float("nan") if labels.is_floating_point() else -100
            labels = labels[:, :width].clone()
            labels[behind] = fill
            if case["labels"] == "soft":  # padding has some probabilities as well
                labels[behind] = F.one_hot(torch.tensor(0), labels.shape[-1]).to(labels.dtype)
    if labels is not None and case["unknown"] == 255:
        labels = labels if labels.is_floating_point() else labels.long()
        labels = labels.masked_fill(labels == 255, -100)
    attended = inputs["attention_mask"].bool() if "attention_mask" in inputs else None
    return {"inputs": inputs, "labels": labels, "weights": weights, "attended": attended}


def train(
    case: Case, problem: Problem, student: nn.Module, sampler: Any, seed: int, maps: nn.ModuleList
) -> Ended:
    """Train a student in place, and a copy of the map of its features beside it."""
    batches, per_epoch = batches_of(case, sampler, seed)
    maps, bank = deepcopy(maps), Bank() if case["beside"] == "crd" else None
    says = Says(case)
    modules = [student, maps]
    parameters = [p for module in modules for p in module.parameters() if p.requires_grad]
    optimizer = optimizer_of(case, student, maps)
    highest = [group["lr"] for group in optimizer.param_groups]
    weights, ended = weights_of(case), Ended(student, maps)
    ended.terms = {name: [] for name in weights}
    best: tuple[float, dict[str, Tensor]] | None = None
    waited = 0
    for step, ids in enumerate(batches):
        pieces = [p for p in ids.tensor_split(case["accumulate"]) if len(p)]
        student.train()
        sums = []
        for p in pieces:
            before = deepcopy(dict(student.named_buffers()))
            sums.append(of_piece(case, problem, p, student, maps, says, bank))
            if not any(count for _, count in sums[-1].values()):  # it is not read at all
                for name, buffer in student.named_buffers():
                    buffer.data.copy_(before[name])  # the graph of other pieces holds on to it
        loss = torch.zeros((), dtype=torch.float64)
        learns = False
        for name, weight in weights.items():
            total = sum((s[name][0] for s in sums), start=torch.zeros((), dtype=torch.float64))
            count = sum(s[name][1] for s in sums)
            term = total / count if count else torch.zeros((), dtype=torch.float64)
            learns = learns or count > 0
            loss = loss + weight * term
            ended.terms[name].append(float(term))
        for name in sums[0].keys() - weights.keys():  # what is shown
            total, count = (sum(float(s[name][i]) for s in sums) for i in (0, 1))
            ended.terms.setdefault(name, []).append(total / count if count else 0.0)
        for group, lr in zip(optimizer.param_groups, highest, strict=True):
            group["lr"] = lr * factor(case, step, len(batches), per_epoch)
        if learns:
            optimizer.zero_grad()
            loss.backward()
            if case["clip"] is not None:
                grads = [p.grad for p in parameters if p.grad is not None]
                norm = math.sqrt(sum(float(grad.square().sum()) for grad in grads))
                for grad in grads:
                    grad *= min(1.0, case["clip"] / (norm + 1e-6))
            optimizer.step()
        says.follow(student)
        if case["early"] is not None and (step + 1 == len(batches) or (step + 1) % EVERY == 0):
            value = measure(student)
            if best is None or value > best[0]:
                best, waited = (value, deepcopy(student.state_dict())), 0
            else:
                waited += 1
            if case["early"] == "patience" and waited >= PATIENCE:
                break
    if best is not None:
        student.load_state_dict(best[1])
    return ended


def measure(student: nn.Module) -> float:
    """What early stopping looks at: a number that goes up and down."""
    flat = torch.cat([p.detach().flatten() for p in student.parameters()])
    return math.sin(20 * float((flat * torch.arange(len(flat)).remainder(7)).sum()))


def of_piece(
    case: Case,
    problem: Problem,
    ids: Tensor,
    student: nn.Module,
    maps: nn.ModuleList,
    says: Says,
    bank: Bank | None,
) -> dict[str, tuple[Tensor, float]]:
    """The sums of every term over one piece."""
    piece = piece_of(case, problem, ids)
    if case["several"] is not None:
        first, last = student.all_logits(piece["inputs"])
        return sums_of_several(case, piece, first, last)
    features: list[Tensor] = []
    hook = student.hidden.register_forward_hook(lambda _m, _i, out: features.append(out))
    out = student(**piece["inputs"])
    hook.remove()
    z = out["logits"] if isinstance(out, dict) else out[1] if isinstance(out, tuple) else out
    t = None if case["teacher"] is None else says(piece["inputs"], ids)
    sums = sums_of(case, piece, z, t)
    if case["teacher"] == "routed" and case["method"] not in ALONE and case["answer"] != "gaussian":
        sums |= by_teacher(case, piece, ids, z.detach(), t)
    if case["beside"] is not None:
        its: list[Tensor] = []
        hook = says.nets[0].hidden.register_forward_hook(lambda _m, _i, out: its.append(out))
        says.nets[0](**piece["inputs"])
        hook.remove()
        if bank is not None:
            sides = (
                F.linear(f, m.weight, m.bias)
                for f, m in zip((features[0], its[0]), maps, strict=True)
            )
            return sums | {"crd": (len(ids) * bank(*sides, ids), float(len(ids)))}
        mapped = None
        if len(maps):
            w, b = maps[0].weight, maps[0].bias
            in_front = case["answer"] in MAPS
            mapped = F.conv2d(features[0], w[..., None, None], b) if in_front else None
            mapped = F.linear(features[0], w, b) if mapped is None else mapped
        sums |= beside_of(case, piece, features[0], its[0], mapped)
    return sums


def optimizer_of(case: Case, student: nn.Module, maps: nn.ModuleList) -> torch.optim.Optimizer:
    named = [(name, p) for name, p in student.named_parameters() if p.requires_grad]
    named += [("projections", p) for p in maps.parameters()]
    if case["optimizer"] == "sgd":
        return torch.optim.SGD([p for _, p in named], 0.1, momentum=0.5)
    if case["optimizer"] == "adamw":
        return torch.optim.AdamW([p for _, p in named], LR, weight_decay=0.0)
    groups = []
    for name, p in named:  # norms and biases, all vectors, do not decay
        rate = RATES["head" if name.startswith("head.") else ""]
        groups.append({"params": [p], "lr": rate, "weight_decay": DECAY if p.dim() > 1 else 0.0})
    return torch.optim.AdamW(groups)


def factor(case: Case, step: int, steps: int, per_epoch: int) -> float:
    """What the learning rate is multiplied by, as `lr_at` has it."""
    warmup, schedule = case["warmup"], case["schedule"]
    if step < warmup:
        return (step + 1) / warmup
    u = (step - warmup) / (steps - warmup)
    if schedule == "linear":
        return 1 - u
    if schedule == "cosine":
        return (1 + math.cos(math.pi * u)) / 2
    if schedule == "milestones":
        return 0.25 if step >= per_epoch else 1.0
    return 0.5 ** (step / 3) if schedule == "function" else 1.0

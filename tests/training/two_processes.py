"""Trains students under a launcher and writes what came out: started by test_processes.py.

accelerate launch ... two_processes.py '[["CASE", {"accumulate": 3}, "OUT"], ...]'
"""

import json
import random
import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

from distill_lab import methods
from distill_lab.losses import hint_loss
from distill_lab.models import MLP
from distill_lab.models.projections import Regressor
from distill_lab.teachers import EMA, Live, freeze
from distill_lab.training import EarlyStopping, History, distill


class Seen(Live):
    """A live teacher that notes which examples this process asked it about."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__(model)
        self.ids: list[int] = []

    def __call__(self, batch):
        self.ids += batch.ids.tolist()
        return super().__call__(batch)


class Texts(nn.Module):
    """The smallest language model: each token predicts the next through one table."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.table = nn.Parameter(torch.randn(9, 9, generator=generator))

    def forward(self, tokens):
        return self.table[tokens]


class Shaken(torch.utils.data.Dataset):
    """Pictures augmented from the generators that are not torch's, as many pipelines do it."""

    def __init__(self):
        self.inputs, self.labels = pictures()

    def __len__(self):
        return len(self.inputs)

    def __getitem__(self, i):
        moved = self.inputs[i] + 0.1 * random.gauss(0, 1)  # drawn in pairs: one is kept for later
        return moved * (1 + 0.1 * float(np.random.normal())), self.labels[i]  # noqa: NPY002


def pictures():
    inputs = torch.randn(70, 6, generator=torch.Generator().manual_seed(0))
    return inputs, (inputs[:, 0] > 0).long()


def texts():
    """Texts of very different length: the tokens that count are spread unevenly."""
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(9, (37, 12), generator=generator)
    lengths = torch.randint(2, 13, (37,), generator=generator)
    unpadded = torch.arange(12) < lengths[:, None]
    return tokens, torch.where(unpadded, tokens, -100)


def run(case: str, out: Path, **layout):
    """One case of training; the student, the history and the examples seen come back."""
    settings = {"epochs": 3, "batch_size": 16, "seed": 5, "progress": False, "lr": 1e-2} | layout
    data, teacher = pictures(), Seen(freeze(MLP(6, 16, 2, seed=9)).model)
    student: nn.Module = MLP(6, 8, 2, seed=1)
    if case == "kd":
        settings |= {"method": methods.kd(T=3.0, alpha=0.7), "clip": 0.5}
    elif case == "gaps":  # most examples have no label: whole pieces have none
        data = data[0], torch.where(torch.arange(70) % 6 == 0, data[1], -100)
        settings |= {"method": methods.kd(T=3.0, alpha=0.5)}
    elif case == "tags":  # a label a token, padding without one
        tokens, labels = texts()
        data, student, teacher = (tokens, labels), Texts(1), Seen(freeze(Texts(2)).model)
        settings |= {"method": methods.kd(T=2.0, alpha=0.5)}
    elif case == "hint":
        hint = methods.match_features(
            "hint",
            hint_loss,
            [("hidden.0", "hidden.0")],
            weight=2.0,
            base_method=methods.kd(),
            regressors=[Regressor(8, 16, seed=3)],
        )
        settings |= {"method": hint}
    elif case == "tokens":
        data, student = texts(), Texts(1)
        teacher = Seen(freeze(Texts(2)).model)
        settings |= {"method": methods.tokens("forward_kl", alpha=0.5)}
    elif case == "stopping":
        held_out = pictures()

        def loss(net):
            return nn.functional.cross_entropy(net(held_out[0]), held_out[1]).item()

        rule = EarlyStopping(loss, better="lower", patience=2, min_change=0.05)
        settings |= {"early_stopping": rule, "epochs": 30}
    elif case == "ema":
        # a teacher that is nearly the student gives tiny gradients, which AdamW makes large again
        # with their rounding: in small steps that stays small
        settings |= {"lr": 1e-3, "checkpoint": out.with_suffix(".run"), "checkpoint_every": 7}
        history = distill(student, data, teacher=EMA(student, 0.9), **settings)
        return student, history, []
    elif case == "resume":
        data = Shaken()
        path = out.with_suffix(".run")
        student = MLP(6, 8, 2, dropout=0.3, seed=1)
        first = {"checkpoint": path, "checkpoint_every": 4}
        distill(
            student,
            data,
            teacher=teacher,
            **settings,
            **first,
            callbacks=[lambda step: step.step == 6],
        )
        teacher.ids.clear()
        student = MLP(6, 8, 2, dropout=0.3, seed=77)
        history = distill(student, data, teacher=teacher, **settings, **first)
        return student, history, teacher.ids
    elif case == "whole":
        data = Shaken()
        student = MLP(6, 8, 2, dropout=0.3, seed=1)
    history = distill(student, data, teacher=teacher, **settings)
    return student, history, teacher.ids


def main() -> None:
    torch.set_num_threads(1)
    for case, layout, out in json.loads(sys.argv[1]):
        student, history, ids = run(case, Path(out), **layout)
        write(student, history, ids, out)


def write(student: nn.Module, history: History, ids: list[int], out: str) -> None:
    """What this process ended with, in a file of its own."""
    from accelerate import PartialState

    rank = PartialState().process_index
    save_file(
        {k: v.contiguous() for k, v in student.state_dict().items()}
        | {f"history.{k}": v for k, v in history.to_tensors().items()}
        | {"ids": torch.tensor(ids, dtype=torch.long), "stopped": torch.tensor(history.steps)},
        f"{out}.{rank}",
    )


if __name__ == "__main__":
    main()

"""What torchdistill's losses say; runs only in the oracles' environment."""

import math

import torch
import torch.nn.functional as F
from torchdistill.losses import mid_level

from tests.losses.golden.case import Case, Tensors
from tests.losses.oracles import relation, response

LOGITS = {"shape": [4, 10], "seed": 1, "scale": 2}
TEACHER = {"shape": [4, 10], "seed": 2, "scale": 2}
PAIR = {"student": LOGITS, "teacher": TEACHER}
LOGITS_5 = {
    "student": {"shape": [5, 10], "seed": 17, "scale": 2},
    "teacher": {"shape": [5, 10], "seed": 18, "scale": 2},
}
LABELLED = PAIR | {"labels": {"shape": [4], "seed": 3, "below": 10}}
ROWS = {"student": {"shape": [6, 5], "seed": 4}, "teacher": {"shape": [6, 7], "seed": 5}}
KEPT = {"mask": {"values": [True, False, True, True, False, True]}}
MAPS = {
    "student": {"shape": [3, 4, 3, 5], "seed": 6},
    "teacher": {"shape": [3, 6, 3, 5], "seed": 7},
    "mask": {"values": [True, False, True]},
}
AT = {"pair": {"student": {"path": "m", "io": "output"}, "teacher": {"path": "m", "io": "output"}}}


def io(x: torch.Tensor) -> dict:
    return {"m": {"output": x}}


def ask(loss, x: Tensors, *more) -> torch.Tensor:
    """Give a loss the rows that a mask keeps: torchdistill has no masks."""
    kept = x["mask"] if "mask" in x else slice(None)
    return loss(io(x["student"][kept]), io(x["teacher"][kept]), *more)


def logits(kind, x: Tensors, *more, **settings) -> torch.Tensor:
    return ask(getattr(mid_level, kind)("m", "output", "m", "output", **settings), x, *more)


def rows(kind, x: Tensors, **settings) -> torch.Tensor:
    return ask(getattr(mid_level, kind)("m", "m", **settings), x)


def congruence(x: Tensors) -> torch.Tensor:
    unit = {name: F.normalize(value) for name, value in x.items()}
    kernel = {"type": "gaussian", "gamma": 0.4, "max_p": 3}
    return rows("CCKDLoss", unit, kernel_config=kernel, reduction="batchmean")


def variational(x: Tensors) -> torch.Tensor:
    mean = F.linear(x["student"], x["weight"], x["bias"])
    variance = F.softplus(x["scale"]) + 1e-5
    loss = mid_level.VIDLoss(AT)
    kept = x["mask"]
    return loss(io((mean[kept], variance)), io(x["teacher"][kept]))


def contrast(x: Tensors) -> torch.Tensor:
    """CRD with a memory whose positives are the batch, and negatives chosen by us."""
    s, t = (F.normalize(x[side]) for side in ("student", "teacher"))
    noise_s, noise_t = (F.normalize(x[f"noise_{side}"], dim=-1) for side in ("student", "teacher"))
    batch, count, width = noise_s.shape
    rows = batch * (count + 1)
    loss = mid_level.CRDLoss("s", "e", "t", width, rows, count, rows, temperature=0.5).double()
    for memory, own, noise in ((loss.memory_v1, s, noise_s), (loss.memory_v2, t, noise_t)):
        memory.copy_(torch.cat((own.detach().unsqueeze(1), noise), 1).flatten(0, 1))
    loss.params[2:4] = rows * x["z"]  # of the student's view, of the teacher's
    places = torch.arange(rows).view(batch, count + 1)
    given = {"pos_idx": places[:, 0], "contrast_idx": places}
    student = {"s": {"output": s}, "e": {"input": given}}
    return loss(student, {"t": {"output": t}}).sum()


def negatives_of_its_own(x: Tensors) -> torch.Tensor:
    loss = mid_level.CRDLoss("s", "e", "t", 5, 6, 2, 6).double()
    given = {"e": {"input": {"pos_idx": torch.arange(6)}}}
    return loss({"s": {"output": x["student"]}} | given, {"t": {"output": x["teacher"]}})


def largest_gradient(x: Tensors) -> float:
    """RKD's largest gradient entry, both terms together."""
    s = x["student"].detach().requires_grad_()
    rows("RKDLoss", {**x, "student": s}, dist_factor=1, angle_factor=1, reduction="mean").backward()
    return s.grad.abs().max().item()


def rkd(distance: float, angle: float):
    return lambda x: rows("RKDLoss", x, dist_factor=distance, angle_factor=angle, reduction="mean")


def kd_right(x: Tensors) -> float:
    return 16 * response.forward_kl(x["student"], x["teacher"], 4.0)


CASES = [
    Case(
        "kd at T = 4",
        "kd_loss",
        LABELLED,
        "losses.mid_level.KDLoss(temperature=4, alpha=0.3)",
        "Their alpha weighs the labels, ours the soft term: our alpha is 1 - theirs. T^2 is there.",
        lambda x: logits("KDLoss", x, x["labels"], temperature=4, alpha=0.3),
        {"T": 4.0, "alpha": 0.7},
    ),
    Case(
        "kd alpha = 0 loses T^2",
        "kd_loss",
        PAIR,
        "losses.mid_level.KDLoss(temperature=4, alpha=0)",
        "Their alpha = 0 is our alpha = 1.",
        lambda x: logits("KDLoss", x, temperature=4, alpha=0),
        {"T": 4.0, "alpha": 1.0},
        wrong="With alpha = 0, or without targets, the factor T^2 is left out and beta ignored.",
        right=kd_right,
    ),
    Case(
        "kd by default cannot be made",
        "kd_loss",
        PAIR,
        "losses.mid_level.KDLoss(temperature=4)",
        "Its default alpha=None stands for no labels: our alpha = 1.",
        lambda x: logits("KDLoss", x, temperature=4),
        {"T": 4.0, "alpha": 1.0},
        wrong="The default alpha=None is subtracted from 1 in the constructor.",
        right=kd_right,
    ),
    Case(
        "labels alone, some ignored",
        "cross_entropy",
        LOGITS_5 | {"labels": {"values": [3, -100, 0, 9, -100]}},
        "losses.mid_level.KDLoss(temperature=1, alpha=1)",
        "Their alpha = 1 is the cross-entropy; both leave out labels of -100.",
        lambda x: logits("KDLoss", x, x["labels"], temperature=1, alpha=1),
    ),
    Case(
        "standardised kd",
        "forward_kl",
        PAIR,
        "losses.mid_level.LogitStdKDLoss(temperature=2)",
        "They divide by the sample's standard deviation (n - 1), we by the population's, as the "
        "paper's formula has it: their T = 2 is our T = 2 sqrt(10 / 9). No T^2 with alpha = 0.",
        lambda x: logits("LogitStdKDLoss", x, temperature=2, alpha=0),
        {"T": 2 * math.sqrt(10 / 9), "standardize": True},
        tolerance=1e-6,  # their eps of 1e-7 is added to another deviation
    ),
    Case(
        "DIST",
        "dist_loss",
        PAIR,
        "losses.mid_level.DISTLoss(beta=1.5, gamma=0.5, tau=2)",
        "The same, tau^2 included.",
        lambda x: logits("DISTLoss", x, beta=1.5, gamma=0.5, tau=2),
        {"T": 2.0, "beta": 1.5, "gamma": 0.5},
    ),
    Case(
        "attention transfer, code",
        "attention_transfer_loss",
        MAPS,
        "losses.mid_level.ATLoss()",
        "The same: mean over examples and space. They see the kept examples only.",
        lambda x: ask(mid_level.ATLoss(AT), x),
        {"mask": "@mask"},
    ),
    Case(
        "attention transfer, paper",
        "attention_transfer_loss",
        MAPS,
        "losses.mid_level.ATLoss(mode='paper')",
        "The same: norms, mean over examples. They see the kept examples only.",
        lambda x: ask(mid_level.ATLoss(AT, mode="paper"), x),
        {"form": "paper", "mask": "@mask"},
    ),
    Case(
        "RKD distance",
        "rkd_distance_loss",
        ROWS,
        "losses.mid_level.RKDLoss(1, 0, 'mean')",
        "The same.",
        rkd(1, 0),
    ),
    Case(
        "RKD distance, masked",
        "rkd_distance_loss",
        ROWS | KEPT,
        "losses.mid_level.RKDLoss(1, 0, 'mean')",
        "The same. They see the kept rows only.",
        rkd(1, 0),
        {"mask": "@mask"},
    ),
    Case(
        "RKD angle, masked",
        "rkd_angle_loss",
        ROWS | KEPT,
        "losses.mid_level.RKDLoss(0, 1, 'mean')",
        "The same. They see the kept rows only.",
        rkd(0, 1),
        {"mask": "@mask"},
    ),
    Case(
        "RKD distance far from the origin",
        "rkd_distance_loss",
        {side: recipe | {"offset": 1000} for side, recipe in ROWS.items()},
        "losses.mid_level.RKDLoss(1, 0, 'mean') in float32",
        "The same inputs, moved by 1,000: exact in float32, and no distance changes.",
        rkd(1, 0),
        dtype="float32",
        digits=2,
        wrong="Distances are rooted from squares minus twice the products, which cancel.",
        right=lambda x: relation.rkd_distance(x["student"], x["teacher"]),
    ),
    Case(
        "correlation congruence",
        "correlation_congruence_loss",
        ROWS,
        "losses.mid_level.CCKDLoss(gamma=0.4, max_p=3, 'batchmean')",
        "Ours is |C_s - C_t|_F^2 / B^2 as printed; theirs has the norm without the square, so "
        "ours is B^2 theirs^2. They expect rows of length 1, we make them so.",
        congruence,
        {"gamma": 0.4, "order": 3},
        factor=36.0,
        power=2.0,
    ),
    Case(
        "PKT, masked",
        "pkt_loss",
        ROWS | KEPT,
        "losses.mid_level.PKTLoss()",
        "They average over the neighbours too: ours is B = 4 kept rows times theirs.",
        lambda x: ask(mid_level.PKTLoss("m", "output", "m", "output"), x),
        {"mask": "@mask"},
        factor=4.0,
        tolerance=1e-5,  # their eps stands in other places
    ),
    Case(
        "VID, unequal lengths",
        "vid_loss",
        {
            "student": {"shape": [2, 4, 3], "seed": 8},
            "teacher": {"shape": [2, 4, 5], "seed": 9},
            "weight": {"shape": [5, 3], "seed": 10},
            "bias": {"shape": [5], "seed": 11},
            "scale": {"shape": [5], "seed": 12},
            "mask": {"mask": [4, 1], "of": 4},
        },
        "losses.mid_level.VIDLoss",
        "The same. They see the kept tokens only.",
        variational,
        {"mask": "@mask"},
    ),
    Case(
        "CRD with given negatives",
        "crd_loss",
        {
            "student": {"shape": [3, 4], "seed": 13},
            "teacher": {"shape": [3, 4], "seed": 14},
            "noise_student": {"shape": [3, 5, 4], "seed": 15},
            "noise_teacher": {"shape": [3, 5, 4], "seed": 16},
            "z": {"values": [1.5, 0.75]},
        },
        "losses.mid_level.CRDLoss with contrast_idx",
        "The same, once their memory holds what the batch says: they score the positive pair "
        "against the memory, we against the batch. Their Z is ours times the number of samples. "
        "So the teacher's side teaches their student nothing, and the gradients differ.",
        contrast,
        {"T": 0.5},
        gradient=False,
        tolerance=1e-5,  # their eps, and params kept in float32
    ),
    Case(
        "CRD cannot draw its own negatives",
        "crd_loss",
        {"student": ROWS["student"], "teacher": {"shape": [6, 5], "seed": 5}},
        "losses.mid_level.CRDLoss",
        "Ours takes the other rows of the batch.",
        negatives_of_its_own,
        {"T": 0.5},
        wrong="The sampler reads self.prob, and the attribute is called probs.",
        right=lambda x: relation.crd(x["student"], x["teacher"], 0.5),
    ),
    Case(
        "similarity normalised with p = 1",
        "similarity_preserving_loss",
        ROWS,
        "losses.mid_level.SPKDLoss(reduction='batchmean')",
        "|G_s - G_t|_F^2 / B^2.",
        lambda x: rows("SPKDLoss", x, reduction="batchmean"),
        wrong="normalize(G, 1) was meant to say dim=1 and says p=1: rows sum to 1 in absolute "
        "value, instead of having length 1.",
        right=lambda x: relation.similarity(x["student"], x["teacher"]),
    ),
    Case(
        "RKD's gradient with a duplicated row",
        "rkd_angle_loss",
        {"student": ROWS["student"] | {"copy": [1, 0]}, "teacher": ROWS["teacher"]},
        "losses.mid_level.RKDLoss(1, 1, 'mean'), the largest entry of its gradient",
        "Theirs is a gradient; ours is the value, and the test looks at our gradient.",
        largest_gradient,
        digits=2,
        wrong="Two equal rows have no direction: dividing by max(length, 1e-12) gives it one.",
        right=lambda x: relation.rkd_angle(x["student"], x["teacher"]),
    ),
]

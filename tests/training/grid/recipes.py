"""A case as a user would write it: the method, and the settings of `distill`."""

from typing import Any

import torch
from torch import nn

from distill_lab import methods
from distill_lab.losses import (
    attention_transfer_loss,
    cosine_loss,
    hint_loss,
    similarity_preserving_loss,
)
from distill_lab.methods import Method
from distill_lab.models.projections import Regressor
from distill_lab.training import EarlyStopping, MultiStep
from tests.training.grid import by_hand, features, formulas
from tests.training.grid.axes import (
    EMBEDDINGS,
    EPOCHS,
    EXAMPLES,
    LANGUAGE,
    MAPPED,
    MAPS,
    NUMBERS,
    SIGMOIDS,
    STEPS,
)
from tests.training.grid.covering import Case
from tests.training.grid.problems import ANSWERS, NARROW, WIDE
from tests.training.grid.teachers import T


def maps_of(case: Case) -> nn.ModuleList:
    """What learns beside the student, always with the same first weights."""
    beside = case["beside"]
    kind = "conv1x1" if case["answer"] in MAPS else None
    if beside in MAPPED:
        return nn.ModuleList([Regressor(NARROW, WIDE, kind=kind, seed=3).double()])
    widths = (NARROW, WIDE) if beside == "crd" else ()
    return nn.ModuleList(
        Regressor(width, features.CRD["dim"], seed=i).double() for i, width in enumerate(widths)
    )


def method_of(case: Case, maps: nn.ModuleList) -> Method:
    base = _base(case)
    if case["several"] == "peers":
        return methods.mutual(base)
    if case["several"] == "exits":
        return methods.early_exits(base, deep=_base(case | {"method": "supervised"}))
    layers = [("hidden", "hidden")]
    beside = case["beside"]
    matched = {"pairs": layers, "mask": case["feature_mask"]}
    if beside in MAPPED:
        term, loss = ("cosine", cosine_loss) if beside == "cosine" else ("hint", hint_loss)
        base = methods.match_features(
            *(term, loss),
            weight=features.BESIDE[term],
            base_method=base,
            regressors=list(maps),
            **matched,
        )
    if beside in ("relation", "both"):
        base = methods.match_features(
            *("relation", similarity_preserving_loss),
            weight=features.BESIDE["relation"],
            base_method=base,
            **matched,
        )
    if beside == "crd":
        base = methods.crd(
            layers[0],
            (NARROW, WIDE),
            examples=EXAMPLES,
            weight=features.BESIDE["crd"],
            base_method=base,
            **features.CRD,
        )
        assert base.projections is not None
        for i, part in enumerate(list(base.projections)[:2]):  # the bank stays in float32
            maps[i] = part.double()
    if beside == "attention":
        base = methods.match_features(
            *("attention", attention_transfer_loss),
            weight=features.BESIDE["attention"],
            base_method=base,
            **matched,
        )
    return base


def _base(case: Case) -> Method:
    answer, method = case["answer"], case["method"]
    options: dict[str, Any] = {"mask": case["mask"]}
    if case["unknown"] == 255:
        options["ignore"] = 255
    if answer in MAPS:
        options["axis"] = 1
    alpha = {"soft": formulas.ALPHA, "only soft": 1.0}.get(method, 0.0)
    if answer in EMBEDDINGS:
        return methods.embeddings(method, read="mean" if answer == "text embeddings" else None)
    if answer in LANGUAGE:
        kinds = {"forward": "forward_kl", "reverse": "reverse_kl", "variation": "total_variation"}
        alpha = 0.0 if method == "next token" else formulas.ALPHA
        kind = kinds.get(method, "jsd")
        return methods.tokens(kind, T=T, alpha=alpha, beta=formulas.BETA)
    if answer == "lists":
        return methods.margin_mse() if method == "margin" else methods.listwise(T=T)
    if answer in NUMBERS or answer == "gaussian":
        loss = "gaussian_nll" if answer == "gaussian" else "mse"
        if method == "supervised":
            return methods.supervised(loss=loss, **options)
        return methods.regression(loss, alpha=alpha, **options)
    weights = case["class_weights"]
    if answer in SIGMOIDS:
        many = ANSWERS[answer]
        if weights is not None:
            options["class_weights"] = list(formulas._of_labels(case, many))
        if weights == "floats":
            options["pos_weight"] = torch.tensor(formulas.POS_WEIGHT[:many])
        if method == "supervised":
            return methods.supervised(loss="bce", **options)
        return methods.binary_kd(T=T, alpha=alpha, **options)
    if weights is not None:
        options["class_weights"] = formulas.CLASS_WEIGHTS[weights][: ANSWERS[answer]]
    if method in ("supervised", "smoothed"):
        smoothing = formulas.SMOOTHING if method == "smoothed" else 0.0
        return methods.supervised(label_smoothing=smoothing, **options)
    if method == "dkd":
        return methods.dkd(T, *formulas.DKD, **options)
    if method == "dist":
        return methods.dist(*formulas.DIST, T, **options)
    if method == "matching":
        return methods.logit_matching(formulas.ALPHA, **options)
    if method == "decision":
        return methods.hard_labels(formulas.ALPHA, **options)
    if method == "standardized":
        return methods.kd(T, formulas.ALPHA, standardize=True, **options)
    return methods.kd(T, alpha, **options)


def settings_of(case: Case, seed: int) -> dict[str, Any]:
    """What `distill` is told beside student, data, teacher and method."""
    settings: dict[str, Any] = {"batch_size": case["batch"], "drop_last": case["drop_last"]}
    settings |= {"epochs": EPOCHS} if case["length"] == "epochs" else {"steps": STEPS}
    settings |= {"accumulate": case["accumulate"], "clip": case["clip"], "warmup": case["warmup"]}
    settings |= {"seed": seed, "progress": False, "shares_every": 2}
    if case["optimizer"] == "adamw":
        settings["lr"] = by_hand.LR
    elif case["optimizer"] == "sgd":
        settings["optimizer"] = lambda params: torch.optim.SGD(params, 0.1, momentum=0.5)
    else:
        settings |= {"lr": by_hand.RATES, "weight_decay": by_hand.DECAY}
        settings["no_decay"] = "norms and biases"
    own = {"milestones": MultiStep([1], gamma=0.25), "function": lambda step: 0.5 ** (step / 3)}
    settings["schedule"] = own.get(case["schedule"], case["schedule"])
    if case["returns"] == "read":
        settings["read"] = lambda out: out[1]
    if case["early"] is not None:
        patience = by_hand.PATIENCE if case["early"] == "patience" else None
        settings["early_stopping"] = EarlyStopping(
            lambda net: by_hand.measure(net), patience=patience, every=by_hand.EVERY
        )
    return settings

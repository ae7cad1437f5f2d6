"""Our losses against what other engines say, frozen in golden/; `make oracles` asks them again."""

import json
import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from distill_lab import losses
from distill_lab.models.projections import VariationalRegressor
from tests.losses.golden.inputs import build
from tests.losses.golden.mistakes import MISTAKES
from tests.losses.laws import LAWS

HERE = Path(__file__).parent / "golden"
FILES = ("torchdistill", "trl", "liger", "sentence_transformers", "formula")
CASES = {
    f"{name}: {case['id']}": case
    for name in FILES
    for case in json.loads((HERE / f"{name}.json").read_text(encoding="utf-8"))
}
# the same divergence in token chunks: every case of the plain one is asked of it, too
TWINS = {
    "chunked_forward_kl": "forward_kl",
    "chunked_reverse_kl": "reverse_kl",
    "chunked_jsd": "jsd",
}
CASES |= {
    f"{name}, {twin}": case | {"loss": twin}
    for twin, plain in TWINS.items()
    for name, case in CASES.items()
    if case["loss"] == plain
}
NO_PEER = {
    "binary_kd_loss": "its parts are torch's, asked in methods/test_independent_labels.py",
    "binary_cross_entropy": "torch's own, asked in methods/test_independent_labels.py",
    "squared_error": "torch's own, asked in methods/test_regression.py",
    "gaussian_kl": "torch.distributions', asked in methods/test_regression.py",
    "gaussian_nll": "torch's own, asked in methods/test_regression.py",
    "similarity_loss": "peers keep the diagonal; test_relation.py holds it to pairs in plain loops",
    "distilled_dpo_loss": "no engine that was read has it; Fisch et al. print a squared distance",
    "sampled_reverse_kl": "a number and a gradient of its own; test_policy.py has both exactly",
    "sampled_cross_entropy": "a part of sampled_kl, which has its cases; the gradient is the same",
}

Inputs = dict[str, Tensor]
Loss = Callable[..., Tensor]


def inputs(case: dict[str, Any], dtype: torch.dtype = torch.float64) -> Inputs:
    result = {}
    for name, recipe in case["inputs"].items():
        tensor = torch.from_numpy(build(recipe))
        result[name] = tensor.to(dtype) if tensor.is_floating_point() else tensor
    return result


def ours(case: dict[str, Any], x: Inputs) -> Tensor:
    """Our loss on the inputs of a case; most take a student, a teacher and perhaps labels."""
    words = case["keywords"].items()
    keywords = {k: x[v[1:]] if str(v).startswith("@") else v for k, v in words}
    if case["loss"] in SPECIAL:
        return SPECIAL[case["loss"]](x, keywords)
    if keywords.pop("standardize", False):
        x = {name: losses.standardize_logits(z) for name, z in x.items()}
    if keywords.pop("shift", False):
        pair = losses.shift_for_next_token(x["student"], x["labels"], x["teacher"])
        x = {"student": pair.student_logits, "teacher": pair.teacher_logits}
        keywords["mask"] = pair.mask
    if count := keywords.pop("hopeless", 0):
        gone = torch.arange(x["student"].shape[-1]) >= x["student"].shape[-1] - count
        x = {name: z.masked_fill(gone, -1e9) for name, z in x.items()}
    lines = [x["labels"]] if "labels" in x and not case["keywords"].get("shift") else []
    return getattr(losses, case["loss"])(x["student"], x["teacher"], *lines, **keywords)


def of_one_side(x: Inputs, keywords: dict[str, Any]) -> Tensor:
    return losses.cross_entropy(x["student"], x["labels"], **keywords)


def of_the_top(loss: Loss, x: Inputs, keywords: dict[str, Any]) -> Tensor:
    """The classes are the likeliest of one side; the log-probabilities are the teacher's."""
    T, k, side = keywords["T"], keywords.pop("k"), keywords.pop("of")
    ids = x[side].detach().topk(k).indices
    log_p = (x["teacher"] / T).log_softmax(-1).gather(-1, ids)
    return loss(x["student"], ids, log_p, **keywords)


def of_draws(x: Inputs, keywords: dict[str, Any]) -> Tensor:
    ids = keywords.pop("draws")
    log_p = x["teacher"].log_softmax(-1).gather(-1, ids)
    return losses.sampled_kl(x["student"], ids, log_p, **keywords)


def of_vid(x: Inputs, keywords: dict[str, Any]) -> Tensor:
    out, width = x["weight"].shape
    module = VariationalRegressor(width, out).to(x["weight"].dtype).requires_grad_(False)
    for name in ("weight", "bias", "scale"):
        getattr(module, name).copy_(x[name])
    return losses.vid_loss(x["student"], x["teacher"], module, **keywords)


def of_relations(x: Inputs, keywords: dict[str, Any]) -> Tensor:
    return losses.minilm_relation_loss(x["student"].unbind(0), x["teacher"].unbind(0), **keywords)


def of_contrast(x: Inputs, keywords: dict[str, Any]) -> Tensor:
    noise = None
    if "z" in x:  # theirs: of the student's view, then of the teacher's, as ours
        noise = (x["noise_student"], x["noise_teacher"])
        keywords["log_normaliser"] = tuple(x["z"].log().tolist())
    return losses.crd_loss(x["student"], x["teacher"], noise, **keywords)


def of_preference(x: Inputs, keywords: dict[str, Any]) -> Tensor:
    """From log-probabilities (pairs, 2), or from logits: the chosen answers first, not shifted."""
    if "labels" not in x:
        return losses.dpo_loss(*x["student"].unbind(1), *x["reference"].unbind(1), **keywords)
    labels = torch.nn.functional.pad(x["labels"], (1, 0), value=-100)
    sides = []
    for side in ("student", "reference"):
        logits = torch.nn.functional.pad(x[side], (0, 0, 0, 1))  # its last position predicts none
        sides.extend(losses.sequence_log_probability(logits, labels).chunk(2))
    return losses.dpo_loss(*sides, **keywords)


def of_policy(x: Inputs, keywords: dict[str, Any]) -> Tensor:
    """Log-probabilities of the sampled tokens, from each side's logits (B, L, C)."""
    mask, tokens = x["labels"] >= 0, x["labels"].clamp_min(0).unsqueeze(-1)
    sides = {
        side: x[side].log_softmax(-1).gather(-1, tokens).squeeze(-1)
        for side in ("student", "old", "reference")
    }
    return losses.grpo_loss(
        sides["student"],
        x["advantages"],
        mask=mask,
        old_log_probs=sides["old"],
        reference_log_probs=sides["reference"],
        **keywords | {"clip": tuple(keywords["clip"])},
    )


def of_answers(x: Inputs, keywords: dict[str, Any]) -> Tensor:
    return -losses.sequence_log_probability(x["student"], x["labels"], **keywords).mean()


SPECIAL = {
    "cross_entropy": of_one_side,
    "topk_jsd": partial(of_the_top, losses.topk_jsd),
    "topk_kl": partial(of_the_top, losses.topk_kl),
    "topk_reverse_kl": partial(of_the_top, losses.topk_reverse_kl),
    "sampled_kl": of_draws,
    "vid_loss": of_vid,
    "minilm_relation_loss": of_relations,
    "crd_loss": of_contrast,
    "dpo_loss": of_preference,
    "grpo_loss": of_policy,
    "sequence_log_probability": of_answers,
}


def some(wrong: bool) -> pytest.MarkDecorator:
    names = [name for name, case in CASES.items() if ("wrong" in case) == wrong]
    return pytest.mark.parametrize("name", names)


@some(wrong=False)
def test_our_value_is_the_peers(name):
    case = CASES[name]
    mapped = case["factor"] * case["theirs"] ** case["power"] + case["offset"]
    assert case["ours"] == pytest.approx(mapped, rel=1e-5 if "dtype" in case else 1e-9)
    x = inputs(case)
    value = ours(case, x)
    assert value.item() == pytest.approx(case["ours"], rel=case["tolerance"], abs=1e-12)
    single = ours(case, inputs(case, torch.float32))
    assert single.dtype == torch.float32
    assert single.item() == pytest.approx(case["ours"], rel=max(case["tolerance"], 2e-5))


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if "gradient" in case])
def test_our_gradient_is_the_peers(name):
    case = CASES[name]
    x = inputs(case)
    student = x["student"].requires_grad_()
    (gradient,) = torch.autograd.grad(ours(case, x), student)
    result = 10 * max(case["tolerance"], 1e-6 if name.startswith("formula") else 0)
    assert gradient.norm().item() == pytest.approx(case["gradient"], rel=result)


@some(wrong=True)
def test_where_a_peer_is_wrong_we_are_right_and_know_why(name):
    case = CASES[name]
    dtype = getattr(torch, case.get("dtype", "float64"))
    x = inputs(case, dtype)
    assert ours(case, x).item() == pytest.approx(case["ours"], rel=1e-4, abs=1e-9)
    theirs = case["theirs"]
    if isinstance(theirs, str):  # it raised, or is not finite
        assert theirs in ("inf", "nan") or theirs.split(":")[0] in ("TypeError", "AttributeError")
        return
    assert abs(theirs - case["ours"]) > 0.01 * abs(case["ours"]), "not wrong after all"
    if case["ours"]:
        assert theirs / case["ours"] == pytest.approx(case["ratio"], rel=0.1)
    if case["peer"] != "re-derived":
        mistake, closely = MISTAKES[case["id"]]
        arrays = {key: build(recipe) for key, recipe in case["inputs"].items()}
        assert abs(math.log(mistake(arrays) / theirs)) < max(closely, 1e-9)


def test_our_gradient_survives_the_row_that_breaks_the_peers():
    case = CASES["torchdistill: RKD's gradient with a duplicated row"]
    x = inputs(case)
    student = x["student"].requires_grad_()
    (gradient,) = torch.autograd.grad(ours(case, x), student)
    assert 0 < gradient.abs().max() < 1 < case["theirs"] / 1e8


def test_a_smaller_vocabulary_is_never_filled_up():
    """Filled up with zero logits, as one peer does, a model is not like itself any more."""
    case = CASES["liger: a smaller vocabulary filled with zeros"]
    z = inputs(case, torch.float32)["student"]
    student, teacher = z[:, :6], z.masked_fill(torch.arange(8) >= 6, -1e9)
    for loss in TWINS:
        with pytest.raises(ValueError, match="vocabulary=6"):
            getattr(losses, loss)(student, teacher)
        assert getattr(losses, loss)(student, teacher, vocabulary=6).abs() < 1e-6
    assert case["theirs"] > 0.04


def test_every_loss_has_a_golden_case_or_a_reason_for_none():
    covered = {case["loss"] for case in CASES.values()}
    rows = {law.name.split()[0] for law in LAWS}
    assert covered | NO_PEER.keys() == rows
    assert not covered & NO_PEER.keys()


def test_the_cases_reach_what_they_were_asked_to():
    """Temperatures other than 1, masks, unequal lengths, mistakes; every mistake is explained."""
    plain = [case for case in CASES.values() if "wrong" not in case]
    assert sum("gradient" in case for case in plain) >= len(plain) - 1
    assert sum(case["keywords"].get("T", 1.0) != 1.0 for case in plain) >= 10
    assert sum("mask" in case["inputs"] for case in plain) >= 15
    assert sum("mask" in case["inputs"].get("mask", {}) for case in plain) >= 10  # lengths
    wrong = [c for c in CASES.values() if "wrong" in c]
    numbers = {
        c["id"] for c in wrong if c["peer"] != "re-derived" and not isinstance(c["theirs"], str)
    }
    assert numbers == MISTAKES.keys()
    assert all(case["convention"].endswith(".") and case["function"] for case in CASES.values())

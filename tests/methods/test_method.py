"""A method's terms and its weights name the same things, or a sentence; its name says them all."""

from functools import partial
from inspect import isfunction, signature

import pytest
import torch

from distill_lab import losses, methods
from distill_lab.methods import Method
from distill_lab.models.projections import Regressor, VariationalRegressor

ONE = torch.ones(())


@pytest.mark.parametrize(
    "names", [{"ce"}, {"ce", "kd", "hint"}, {"ce", "dk"}, set()], ids=lambda names: str(len(names))
)
def test_a_term_without_its_weight_and_a_weight_without_its_term_are_refused(names):
    """One library reads its weights under a misspelt key, so a term is there and counts nothing."""
    method = Method("mine", lambda *_: {}, {"ce": 1.0, "kd": 0.5})
    terms = dict.fromkeys(names, ONE)
    with pytest.raises(ValueError, match=r"has weights for \['ce', 'kd'\]: give each term one"):
        method.check(terms)
    with pytest.raises(ValueError, match="give each term one weight"):
        method.total(terms)


def test_the_total_is_the_weighted_sum():
    method = Method("mine", lambda *_: {}, {"ce": 1.0, "kd": 0.5})
    assert method.total({"kd": 4 * ONE, "ce": 3 * ONE}) == 5


def hint(**changes):
    settings = {
        "term": "hint",
        "loss": losses.hint_loss,
        "pairs": [("a", "b")],
        "weight": 1.0,
        "base_method": None,
        "regressors": None,
        "read": None,
    }
    return methods.match_features(**(settings | changes))


def of_half(part):
    return lambda student, teacher: losses.hint_loss(part * student, part * teacher)


# every recipe, and for every keyword of it values that are not each other's
MASKS = ["auto", "labels", "attention_mask", None]
READ = {
    "mask": MASKS,
    "axis": [None, 1],
    "ignore": [-100, 255],
    "class_weights": [None, [1.0, 2.0], [1.0, 3.0]],
}


def solved(example, tokens):
    return 1.0


def rewarded(example, tokens):
    return float(len(tokens))


def grpo(**options):
    return methods.grpo(**{"reward": solved} | options)


def on_policy(**options):
    """A discount is one of the sampled estimator alone."""
    sampled = {"estimator": "sampled"} if "discount" in options else {}
    return methods.on_policy(**sampled | options)


SETTINGS = {
    methods.supervised: {
        "loss": ["cross_entropy", "bce", "mse", "gaussian_nll"],
        "label_smoothing": [0.0, 0.1],
        **READ,
        "pos_weight": [None],  # an option of "bce": a setting of binary_kd
    },
    methods.kd: {"T": [4.0, 2.0], "alpha": [0.9, 0.5], "standardize": [False, True], **READ},
    methods.logit_matching: {"alpha": [1.0, 0.5], **READ},
    methods.dkd: {"T": [4.0, 2.0], "alpha": [1.0, 0.5], "beta": [8.0, 2.0], **READ},
    methods.dist: {"beta": [1.0, 2.0], "gamma": [1.0, 2.0], "T": [1.0, 2.0], **READ},
    methods.hard_labels: {"alpha": [0.5, 1.0], **READ},
    methods.binary_kd: {
        "T": [2.0, 1.0],
        "alpha": [0.7, 0.5],
        **READ,
        "pos_weight": [None, [1.0, 2.0], [1.0, 3.0]],
    },
    methods.regression: {
        "loss": ["mse", "gaussian_nll"],
        "alpha": [0.5, 1.0],
        "log_variance": [True, False],
        "mask": ["auto", "attention_mask", None],
    },
    methods.early_exits: {
        "shallow": [None, methods.kd(), methods.supervised()],
        "deep": [None, methods.kd(), methods.kd(T=2.0)],
    },
    methods.mutual: {"method": [None, methods.kd(), methods.kd(T=2.0)]},
    methods.distillation_token: {
        "method": [None, methods.kd(alpha=1.0), methods.kd(T=2.0, alpha=1.0)],
        "alpha": [0.5, 0.25],
    },
    methods.tokens: {
        "kind": ["jsd", "reverse_kl"],
        "T": [1.0, 2.0],
        "alpha": [1.0, 0.5],
        "beta": [0.5, 0.1],
    },
    methods.on_policy: {
        "kind": ["reverse_kl", "jsd"],
        "T": [1.0, 2.0],
        "beta": [0.5, 0.1],
        "end": [None, 3, 4],
        "temperature": [1.0, 0.0],
        "max_new_tokens": [64, 8],
        "student_share": [1.0, 0.5],
        "pad": [None, 0, 4],
        "estimator": ["exact", "sampled"],
        "discount": [0.0, 0.5],
    },
    methods.grpo: {
        "reward": [solved, rewarded],
        "group": [8, 4],
        "beta": [0.0, 0.1],
        "scale": [True, False],
        "average": ["answer", "token", 64],
        "temperature": [1.0, 0.5],
        "max_new_tokens": [64, 8],
        "end": [None, 3, 4],
        "pad": [None, 0, 4],
    },
    methods.uld: {"T": [1.0, 2.0], "alpha": [0.6, 0.5]},
    methods.dpo: {"beta": [0.1, 0.3], "label_smoothing": [0.0, 0.1]},
    methods.embeddings: {
        "kind": ["cosine", "mse", "similarities"],
        "regressor": [None, Regressor(4, 6), Regressor(4, 8)],
        "read": [None, "mean", "cls", lambda out: out[0], lambda out: out[1]],
    },
    methods.margin_mse: {},
    methods.crd: {
        "pair": [("a", "b"), ("a", "c")],
        "widths": [(4, 6), (4, 8)],
        "examples": [4, 5],
        "labels": [None, torch.tensor([0, 1, 1, 0]), torch.tensor([0, 1, 0, 0])],
        "dim": [128, 8],
        "negatives": [4096, 16],
        "momentum": [0.5, 0.9],
        "T": [0.07, 0.1],
        "weight": [0.8, 1.0],
        "base_method": [None, methods.kd(), methods.kd(T=2.0)],
        "read": [None, "mean", lambda out: out[0]],
        "seed": [0, 1],
    },
    methods.listwise: {"T": [1.0, 2.0]},
    methods.match_features: {
        "term": ["hint", "other"],
        "loss": [
            losses.hint_loss,
            losses.cosine_loss,
            of_half(0.5),
            of_half(0.25),
            partial(losses.crd_loss, T=0.1),
            partial(losses.crd_loss, T=0.2),
            lambda s, t: losses.rkd_angle_loss(s, t),
            lambda s, t: losses.rkd_distance_loss(s, t),
        ],
        "pairs": [[("a", "b")], [("a", "c")], [(("a", "c"), ("b", "c"))]],
        "weight": [1.0, 2.0],
        "base_method": [None, methods.kd(), methods.kd(T=2.0)],
        "regressors": [
            None,
            [Regressor(4, 6)],
            [Regressor(4, 8)],
            [Regressor(4, 6, kind="conv1x1")],
            [VariationalRegressor(4, 6)],
            [VariationalRegressor(4, 6, eps=1e-3)],
            [Regressor(4, 6, kind="conv1x1", size=(4, 4))],
        ],
        "read": [None, lambda output: output[0], lambda output: output[1]],
        "mask": MASKS,
        "resize": [None, "adaptive"],
    },
}


def crd(**given):
    return methods.crd(**({"pair": ("a", "b"), "widths": (4, 6), "examples": 4} | given))


def test_the_table_of_settings_knows_every_recipe():
    recipes = {getattr(methods, name) for name in methods.__all__}
    made = {recipe for recipe in recipes if isfunction(recipe)} - {methods.divergence}
    assert made == set(SETTINGS)


@pytest.mark.parametrize("recipe", SETTINGS, ids=lambda recipe: recipe.__name__)
def test_every_keyword_of_a_recipe_changes_its_name(recipe):
    """A checkpoint tells two runs apart by it: what it leaves out is resumed without a word."""
    settings = SETTINGS[recipe]
    assert set(settings) == set(signature(recipe).parameters)
    with_what_it_needs = {
        methods.match_features: hint,
        methods.crd: crd,
        methods.grpo: grpo,
        methods.on_policy: on_policy,
    }
    made = with_what_it_needs.get(recipe, recipe)
    for keyword, values in settings.items():
        names = [made(**{keyword: value}).name for value in values]
        assert len(set(names)) == len(values), (keyword, names)


def test_the_name_is_the_same_where_the_recipe_is():
    """Nothing in it may be an address, or a line number: no run could be taken up again."""
    first, second = (
        hint(loss=of_half(0.5), regressors=[Regressor(4, 6, seed=seed)], read=lambda out: out[0])
        for seed in (1, 2)
    )
    assert first.name == second.name
    assert hint(loss=CallableLoss(2)).name == hint(loss=CallableLoss(2)).name
    assert hint(loss=CallableLoss(2).score).name == hint(loss=CallableLoss(2).score).name


class CallableLoss:
    def __init__(self, power):
        self.power = power

    def __call__(self, student, teacher):
        return (student - teacher).abs().pow(self.power).mean()

    score = __call__

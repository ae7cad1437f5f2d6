"""Optimizers and schedules of one's own, groups of parameters, and how long a run is."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from distill_lab import methods
from distill_lab.losses import hint_loss
from distill_lab.models import MLP
from distill_lab.models.projections import Regressor
from distill_lab.seeds import distill_seeds
from distill_lab.teachers import freeze
from distill_lab.training import EarlyStopping, MultiStep, distill
from distill_lab.training.checkpoint import load_checkpoint
from distill_lab.training.optim import lr_at
from tests.training.two_processes import pictures

X, Y = pictures()  # 70 examples
SETTINGS: dict[str, Any] = {"batch_size": 16, "progress": False, "seed": 5}


def student(seed: int = 1) -> MLP:
    return MLP(6, 8, 2, dropout=0.3, seed=seed)


def flat(net: nn.Module) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in net.parameters()])


def nesterov(params: Any) -> torch.optim.Optimizer:
    return torch.optim.SGD(params, 0.1, momentum=0.9, weight_decay=5e-4, nesterov=True)


def test_the_vision_papers_recipe_is_the_loop_written_by_hand() -> None:
    ours, hand = MLP(6, 8, 2, seed=1), MLP(6, 8, 2, seed=1)
    rates: list[float] = []
    distill(
        ours,
        (X, Y),
        epochs=4,
        optimizer=nesterov,
        schedule=MultiStep([2, 3]),
        callbacks=[lambda step: rates.append(step.lr)],
        **SETTINGS,
    )
    optimizer = nesterov(hand.parameters())
    scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, [2, 3])
    by_hand = []
    for epoch in range(4):
        generator = torch.Generator().manual_seed(5 * 1_000_003 + epoch)
        for index in torch.randperm(70, generator=generator).split(16):
            optimizer.zero_grad()
            nn.functional.cross_entropy(hand(X[index]), Y[index]).backward()
            by_hand.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
        scheduler.step()
    assert rates == pytest.approx(by_hand)
    torch.testing.assert_close(flat(ours), flat(hand))


def amsgrad(params: Any) -> torch.optim.Optimizer:
    return torch.optim.Adam(params, 1e-2, amsgrad=True)


class Listed(torch.optim.SGD):
    """Its state holds None, a list of tensors and a dict: as Shampoo's and others' do."""

    def step(self, closure: Any = None) -> Any:
        for group in self.param_groups:
            for p in group["params"]:
                state = self.state[p]
                state.setdefault("nothing", None)
                past = state.setdefault("past", [torch.zeros_like(p)])
                about = state.setdefault("about", {"steps": 0, "last": torch.zeros(())})
                about["steps"] += 1
                about["last"] = p.grad.norm()
                p.data.sub_(group["lr"] * (p.grad + 0.5 * past[-1]) / about["steps"])
                past.append(p.grad.clone())
                del past[:-2]
        return None


@pytest.mark.parametrize(
    "make",
    [
        nesterov,
        amsgrad,
        lambda params: torch.optim.SGD(params, 0.1),
        lambda params: torch.optim.Adagrad(params, 0.1),
        lambda params: torch.optim.RMSprop(params, 1e-2, momentum=0.5, centered=True),
        lambda params: torch.optim.Adadelta(params, 1.0),
        lambda params: torch.optim.NAdam(params, 1e-2),
        lambda params: torch.optim.Rprop(params, 1e-2),
        lambda params: torch.optim.ASGD(params, 1e-2),
        lambda params: torch.optim.Adafactor(params, 1e-2),
        lambda params: Listed(params, 0.1),
    ],
)
@pytest.mark.parametrize("schedule", [MultiStep([1, 3]), lambda step: 1 / (1 + step)])
def test_an_own_optimizer_resumes_bit_for_bit(make: Any, schedule: Any, tmp_path: Path) -> None:
    settings = SETTINGS | {"epochs": 4, "optimizer": make, "schedule": schedule}
    full, again = student(), student(7)
    distill(full, (X, Y), **settings)
    path = tmp_path / "run"
    distill(student(), (X, Y), checkpoint=path, **settings, callbacks=[lambda s: s.step == 7])
    distill(again, (X, Y), checkpoint=path, **settings)
    assert torch.equal(flat(full), flat(again))


def test_a_checkpoint_knows_an_own_optimizer_and_schedule_again(tmp_path: Path) -> None:
    path = tmp_path / "run"

    def go(lr: float = 0.1, base: float = 0.9, **more: Any) -> int:
        settings = {"epochs": 1, "schedule": lambda step: base**step} | SETTINGS | more
        make = settings.pop("optimizer", lambda params: torch.optim.SGD(params, lr))
        return distill(student(), (X, Y), checkpoint=path, optimizer=make, **settings).steps

    assert go() == 5 and go(epochs=2) == 10
    for changed in (
        {"lr": 0.2},
        {"base": 0.8},
        {"schedule": MultiStep([1])},
        {"optimizer": "adamw"},
        {"drop_last": True},
        {"no_decay": "norms and biases"},
    ):
        with pytest.raises(ValueError, match="belongs to another run"):
            go(epochs=3, **changed)  # type: ignore[arg-type]


RATE = 0.1


def test_a_rate_that_stands_outside_the_function_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = SETTINGS | {"optimizer": lambda params: torch.optim.SGD(params, RATE)}
    distill(student(), (X, Y), epochs=1, checkpoint=tmp_path / "run", **settings)
    monkeypatch.setitem(globals(), "RATE", 0.2)
    with pytest.raises(ValueError, match=r"groups: .*lr 0.1.* there, .*lr 0.2.* now"):
        distill(student(), (X, Y), epochs=2, checkpoint=tmp_path / "run", **settings)


def test_a_setting_that_a_checkpoint_has_and_the_run_has_not_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "run"
    distill(student(), (X, Y), epochs=1, drop_last=True, checkpoint=path, **SETTINGS)
    with pytest.raises(ValueError, match="drop_last: True there, None now"):
        distill(student(), (X, Y), epochs=2, checkpoint=path, **SETTINGS)


def test_default_settings_are_known_as_they_were(tmp_path: Path) -> None:
    distill(student(), (X, Y), epochs=1, checkpoint=tmp_path / "run", **SETTINGS)
    kept = load_checkpoint(tmp_path / "run").facts["settings"]
    names = "method weights batch_size accumulate lr weight_decay optimizer schedule warmup clip "
    names += "seed early_stopping epochs data teacher routing processes precision"
    assert sorted(kept) == sorted([*names.split(), "student's layers", "learning"])
    assert kept["optimizer"] == "adamw"


def moved(before: MLP, after: MLP) -> dict[str, float]:
    old = dict(before.named_parameters())
    return {n: (p - old[n]).abs().max().item() for n, p in after.named_parameters()}


@pytest.mark.parametrize("optimizer", ["adamw", "muon", lambda params: torch.optim.AdamW(params)])
def test_each_group_moves_by_its_own_rate(optimizer: Any) -> None:
    def go(lr: Any) -> dict[str, float]:
        net = MLP(6, 8, 8, 2, seed=1)
        distill(net, (X, Y), steps=1, lr=lr, optimizer=optimizer, **SETTINGS)
        return moved(MLP(6, 8, 8, 2, seed=1), net)

    small, large = go({"": 1e-5}), go({"": 1e-2})
    assert max(small.values()) < 1e-4 < 5e-3 < max(large.values())
    mixed = go({"head": 1e-2, "": 1e-5, "hidden.1": 1e-5})
    by_function = go(lambda name: 1e-2 if name.startswith("head.") else 1e-5)
    assert mixed == by_function
    for name, way in mixed.items():
        expected = large if name.startswith("head") else small
        assert way == pytest.approx(expected[name], rel=1e-3)


def test_rates_follow_the_schedule_group_by_group() -> None:
    seen: list[list[float]] = []
    kept: list[torch.optim.Optimizer] = []

    def make(params: Any) -> torch.optim.Optimizer:
        kept.append(torch.optim.SGD(params, 0.5))
        return kept[0]

    def note(step: Any) -> None:
        seen.append([group["lr"] for group in kept[0].param_groups])

    distill(
        student(),
        (X, Y),
        steps=4,
        lr={"head": 1.0},  # the others keep the rate of the optimizer
        optimizer=make,
        schedule="linear",
        callbacks=[note],
        **SETTINGS,
    )
    assert seen == [pytest.approx([0.5 * f, f]) for f in (1.0, 0.75, 0.5, 0.25)]


def test_projections_have_rates_of_their_own() -> None:
    torch.manual_seed(0)
    method = methods.match_features(
        "hint", hint_loss, [("hidden.0", "hidden.0")], weight=1.0, regressors=[Regressor(8, 16)]
    )
    assert method.projections is not None
    before = [p.detach().clone() for p in method.projections.parameters()]
    rates = {"": 1e-6, "projections": 1e-2}
    teacher = freeze(MLP(6, 16, 2, seed=9))
    net = student()
    distill(net, (X, Y), teacher=teacher, method=method, steps=1, lr=rates, **SETTINGS)
    ways = [
        (a - b).abs().max().item()
        for a, b in zip(before, method.projections.parameters(), strict=True)
    ]
    assert max(ways) > 5e-3 and max(moved(student(), net).values()) < 1e-5


@pytest.mark.parametrize("optimizer", ["adamw", "muon", nesterov])
def test_norms_and_biases_do_not_decay(optimizer: Any) -> None:
    net = nn.Sequential(nn.Linear(6, 8), nn.LayerNorm(8), nn.Linear(8, 8), nn.Linear(8, 2))
    for p in net.parameters():
        nn.init.ones_(p)
    settings = SETTINGS if callable(optimizer) else SETTINGS | {"lr": 0.1, "weight_decay": 0.1}
    still = methods.Method(
        "still",
        lambda batch, student, teacher: {"zero": (student(batch.inputs) * 0).sum()},
        {"zero": 1.0},
        needs_teacher=False,
    )
    distill(
        net,
        (X, Y),
        method=still,
        steps=1,
        optimizer=optimizer,
        no_decay="norms and biases",
        shares_every=0,
        **settings,
    )
    for name, p in net.named_parameters():
        decayed = bool((p < 1).all())
        assert decayed == (p.dim() == 2), name


def test_steps_decide_in_place_of_epochs(tmp_path: Path) -> None:
    by_epochs, by_steps, torn = student(), student(), student()
    distill(by_epochs, (X, Y), epochs=3, **SETTINGS)
    history = distill(by_steps, (X, Y), steps=15, **SETTINGS)
    assert history.steps == 15 and history.epochs == 3
    assert torch.equal(flat(by_epochs), flat(by_steps))
    path = tmp_path / "run"
    assert distill(torn, (X, Y), steps=4, checkpoint=path, **SETTINGS).steps == 4  # within an epoch
    assert distill(torn, (X, Y), steps=11, checkpoint=path, **SETTINGS).steps == 11
    assert distill(torn, (X, Y), epochs=3, checkpoint=path, **SETTINGS).steps == 15
    assert torch.equal(flat(torn), flat(by_steps))


def test_a_schedule_to_the_end_of_the_run_cannot_be_extended_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "run"
    for more in ({"epochs": 1}, {"steps": 5}):
        distill(student(), (X, Y), schedule="cosine", checkpoint=path, **SETTINGS, **more)
        with pytest.raises(ValueError, match="'cosine' rates follow from the length of the run"):
            distill(student(), (X, Y), schedule="cosine", checkpoint=path, epochs=2, **SETTINGS)
        path.unlink()


def test_drop_last_leaves_out_what_makes_no_batch(tmp_path: Path) -> None:
    sizes: list[int] = []

    def terms(batch: Any, student: Any, teacher: Any) -> Any:
        sizes.append(len(batch.ids))
        return {"ce": nn.functional.cross_entropy(student(batch.inputs), batch.labels)}

    method = methods.Method("noted", terms, {"ce": 1.0}, needs_teacher=False)
    settings = SETTINGS | {"method": method, "drop_last": True}
    history = distill(student(), (X, Y), epochs=2, **settings)
    assert sizes == [16] * 8 and history.steps == 8 and history.epochs == 2
    path = tmp_path / "run"
    full, torn = student(), student()
    distill(full, (X, Y), epochs=3, **settings)
    for epochs in (1, 3):  # the second epoch begins at step 4, not at 5
        distill(torn, (X, Y), epochs=epochs, checkpoint=path, **settings)
    assert torch.equal(flat(full), flat(torn))


class Evens:
    """Half of the examples, in their order."""

    def order(self, examples: int, seed: int, epoch: int) -> torch.Tensor:
        return torch.arange(0, examples, 2)


class Growing:
    def order(self, examples: int, seed: int, epoch: int) -> torch.Tensor:
        return torch.arange(20 + epoch)


def test_a_sampler_decides_the_order_and_the_length_of_an_epoch() -> None:
    seen: list[int] = []

    def terms(batch: Any, student: Any, teacher: Any) -> Any:
        seen.extend(batch.ids.tolist())
        return {"ce": nn.functional.cross_entropy(student(batch.inputs), batch.labels)}

    method = methods.Method("noted", terms, {"ce": 1.0}, needs_teacher=False)
    history = distill(student(), (X, Y), epochs=2, method=method, sampler=Evens(), **SETTINGS)
    assert seen == [*range(0, 70, 2)] * 2 and history.steps == 6 and history.epochs == 2
    with pytest.raises(ValueError, match="20 examples for epoch 0 and 21 for epoch 1"):
        distill(student(), (X, Y), epochs=2, sampler=Growing(), **SETTINGS)


def test_early_stopping_measures_after_the_epochs_of_a_sampler() -> None:
    rule = EarlyStopping(lambda net: 0.0, patience=9)
    history = distill(student(), (X, Y), steps=9, sampler=Evens(), early_stopping=rule, **SETTINGS)
    assert [step for step, _ in history.measured] == [3, 6, 9]


def test_many_seeds_take_the_same_settings() -> None:
    more: dict[str, Any] = {"steps": 7, "schedule": MultiStep([1], gamma=0.5), "lr": 1e-2}
    settings = SETTINGS | more | {"sampler": Evens(), "drop_last": True}
    del settings["seed"]

    def make(seed: int) -> MLP:
        return MLP(6, 8, 2, seed=seed)

    runs = distill_seeds(make, (X, Y), seeds=[3, 4], **settings)
    for i, seed in enumerate((3, 4)):
        alone = make(seed)
        distill(alone, (X, Y), seed=seed, **settings)
        torch.testing.assert_close(flat(runs.model(i)), flat(alone), rtol=1e-4, atol=1e-5)


def test_milestones_may_count_steps() -> None:
    schedule = MultiStep([2, 5], gamma=0.1, unit="steps")
    rates = [lr_at(i, 7, 1.0, schedule=schedule, warmup=1, steps_per_epoch=3) for i in range(7)]
    assert rates == pytest.approx([1, 1, 0.1, 0.1, 0.1, 0.01, 0.01])


def test_an_optimizer_that_does_not_skip_by_itself_is_read_at_every_step() -> None:
    """Its weights stay those from before the step, whatever `read_every` says."""
    x = X.clone()
    x[0] = torch.inf
    net = MLP(6, 8, 2, seed=1)
    seen = []
    net.register_forward_pre_hook(lambda *_: seen.append(flat(net).clone()))
    with pytest.raises(FloatingPointError, match="at step"):
        distill(net, (x, Y), epochs=1, optimizer=nesterov, read_every=50, **SETTINGS)
    assert torch.equal(flat(net), seen[-1]) and flat(net).isfinite().all()


class Plateau:
    """torch's scheduler in a callback, on a figure that stops falling at once."""

    def __init__(self, **settings: Any) -> None:
        self.settings = settings
        self.rates: list[float] = []

    def make(self, params: Any) -> torch.optim.Optimizer:
        self.optimizer = torch.optim.SGD([p for _, p in params], 0.1, momentum=0.9)
        self.scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(
            self.optimizer, factor=0.5, patience=1
        )
        return self.optimizer

    def __call__(self, step: Any) -> None:
        self.rates.append(step.lr)
        self.scheduler.step(1.0)


@pytest.mark.parametrize("warmup", [0, 3])
def test_a_rate_that_a_callback_sets_is_the_next_steps(warmup: int, tmp_path: Path) -> None:
    settings = SETTINGS | {"steps": 9, "optimizer": None, "warmup": warmup}
    late = Plateau()

    def after_warmup(step: Any) -> None:
        late.rates.append(step.lr)
        if step.step > warmup:
            late.scheduler.step(1.0)

    ours = student()
    distill(ours, (X, Y), **settings | {"optimizer": late.make, "callbacks": [after_warmup]})
    by_hand = [0.1 * (i + 1) / warmup for i in range(warmup)]
    alone = Plateau()
    alone.make(list(student().named_parameters()))
    for _ in range(9 - warmup):
        by_hand.append(alone.optimizer.param_groups[0]["lr"])
        alone.scheduler.step(1.0)
    assert late.rates == pytest.approx(by_hand) and late.rates[-1] < 0.1

    # what the callback had set by then stands in the checkpoint
    cut, path = Plateau(), tmp_path / "run"

    def set_once(step: Any) -> bool:
        cut.optimizer.param_groups[0]["lr"] = 0.025
        return step.step == warmup + 2

    run = settings | {"optimizer": cut.make, "checkpoint": path}
    if warmup:
        with pytest.raises(ValueError, match=r"somebody has set it to 0.025.*schedule='constant'"):
            distill(student(), (X, Y), callbacks=[set_once], **run)
        return
    distill(student(), (X, Y), callbacks=[set_once], **run)
    seen: list[float] = []
    distill(student(), (X, Y), callbacks=[lambda step: seen.append(step.lr)], **run)
    assert seen == [0.025] * 7


@pytest.mark.parametrize("schedule", ["cosine", MultiStep([1]), lambda step: 1 / (1 + step)])
def test_two_that_set_the_rate_are_refused(schedule: Any) -> None:
    plateau = Plateau()
    settings = SETTINGS | {"epochs": 3, "optimizer": plateau.make, "schedule": schedule}
    with pytest.raises(ValueError, match=r"learning rate was .* somebody has set it to"):
        distill(student(), (X, Y), callbacks=[plateau], **settings)


def test_the_default_type_of_numbers_may_be_another() -> None:
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        ours, plain = (MLP(6, 8, 2, seed=1) for _ in range(2))
        inputs = X.double()
        run = SETTINGS | {"epochs": 2, "batch_size": len(X), "lr": 1e-2}
        distill(ours, (inputs, Y), method=methods.supervised(), **run)
        optimizer = torch.optim.AdamW(plain.parameters(), 1e-2, weight_decay=0.0)
        for _ in range(2):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(plain(inputs), Y).backward()
            optimizer.step()
        torch.testing.assert_close(flat(ours), flat(plain))
    finally:
        torch.set_default_dtype(before)


def test_no_run_begins_inside_autocast() -> None:
    with (
        torch.autocast("cpu", torch.bfloat16),
        pytest.raises(ValueError, match=r"inside torch.autocast.*precision='bf16'"),
    ):
        distill(student(), (X, Y), **SETTINGS)

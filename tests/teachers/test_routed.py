"""Several teachers, each for its own examples: who is asked, what comes back, what a run keeps."""

import math

import pytest
import torch
from torch import nn

from distill_lab import losses, methods
from distill_lab.data.batches import Batch, as_data
from distill_lab.models import MLP
from distill_lab.seeds import distill_seeds
from distill_lab.signals import Dense, TopK, top_k
from distill_lab.teachers import Ensemble, Recorded, as_teacher, cache, freeze, keep, route
from distill_lab.training import distill
from distill_lab.training.checkpoint import load_checkpoint

N = 24
X = torch.randn(N, 4, generator=torch.Generator().manual_seed(0))
Y = torch.arange(N) % 3
SHUFFLED = torch.randperm(N, generator=torch.Generator().manual_seed(1))
BATCH = as_data((X, Y)).batch(SHUFFLED)
COLUMN = ["a" if i % 3 else "b" for i in range(N)]
NUMBERS = torch.tensor([0 if name == "a" else 1 for name in COLUMN])


def net(seed):
    return freeze(MLP(4, 3, seed=seed))


def both():
    return {"a": net(1), "b": net(2)}


def by_sign(batch):
    return (batch.inputs[:, 0] > 0).long()


def rows_by_hand(teachers, batch, chosen):
    """Each example alone, by its own teacher."""
    named = list(teachers.values())
    one = [
        named[int(number)](Batch(batch.inputs[i : i + 1], None, batch.ids[i : i + 1]))
        for i, number in enumerate(chosen)
    ]
    return torch.cat(one)


class Says:
    """A teacher whose answer to example i is row i of what it holds."""

    def __init__(self, answer):
        self.answer = answer
        self.asked = []

    def __call__(self, batch):
        self.asked += batch.ids.tolist()
        return self.answer[batch.ids]


def learn(teacher, *, method=None, student=None, **settings):
    student = student or MLP(4, 3, seed=5)
    settings = {"epochs": 2, "batch_size": 6, "progress": False} | settings
    return student, distill(
        student, (X, Y), teacher=teacher, method=method or methods.kd(2.0, 0.9), **settings
    )


@pytest.mark.parametrize(
    "by", [COLUMN, NUMBERS, lambda batch: NUMBERS[batch.ids]], ids=["names", "numbers", "function"]
)
def test_each_example_gets_its_own_teachers_answer(by):
    teachers = both()
    routed = route(teachers, by=by)
    chosen = NUMBERS[SHUFFLED]
    assert torch.equal(routed.choose(BATCH), chosen)
    expected = rows_by_hand(teachers, BATCH, chosen)
    torch.testing.assert_close(routed(BATCH), expected)
    assert not torch.allclose(routed(BATCH), teachers["a"](BATCH))


def test_a_function_may_answer_with_names_and_a_router_with_scores():
    teachers = both()
    named = route(teachers, by=lambda batch: ["ba"[int(x > 0)] for x in batch.inputs[:, 0]])
    router = nn.Linear(4, 2, bias=False)
    with torch.no_grad():
        router.weight.copy_(torch.tensor([[1.0, 0, 0, 0], [-1.0, 0, 0, 0]]))
    scored = route(teachers, by=freeze(router))
    assert torch.equal(named.choose(BATCH), scored.choose(BATCH))
    assert 0 < named.choose(BATCH).sum() < N
    torch.testing.assert_close(named(BATCH), scored(BATCH))
    assert len(list(scored.model.parameters())) == 2 * 2 + 1  # the router moves with the teachers


def test_the_others_are_not_asked():
    logits = torch.randn(N, 3)
    first, second, third = (Says(logits) for _ in range(3))
    routed = route({"a": first, "b": second, "c": third}, by=NUMBERS)
    assert torch.equal(routed(BATCH), logits[SHUFFLED])
    assert sorted(first.asked) == [i for i in range(N) if NUMBERS[i] == 0]
    assert sorted(second.asked) == [i for i in range(N) if NUMBERS[i] == 1]
    assert third.asked == []


def test_signals_and_masks_come_back_in_the_order_of_the_batch():
    z = torch.randn(N, 5, 7)
    parts = [Says(top_k(z, 3, T=2.0)), Says(top_k(z, 3, T=2.0))]
    routed = route(dict(zip("ab", parts, strict=True)), by=NUMBERS)
    answer = routed(BATCH)
    assert isinstance(answer, TopK) and answer.T == 2.0
    assert torch.equal(answer.ids, top_k(z, 3, T=2.0).ids[SHUFFLED])

    mask = torch.rand(N, 5) > 0.5
    mixed = route({"a": Says(Dense(z, mask)), "b": Says(z)}, by=NUMBERS)(BATCH)
    assert isinstance(mixed, Dense) and torch.equal(mixed.logits, z[SHUFFLED])
    expected = torch.where(NUMBERS[:, None] == 0, mask, True)
    assert torch.equal(mixed.mask, expected[SHUFFLED])


def test_the_history_shows_each_teacher_and_the_steps_stay_the_same():
    routed = route(both(), by=COLUMN)
    student, history = learn(routed)
    answers = Recorded(routed(as_data((X, Y)).batch(torch.arange(N))))
    plain, without = learn(answers)
    for name, value in student.state_dict().items():
        assert torch.equal(value, plain.state_dict()[name])
    assert history["kd"] == without["kd"] and history["total"] == without["total"]
    assert set(history) == {"kd", "ce", "kd/a", "kd/b", "total"}
    assert history.shares.keys() == {"kd", "ce"}


def test_the_parts_of_the_teachers_are_means_over_their_own_examples():
    routed, student = route(both(), by=COLUMN), MLP(4, 3, seed=5)
    before = student(X).detach()
    _, history = learn(routed, student=student, epochs=1, batch_size=N)
    by_hand = {
        name: 4 * losses.forward_kl(before[own], teacher(as_data((X, Y)).batch(own)), T=2.0)
        for number, (name, teacher) in enumerate(both().items())
        for own in [(number == NUMBERS).nonzero()[:, 0]]
    }
    for name, value in by_hand.items():
        assert history[f"kd/{name}"][0] == pytest.approx(value.item(), rel=1e-5)
    counts = {"a": int((NUMBERS == 0).sum()), "b": int((NUMBERS == 1).sum())}
    mean = sum(counts[name] * history[f"kd/{name}"][0] for name in counts) / N
    assert mean == pytest.approx(history["kd"][0], rel=1e-5)


def test_a_cut_batch_shows_the_same_parts():
    parts = [
        learn(route(both(), by=COLUMN), batch_size=12, accumulate=pieces)[1] for pieces in (1, 4)
    ]
    for name in ("kd/a", "kd/b"):
        assert parts[0][name] == pytest.approx(parts[1][name], rel=1e-4)


@pytest.mark.parametrize(
    "method",
    [methods.logit_matching(0.5), methods.hard_labels(0.5), methods.kd(3.0, 1.0)],
    ids=["logits", "hard", "soft alone"],
)
def test_every_term_that_scores_one_answer_is_shown(method):
    _, history = learn(route(both(), by=COLUMN), method=method)
    (term,) = method.each_teacher
    assert {f"{term}/a", f"{term}/b"} < set(history)


def test_a_method_that_compares_examples_is_left_as_it_is():
    _, history = learn(route(both(), by=COLUMN), method=methods.dist())
    assert set(history) == {"dist", "ce", "total"}


def test_a_language_model_is_shown_by_teacher():
    texts = torch.randint(0, 7, (8, 5), generator=torch.Generator().manual_seed(3))
    labels = texts.clone()
    labels[:, :2] = -100
    teachers = {name: freeze(Words(seed)) for seed, name in enumerate("ab")}
    routed = route(teachers, by=torch.arange(8) % 2)
    history = distill(
        Words(9), (texts, labels), teacher=routed, method=methods.tokens(alpha=0.5), epochs=1,
        batch_size=8, progress=False,
    )  # fmt: skip
    both_parts = history["forward_kl/a"][0] + history["forward_kl/b"][0]
    assert both_parts / 2 == pytest.approx(history["forward_kl"][0], rel=1e-5)


class Words(nn.Module):
    """A language model of one table."""

    def __init__(self, seed):
        super().__init__()
        drawn = torch.randn(7, 7, generator=torch.Generator().manual_seed(seed))
        self.table = nn.Embedding.from_pretrained(drawn, freeze=False)

    def forward(self, ids):
        return self.table(ids)


def test_divergences_are_those_of_each_teachers_own_examples():
    routed, student = route(both(), by=NUMBERS), MLP(4, 3, seed=5)
    measured = routed.divergences(student, (X, Y), T=2.0, batch_size=7)
    for number, (name, teacher) in enumerate(both().items()):
        own = (number == NUMBERS).nonzero()[:, 0]
        expected = losses.forward_kl(student(X[own]), teacher(as_data((X, Y)).batch(own)), T=2.0)
        assert measured[name] == pytest.approx(expected.item(), rel=1e-5)
    alone = route(both(), by=torch.zeros(N, dtype=torch.long))
    assert alone.divergences(student, (X, Y)).keys() == {"a"}
    assert alone.divergences(net(1).model, (X, Y)) == {"a": pytest.approx(0, abs=1e-6)}


def test_a_run_is_taken_up_with_the_same_route_alone(tmp_path):
    path = tmp_path / "run"
    learn(route(both(), by=COLUMN), checkpoint=path, epochs=1)
    routing = load_checkpoint(path).facts["settings"]["routing"]
    assert routing["teachers"] == ["a", "b"] and routing["by"].startswith("column-")
    _, history = learn(route(both(), by=COLUMN), checkpoint=path)
    assert history.epochs == 2
    other = [*COLUMN[1:], COLUMN[0]]
    for changed in (
        route(both(), by=other),
        route(both(), by=by_sign),
        route({"b": net(1), "a": net(2)}, by=COLUMN),
        route({"a": net(1), "b": net(3)}, by=COLUMN),
    ):
        with pytest.raises(ValueError, match=r"another run .*(routing|teacher): "):
            learn(changed, checkpoint=path)
    with pytest.raises(ValueError, match="routing"):
        learn(net(1), checkpoint=path)


def test_a_changed_function_is_another_route(tmp_path):
    path = tmp_path / "run"
    learn(route(both(), by=lambda batch: (batch.inputs[:, 0] > 0).long()), checkpoint=path)
    learn(route(both(), by=lambda batch: (batch.inputs[:, 0] > 0).long()), checkpoint=path)
    with pytest.raises(ValueError, match="routing"):
        learn(route(both(), by=lambda batch: (batch.inputs[:, 1] > 0).long()), checkpoint=path)


def test_a_routed_teacher_can_be_cached_and_made_of_caches(tmp_path):
    routed = route(both(), by=COLUMN)
    kept = cache(routed, (X, Y), tmp_path / "all", progress=False)
    torch.testing.assert_close(kept(BATCH), routed(BATCH), rtol=1e-2, atol=1e-2)
    with pytest.raises(ValueError, match="something else"):
        cache(route(both(), by=COLUMN[::-1]), (X, Y), tmp_path / "all", progress=False)
    own = {
        name: cache(
            teacher, (X, Y), tmp_path / name, signal=keep.top_k(2, T=2.0), progress=False
        )
        for name, teacher in both().items()
    }  # fmt: skip
    from_caches = route(own, by=COLUMN)
    assert torch.equal(from_caches(BATCH).ids, top_k(routed(BATCH), 2, T=2.0).ids)
    _, history = learn(from_caches)
    assert "kd/a" in history
    with pytest.raises(ValueError, match="teacher_name"):  # what a function does may change
        cache(route(both(), by=by_sign), (X, Y), tmp_path / "sign", progress=False)


def test_many_seeds_of_shared_data_learn_from_it():
    routed = route(both(), by=COLUMN)
    answers = routed(as_data((X, Y)).batch(torch.arange(N)))
    runs = [
        distill_seeds(lambda seed: MLP(4, 3, seed=seed), (X, Y), seeds=[0, 1], teacher=t, epochs=2)
        for t in (routed, answers.expand(2, N, 3))
    ]
    assert torch.equal(runs[0].logits(X), runs[1].logits(X))


def test_teachers_are_checked_as_live_ones_are():
    routed = route({"a": net(1), "b": net(2).model}, by=COLUMN)
    with pytest.raises(ValueError, match="share parameters"):
        as_teacher(routed, routed.members[1].model)
    routed.members[0].model.train()
    with pytest.raises(ValueError, match="training mode"):
        as_teacher(routed, MLP(4, 3))
    with pytest.raises(ValueError, match="require gradients"):
        route(both(), by=MLP(4, 2).eval())


def test_the_temperature_of_a_mean_within_is_held_against_the_method():
    mean = Ensemble([net(1), net(2)], T=4.0)
    routed = route({"a": mean, "b": net(3)}, by=COLUMN)
    assert routed.scored_at == 4.0
    with pytest.raises(ValueError, match=r"Ensemble\(..., T=2.0\)"):
        learn(routed)
    torn = route({"a": mean, "b": Ensemble([net(1), net(2)], T=1.0)}, by=COLUMN)
    with pytest.raises(ValueError, match="make them with the same"):
        learn(torn)


def test_divergences_hold_at_the_temperature_of_a_mean_within():
    mean = Ensemble([net(1), net(2)], T=4.0)
    routed = route({"a": mean, "b": net(3)}, by=COLUMN)
    with pytest.raises(ValueError, match=r"divergences\(..., T=4.0\)"):
        routed.divergences(MLP(4, 3), (X, None))
    assert set(routed.divergences(MLP(4, 3), (X, None), T=4.0)) == {"a", "b"}


def test_divergences_of_maps_run_over_the_classes():
    torch.manual_seed(0)
    x = torch.randn(N, 2, 5, 5)
    maps = [torch.nn.Conv2d(2, 3, 1) for _ in range(3)]
    routed = route({"a": freeze(maps[0]), "b": freeze(maps[1])}, by=COLUMN)
    with pytest.raises(ValueError, match=r"divergences\(..., axis=1\)"):
        routed.divergences(maps[2], (x, None))
    apart = routed.divergences(maps[2], (x, None), axis=1)
    for number, name in enumerate(routed.names):
        own = x[number == NUMBERS]
        log_p, log_q = (maps[i](own).log_softmax(1) for i in (number, 2))
        expected = (log_p.exp() * (log_p - log_q)).sum(1).mean().item()
        assert apart[name] == pytest.approx(expected, rel=1e-5)


def test_what_cannot_be_routed_is_refused_in_words():
    two = both()
    for call, words in (
        (lambda: route({"a": net(1)}, by=COLUMN), "two or more"),
        (lambda: route([net(1), net(2)], by=COLUMN), "two or more"),
        (lambda: route({"a": net(1), "": net(2)}, by=COLUMN), "must be a text"),
        (lambda: route(two, by=["a", "c"]), "no teacher 'c'"),
        (lambda: route(two, by=torch.zeros(3)), "whole numbers"),
        (lambda: route(two, by=["a"] * 3)(BATCH), "says who answers 3"),
        (lambda: route(two, by=torch.full((N,), 2))(BATCH), "teacher number 2"),
        (lambda: route(two, by=lambda batch: NUMBERS[:3])(BATCH), "one teacher an example"),
        (lambda: route(two, by=lambda batch: ["c"] * N)(BATCH), "no teacher 'c'"),
        (lambda: route(two, by=net(4))(BATCH), r"expected one score a teacher, \(B, 2\)"),
        (
            lambda: route({"a": net(1), "b": freeze(MLP(4, 5))}, by=COLUMN)(BATCH),
            "-inf for classes",
        ),
    ):
        with pytest.raises(ValueError, match=words):
            call()
    with pytest.raises(TypeError, match="callable from a batch"):
        route({"a": net(1), "b": "gpt"}, by=COLUMN)
    with pytest.raises(TypeError, match="frozen router"):
        route(two, by="domain")


def test_a_class_that_a_teacher_does_not_know_gets_nothing():
    unknown = torch.full((N, 3), -math.inf)
    unknown[:, 0] = 0.0
    routed = route({"a": Says(unknown), "b": net(2)}, by=COLUMN)
    student, history = learn(routed, epochs=30, lr=0.03, method=methods.kd(2.0, 1.0))
    assert all(math.isfinite(value) for value in history["kd/a"])
    assert (student(X).argmax(-1)[NUMBERS == 0] == 0).float().mean() > 0.8

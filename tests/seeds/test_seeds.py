"""Many seeds at once are the same runs, one by one, only faster."""

import pytest
import torch
from torch import nn

from distill_lab import losses, methods, signals
from distill_lab._util.runtime import own_randomness
from distill_lab.data.datasets import Examples
from distill_lab.data.samplers import InOrder
from distill_lab.models import MLP, SmallCNN
from distill_lab.models.projections import Regressor, VariationalRegressor
from distill_lab.seeds import Stacked, distill_seeds
from distill_lab.teachers import freeze, record
from distill_lab.training import distill

SEEDS = (3, 4, 8)
SETTINGS = {"epochs": 3, "batch_size": 16, "lr": 1e-2}


def make(seed):
    return MLP(6, 8, 3, seed=seed)


@pytest.fixture
def data():
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(len(SEEDS), 40, 6, generator=generator)
    return Examples(inputs, inputs[..., :3].argmax(-1))


@pytest.fixture(scope="module")
def storyteller():
    transformers = pytest.importorskip("transformers")
    config = transformers.LlamaConfig(
        vocab_size=11,
        hidden_size=8,
        intermediate_size=12,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=16,
        attn_implementation="eager",
    )

    def tell(seed):
        with own_randomness(seed):
            return transformers.LlamaForCausalLM(config).float()

    return tell


@pytest.fixture(scope="module")
def texts():
    """Tokens and labels: a prompt of two tokens, and texts of unequal length."""
    ids = torch.randint(11, (30, 7), generator=torch.Generator().manual_seed(1))
    labels = ids.clone()
    labels[:, :2] = -100
    labels[::3, 5:] = -100
    return ids, labels


def assert_same(model, other):
    for ours, theirs in zip(model.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("family", ["gpt2", "bloom", "qwen2"])
def test_language_models_with_tied_weights_come_out_whole(family, texts):
    """Their tied matrix has two names in a state_dict, and one among the parameters.

    Bloom has a function of its own that no vmap takes: its seeds learn in turn.
    """
    transformers = pytest.importorskip("transformers")
    sizes = {
        "gpt2": {"n_embd": 8, "n_layer": 1, "n_head": 2, "n_positions": 16},
        "bloom": {"hidden_size": 8, "n_layer": 1, "n_head": 2},
        "qwen2": {"hidden_size": 8, "intermediate_size": 12, "num_hidden_layers": 1}
        | {"num_attention_heads": 2, "num_key_value_heads": 1, "tie_word_embeddings": True},
    }[family]
    still = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0} if family == "gpt2" else {}
    ends = {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0}
    config = transformers.AutoConfig.for_model(family, vocab_size=11, **sizes, **still, **ends)

    def tell(seed):
        with own_randomness(seed):
            return transformers.AutoModelForCausalLM.from_config(config)

    settings = {"method": methods.tokens(alpha=0.0), "steps": 3, "batch_size": 10}
    runs = distill_seeds(tell, texts, seeds=[0, 1], progress=False, **settings)
    for i in (0, 1):
        alone, whole = tell(i), runs.model(i)
        distill(alone, texts, seed=i, progress=False, **settings)
        assert whole.lm_head.weight is whole.get_input_embeddings().weight
        assert_same(whole, alone)


def test_padding_learns_in_no_seed():
    """Inside a vmap torch leaves out the padding's row of the first seed alone."""
    words = torch.randint(1, 9, (24, 6), generator=torch.Generator().manual_seed(0))
    words[:, 4:] = 0
    labels = words[:, 0] % 3

    def tell(seed):
        with own_randomness(seed):
            table = nn.Embedding(9, 4, padding_idx=0)
            return nn.Sequential(table, nn.Flatten(), nn.Linear(24, 3))

    settings = {"epochs": 2, "batch_size": 8, "lr": 0.05, "weight_decay": 0.0}
    runs = distill_seeds(tell, (words, labels), seeds=[0, 1, 2], progress=False, **settings)
    for i in range(3):
        alone = tell(i)
        distill(alone, (words, labels), seed=i, progress=False, **settings)
        assert_same(runs.model(i), alone)
        assert runs.model(i)[0].weight[0].abs().max() == 0
        assert runs.model(i)[0].padding_idx == 0 and not runs.model(i)[0]._forward_hooks


def test_each_seed_is_the_run_distill_would_do(data):
    runs = distill_seeds(make, data, seeds=SEEDS, **SETTINGS)
    for i, seed in enumerate(SEEDS):
        alone = make(seed)
        history = distill(alone, data.at(i), seed=seed, progress=False, **SETTINGS)
        assert runs.terms["ce"][:, i].tolist() == pytest.approx(history["ce"], rel=1e-3)
        assert_same(runs.model(i), alone)


def test_batch_norm_keeps_each_seeds_statistics_as_distill_would(data):
    shape = data.inputs.shape[2:].numel()
    make_normed = lambda seed: MLP(shape, 8, 3, batch_norm=True, seed=seed)  # noqa: E731
    runs = distill_seeds(make_normed, data, seeds=SEEDS, **SETTINGS)
    for i, seed in enumerate(SEEDS):
        alone = make_normed(seed)
        distill(alone, data.at(i), seed=seed, progress=False, **SETTINGS)
        assert_same(runs.model(i), alone)
        for ours, theirs in zip(runs.model(i).buffers(), alone.buffers(), strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4)
    inputs = data.inputs[0]
    torch.testing.assert_close(  # in use, the statistics count and not the batch
        runs.logits(inputs)[:, :1], runs.logits(inputs[:1]), rtol=1e-3, atol=1e-4
    )


@pytest.mark.parametrize(
    "method",
    [
        methods.kd(4.0, 0.7),
        methods.kd(2.0, 1.0, standardize=True),
        methods.logit_matching(0.5),
        methods.dkd(),
    ],
    ids=lambda m: m.name,
)
def test_each_seed_listens_to_its_own_teacher(data, method):
    teachers = distill_seeds(
        lambda seed: MLP(6, 16, 3, dropout=0.5, seed=90 + seed), data, seeds=SEEDS, **SETTINGS
    )
    runs = distill_seeds(make, data, seeds=SEEDS, teacher=teachers, method=method, **SETTINGS)
    for i, seed in enumerate(SEEDS):
        alone = make(seed)
        distill(
            alone,
            data.at(i),
            teacher=freeze(teachers.model(i)),
            method=method,
            seed=seed,
            progress=False,
            **SETTINGS,
        )
        assert_same(runs.model(i), alone)


def inside(loss, regressor=None, *, base_method=None):
    """A new method each time: `distill` trains a method's projections in place."""
    return methods.match_features(
        "feature",
        loss,
        [("hidden.0", "hidden.1")],
        weight=2.0,
        base_method=base_method,
        regressors=None if regressor is None else [regressor(8, 12, seed=5)],
    )


@pytest.mark.parametrize(
    ("loss", "regressor"),
    [
        (losses.hint_loss, Regressor),
        (losses.vid_loss, VariationalRegressor),
        (losses.similarity_preserving_loss, None),
        (losses.rkd_distance_loss, None),
        (losses.correlation_congruence_loss, None),
        (losses.pkt_loss, None),
    ],
    ids=lambda f: getattr(f, "__name__", ""),
)
def test_methods_that_look_inside_find_each_seeds_own_teacher_and_projections(
    data, loss, regressor
):
    kd = methods.kd(3.0, 0.5)
    teachers = distill_seeds(
        lambda seed: MLP(6, 16, 12, 3, seed=90 + seed), data, seeds=SEEDS, **SETTINGS
    )
    method = inside(loss, regressor, base_method=kd)
    runs = distill_seeds(make, data, seeds=SEEDS, teacher=teachers, method=method, **SETTINGS)
    for i, seed in enumerate(SEEDS):
        alone, own = make(seed), inside(loss, regressor, base_method=kd)
        teacher = freeze(teachers.model(i))
        history = distill(
            alone, data.at(i), teacher=teacher, method=own, seed=seed, progress=False, **SETTINGS
        )
        assert runs.terms["feature"][:, i].tolist() == pytest.approx(history["feature"], rel=1e-3)
        assert_same(runs.model(i), alone)
        if regressor is not None:
            assert_same(runs.projections.model(i), own.projections)
            with pytest.raises(AssertionError):  # the originals stayed as they were
                assert_same(method.projections, own.projections)
    assert not any(module._forward_hooks for module in teachers.students.recipe.modules())


def test_what_is_tapped_beside_another_tap_is_heard_as_well(data):
    """Two feature losses, one on a module inside a module that the other looks at."""
    first = methods.match_features(
        "first",
        losses.similarity_preserving_loss,
        [("hidden", "hidden")],
        weight=1.0,
        base_method=methods.kd(3.0, 0.5),
    )
    both = methods.match_features(
        "second",
        losses.pkt_loss,
        [("hidden.0", "hidden.1"), ("head", "head")],
        weight=1.0,
        base_method=first,
    )
    assert both.taps == ("hidden", "hidden.1", "head")
    net = freeze(MLP(6, 16, 12, 3, seed=7))
    runs = distill_seeds(make, data, seeds=SEEDS, teacher=net, method=both, **SETTINGS)
    alone = make(SEEDS[1])
    distill(
        alone,
        data.at(1),
        teacher=net,
        method=both,
        seed=SEEDS[1],
        progress=False,
        shares_every=0,
        **SETTINGS,
    )
    assert_same(runs.model(1), alone)


@pytest.mark.parametrize("shared", [True, False])
def test_a_teacher_is_asked_about_each_example_once_however_many_epochs(data, shared):
    net, calls = freeze(MLP(6, 16, 12, 3, seed=7)).model, []
    net.register_forward_hook(lambda _, inputs, __: calls.append(len(inputs[0])))
    examples = data.at(0) if shared else data
    for method in (methods.kd(), inside(losses.pkt_loss)):
        calls.clear()
        distill_seeds(make, examples, seeds=SEEDS, teacher=net, method=method, **SETTINGS)
        assert sum(calls) == (40 if shared else 120)


def test_a_single_seed_may_learn_from_any_teacher(data):
    teacher_answer = record(freeze(MLP(6, 16, 3, seed=1)), data.at(0))
    runs = distill_seeds(make, data.at(0), seeds=[3], teacher=teacher_answer, **SETTINGS)
    alone = make(3)
    distill(alone, data.at(0), teacher=teacher_answer, seed=3, progress=False, **SETTINGS)
    assert_same(runs.model(0), alone)


def test_one_network_may_teach_every_seed_from_inside(data):
    net = freeze(MLP(6, 16, 12, 3, seed=7)).model
    runs = distill_seeds(
        make, data, seeds=SEEDS, teacher=net, method=inside(losses.pkt_loss), **SETTINGS
    )
    alone = make(SEEDS[2])
    distill(
        alone,
        data.at(2),
        teacher=net,
        method=inside(losses.pkt_loss),
        seed=SEEDS[2],
        progress=False,
        **SETTINGS,
    )
    assert_same(runs.model(2), alone)


LANGUAGE = {"epochs": 2, "batch_size": 8, "lr": 1e-2, "schedule": "cosine", "warmup": 2}


@pytest.mark.parametrize("own", [False, True], ids=["shared", "each seed's own"])
@pytest.mark.parametrize(
    "method",
    [
        methods.tokens(),
        methods.tokens("reverse_kl"),
        methods.tokens("jsd", T=2.0, alpha=0.5),
        methods.tokens(alpha=0.0),
    ],
    ids=lambda m: m.name,
)
def test_language_models_learn_token_by_token_as_each_would_alone(texts, storyteller, own, method):
    ids, labels = texts
    if own:
        ids, labels = (torch.stack([x, x.flip(0), x.roll(5, 0)]) for x in texts)
    net = freeze(storyteller(77)).model if method.needs_teacher else None
    runs = distill_seeds(
        storyteller, (ids, labels), seeds=SEEDS, teacher=net, method=method, clip=0.3, **LANGUAGE
    )
    for i, seed in enumerate(SEEDS):
        alone = storyteller(seed)
        data = (ids[i], labels[i]) if own else texts
        distill(
            alone, data, teacher=net, method=method, clip=0.3, seed=seed, progress=False, **LANGUAGE
        )
        assert_same(runs.model(i), alone)
    logits = runs.logits(texts[0])
    torch.testing.assert_close(logits[0], runs.model(0)(texts[0]).logits, rtol=1e-3, atol=1e-4)


def kept(form):
    """A teacher of whom only this much is passed on, by the number of the example."""
    return lambda teacher_answer: lambda batch: form(teacher_answer(batch), batch)


@pytest.mark.parametrize(
    "passed_on",
    [
        kept(lambda z, batch: signals.top_k(z, 3)),
        kept(lambda z, batch: signals.sample(z, 3, ids=batch.ids, seed=1)),
        kept(lambda z, batch: signals.Dense(z, mask=batch.labels != -100)),
        lambda teacher_answer: teacher_answer,
    ],
    ids=["top k", "sampled", "dense with a mask", "recorded"],
)
def test_whatever_a_teacher_says_reaches_every_seed(texts, storyteller, passed_on):
    teacher = passed_on(record(freeze(storyteller(77)), texts))
    settings = {"teacher": teacher, "method": methods.tokens(), **LANGUAGE}
    runs = distill_seeds(storyteller, texts, seeds=SEEDS, **settings)
    alone = storyteller(SEEDS[1])
    history = distill(alone, texts, seed=SEEDS[1], progress=False, **settings)
    assert runs.terms["forward_kl"][:, 1].tolist() == pytest.approx(history["forward_kl"], rel=1e-3)
    assert_same(runs.model(1), alone)


def test_where_a_teacher_kept_silent_no_seed_listens(data):
    """A mask comes with the signal: here every second example was not answered."""
    inputs, labels = data.at(0)
    spoke = torch.arange(len(labels)) % 2 == 0
    logits = torch.randn(len(labels), 3, generator=torch.Generator().manual_seed(2))

    def teacher_answer(batch):
        return signals.Dense(logits[batch.ids], mask=spoke[batch.ids])

    listen = methods.Method(
        "listen",
        lambda batch, student, teacher: {
            "kl": methods.divergence(student(batch.inputs), teacher(batch))
        },
        {"kl": 1.0},
    )
    runs = distill_seeds(
        make, (inputs, labels), seeds=SEEDS, teacher=teacher_answer, method=listen, **SETTINGS
    )
    alone = make(SEEDS[0])
    distill(
        alone,
        (inputs, labels),
        teacher=teacher_answer,
        method=listen,
        seed=SEEDS[0],
        progress=False,
        **SETTINGS,
    )
    assert_same(runs.model(0), alone)


def test_a_gradient_is_clipped_seed_by_seed(data):
    loud = Examples(data.inputs * torch.tensor([1.0, 100.0, 1.0]).view(3, 1, 1), data.labels)
    runs = distill_seeds(make, loud, seeds=SEEDS, clip=0.01, **SETTINGS)
    for i, seed in enumerate(SEEDS):
        alone = make(seed)
        distill(alone, loud.at(i), seed=seed, progress=False, clip=0.01, **SETTINGS)
        assert_same(runs.model(i), alone)


def test_a_gradient_that_is_not_finite_is_said_with_its_seed(data):
    def root(batch, student, _):  # of 0 for the second seed: its slope there is infinite
        score = student(batch.inputs).square().sum(-1).mean()
        return {"root": (score * batch.inputs.abs().sum().clamp(max=1)).sqrt()}

    silent = Examples(data.inputs * torch.tensor([1.0, 0.0, 1.0]).view(3, 1, 1), data.labels)
    method = methods.Method("root", root, {"root": 1.0}, needs_teacher=False)
    with pytest.raises(FloatingPointError, match="gradient's norm became nan for seed 4 at step 1"):
        distill_seeds(make, silent, seeds=SEEDS, method=method, clip=1.0, **SETTINGS)


def test_weights_of_their_own_make_a_sweep_in_one_go(data):
    teacher = torch.randn(3, 40, 3, generator=torch.Generator().manual_seed(1))
    swept = distill_seeds(
        make,
        data,
        seeds=SEEDS,
        teacher=teacher,
        method=methods.kd(2.0, 0.5),
        weights={"kd": [0.0, 0.5, 4.0]},
        **SETTINGS,
    )
    plain = distill_seeds(
        make, data, seeds=SEEDS, teacher=teacher, method=methods.kd(2.0, 0.5), **SETTINGS
    )
    assert_same(swept.model(1), plain.model(1))
    for i in (0, 2):
        with pytest.raises(AssertionError):
            assert_same(swept.model(i), plain.model(i))
    labels = distill_seeds(make, data, seeds=SEEDS, **SETTINGS)
    # a weight of one half is no other direction to AdamW: the labels alone, at its small eps
    torch.testing.assert_close(
        swept.model(0).head.bias, labels.model(0).head.bias, rtol=1e-2, atol=1e-3
    )


def test_some_of_the_networks_in_another_order_and_twice(data):
    runs = distill_seeds(make, data, seeds=SEEDS, **SETTINGS)
    some = runs.students.pick([2, 0, 2])
    teacher_answer, all_said = some(data.inputs[0], shared=True), runs.logits(data.inputs[0])
    torch.testing.assert_close(teacher_answer, all_said[[2, 0, 2]])
    with torch.no_grad():
        some.stacked[0].zero_()
    assert torch.equal(runs.logits(data.inputs[0]), all_said)  # they are copies


def test_one_seed_does_not_feel_the_others(data):
    three = distill_seeds(make, data, seeds=SEEDS, **SETTINGS)
    poisoned = Examples(data.inputs.clone(), data.labels)
    poisoned.inputs[1:] *= 50
    changed = distill_seeds(make, poisoned, seeds=SEEDS, **SETTINGS)
    assert_same(three.model(0), changed.model(0))
    with pytest.raises(AssertionError):
        assert_same(three.model(1), changed.model(1))


def test_same_seeds_same_bits_with_dropout(data):
    def wet(seed):
        return MLP(6, 8, 3, dropout=0.5, seed=seed)

    before = torch.get_rng_state()
    one = distill_seeds(wet, data, seeds=SEEDS, **SETTINGS)
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(5)
    two = distill_seeds(wet, data, seeds=SEEDS, **SETTINGS)
    assert torch.equal(one.terms["ce"], two.terms["ce"])
    assert torch.equal(one.logits(data.inputs), two.logits(data.inputs))


def test_teacher_forms_agree(data):
    net = freeze(MLP(6, 16, 3, seed=1)).model
    teacher_answer = net(data.inputs.flatten(0, 1)).unflatten(0, data.labels.shape)
    kd = methods.kd(alpha=1.0)
    live = distill_seeds(make, data, seeds=SEEDS, teacher=net, method=kd, **SETTINGS)
    told = distill_seeds(make, data, seeds=SEEDS, teacher=teacher_answer, method=kd, **SETTINGS)
    assert torch.equal(live.terms["kd"], told.terms["kd"])


def test_shared_data_and_shared_test_set(data):
    one = data.at(0)
    shared = distill_seeds(make, one, seeds=SEEDS, **SETTINGS)
    alone = make(SEEDS[1])
    distill(alone, one, seed=SEEDS[1], progress=False, **SETTINGS)
    assert_same(shared.model(1), alone)
    logits = shared.logits(one.inputs)
    torch.testing.assert_close(logits[1], alone(one.inputs), rtol=1e-3, atol=1e-3)
    expected = (logits.argmax(-1) == one.labels).double().mean(-1) * 100
    assert torch.equal(shared.accuracy(one), expected)


def test_images_and_unlabelled_inputs():
    images = torch.rand(2, 12, 1, 8, 8)
    runs = distill_seeds(
        lambda seed: SmallCNN(4, seed=seed),
        (images, None),
        seeds=range(2),
        teacher=torch.randn(2, 12, 10),
        method=methods.kd(alpha=1.0),
        epochs=1,
    )
    assert runs.logits(images).shape == (2, 12, 10)
    assert runs.logits(images[0], chunk=5).shape == (2, 12, 10)


def test_progress_reports_the_mean_over_seeds(data):
    seen = []

    def note(terms, step, steps):
        seen.append((terms["ce"], step, steps))

    runs = distill_seeds(make, data, seeds=SEEDS, progress=note, **SETTINGS)
    assert seen[-1][1:] == (9, 9)
    assert seen[0][0] == pytest.approx(runs.terms["ce"][0].mean().item())


def test_bad_input_is_answered_in_words(data):
    with pytest.raises(ValueError, match="there are no seeds"):
        distill_seeds(make, data, seeds=[])
    with pytest.raises(TypeError, match=r"as range\(3\), not one number"):
        distill_seeds(make, data, seeds=3)
    with pytest.raises(ValueError, match="data holds 3 seeds but 2 were asked for"):
        distill_seeds(make, data, seeds=range(2))
    with pytest.raises(ValueError, match="the networks differ in their parameters"):
        Stacked([MLP(6, 8, 3), MLP(6, 9, 3)])
    with pytest.raises(ValueError, match="expected one label an input"):
        distill_seeds(make, (data.inputs[:, :30], data.labels), seeds=SEEDS)
    with pytest.raises(ValueError, match="ask it about the same examples"):
        distill_seeds(make, data, seeds=SEEDS, teacher=torch.randn(3, 39, 3))
    for wrong in ({"kd": [1.0] * 3}, {"ce": [1.0]}, {"ce": [1.0, -1.0, 1.0]}):
        with pytest.raises(ValueError, match="one number of at least 0 for each of the 3 seeds"):
            distill_seeds(make, data, seeds=SEEDS, weights=wrong)
    with pytest.raises(ValueError, match="looks inside its teacher, and Tensor only holds"):
        distill_seeds(
            make, data, seeds=SEEDS, teacher=torch.randn(3, 40, 3), method=inside(losses.pkt_loss)
        )
    runs = distill_seeds(make, data, seeds=SEEDS, epochs=1)
    with pytest.raises(ValueError, match="there are 3 teachers for 2 seeds"):
        distill_seeds(
            make, data.at(0), seeds=range(2), teacher=runs, method=inside(losses.pkt_loss)
        )
    with pytest.raises(ValueError, match="inputs hold 2 seeds but there are 3 students"):
        runs.logits(data.inputs[:2])
    with pytest.raises(ValueError, match="expected examples of 1 axes"):
        runs.logits(torch.zeros(6))
    poisoned = Examples(data.inputs.clone(), data.labels)
    poisoned.inputs[1] = float("nan")
    with pytest.raises(FloatingPointError, match="'ce' became nan for seed 4 at step 1"):
        distill_seeds(make, poisoned, seeds=SEEDS)


@pytest.mark.parametrize("seeds", [[0, 0], [1, 2, 1]])
def test_one_run_is_not_counted_twice(data, seeds):
    shared = (data.inputs[0], data.labels[0])
    with pytest.raises(ValueError, match="one and the same student twice"):
        distill_seeds(make, shared, seeds=seeds, progress=False, **SETTINGS)
    one = make(0)
    with pytest.raises(ValueError, match="make a new network of each"):
        distill_seeds(lambda seed: one, shared, seeds=[0, 1], progress=False, **SETTINGS)
    own = {"method": methods.supervised(), "progress": False, **SETTINGS}
    runs = distill_seeds(make, shared, seeds=[0, 0], weights={"ce": [1.0, 0.5]}, **own)
    assert runs.terms["ce"].shape[1] == 2  # the arms of a sweep
    rows = Examples(data.inputs[:2], data.labels[:2])
    assert distill_seeds(make, rows, seeds=[0, 0], **own).terms["ce"].shape[1] == 2


@pytest.mark.parametrize("form", ["weights", "mapping", "array", "text", "mapping of all"])
def test_seeds_learn_from_two_tensors_and_say_so(data, form):
    x, y = data.inputs[0], data.labels[0]
    forms = {
        "weights": (x, y, torch.ones(len(y))),
        "mapping": ({"x": x}, y),
        "array": (x.numpy(), y.numpy()),
        "text": (x, ["a"] * len(y)),
        "mapping of all": {"x": x, "label": y},
    }
    with pytest.raises(TypeError, match=r"two tensors, \(inputs, labels\): use distill"):
        distill_seeds(make, forms[form], seeds=[0, 1], progress=False, **SETTINGS)


@pytest.mark.parametrize("student", [lambda x: x, MLP, None, {"a": 1}])
def test_a_student_is_a_module(data, student):
    with pytest.raises(TypeError, match="the student must be a torch module"):
        distill(student, (data.inputs[0], data.labels[0]), progress=False, **SETTINGS)


@pytest.mark.parametrize("whose", ["all", "one seed's"])
@pytest.mark.parametrize("method", [methods.supervised(), methods.dkd()])
def test_seeds_without_a_label_are_refused_as_one_would_be(data, method, whose):
    labels = data.labels.clone()
    labels[: len(SEEDS) if whose == "all" else 1] = -100
    teacher = freeze(MLP(6, 8, 3, seed=9)) if method.needs_teacher else None
    silent = Examples(data.inputs, labels)
    early = {"steps": 1, "batch_size": 16}  # before an epoch has gone by
    with pytest.raises(ValueError, match="every label in it is ignored"):
        distill_seeds(make, silent, seeds=SEEDS, teacher=teacher, method=method, **early)
    taught = methods.kd()  # whose teacher speaks all the same
    distill_seeds(make, silent, seeds=SEEDS, teacher=freeze(make(9)), method=taught, **SETTINGS)


class Tagger(nn.Module):
    """Scores of each token."""

    def __init__(self, seed):
        super().__init__()
        with own_randomness(seed):
            self.embed, self.out = nn.Embedding(11, 8), nn.Linear(8, 4)

    def forward(self, ids):
        return self.out(self.embed(ids))


def a_few_labelled(shape, classes=3):
    """40 examples of which one in five has a label, and of the first ten none."""
    labels = torch.randint(classes, shape, generator=torch.Generator().manual_seed(5))
    labels[torch.arange(40) % 5 != 0] = -100
    labels[:10] = -100
    return labels


def assert_as_each_alone(make_student, data, **settings):
    """Each seed is the run of distill, which skips another number of its steps; the runs."""
    settings = {"epochs": 4, "batch_size": 4, "lr": 0.05, **settings}
    runs = distill_seeds(make_student, data, seeds=SEEDS, **settings)
    skipped = []
    for i, seed in enumerate(SEEDS):
        alone = make_student(seed)
        history = distill(alone, data, seed=seed, progress=False, **settings)
        term = next(iter(runs.terms))
        assert runs.terms[term][:, i].tolist() == pytest.approx(history[term], rel=1e-3, abs=1e-6)
        skipped.append([value == 0 for value in history[term]])
        assert_same(runs.model(i), alone)
        for ours, theirs in zip(runs.model(i).buffers(), alone.buffers(), strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4)
    return skipped


@pytest.mark.parametrize(
    ("method", "clip"),
    [
        (methods.supervised(), None),
        (methods.supervised(ignore=2, label_smoothing=0.1), 0.1),
        (methods.dkd(), None),
    ],
    ids=["labels", "clipped", "dkd"],
)
def test_a_seed_stands_still_where_nothing_of_it_counts(data, method, clip):
    """As distill skips such a step: momentum alone moves nothing, and AdamW counts no step."""
    teacher = {"teacher": freeze(make(9))} if method.needs_teacher else {}
    few = data.inputs[0], a_few_labelled((40,))
    skipped = assert_as_each_alone(make, few, method=method, clip=clip, **teacher)
    assert len({sum(steps) for steps in skipped}) > 1  # so AdamW's counts differ as well
    assert any(all(each) for each in zip(*skipped, strict=True))


def test_quantities_and_yes_or_no_stand_still_where_none_is_known(data):
    known = a_few_labelled((40,), 2)
    numbers = torch.where(known >= 0, known.float(), torch.nan)
    few = data.inputs[0], numbers
    for method in (methods.regression(alpha=0.0), methods.binary_kd(alpha=0.0)):
        skipped = assert_as_each_alone(lambda s: MLP(6, 8, 1, seed=s), few, method=method)
        assert any(map(any, skipped))


@pytest.mark.parametrize(
    "method",
    [methods.supervised(), methods.kd(), methods.dkd(), methods.tokens()],
    ids=lambda m: m.name,
)
def test_taggers_stand_still_where_no_token_of_a_batch_has_a_label(method):
    ids = torch.randint(11, (40, 5), generator=torch.Generator().manual_seed(6))
    teacher = {"teacher": freeze(Tagger(77))} if method.needs_teacher else {}
    few = ids, a_few_labelled((40, 5), 4)
    skipped = assert_as_each_alone(Tagger, few, method=method, **teacher)
    assert any(map(any, skipped))


@pytest.mark.parametrize("labelled", ["all", "some", "none in some batches"])
@pytest.mark.parametrize(
    "make_method",
    [
        methods.dist,
        lambda: methods.dist(T=2.0, gamma=0.0),
        lambda: methods.match_features(
            "near", losses.similarity_preserving_loss, [("embed", "embed")], weight=3.0
        ),
    ],
    ids=["dist", "dist by token", "features"],
)
def test_what_compares_labelled_tokens_has_its_seeds_in_turn(make_method, labelled):
    """How many there are follows from the labels, and in a vmap nobody knows it."""
    draw = torch.Generator().manual_seed(6)
    ids, tags = (torch.randint(n, (40, 5), generator=draw) for n in (11, 4))
    if labelled != "all":
        tags[torch.rand(40, 5, generator=draw) < 0.4] = -100
    if labelled == "none in some batches":
        tags[8:] = -100
    settings = {"method": make_method(), "teacher": freeze(Tagger(77)), "batch_size": 4}
    settings["sampler"] = InOrder()
    skipped = assert_as_each_alone(Tagger, (ids, tags), **settings)
    assert any(map(any, skipped)) == (labelled == "none in some batches")


def test_a_single_labelled_token_is_compared_with_none_by_any_seed():
    ids = torch.randint(11, (40, 5), generator=torch.Generator().manual_seed(6))
    tags = torch.full((40, 5), -100)
    tags[:, 0] = torch.arange(40) % 3
    tags[39, 0] = -100
    settings = {"method": methods.dist(), "teacher": freeze(Tagger(77)), "batch_size": 2}
    settings |= {"epochs": 1, "sampler": InOrder()}
    words = "compares examples with each other and got 1: expected at least 2"
    with pytest.raises(ValueError, match=words):
        distill(Tagger(0), (ids, tags), progress=False, **settings)
    with pytest.raises(ValueError, match=words):
        distill_seeds(Tagger, (ids, tags), seeds=[0, 1], **settings)


SOFT = {
    "labels": methods.supervised,
    "smoothed": lambda: methods.supervised(label_smoothing=0.1),
    "kd": methods.kd,
    "dist": methods.dist,
    "logits": lambda: methods.logit_matching(alpha=0.5),
}


@pytest.mark.parametrize("name", SOFT)
@pytest.mark.parametrize("shape", ["wider", "as wide", "each its own", "tokens"])
def test_soft_labels_teach_each_seed_as_they_would_alone(name, shape):
    """Some rows are one-hot, as of pictures that were not mixed, and some batches hold no other."""
    draw = torch.Generator().manual_seed(8)
    lead, width = ((40, 5), 4) if shape == "tokens" else ((40,), 3)
    lead = (len(SEEDS), *lead) if shape == "each its own" else lead
    mixed = torch.randn(*lead, width, generator=draw).softmax(-1)
    hard = mixed.argmax(-1)
    mixed[..., ::2, :] = nn.functional.one_hot(hard, width).float()[..., ::2, :]
    if shape != "tokens":
        mixed[..., :12, :] = nn.functional.one_hot(hard, width).float()[..., :12, :]
    features = 3 if shape == "as wide" else 6
    inputs = torch.randn(*lead, features, generator=draw)
    make_one = lambda seed: MLP(features, 8, 3, seed=seed)  # noqa: E731
    if shape == "tokens":
        inputs, make_one = torch.randint(11, lead, generator=draw), Tagger
    method = SOFT[name]()
    settings = {"method": method, "epochs": 2, "batch_size": 4, "lr": 0.05, "sampler": InOrder()}
    if method.needs_teacher:
        settings["teacher"] = freeze(make_one(77))
    runs = distill_seeds(make_one, (inputs, mixed), seeds=SEEDS, **settings)
    for i, seed in enumerate(SEEDS):
        alone = make_one(seed)
        own = (inputs[i], mixed[i]) if shape == "each its own" else (inputs, mixed)
        history = distill(alone, own, seed=seed, progress=False, **settings)
        for term in runs.terms:
            assert runs.terms[term][:, i].tolist() == pytest.approx(history[term], rel=1e-3)
        assert_same(runs.model(i), alone)


def test_batch_statistics_of_a_seed_stand_still_with_it(data):
    def normed(seed):
        with own_randomness(seed):
            first = nn.Linear(6, 8, bias=False)  # a bias would get noise for a gradient
            return nn.Sequential(first, nn.BatchNorm1d(8), nn.Linear(8, 3))

    few = data.inputs[0], a_few_labelled((40,))
    assert any(map(any, assert_as_each_alone(normed, few, method=methods.supervised())))


def test_the_first_step_may_be_that_of_some_seeds_alone(data):
    """Before it AdamW has no means to keep still."""
    labels = data.labels.clone()
    labels[1, :8] = -100
    labels[0, 8:16] = -100  # after it all have taken as many steps again
    settings = {"epochs": 2, "batch_size": 8, "sampler": InOrder(), "lr": 0.05, "clip": 0.5}
    runs = distill_seeds(make, (data.inputs, labels), seeds=SEEDS, **settings)
    for i, seed in enumerate(SEEDS):
        alone = make(seed)
        own = data.inputs[i], labels[i]
        history = distill(alone, own, seed=seed, progress=False, **settings)
        assert runs.terms["ce"][:, i].tolist() == pytest.approx(history["ce"], rel=1e-3)
        assert_same(runs.model(i), alone)


def test_standing_still_is_to_the_bit_and_not_for_a_whole_epoch(data):
    inputs, labels = data.inputs[:, :24], data.labels[:, :24].clone()
    labels[1, 8:16] = -100
    labels[:, 16:] = -100
    settings = {"batch_size": 8, "sampler": InOrder(), "lr": 0.05}
    one, two, three = (
        distill_seeds(make, (inputs, labels), seeds=SEEDS, steps=steps, **settings)
        for steps in (1, 2, 3)
    )
    for before, after, later in zip(
        *(run.students.parameters() for run in (one, two, three)), strict=True
    ):
        assert torch.equal(before[1], after[1])
        assert not torch.equal(before[0], after[0])
        assert torch.equal(after, later)
    with pytest.raises(ValueError, match="every label in it is ignored"):
        silent = labels.clone()
        silent[2, :16] = -100
        silent[2, 23] = 0

        class FirstRows:
            def order(self, examples, seed, epoch):
                return torch.arange(16)

        distill_seeds(
            make, (inputs, silent), seeds=SEEDS, epochs=2, batch_size=8, sampler=FirstRows()
        )


@pytest.mark.parametrize("label", [3, -1])
def test_a_label_that_is_no_class_is_named_for_many_seeds(data, label):
    labels = data.labels.clone()
    labels[1, 30] = label
    with pytest.raises(ValueError, match=r"labels (go from|must lie between).*-100"):
        distill_seeds(make, Examples(data.inputs, labels), seeds=SEEDS, **SETTINGS)


@pytest.mark.parametrize("teacher", ["a table", "a network"])
def test_probabilities_are_no_logits_for_many_seeds(data, teacher):
    answers = torch.randn(3, 40, 3).softmax(-1)
    network = freeze(torch.nn.Sequential(make(9), torch.nn.Softmax(-1)))
    with pytest.raises(ValueError, match="look like probabilities"):
        given = answers if teacher == "a table" else network
        distill_seeds(make, data, seeds=SEEDS, teacher=given, **SETTINGS)


@pytest.mark.parametrize(
    "wrap", [nn.DataParallel, lambda net: nn.DataParallel(nn.DataParallel(net))]
)
def test_networks_that_would_be_spread_over_devices_run_as_one(wrap):
    """torch.func runs no such wrapper: so they were trained, and could not be asked."""
    data = torch.randn(12, 4), torch.arange(12) % 3
    settings = {"seeds": [0, 1], "epochs": 2, "batch_size": 6, "progress": False}
    bare = distill_seeds(lambda seed: MLP(4, 5, 3, seed=seed), data, **settings)
    runs = distill_seeds(lambda seed: wrap(MLP(4, 5, 3, seed=seed)), data, **settings)
    torch.testing.assert_close(runs.logits(data[0]), bare.logits(data[0]))
    one = runs.students.model(1).eval()
    torch.testing.assert_close(one(data[0]), runs.logits(data[0])[1])


class Recurrent(nn.Module):
    def __init__(self, kind, seed):
        super().__init__()
        torch.manual_seed(seed)
        self.embed = nn.Embedding(11, 4)
        self.body, self.score = kind(4, 5, batch_first=True), nn.Linear(5, 3)

    def forward(self, ids):
        return self.score(self.body(self.embed(ids))[0][:, -1])


def spectral(seed):
    torch.manual_seed(seed)
    body = nn.Sequential(nn.Embedding(11, 4), nn.Flatten(), nn.Linear(20, 6), nn.ReLU())
    return nn.Sequential(body, nn.utils.parametrizations.spectral_norm(nn.Linear(6, 3)))


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN, spectral])
def test_layers_without_a_rule_for_many_have_their_seeds_in_turn(kind):
    draw = torch.Generator().manual_seed(6)
    ids, labels = (
        torch.randint(n, (40, *more), generator=draw) for n, more in ((11, (5,)), (3, ()))
    )
    make_student = spectral if kind is spectral else lambda seed: Recurrent(kind, seed)
    settings = {"method": methods.kd(), "teacher": freeze(make_student(77)), "epochs": 2}
    assert_as_each_alone(make_student, (ids, labels), **settings)

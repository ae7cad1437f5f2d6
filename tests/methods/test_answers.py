"""What the numbers are is looked at before anything is learned from a misreading of them."""

import pytest
import torch
from torch import nn

from distill_lab import losses, methods
from distill_lab.data import InOrder
from distill_lab.data.batches import Batch
from distill_lab.methods.answers import FirstLook
from distill_lab.models import MLP
from distill_lab.models.networks import logits_of
from distill_lab.seeds import distill_seeds
from distill_lab.teachers import Ensemble, Recorded, freeze, probabilities, record
from distill_lab.training import distill

X = torch.randn(12, 4, generator=torch.Generator().manual_seed(0))
Y = torch.arange(12) % 3
SETTINGS = {"epochs": 1, "batch_size": 6, "progress": False}
SOFT = {
    "kd": methods.kd(),
    "kd alone": methods.kd(alpha=1.0),
    "logits": methods.logit_matching(),
    "hard": methods.hard_labels(alpha=1.0),
    "dkd": methods.dkd(),
    "dist": methods.dist(),
}


class Maps(nn.Module):
    """Scores of pictures (B, 1, 6, 6) with the classes in front, or behind."""

    def __init__(self, classes: int, behind: bool = False) -> None:
        super().__init__()
        self.conv, self.behind = nn.Conv2d(1, classes, 1), behind

    def forward(self, pictures):
        maps = self.conv(pictures)
        return maps.movedim(1, -1) if self.behind else maps


def learn(method, student, x, y, teacher):
    return distill(student, (x, y), teacher=teacher, method=method, **SETTINGS)


@pytest.mark.parametrize("name", SOFT)
def test_one_logit_is_no_softmax(name):
    student, teacher = nn.Linear(4, 1), freeze(nn.Linear(4, 1))
    with pytest.raises(ValueError, match="one number a position"):
        learn(SOFT[name], student, X, torch.zeros_like(Y), teacher)
    with pytest.raises(ValueError, match="one number a position"):
        learn(methods.supervised(), student, X, torch.zeros_like(Y), None)


@pytest.mark.parametrize("name", SOFT)
@pytest.mark.parametrize("dtype", [torch.float32, torch.int64])
def test_independent_labels_are_no_softmax(name, dtype):
    several = (torch.rand(12, 3, generator=torch.Generator().manual_seed(1)) > 0.5).to(dtype)
    with pytest.raises(ValueError, match=r"methods.binary_kd\(\)"):
        learn(SOFT[name], nn.Linear(4, 3), X, several, freeze(nn.Linear(4, 3)))


@pytest.mark.parametrize("name", SOFT)
@pytest.mark.parametrize("classes", [3, 6])
@pytest.mark.parametrize("labelled", [True, False])
def test_classes_in_front_are_not_softened_over_the_width(name, classes, labelled):
    """Also where classes, height and width are as many, and no shape tells them apart."""
    pictures = torch.randn(12, 1, 6, 6)
    labels = torch.randint(3, (12, 6, 6)) if labelled or name in ("kd", "dkd", "dist") else None
    with pytest.raises(ValueError, match=r"axis=1.*logits.movedim\(1, -1\)"):
        learn(SOFT[name], Maps(classes), pictures, labels, freeze(Maps(classes)))
    if classes == 3:
        student, teacher = Maps(3, behind=True), freeze(Maps(3, behind=True))
        assert learn(SOFT[name], student, pictures, labels, teacher).steps == 2


@pytest.mark.parametrize("name", SOFT)
def test_probabilities_are_no_logits(name):
    probabilities = freeze(nn.Sequential(nn.Linear(4, 3), nn.Softmax(-1)))
    with pytest.raises(ValueError, match="look like probabilities"):
        learn(SOFT[name], MLP(4, 3), X, Y, probabilities)
    answers = probabilities.model(X).detach()
    with pytest.raises(ValueError, match="look like probabilities"):
        Recorded(answers)
    with pytest.raises(ValueError, match="look like probabilities"):
        learn(SOFT[name], MLP(4, 3), X, Y, lambda batch: answers[batch.ids])
    assert learn(SOFT[name], MLP(4, 3), X, Y, Recorded(answers.log())).steps == 2
    positive = Recorded(answers + 0.5)  # logits may be positive: it is the sum that tells
    assert learn(SOFT[name], MLP(4, 3), X, Y, positive).steps == 2


@pytest.mark.parametrize("name", ["kd", "kd alone", "dkd", "dist"])
def test_a_mean_of_probabilities_holds_at_its_own_temperature(name):
    members = [freeze(MLP(4, 3, seed=1)), freeze(MLP(4, 3, seed=2))]
    T = 1.0 if name == "dist" else 4.0
    with pytest.raises(ValueError, match=rf"Ensemble\(..., T={T}\)"):
        learn(SOFT[name], MLP(4, 3), X, Y, Ensemble(members, T=2.0))
    assert learn(SOFT[name], MLP(4, 3), X, Y, Ensemble(members, T=T)).steps == 2
    geometric = Ensemble(members, mean="logits", T=2.0)  # the members' mean at every T
    assert learn(SOFT[name], MLP(4, 3), X, Y, geometric).steps == 2


@pytest.mark.parametrize("says", ["a mean", "a table", "kept"])
def test_a_list_is_softened_at_the_temperature_of_the_teachers_answers(says):
    """A list of scores is a softmax as well, which holds at one temperature."""

    def teacher(T):
        mean = Ensemble([freeze(MLP(4, 3, seed=1)), freeze(MLP(4, 3, seed=2))], T=T)
        table = probabilities((mean(Batch(X, None, torch.arange(12))) / T).softmax(-1), T=T)
        return {"a mean": mean, "a table": table, "kept": record(mean, (X, None))}[says]

    method = methods.listwise(T=4.0)
    with pytest.raises(ValueError, match=r"Ensemble\(..., T=4.0\)"):
        learn(method, MLP(4, 3), X, None, teacher(1.0))
    with pytest.raises(ValueError, match=r"hold at T = 1\.0"):
        distill_seeds(
            lambda seed: MLP(4, 3, seed=seed),
            (X, Y),
            seeds=[0, 1],
            teacher=teacher(1.0),
            method=method,
            epochs=1,
        )
    assert learn(method, MLP(4, 3), X, None, teacher(4.0)).steps == 2
    assert learn(methods.margin_mse(), MLP(4, 3), X, None, teacher(1.0)).steps == 2


@pytest.mark.parametrize("weights", ["entropy", "max_probability"])
@pytest.mark.parametrize("kept", [False, True])
@pytest.mark.parametrize(
    ("method", "labels"),
    [(methods.binary_kd(T=2.0), (X > 0).float()), (methods.regression(), X), (None, None)],
    ids=["labels", "quantities", "embeddings"],
)
def test_how_sure_one_softmax_is_weighs_no_independent_numbers(method, labels, kept, weights):
    members = [freeze(nn.Linear(4, 4)), freeze(nn.Linear(4, 4))]
    teacher = Ensemble(members, mean="logits", weights=weights, T=2.0)
    method = method or methods.embeddings("cosine")
    if kept:
        teacher = record(teacher, (X, labels))
    with pytest.raises(ValueError, match=r"how sure one softmax is.*weights=None or numbers"):
        learn(method, nn.Linear(4, 4), X, labels, teacher)
    numbers = Ensemble(members, mean="logits", weights=[2.0, 1.0])
    assert learn(method, nn.Linear(4, 4), X, labels, numbers).steps == 2
    with pytest.raises(ValueError, match=r"kd\(T=2.0\)"):  # the weights are those at T = 2
        learn(methods.kd(), nn.Linear(4, 4), X, Y, teacher)


@pytest.mark.parametrize("name", [*SOFT, "labels alone", "smoothed"])
def test_a_softmax_at_the_students_end_is_named(name):
    smoothed = methods.supervised(label_smoothing=0.1)
    own = {"labels alone": methods.supervised(), "smoothed": smoothed}
    method = own.get(name) or SOFT[name]
    teacher = None if name in own else freeze(MLP(4, 3))
    student = nn.Sequential(nn.Linear(4, 3), nn.Softmax(-1))
    before = student[0].weight.detach().clone()
    with pytest.raises(ValueError, match=r"the student's answers lie between 0 and 1.*read="):
        learn(method, student, X, Y, teacher)
    with pytest.raises(ValueError, match="the student's answers lie between 0 and 1"):
        distill_seeds(lambda seed: student, (X, Y), seeds=[0], teacher=teacher, method=method)
    assert torch.equal(before, student[0].weight)
    read = {"read": lambda p: p.clamp_min(1e-9).log()}
    distill(student, (X, Y), teacher=teacher, method=method, **read, **SETTINGS)
    logarithms = nn.Sequential(nn.Linear(4, 3), nn.LogSoftmax(-1))
    assert learn(method, logarithms, X, Y, teacher).steps == 2


class Ending(nn.Module):
    """A linear map, and what stands behind it."""

    def __init__(self, end):
        super().__init__()
        torch.manual_seed(0)
        self.net, self.end = nn.Linear(4, 3), end

    def forward(self, x):
        return self.end(self.net(x))


SEVERAL = (X[:, :3] > 0).float()
WITH_LABELS = {
    "sigmoids": (methods.binary_kd(), SEVERAL),
    "labels of sigmoids": (methods.supervised(loss="bce"), SEVERAL),
    "softmax": (methods.kd(), Y),
    "labels": (methods.supervised(), Y),
}


@pytest.mark.parametrize("name", WITH_LABELS)
@pytest.mark.parametrize(
    "end",
    [
        nn.Sigmoid(),
        nn.functional.hardsigmoid,
        lambda z: torch.cat((z, z), -1).sigmoid()[:, :3],
        lambda z: z.sigmoid().double().unsqueeze(0).squeeze(0),
    ],
    ids=["a module", "a hard one", "cut", "in another type"],
)
def test_a_sigmoid_at_the_students_end_is_named(name, end):
    """With another one in the loss its logits reach from 0 to 1, and hardly anything is learned."""
    (method, labels), student = WITH_LABELS[name], Ending(end)
    teacher = freeze(MLP(4, 3)) if method.needs_teacher else None
    before = student.net.weight.detach().clone()
    with pytest.raises(ValueError, match=r"come out of a sigmoid.*read=lambda p: torch.logit"):
        learn(method, student, X, labels, teacher)
    if labels is Y:
        with pytest.raises(ValueError, match="come out of a sigmoid"):
            distill_seeds(lambda seed: student, (X, Y), seeds=[0], teacher=teacher, method=method)
    assert torch.equal(before, student.net.weight)
    read = {"read": lambda p: torch.logit(p.float(), eps=1e-6)}
    distill(student, (X, labels), teacher=teacher, method=method, **read, **SETTINGS)
    assert not torch.equal(before, student.net.weight)


@pytest.mark.parametrize("name", WITH_LABELS)
@pytest.mark.parametrize(
    "end",
    [nn.LogSigmoid(), lambda z: 9 * z.sigmoid() - 4, lambda z: z * z.sigmoid(), torch.tanh],
    ids=["logarithms", "stretched", "a gate", "another"],
)
def test_what_only_holds_a_sigmoid_is_let_through(name, end):
    method, labels = WITH_LABELS[name]
    teacher = freeze(MLP(4, 3)) if method.needs_teacher else None
    assert learn(method, Ending(end), X, labels, teacher).steps == 2


@pytest.mark.parametrize("end", [nn.Softmax(-1), lambda z: z.softmax(-1)[None][0]])
def test_a_softmax_is_no_end_for_independent_labels(end):
    for method in (methods.binary_kd(), methods.supervised(loss="bce")):
        teacher = freeze(MLP(4, 3)) if method.needs_teacher else None
        with pytest.raises(ValueError, match="come out of a softmax"):
            learn(method, Ending(end), X, SEVERAL, teacher)


@pytest.mark.parametrize("kept", [False, True])
@pytest.mark.parametrize(
    ("method", "numbers", "labels"),
    [
        (methods.binary_kd(T=2.0), 1, (Y == 0).float()[:, None]),
        (methods.binary_kd(T=2.0), 5, torch.ones(12, 5)),
        (methods.regression(), 1, X[:, 0]),
        (methods.regression("gaussian_nll"), 2, X[:, 0]),
        (methods.embeddings("cosine"), 5, None),
    ],
    ids=["yes or no", "labels", "quantities", "variances", "embeddings"],
)
def test_a_mean_of_softmaxes_is_no_number_by_itself(method, numbers, labels, kept):
    """Of one logit it is 0, whatever the members say."""
    members = [freeze(nn.Linear(4, numbers)), freeze(nn.Linear(4, numbers))]
    student = nn.Linear(4, numbers)
    teacher = Ensemble(members, T=2.0)
    if kept:
        teacher = record(teacher, (X, labels))
    with pytest.raises(ValueError, match=r"Ensemble\(..., mean='logits'\)"):
        learn(method, student, X, labels, teacher)
    if numbers != 2:  # half of those are logarithms of variances, whose mean is none
        learn(method, student, X, labels, Ensemble(members, mean="logits"))


class Reader(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.words, self.position_embeddings = nn.Embedding(10, 4), nn.Embedding(6, 4)

    def forward(self, input_ids):
        places = torch.arange(input_ids.shape[1])
        return self.words(input_ids) + self.position_embeddings(places)


def test_numbers_without_a_row_name_the_table():
    with pytest.raises(IndexError, match="number 12 and the model's words only 10 rows"):
        logits_of(Reader(), {"input_ids": torch.full((2, 3), 12)})
    with pytest.raises(IndexError, match="8 tokens a text and the model's position_embeddings"):
        logits_of(Reader(), {"input_ids": torch.zeros(2, 8, dtype=torch.long)})
    with pytest.raises(IndexError, match="number 30 and the model's 0 only 10 rows"):
        logits_of(nn.Sequential(nn.Embedding(10, 4)), torch.full((2, 3), 30))

    def other(inputs):
        raise IndexError("of its own")

    with pytest.raises(IndexError, match="of its own"):
        logits_of(other, X)


def test_a_last_piece_of_one_is_met_before_any_work():
    """Batch statistics and relations need two examples."""
    x, y = torch.randn(13, 4), torch.arange(13) % 3
    normed = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Linear(5, 3))
    before = [p.clone() for p in normed.parameters()]
    with pytest.raises(ValueError, match=r"13 examples in batches of 6.*a piece of 1.*statistics"):
        learn(methods.supervised(), normed, x, y, None)
    assert all(map(torch.equal, before, normed.parameters()))
    assert learn(methods.supervised(), normed, x[:12], y[:12], None).steps == 2
    with pytest.raises(ValueError, match=r"12 examples in batches of 6, 6 pieces.*a piece of 1"):
        distill(normed, (x[:12], y[:12]), accumulate=6, **SETTINGS)
    pictured = nn.Sequential(nn.Conv2d(1, 3, 1), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(12, 3))
    assert learn(methods.supervised(), pictured, torch.randn(13, 1, 2, 2), y, None).steps == 3
    alike = methods.match_features(
        "alike", losses.similarity_preserving_loss, [("hidden.0", "hidden.0")], weight=1.0
    )
    with pytest.raises(ValueError, match=r"a piece of 1, and method alike.*compares examples"):
        learn(alike, MLP(4, 5, 3), x, y, freeze(MLP(4, 5, 3, seed=2)))


def test_looking_again_at_another_teacher():
    """A method that was used before looks at the next teacher as well."""
    method, good = methods.kd(), freeze(MLP(4, 3, seed=1))
    learn(method, MLP(4, 3), X, Y, good)
    bad = freeze(nn.Sequential(nn.Linear(4, 3), nn.Softmax(-1)))
    with pytest.raises(ValueError, match="look like probabilities"):
        method.terms(Batch(X, Y, torch.arange(12)), MLP(4, 3), bad)


@pytest.mark.parametrize("labels", [None, torch.arange(12) % 3, "positions"])
@pytest.mark.parametrize("classes", [3, 7])
def test_classes_in_front_of_a_signal(labels, classes):
    """A convolution over time answers (B, C, L): the softmax would run over L, also at C = L."""
    signal, labels = (
        torch.randn(12, 2, 7),
        torch.randint(3, (12, 7)) if labels == "positions" else labels,
    )
    method = methods.kd(alpha=1.0)
    student, teacher = nn.Conv1d(2, classes, 1), freeze(nn.Conv1d(2, classes, 1))
    with pytest.raises(ValueError, match=r"axis=1.*logits.movedim\(1, -1\)"):
        learn(method, student, signal, labels, teacher)


@pytest.mark.parametrize(
    ("shape", "classes", "labels"),
    [
        ((12, 4, 7), 3, None),
        ((12, 7, 4), 4, None),
        ((12, 7, 7), 7, (12, 7)),
        ((12, 4, 5), 5, (12, 4)),
    ],
)
def test_classes_behind_a_sequence_are_let_through(shape, classes, labels):
    labels = None if labels is None else torch.randint(classes, labels)
    student, teacher = nn.Linear(shape[-1], classes), freeze(nn.Linear(shape[-1], classes))
    learn(methods.kd(alpha=1.0), student, torch.randn(shape), labels, teacher)


def test_a_shorter_sequence_is_known_by_its_labels():
    """Every second position answered: as wide as the inputs, and the labels say which axis."""
    student, teacher = (nn.AvgPool1d(2, 2), nn.AvgPool1d(2, 2))
    read = lambda net: nn.Sequential(Swap(), net, Swap(), nn.Linear(5, 5))  # noqa: E731
    labels = torch.randint(5, (12, 3))
    learn(methods.kd(), read(student), torch.randn(12, 6, 5), labels, freeze(read(teacher)))


class Swap(nn.Module):
    """(B, L, D) to (B, D, L), and back."""

    def forward(self, x):
        return x.movedim(1, -1)


@pytest.mark.parametrize("name", SOFT)
def test_one_number_of_a_teacher_is_no_softmax(name):
    with pytest.raises(ValueError, match=r"the teacher gives one number.*methods.regression\(\)"):
        learn(SOFT[name], nn.Linear(4, 3), X, Y, lambda batch: batch.inputs[:, 0])


@pytest.mark.parametrize("dtype", [torch.bool, torch.float32, torch.float64])
def test_class_numbers_in_another_type_are_named(dtype):
    with pytest.raises(TypeError, match=r"labels.long\(\)"):
        learn(methods.kd(), nn.Linear(4, 3), X, Y.to(dtype), freeze(nn.Linear(4, 3)))
    with pytest.raises(ValueError, match=r"labels.argmax\(-1\)"):
        rows = nn.functional.one_hot(Y, 3).to(dtype)
        learn(methods.kd(), nn.Linear(4, 3), X, rows, freeze(nn.Linear(4, 3)))


@pytest.mark.parametrize(
    ("method", "labels"),
    [
        *((method, Y) for method in SOFT.values()),
        (methods.binary_kd(), torch.rand(12, 3)),
        (methods.regression(), torch.rand(12, 3)),
        (methods.embeddings(), None),
        (methods.listwise(), None),
        (methods.margin_mse(), None),
    ],
)
def test_a_function_that_answers_in_numpy_is_named(method, labels):
    with pytest.raises(TypeError, match=r"teachers.function\(f, says="):
        learn(method, nn.Linear(4, 3), X, labels, lambda batch: batch.inputs.numpy()[:, :3])


def test_a_function_that_fails_keeps_its_own_error():
    def teacher(batch):
        raise TypeError("mine")

    with pytest.raises(TypeError, match=r"^mine$"):
        learn(methods.kd(), nn.Linear(4, 3), X, Y, teacher)


@pytest.mark.parametrize("share", ["one", "half", "all"])
@pytest.mark.parametrize(
    ("name", "method"),
    [
        *SOFT.items(),
        ("binary", methods.binary_kd()),
        ("mse", methods.regression(alpha=1.0)),
        ("mse and labels", methods.regression()),
        ("variances", methods.regression(loss="gaussian_nll", alpha=1.0)),
        ("cosine", methods.embeddings("cosine")),
        ("embeddings", methods.embeddings("mse")),
        ("similarities", methods.embeddings("similarities")),
        ("features", methods.match_features("cos", losses.cosine_loss, [("", "")], weight=1.0)),
    ],
)
def test_a_teacher_that_answers_nan_ends_the_run(name, method, share):
    kept = {"one": torch.arange(12) == 3, "half": Y == 0, "all": Y >= 0}[share]
    x = X.masked_fill(kept[:, None], torch.nan)
    sizes = {"mse": 1, "mse and labels": 1, "variances": 2}
    teacher = freeze(nn.Linear(4, sizes.get(name, 3)))
    labels = {"binary": nn.functional.one_hot(Y, 3).float(), "mse and labels": X[:, 0]}
    student = OfKnown(4, sizes.get(name, 3))
    before = student.weight.detach().clone()
    with pytest.raises((FloatingPointError, ValueError), match=r"nan|inf|NaN|not finite|above 0"):
        whole = SETTINGS | {"batch_size": 12, "teacher": teacher, "method": method}
        distill(student, (x, labels.get(name, Y)), **whole)
    assert torch.equal(student.weight, before)


class OfKnown(nn.Linear):
    """A student that answers whatever is missing: the teacher alone is NaN."""

    def forward(self, x):
        return super().forward(x.nan_to_num(0.5))


MIXED = 0.3 * nn.functional.one_hot(Y, 3) + 0.7 * nn.functional.one_hot(Y.roll(1), 3)
MIXING = {
    "ce": methods.supervised(),
    "ce smoothed": methods.supervised(label_smoothing=0.2),
    "kd": methods.kd(alpha=0.5),
    "logits": methods.logit_matching(alpha=0.5),
    "hard": methods.hard_labels(),
    "dist": methods.dist(),
}


@pytest.mark.parametrize("weights", [None, torch.arange(1.0, 13)])
@pytest.mark.parametrize("name", MIXING)
def test_rows_of_probabilities_are_labels_of_one_softmax(name, weights):
    """As Mixup and CutMix make them; each example counts as one."""
    method, net, teacher = MIXING[name], nn.Linear(4, 3), freeze(nn.Linear(4, 3))
    batch = Batch(X, MIXED, torch.arange(12), weights)
    each = nn.functional.cross_entropy(net(X), MIXED, reduction="none")
    share = torch.ones(12) if weights is None else weights
    terms = method.terms(batch, net, teacher)
    torch.testing.assert_close(terms["ce"], (each * share).sum() / share.sum())
    assert set(method.counts(batch).values()) == {share.sum().item()}
    uniform = -net(X).log_softmax(-1).mean(-1)
    if "uniform" in terms:
        torch.testing.assert_close(terms["uniform"], (uniform * share).sum() / share.sum())


def test_probabilities_of_classes_have_no_class_weights_and_no_target_class():
    batch = Batch(X, MIXED, torch.arange(12))
    with pytest.raises(ValueError, match="class_weights weigh labels of one class each"):
        methods.kd(class_weights=[1, 2, 3]).terms(batch, nn.Linear(4, 3), freeze(nn.Linear(4, 3)))
    with pytest.raises(TypeError, match="class indices"):
        methods.dkd().terms(batch, nn.Linear(4, 3), freeze(nn.Linear(4, 3)))


def test_what_has_the_place_in_memory_of_another_is_looked_at_all_the_same():
    """One method for many runs: a teacher that is gone leaves its address to the next."""
    method, look = methods.kd(), FirstLook()
    batch, net = Batch(X, Y, torch.arange(12)), nn.Linear(4, 3)
    for _ in range(5):
        method.terms(batch, net, lambda batch: torch.randn(12, 3))
        with pytest.raises(ValueError, match="look like probabilities"):
            method.terms(batch, net, lambda batch: torch.randn(12, 3).softmax(-1))

    class Odd:
        __slots__ = ()  # which has no way back to it

    odd = Odd()
    look(odd, torch.randn(4, 3))
    assert look.seen() is odd


ONE_LAST = torch.full((9, 4), 0.25)
ONE_LAST[8] = torch.tensor([1.0, 0.0, 0.0, 0.0])
READING_SOFT = {
    "supervised": methods.supervised,
    "smoothed": lambda: methods.supervised(label_smoothing=0.1),
    "kd": lambda: methods.kd(alpha=0.5),
    "dist": methods.dist,
    "logit_matching": lambda: methods.logit_matching(alpha=0.5),
    "hard_labels": methods.hard_labels,
}


@pytest.mark.parametrize("name", READING_SOFT)
@pytest.mark.parametrize("settings", [{}, {"accumulate": 4}, {"first": True}])
def test_a_batch_of_one_hot_rows_is_soft_where_the_data_are(name, settings):
    """Mixed rows, and one that is not: the batch or piece that holds it alone, last or first."""
    first = "first" in settings
    settings = {} if first else settings
    x, y = torch.randn(9, 6, generator=torch.Generator().manual_seed(3)), ONE_LAST
    x, y = (x.flip(0), y.flip(0)) if first else (x, y)
    method, size = READING_SOFT[name](), 1 if first else 8
    if method.at_least > 1:
        method, size, settings = methods.dist(gamma=0.0), size, settings
    teacher = freeze(nn.Linear(6, 4)) if method.needs_teacher else None
    results = []
    for labels in (y, y.lerp(torch.full_like(y, 0.25), 1e-6)):
        torch.manual_seed(0)
        history = distill(
            nn.Linear(6, 4),
            (x, labels),
            teacher=teacher,
            method=method,
            epochs=1,
            batch_size=size,
            sampler=InOrder(),
            progress=False,
            **settings,
        )
        results.append(torch.tensor(history["ce"]))
    torch.testing.assert_close(*results, rtol=1e-4, atol=1e-4)


def test_rows_read_one_by_one_are_soft_once_a_batch_was():
    x = torch.randn(9, 6, generator=torch.Generator().manual_seed(3))
    run = {"method": methods.supervised(), "epochs": 1, "sampler": InOrder(), "progress": False}
    rows = list(zip(x, ONE_LAST, strict=True))
    assert distill(nn.Linear(6, 4), rows, batch_size=8, **run).steps == 2
    with pytest.raises(ValueError, match=r"labels\.argmax.* labels\.lerp"):  # nothing says so yet
        distill(nn.Linear(6, 4), rows[::-1], batch_size=1, **run)
    eyes = torch.eye(4)[torch.arange(9) % 4]
    with pytest.raises(ValueError, match="independent labels"):
        distill(nn.Linear(6, 4), (x, eyes), batch_size=8, **run)
    both = torch.cat((ONE_LAST, torch.ones(1, 4)))  # several at once: no probabilities
    with pytest.raises(ValueError, match="independent labels"):
        distill(nn.Linear(6, 4), (torch.cat((x, x[:1])).flip(0), both.flip(0)), batch_size=2, **run)

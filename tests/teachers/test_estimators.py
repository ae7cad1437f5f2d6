"""Estimators of scikit-learn as teachers: whose label is whose, and who has seen what."""

import numpy as np
import pytest
import torch
from torch import nn

from distill_lab._util.tensors import Batch
from distill_lab.data.batches import as_data
from distill_lab.teachers import OutOfFold, cache, record, sklearn
from distill_lab.training import distill

pytest.importorskip("sklearn")
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC


def examples(n=60, classes=3, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, classes, n)
    x = (np.eye(classes)[y] @ rng.normal(size=(classes, 4)) + rng.normal(size=(n, 4))).astype("f4")
    return x, y


def tensors(x, y):
    return torch.from_numpy(x), torch.from_numpy(y)


def answer(teacher, x):
    return teacher(Batch(torch.as_tensor(x), None, torch.arange(len(x))))


def test_a_classifier_answers_with_its_probabilities():
    x, y = examples()
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(x, y)
    p = answer(sklearn(model), x).softmax(-1)
    np.testing.assert_allclose(p, model.predict_proba(x), atol=1e-6)


def test_pictures_go_in_as_rows_of_a_table():
    x, y = examples()
    model = GaussianNB().fit(x, y)
    pictures = torch.from_numpy(x).view(-1, 1, 2, 2)
    assert torch.equal(answer(sklearn(model), pictures), answer(sklearn(model), x))


def test_a_class_that_was_never_seen_gets_nothing_and_the_others_keep_their_numbers():
    x, y = examples(classes=5)
    kept = ~np.isin(y, (0, 2))
    model = GaussianNB().fit(x[kept], y[kept])
    p = answer(sklearn(model), x).softmax(-1).numpy()
    np.testing.assert_allclose(p[:, [1, 3, 4]], model.predict_proba(x), atol=1e-6)
    assert p.shape == (60, 5) and p[:, [0, 2]].max() < 1e-12
    assert answer(sklearn(model, classes=7), x).shape == (60, 7)
    with pytest.raises(ValueError, match="knows the class 4, and classes=4"):
        sklearn(model, classes=4)


def test_names_stand_where_the_student_has_them():
    """Scikit-learn sorts names; the student's numbers are in another order."""
    x, y = examples()
    names = np.array(["dog", "cat", "eel"])
    model = GaussianNB().fit(x, names[y])
    p = answer(sklearn(model, classes=["dog", "cat", "eel"]), x).softmax(-1)
    expected = GaussianNB().fit(x, y).predict_proba(x)
    np.testing.assert_allclose(p, expected, atol=1e-6)
    with pytest.raises(ValueError, match=r"classes=\['cat', 'dog'\]"):
        sklearn(model)
    with pytest.raises(ValueError, match="knows the class 'dog', which is not among"):
        sklearn(model, classes=["cat", "eel", "fox"])


def test_numbers_below_zero_have_to_be_named():
    x, y = examples(classes=2)
    model = GaussianNB().fit(x, 2 * y - 1)
    with pytest.raises(ValueError, match="no numbers from 0 on"):
        sklearn(model)
    p = answer(sklearn(model, classes=[1, -1]), x).softmax(-1)
    np.testing.assert_allclose(p.flip(-1), model.predict_proba(x), atol=1e-6)


def test_no_fold_answers_an_example_that_it_has_seen():
    """One neighbour answers what it has seen with its label, and these labels are drawn."""
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(400, 4)).astype("f4"), rng.integers(0, 2, 400)
    seen = KNeighborsClassifier(1).fit(x, y)
    of_label = lambda teacher: (answer(teacher, x).argmax(-1).numpy() == y).mean()  # noqa: E731
    assert of_label(sklearn(seen)) == 1.0
    assert 0.4 < of_label(sklearn(seen, tensors(x, y), folds=4)) < 0.6


def test_folds_are_fitted_on_clones_and_the_seed_decides():
    x, y = examples()
    forest = RandomForestClassifier(5)
    teachers = [sklearn(forest, tensors(x, y), folds=3, seed=s) for s in (0, 0, 1)]
    a, b, c = (answer(teacher, x) for teacher in teachers)
    assert torch.equal(a, b) and not torch.equal(a, c)
    assert not hasattr(forest, "classes_") and forest.random_state is None
    assert teachers[0].identity == teachers[1].identity != teachers[2].identity
    other = sklearn(RandomForestClassifier(6), tensors(x, y), folds=3)
    assert other.identity != teachers[0].identity
    assert isinstance(teachers[0], OutOfFold)


def test_a_class_that_one_fold_lacks_keeps_its_number():
    x, y = examples(classes=4)
    y[y == 1] = 2
    y[7] = 1  # the fold that answers example 7 never sees class 1
    p = answer(sklearn(GaussianNB(), tensors(x, y), folds=3), x).softmax(-1)
    assert p.shape == (60, 4) and p[7, 1] < 1e-12
    assert (p.argmax(-1).numpy() == y).mean() > 0.5


def test_unlabelled_examples_are_answered_and_not_fitted():
    x, y = examples()
    y[::3] = -100
    p = answer(sklearn(GaussianNB(), tensors(x, y), folds=3), x)
    assert p.shape == (60, 3) and p.isfinite().all()
    with pytest.raises(ValueError, match="labels"):
        sklearn(GaussianNB(), (torch.from_numpy(x), None))


def test_a_regressor_answers_with_values():
    x, y = examples()
    model = LinearRegression().fit(x, y)
    teacher = sklearn(model)
    np.testing.assert_allclose(answer(teacher, x), model.predict(x), rtol=1e-4, atol=1e-5)
    two = LinearRegression().fit(x, np.stack([y, -y], 1))
    assert answer(sklearn(two), x).shape == (60, 2)
    data = (torch.from_numpy(x), torch.from_numpy(y).float())
    recorded = record(sklearn(KNeighborsRegressor(3), data, folds=3), data)
    assert recorded.logits.shape == (60,) and recorded.says == "values"


@pytest.mark.parametrize(
    "model",
    [RandomForestClassifier(20, random_state=0), OneVsRestClassifier(LogisticRegression())],
    ids=["a list of tables", "one table"],
)
def test_labels_that_hold_together_become_binary_logits(model):
    x, y = examples()
    labels = np.stack([y > 0, y == 1, np.zeros_like(y)], 1).astype(int)  # the last never holds
    if isinstance(model, OneVsRestClassifier):
        labels = labels[:, :2]
    logits = answer(sklearn(model.fit(x, labels)), x)
    output = model.predict_proba(x)
    if isinstance(output, list):
        output = np.stack([p[:, 1] if p.shape[1] == 2 else np.zeros(60) for p in output], 1)
    np.testing.assert_allclose(logits.sigmoid(), output, atol=1e-6)
    data = (torch.from_numpy(x), torch.from_numpy(labels).float())
    assert answer(sklearn(model, data, folds=3), x).shape == labels.shape


def test_what_only_resembles_an_estimator_is_taken_by_its_methods():
    class Boosted:
        classes_ = np.array([0, 2])

        def predict_proba(self, x):
            return np.stack([x[:, 0], 1 - x[:, 0]], 1)

    p = answer(sklearn(Boosted(), name="b"), torch.tensor([[0.25], [1.0]])).softmax(-1)
    torch.testing.assert_close(p, torch.tensor([[0.25, 0, 0.75], [1, 0, 0]]), atol=1e-6, rtol=0)
    with pytest.raises(TypeError, match="cannot be cloned"):
        sklearn(Boosted(), tensors(*examples()))


def test_what_has_no_probabilities_is_refused_in_words():
    x, y = examples()
    with pytest.raises(TypeError, match="CalibratedClassifierCV"):
        sklearn(LinearSVC().fit(x, y))
    with pytest.raises(ValueError, match="not fitted: call fit first"):
        sklearn(RandomForestClassifier())
    with pytest.raises(TypeError, match="reads one table"):
        sklearn(GaussianNB().fit(x, y))(Batch({"x": torch.zeros(2, 4)}, None, torch.arange(2)))


def test_an_estimator_is_known_by_what_was_fitted():
    x, y = examples()
    forests = [RandomForestClassifier(5, random_state=s).fit(x, y) for s in (0, 0, 1)]
    a, b, c = (sklearn(forest).identity for forest in forests)
    assert a == b != c and a.startswith("RandomForestClassifier-")
    assert sklearn(forests[0], classes=4).identity != a
    assert sklearn(forests[0], name="forest").identity == "forest"


def test_answers_out_of_fold_are_cached_and_known_again(tmp_path):
    x, y = examples()
    data = tensors(x, y)
    teacher = sklearn(GaussianNB(), data, folds=3)
    cached = cache(teacher, data, tmp_path / "c", progress=False)
    at = as_data(data).batch(torch.arange(60))
    torch.testing.assert_close(cached(at).softmax(-1), teacher(at).softmax(-1), atol=1e-2, rtol=0)
    again = sklearn(GaussianNB(), data, folds=3)
    assert cache(again, data, tmp_path / "c", progress=False).identity == cached.identity
    assert again.teachers == []  # nothing was fitted for it
    with pytest.raises(ValueError, match="other data"):
        distill(nn.Linear(4, 3), (data[0] + 1, data[1]), teacher=teacher, epochs=1, progress=False)


def by_names(last):
    pandas = pytest.importorskip("pandas")
    scaled = ColumnTransformer([("a", StandardScaler(), ["a", "c"])], remainder="passthrough")
    return pandas, make_pipeline(scaled, last)


@pytest.mark.parametrize("last", [LogisticRegression(), KNeighborsClassifier(5)])
def test_a_pipeline_that_chooses_columns_by_name_finds_them(last):
    x, y = examples()
    pandas, model = by_names(last)
    frame = pandas.DataFrame(x, columns=list("abcd"))
    model.fit(frame, y)
    p = answer(sklearn(model), x).softmax(-1)
    np.testing.assert_allclose(p, model.predict_proba(frame), atol=1e-6)
    recorded = record(sklearn(model), (frame, y))
    np.testing.assert_allclose(
        recorded(as_data((x, y)).batch(torch.arange(60))).softmax(-1), p, atol=1e-6
    )


def test_and_out_of_fold_they_are_those_of_the_data():
    x, y = examples()
    pandas, model = by_names(LogisticRegression())
    frame = pandas.DataFrame(x, columns=list("abcd"))
    teacher = sklearn(model, (frame, y), folds=3)
    p = answer(record(teacher, (frame, y)), x).softmax(-1).numpy()
    for fold in range(3):
        here = (teacher.fold == fold).numpy()
        fitted = by_names(LogisticRegression())[1].fit(frame[~here], y[~here])
        np.testing.assert_allclose(p[here], fitted.predict_proba(frame[here]), atol=1e-6)


@pytest.mark.parametrize("wrap", ["pipeline", "bare", "regressor"])
def test_columns_in_another_order_than_it_was_fitted_on_are_refused(wrap, tmp_path):
    x, y = examples()
    pandas, pipeline = by_names(LogisticRegression())
    frame = pandas.DataFrame(x, columns=list("abcd"))
    model = {"pipeline": pipeline, "bare": GaussianNB(), "regressor": LinearRegression()}[wrap]
    teacher, turned = sklearn(model.fit(frame, y)), frame[list("dcba")]
    for go in (record, lambda who, data: cache(who, data, tmp_path, progress=False)):
        with pytest.raises(ValueError, match=r"fitted on the columns \['a'.*the data have \['d'"):
            go(teacher, (turned, y))
    record(teacher, (frame, y))

"""Estimators of scikit-learn, and what has their methods, as teachers."""

import hashlib
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from distill_lab._util.describe import describe
from distill_lab._util.tensors import IGNORE, device_of
from distill_lab.data import fingerprints
from distill_lab.data.batches import Batch, Data, Source, as_data
from distill_lab.teachers.external import FLOOR, Says, arrays, as_scores
from distill_lab.teachers.folds import OutOfFold

_CHUNK = 1024  # examples read at once
_PLAIN = (type(None), bool, int, float, complex, str, bytes, bytearray, np.generic)


class Estimator:
    """A fitted estimator as a teacher; `sklearn` makes one.

    Args:
        estimator: with `predict_proba`, or a regressor with `predict`.
        classes: how many classes the student scores, or their names in its order.
        multilabel: whether several labels may hold at once.
        name: in place of a fingerprint of what was fitted.
        floor: what a probability of 0 becomes.
        labels: the labels that the estimator's own classes 0, 1, ... stand for, where it was fitted
            on their numbers among those.
    """

    def __init__(
        self,
        estimator: Any,
        *,
        classes: int | Sequence[Any] | None = None,
        multilabel: bool | None = None,
        name: str | None = None,
        floor: float = FLOOR,
        labels: np.ndarray[Any, Any] | None = None,
    ) -> None:
        self.estimator, self.name, self.floor = estimator, name, floor
        fitted_on = getattr(estimator, "feature_names_in_", None)
        self.names = None if fitted_on is None else [str(column) for column in fitted_on]
        kind = type(estimator).__name__
        own = getattr(estimator, "classes_", None)
        self.says: Says = "values"
        if hasattr(estimator, "predict_proba"):
            if own is None:
                raise ValueError(
                    f"the {kind} is not fitted: call fit first, or give the data, as "
                    "teachers.sklearn(estimator, data, folds=5)."
                )
            if multilabel is None:
                multilabel = isinstance(own, list) or bool(getattr(estimator, "multilabel_", False))
            self.says = "binary_probabilities" if multilabel else "probabilities"
        elif own is not None or not hasattr(estimator, "predict"):
            raise TypeError(
                f"the {kind} gives no probabilities (no predict_proba): fit "
                "CalibratedClassifierCV(estimator), or pass its scores, as teachers.function("
                'estimator.decision_function, takes="arrays").'
            )
        if self.says == "probabilities":
            seen = np.asarray(own) if labels is None else labels[np.asarray(own).astype(int)]
            self.columns, self.classes = _columns(seen, classes)

    @property
    def identity(self) -> str:
        """Its kind, its settings and what was fitted, in one fingerprint; or the name given."""
        if self.name is not None:
            return self.name
        places = [self.columns, self.classes] if self.says == "probabilities" else []
        how = [self.says, self.floor, places]
        content = _content(self.estimator)
        return f"{type(self.estimator).__name__}-{fingerprints.of_facts([content, how])}"

    def check_data(self, source: Source) -> None:
        """Refuse a frame whose columns stand in another order than those it was fitted on.

        Args:
            source: what will be asked about.

        Raises:
            ValueError: naming the columns.
        """
        names = getattr(source, "names", None)
        if names is not None and self.names is not None and names != self.names:
            raise ValueError(
                f"the {type(self.estimator).__name__} was fitted on the columns {self.names[:8]}, "
                f"and the data have {names[:8]}, which are taken by place: give "
                "frame[list(estimator.feature_names_in_)]."
            )

    def __call__(self, batch: Batch) -> Tensor:
        """Answer a batch with logits, binary logits or values."""
        x = _framed(_table(batch.inputs), self.names)
        with warnings.catch_warnings():
            # fitted on a frame, asked with an array: the columns are in the caller's hands
            warnings.filterwarnings("ignore", message=".*does not have valid feature names")
            ask = "predict" if self.says == "values" else "predict_proba"
            answer = getattr(self.estimator, ask)(x)
        if self.says == "binary_probabilities":
            answer = _of_label(answer, self.estimator.classes_)
        elif self.says == "probabilities":
            p = np.zeros((len(x), self.classes))
            p[:, self.columns] = answer
            answer = p
        return as_scores(answer, self.says, floor=self.floor).to(device_of(batch.inputs))

    def __repr__(self) -> str:
        return f"Estimator({type(self.estimator).__name__}, {self.says})"


def sklearn(
    estimator: Any,
    data: Data | None = None,
    *,
    folds: int = 5,
    seed: int = 0,
    classes: int | Sequence[Any] | None = None,
    multilabel: bool | None = None,
    name: str | None = None,
    floor: float = FLOOR,
) -> "Estimator | OutOfFold":
    """An estimator of scikit-learn as a teacher, or any other with its methods (XGBoost's, say).

    Classifiers answer with log-probabilities, multi-label ones with binary logits (for
    `methods.binary_kd`), regressors with values. The batch goes in as a NumPy table, one row an
    example; more axes are flattened.

    **Which examples has it seen?** An estimator that was fitted on an example answers it with its
    label: a forest is sure of nearly all it has seen, and teaches little more than the labels. With
    `data`, a clone is fitted without each fold and answers that fold alone (see `OutOfFold`); the
    estimator itself is neither fitted nor asked. Without `data` the fitted estimator answers, which
    is right where the student's examples were not among those it was fitted on.

    An estimator takes milliseconds a batch, and answers alike in each epoch: `record(teacher,
    data)` or `cache(teacher, data, path)` asks it once.

    Args:
        estimator: fitted; with `data`, fitted or not.
        data: the labelled examples that the student learns from, in any form that `distill` takes.
            Labels -100 are left out of fitting; weights go to `fit` as sample_weight.
        folds: how many clones are fitted, where data are given.
        seed: of the folds, and of every `random_state` that is None in a clone.
        classes: how many classes the student scores, where the estimator may not know the last
            ones; or all classes in the order of the student's numbers, where the estimator's are
            no such numbers, as ["cat", "dog"]. A class that it never saw gets `floor`.
        multilabel: whether labels may hold together; None to see it from the estimator.
        name: what caches and checkpoints know it by, in place of a fingerprint of the estimator.
        floor: what a probability of 0 becomes, see `probabilities`.

    Returns:
        A teacher, for `distill`, `record` and `cache`.

    Raises:
        TypeError: for a classifier without probabilities, and for inputs that are no one table.
        ValueError: for one that is not fitted, classes that have no number, and as `OutOfFold`.
        ModuleNotFoundError: with `data`, where scikit-learn is not installed.

    >>> from sklearn.tree import DecisionTreeClassifier
    >>> x, y = torch.arange(8.0)[:, None], torch.tensor([0, 0, 0, 0, 2, 2, 2, 2])
    >>> tree = DecisionTreeClassifier(max_depth=1).fit(x.numpy(), y.numpy())
    >>> teacher = sklearn(tree)  # it knows no class 1
    >>> teacher(as_data((x, y)).batch(torch.tensor([6, 0]))).softmax(-1)
    tensor([[1.0000e-30, 1.0000e-30, 1.0000e+00],
            [1.0000e+00, 1.0000e-30, 1.0000e-30]])
    """
    if data is None:
        return Estimator(estimator, classes=classes, multilabel=multilabel, name=name, floor=floor)
    fresh = _clone(estimator, seed)
    fitting = _Fitting(fresh, data, classes, multilabel, floor)
    called = name or f"{type(estimator).__name__}-{fingerprints.of_facts(_settings(fresh))}"
    return OutOfFold(fitting, data, folds=folds, seed=seed, name=called)


class _Fitting:
    """Fits a clone on a part of the data: what `OutOfFold` calls once a fold."""

    def __init__(
        self,
        estimator: Any,
        data: Data,
        classes: int | Sequence[Any] | None,
        multilabel: bool | None,
        floor: float,
    ) -> None:
        self.estimator, self.floor = estimator, floor
        self.names = getattr(as_data(data), "names", None)
        _, y, _ = _read(data)
        if y is None:
            raise ValueError(
                "out-of-fold answers need labels to fit on, and the data have none: fit the "
                "estimator on other data and pass it alone, as teachers.sklearn(estimator)."
            )
        classifies = hasattr(estimator, "predict_proba") or not hasattr(estimator, "predict")
        self.multilabel = bool(multilabel) or (classifies and y.ndim > 1)
        self.numbers = classifies and not self.multilabel  # labels are numbers of classes
        self.says: Says = (
            "probabilities" if self.numbers else "binary_probabilities" if classifies else "values"
        )
        if self.numbers:
            known = int(y.max()) + 1
            self.classes = classes if isinstance(classes, int) else len(classes or []) or known

    def __call__(self, part: Any) -> Estimator:
        from sklearn.base import clone

        x, y, weights = _read(part)
        assert y is not None
        labels = None
        if y.ndim == 1 and y.dtype.kind in "iu":
            kept = y != IGNORE
            x, y = x[kept], y[kept]
            weights = None if weights is None else weights[kept]
        if self.numbers:  # some estimators want the numbers of those that are there
            labels, y = np.unique(y, return_inverse=True)
        more = {} if weights is None else {"sample_weight": weights}
        fitted = clone(self.estimator).fit(_framed(x, self.names), y, **more)
        return Estimator(
            fitted,
            classes=self.classes if self.numbers else None,
            multilabel=self.multilabel,
            floor=self.floor,
            labels=labels,
        )


def _clone(estimator: Any, seed: int) -> Any:
    """The estimator unfitted, and every `random_state` that was left open set to the seed."""
    try:
        from sklearn.base import clone
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "out-of-fold answers of an estimator need scikit-learn: pip install scikit-learn",
            name=error.name,
        ) from None
    if not hasattr(estimator, "get_params") or not hasattr(estimator, "fit"):
        raise TypeError(
            f"{type(estimator).__name__} cannot be cloned (no get_params or fit): pass a function "
            "that fits one, as cache(train_teacher, data, path, folds=5, teacher_name=...)."
        )
    fresh = clone(estimator)
    states = [n for n in fresh.get_params(deep=True) if n.split("__")[-1] == "random_state"]
    open_ = [n for n in states if fresh.get_params(deep=True)[n] is None]
    return fresh.set_params(**dict.fromkeys(open_, seed)) if open_ else fresh


def _settings(estimator: Any) -> dict[str, str]:
    params: dict[str, Any] = estimator.get_params(deep=True)
    return {name: describe(value) for name, value in params.items()}


def _read(data: Any) -> tuple[Any, Any, Any]:
    """Inputs as a table (N, d), labels and weights as arrays or None."""
    source = as_data(data)
    batches = [source.batch(index) for index in torch.arange(len(source)).split(_CHUNK)]
    x = np.concatenate([_table(batch.inputs) for batch in batches])
    columns = ([b.labels for b in batches], [getattr(b, "weights", None) for b in batches])
    y, weights = (
        None if parts[0] is None else np.concatenate([arrays(part) for part in parts])
        for parts in columns
    )
    return x, y, weights


def _table(inputs: Any) -> Any:
    """Inputs (B, ...) as a NumPy table (B, d)."""
    if not isinstance(inputs, Tensor):
        raise TypeError(
            f"an estimator reads one table (B, d), and the inputs are a {type(inputs).__name__}: "
            "say what it reads, as teachers.function(lambda batch: forest.predict_proba("
            'batch.inputs["x"].numpy()), says="probabilities", name="forest").'
        )
    return arrays(inputs).reshape(len(inputs), -1)


def _framed(table: Any, names: list[str] | None) -> Any:
    """A table as a frame, where its columns have names: a pipeline may choose among them."""
    if names is None or len(names) != table.shape[1]:
        return table
    try:
        import pandas
    except ModuleNotFoundError:  # it was fitted elsewhere
        return table
    return pandas.DataFrame(table, columns=names)


def _columns(seen: Any, classes: int | Sequence[Any] | None) -> tuple[list[int], int]:
    """At which number of the student each of the estimator's classes stands, of how many."""
    if classes is not None and not isinstance(classes, int):
        names = list(classes)
        unknown = [value for value in seen.tolist() if value not in names]
        if unknown:
            raise ValueError(
                f"the estimator knows the class {unknown[0]!r}, which is not among classes="
                f"{names[:8]!r}: name them all, in the order of the student's numbers."
            )
        return [names.index(value) for value in seen.tolist()], len(names)
    numbers = seen.astype(int) if seen.dtype.kind in "iufb" else None
    if numbers is None or (numbers != seen).any() or numbers.min() < 0:
        raise ValueError(
            f"the estimator's classes are {seen.tolist()[:8]!r}, which are no numbers from 0 on: "
            "name them in the order of the student's, as classes=['cat', 'dog']."
        )
    size = int(numbers.max()) + 1 if classes is None else classes
    if numbers.max() >= size:
        raise ValueError(
            f"the estimator knows the class {numbers.max()}, and classes={size}: expected at least "
            f"{numbers.max() + 1}."
        )
    return numbers.tolist(), size


def _of_label(answer: Any, classes: Any) -> Any:
    """The probability (B, L) that each label holds, of what a multi-label estimator gives."""
    if not isinstance(answer, list):
        return answer
    columns = []
    for number, (p, own) in enumerate(zip(answer, classes, strict=True)):
        own = np.asarray(own)
        if not np.isin(own, (0, 1)).all():
            raise ValueError(
                f"output {number} of the estimator has the classes {own.tolist()[:8]}: expected "
                "labels that hold or do not, 0 and 1. Of several questions with classes each, "
                "make one teacher a question."
            )
        columns.append(p[:, own == 1].sum(1))
    return np.stack(columns, 1)


def _content(thing: Any) -> str:
    """A fingerprint of all that an object is made of, as a copy of it would be."""
    digest = hashlib.blake2b(digest_size=8)
    seen: dict[int, Any] = {}  # held, so that no other thing gets the number of one that is gone

    def add(value: Any) -> None:
        digest.update(f"{type(value).__qualname__} ".encode())
        if isinstance(value, _PLAIN):
            digest.update(repr(value).encode())
        elif isinstance(value, np.ndarray) and value.dtype.names:
            each([part for field in value.dtype.names for part in (field, value[field])])
        elif isinstance(value, np.ndarray) and value.dtype.kind != "O":
            digest.update(f"{value.dtype} {value.shape} ".encode())
            digest.update(np.ascontiguousarray(value).tobytes())
        elif isinstance(value, type) or hasattr(value, "__code__"):
            digest.update(describe(value).encode())
        elif id(value) in seen:
            digest.update(str(list(seen).index(id(value))).encode())
        else:
            seen[id(value)] = value
            each(_parts(value))

    def each(parts: Any) -> None:
        parts = list(parts)
        digest.update(f"{len(parts)} ".encode())
        for part in parts:
            add(part)

    add(thing)
    return digest.hexdigest()


def _parts(value: Any) -> list[Any]:
    if isinstance(value, np.ndarray):
        return [value.shape, *value.tolist()]
    if isinstance(value, dict):
        return [part for key in sorted(value, key=repr) for part in (key, value[key])]
    if isinstance(value, (set, frozenset)):
        return sorted(value, key=repr)
    if isinstance(value, (list, tuple)):
        return list(value)
    try:
        reduced = value.__reduce_ex__(2)
    except TypeError as error:
        raise ValueError(
            f"a {type(value).__name__} within the estimator cannot be known again ({error}): give "
            "a name that changes with what was fitted, as teachers.sklearn(estimator, name=...)."
        ) from error
    if isinstance(reduced, str):
        return [reduced]
    return [list(part) if hasattr(part, "__next__") else part for part in reduced]

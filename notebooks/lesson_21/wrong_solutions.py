"""Wrong solutions that learners write, each under the name that `check` has to give it."""

import torch
from torch.nn import functional as F


def _cka(features, other, *, centre=0, square=True, root=False):
    x, y = features, other
    if centre is not None:
        x, y = x - x.mean(centre, keepdim=True), y - y.mean(centre, keepdim=True)
    top = (y.T @ x).square().sum() if square else (y.T @ x).norm()
    return top / ((x.T @ x).norm() * (y.T @ y).norm())


def _cka_wrong_product(features, other):
    x, y = features - features.mean(0), other - other.mean(0)
    return (y @ x.T).square().sum() / ((x @ x.T).norm() * (y @ y.T).norm())


def _cka_same_norm(features, other):
    x, y = features - features.mean(0), other - other.mean(0)
    return (y.T @ x).square().sum() / ((x.T @ x).norm() ** 2)


def _cka_norms_of_features(features, other):
    x, y = features - features.mean(0), other - other.mean(0)
    return (y.T @ x).square().sum() / (x.norm() * y.norm())


def _cka_squared_norms_of_features(features, other):
    x, y = features - features.mean(0), other - other.mean(0)
    return (y.T @ x).square().sum() / (x.norm() ** 2 * y.norm() ** 2)


def _cka_spectral(features, other):
    x, y = features - features.mean(0), other - other.mean(0)
    norm = lambda m: torch.linalg.matrix_norm(m, 2)  # noqa: E731
    return norm(y.T @ x) ** 2 / (norm(x.T @ x) * norm(y.T @ y))


def _cka_standardised(features, other):
    x, y = features - features.mean(0), other - other.mean(0)
    x, y = x / x.std(0), y / y.std(0)
    return (y.T @ x).square().sum() / ((x.T @ x).norm() * (y.T @ y).norm())


def _cka_sum(features, other):
    x, y = features - features.mean(0), other - other.mean(0)
    return (y.T @ x).sum().square() / ((x.T @ x).norm() * (y.T @ y).norm())


def _cka_denominator_squared(features, other):
    x, y = features - features.mean(0), other - other.mean(0)
    return (y.T @ x).square().sum() / ((x.T @ x).square().sum() * (y.T @ y).square().sum())


def _cka_one_centred(features, other):
    x = features - features.mean(0)
    return (other.T @ x).square().sum() / ((x.T @ x).norm() * (other.T @ other).norm())


def _cka_distance(features, other):
    return 1 - _cka(features, other)


def _cka_cosine(features, other):
    return F.cosine_similarity(features, other, dim=-1).mean()


def _hint(student, teacher, weight, bias):
    return student @ weight.T + bias - teacher


def _rows(features, **how):
    return F.normalize(features @ features.T, **how)


WRONG = {
    "linear_cka": {
        "The columns are not centred": [lambda x, y: _cka(x, y, centre=None)],
        "The mean is over the features (axis 1), not over the examples (axis 0)": [
            lambda x, y: _cka(x, y, centre=1)
        ],
        "The numerator is not squared": [lambda x, y: _cka(x, y, square=False)],
        "This is the root of the result": [lambda x, y: _cka(x, y).sqrt()],
        "A matrix has to be transposed": [
            _cka_wrong_product,
            lambda x, y: (y @ x).square().sum() / ((x @ x).norm() * (y @ y).norm()),
        ],
        "One norm is there twice": [_cka_same_norm],
        "The denominator has the norms of X and Y": [
            _cka_norms_of_features,
            _cka_squared_norms_of_features,
        ],
        "The norm is the largest singular value": [_cka_spectral],
        "The columns are divided by their deviations": [_cka_standardised],
        "The entries are summed before they are squared": [_cka_sum],
        "The denominator is squared as well": [_cka_denominator_squared],
        "Only one side is centred": [_cka_one_centred],
        "This is 1 - CKA": [_cka_distance],
        "This is a cosine of features": [_cka_cosine],
    },
    "hint": {
        "Examples and features are summed": [lambda s, t, w, b: _hint(s, t, w, b).square().sum()],
        "The features are summed": [lambda s, t, w, b: _hint(s, t, w, b).square().sum(-1).mean()],
        "These are absolute differences": [lambda s, t, w, b: _hint(s, t, w, b).abs().mean()],
        "The square is missing": [lambda s, t, w, b: _hint(s, t, w, b).mean()],
        "This is the length of the difference": [
            lambda s, t, w, b: _hint(s, t, w, b).norm(),
            lambda s, t, w, b: _hint(s, t, w, b).norm(dim=-1).mean(),
        ],
        "This is the root of the mean square": [
            lambda s, t, w, b: _hint(s, t, w, b).square().mean().sqrt()
        ],
        "The bias is missing": [lambda s, t, w, b: (s @ w.T - t).square().mean()],
        "The bias is subtracted": [lambda s, t, w, b: (s @ w.T - b - t).square().mean()],
        "The paper's factor 1/2 is in it": [
            lambda s, t, w, b: _hint(s, t, w, b).square().mean() / 2
        ],
        "The mean over the axes 0, 1 is missing": [lambda s, t, w, b: _hint(s, t, w, b).square()],
        "The mean over axis 0 is missing": [lambda s, t, w, b: _hint(s, t, w, b).square().mean(-1)],
        "`detach` stops the gradient": [
            lambda s, t, w, b: _hint(s.detach(), t, w, b).square().mean(),
            lambda s, t, w, b: _hint(s, t, w.detach(), b.detach()).square().mean(),
        ],
        "A matrix has to be transposed": [lambda s, t, w, b: (s @ w + b - t).square().mean()],
        "The regressor is applied to the teacher": [lambda s, t, w, b: (t @ w - s).square().mean()],
        "Both sides are brought to length 1": [
            lambda s, t, w, b: (
                (F.normalize(s @ w.T + b, dim=-1) - F.normalize(t, dim=-1)).square().mean()
            )
        ],
        "Large differences count only linearly (Huber)": [
            lambda s, t, w, b: F.smooth_l1_loss(s @ w.T + b, t)
        ],
    },
    "similarity_preserving": {
        "The rows are scaled to sum 1 (`p = 1`), not to Euclidean length 1": [
            lambda s, t: (F.normalize(s @ s.T, 1) - F.normalize(t @ t.T, 1)).square().mean()
        ],
        "The rows of F F^T are not brought to length 1": [
            lambda s, t: (s @ s.T - t @ t.T).square().mean()
        ],
        "The division is by B, not by B^2": [
            lambda s, t: (_rows(s, dim=0) - _rows(t, dim=0)).square().sum() / len(s),
            lambda s, t: (_rows(s, dim=1) - _rows(t, dim=1)).square().sum() / len(s),
        ],
        "The features are brought to length 1, not the rows of F F^T": [
            lambda s, t: (
                (
                    F.normalize(s, dim=1) @ F.normalize(s, dim=1).T
                    - F.normalize(t, dim=1) @ F.normalize(t, dim=1).T
                )
                .square()
                .mean()
            )
        ],
        "The pairs are summed": [lambda s, t: (_rows(s, dim=1) - _rows(t, dim=1)).square().sum()],
        "This is the norm, not its square": [
            lambda s, t: (_rows(s, dim=1) - _rows(t, dim=1)).norm(),
            lambda s, t: (_rows(s, dim=1) - _rows(t, dim=1)).norm() / len(s) ** 2,
        ],
        "These are absolute differences": [
            lambda s, t: (_rows(s, dim=1) - _rows(t, dim=1)).abs().mean()
        ],
        "The whole matrix is brought to length 1": [
            lambda s, t: (
                ((s @ s.T) / (s @ s.T).norm() - (t @ t.T) / (t @ t.T).norm()).square().mean()
            )
        ],
        "The columns are compared, not the examples": [
            lambda s, t: (F.normalize(s.T @ s, dim=1) - F.normalize(t.T @ t, dim=1)).square().mean()
        ],
        "A softmax is used instead of the norm": [
            lambda s, t: ((s @ s.T).softmax(1) - (t @ t.T).softmax(1)).square().mean()
        ],
        "`detach` stops the gradient": [
            lambda s, t: (_rows(s.detach(), dim=1) - _rows(t, dim=1)).square().mean()
        ],
        "The mean over the axes 0, 1 is missing": [
            lambda s, t: (_rows(s, dim=1) - _rows(t, dim=1)).square()
        ],
        "This is 1 minus a cosine": [
            lambda s, t: 1 - F.cosine_similarity(s @ s.T, t @ t.T, dim=1).mean()
        ],
    },
}

"""Exercises on the vision transformer: patches, the two heads' loss, a token's map."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from distill_lab import losses
from distill_lab.course.check.exercise import Exercise, Invariance, Mistake
from distill_lab.course.check.invariances import logits as draw
from distill_lab.course.check.invariances import same, teaches
from distill_lab.models import to_patches

__all__ = ["EXERCISES"]

_P = draw(3, 2 * 4 * 6, 51).view(3, 2, 4, 6)
_Q = draw(2, 36, 52).view(2, 1, 6, 6)


def _cut(p: Tensor, n: int) -> Tensor:
    """(B, h, w, c, n, n): row and column of the patch, channel, row and column of the pixel."""
    cut = p.unflatten(3, (-1, n)).unflatten(2, (-1, n))
    return cut.permute(0, 2, 4, 1, 3, 5)


def _flat(cut: Tensor) -> Tensor:
    return cut.flatten(3).flatten(1, 2)


def _distant(p: Tensor, n: int) -> Tensor:
    cut = p.unflatten(3, (n, -1)).unflatten(2, (n, -1))
    return cut.permute(0, 3, 5, 1, 2, 4).flatten(3).flatten(1, 2)


patches = Exercise(
    name="patches",
    formula="(B, c, H, W) -> (B, H W / n^2, c n^2): squares row by row; in a square first the "
    "channel, then the row, then the column",
    reference=lambda p, n: to_patches(p, n),
    cases=({"pictures": _P, "patch": 2}, {"pictures": _Q, "patch": 3}),
    invariances=(
        Invariance(
            "the first patch is the upper left corner",
            lambda f: same(f(_P, 2)[:, 0], _P[:, :, :2, :2].flatten(1)),
        ),
        Invariance(
            "no pixel is lost or doubled",
            lambda f: same(f(_P, 2).flatten().sort().values, _P.flatten().sort().values),
        ),
        Invariance(
            "a patch as large as the picture is the picture",
            lambda f: same(f(_Q, 6), _Q.flatten(1)[:, None]),
        ),
    ),
    mistakes=(
        Mistake(
            "These are runs of pixels, not squares. Split height and width before you flatten.",
            lambda p, n: p.reshape(len(p), -1, p.shape[1] * n * n),
        ),
        Mistake(
            "The patches are in columns. Go row by row from the upper left.",
            lambda p, n: _flat(_cut(p, n).transpose(1, 2)),
        ),
        Mistake(
            "Inside a patch rows and columns are exchanged.",
            lambda p, n: _flat(_cut(p, n).transpose(4, 5)),
        ),
        Mistake(
            "Inside a patch the channel comes last. It comes first.",
            lambda p, n: _flat(_cut(p, n).permute(0, 1, 2, 4, 5, 3)),
        ),
        Mistake(
            "These pixels are far apart: each patch is a coarse picture. Split an axis into "
            "(count, patch), not into (patch, count).",
            _distant,
        ),
        Mistake(
            "The axes of patches and pixels are exchanged. `unfold` needs a transpose after it.",
            lambda p, n: F.unfold(p, n, stride=n),
        ),
        Mistake(
            "The squares overlap. Use a stride as large as the patch.",
            lambda p, n: F.unfold(p, n).transpose(1, 2),
        ),
        Mistake(
            "Each patch is reduced to its mean. Keep all its pixels.",
            lambda p, n: _flat(_cut(p, n)).mean(-1, keepdim=True),
        ),
    ),
)

_Z = {
    "cls_logits": draw(6, 5, 61),
    "distillation_logits": draw(6, 5, 62),
    "teacher_logits": draw(6, 5, 63),
    "labels": torch.tensor([0, 3, 1, 4, 2, 2]),
    "alpha": 0.3,
}
_Z2 = _Z | {"cls_logits": draw(6, 5, 64), "teacher_logits": draw(6, 5, 65), "alpha": 0.75}


_OTHER = draw(6, 5, 66)


def _with(**changes: object) -> list[object]:
    return list((_Z | changes).values())


def _two(first: str, second: str, *, alpha: Callable[[float], float] = float) -> Callable:
    """The loss with other logits under the labels and under the decision, or another weight."""

    def loss(
        cls_logits: Tensor,
        distillation_logits: Tensor,
        teacher_logits: Tensor,
        labels: Tensor,
        alpha_: float,
    ) -> Tensor:
        logits = {
            "c": cls_logits,
            "d": distillation_logits,
            "mean": (cls_logits + distillation_logits) / 2,
        }
        weight = alpha(alpha_)
        decision = F.cross_entropy(logits[second], teacher_logits.argmax(-1))
        return (1 - weight) * F.cross_entropy(logits[first], labels) + weight * decision

    return loss


def _paper(c: Tensor, d: Tensor, t: Tensor, y: Tensor, alpha: float) -> Tensor:
    return losses.hard_distillation_loss(c, t, y, alpha=alpha, distillation_logits=d)


two_heads = Exercise(
    name="two_heads",
    formula="(1 - alpha) CE(z_c, y) + alpha CE(z_d, argmax z_t)",
    reference=_paper,
    cases=(_Z, _Z2),
    trained=("cls_logits", "distillation_logits"),
    invariances=(
        Invariance(
            "a teacher that is surer of the same decision changes nothing",
            lambda f: same(f(*_with(teacher_logits=9 * _Z["teacher_logits"])), f(*_with())),
            "Use the teacher's largest logit alone, `argmax(-1)`.",
        ),
        Invariance(
            "with alpha = 0 the teacher does not count",
            lambda f: same(f(*_with(alpha=0.0, teacher_logits=_OTHER)), f(*_with(alpha=0.0))),
        ),
        Invariance(
            "with alpha = 1 the class head does not count",
            lambda f: same(f(*_with(alpha=1.0, cls_logits=_OTHER)), f(*_with(alpha=1.0))),
            "The class head learns the label, the distillation head the teacher's decision.",
        ),
        Invariance(
            "a gradient reaches both heads",
            lambda f: all(
                teaches(lambda z, head=head: f(*_with(**{head: z})), _Z[head])
                for head in ("cls_logits", "distillation_logits")
            ),
            "Detach neither head.",
        ),
    ),
    mistakes=(
        Mistake("The heads are exchanged. The class head learns the label.", _two("d", "c")),
        Mistake(
            "Both terms are on the class head, so the distillation head learns nothing.",
            _two("c", "c"),
        ),
        Mistake(
            "The loss is on the mean of both heads. In training each head has its own target.",
            _two("mean", "mean"),
        ),
        Mistake(
            "alpha is on the label's term. It weighs the teacher's.",
            _two("c", "d", alpha=lambda a: 1 - a),
        ),
        Mistake(
            "The weights are missing: each term has weight 1.",
            lambda c, d, t, y, a: F.cross_entropy(c, y) + F.cross_entropy(d, t.argmax(-1)),
        ),
        Mistake(
            "These are soft targets. Hard distillation uses the teacher's decision alone.",
            lambda c, d, t, y, a: (
                (1 - a) * F.cross_entropy(c, y) + a * F.cross_entropy(d, t.softmax(-1))
            ),
        ),
        Mistake(
            "Both heads learn the label. The distillation head learns the teacher's decision.",
            lambda c, d, t, y, a: (1 - a) * F.cross_entropy(c, y) + a * F.cross_entropy(d, y),
        ),
        Mistake(
            "Examples are summed. Take the mean over the batch.",
            lambda c, d, t, y, a: len(y) * _paper(c, d, t, y, a),
        ),
    ),
)

_W = draw(2 * 11, 11, 71).softmax(-1).view(2, 11, 11)
_W2 = draw(3 * 6, 6, 72).softmax(-1).view(3, 6, 6)


def _map_of(part: Callable[[Tensor, int], Tensor]) -> Callable[[Tensor, int, int], Tensor]:
    return lambda weights, token, side: part(weights, token).reshape(side, side)


token_map = Exercise(
    name="token_map",
    formula="mean over heads of the row of this token, without its first two entries, as a square",
    reference=_map_of(lambda w, t: w.mean(0)[t, 2:]),
    cases=({"weights": _W, "token": 1, "side": 3}, {"weights": _W2, "token": 0, "side": 2}),
    invariances=(
        Invariance(
            "the map sums to what the token gives to patches",
            lambda f: same(f(_W, 1, 3).sum(), 1 - _W.mean(0)[1, :2].sum()),
            "Leave the shares as they are.",
        ),
        Invariance("heads in any order", lambda f: same(f(_W.flip(0), 1, 3), f(_W, 1, 3))),
    ),
    mistakes=(
        Mistake(
            "This is a column: who looks at the token. Take the token's row.",
            _map_of(lambda w, t: w.mean(0)[2:, t]),
        ),
        Mistake(
            "The two tokens are at the end here. They come first: leave out entries 0 and 1.",
            _map_of(lambda w, t: w.mean(0)[t, :-2]),
        ),
        Mistake(
            "This is one head. Take the mean over the heads.", _map_of(lambda w, t: w[0, t, 2:])
        ),
        Mistake(
            "The heads are summed. Take the mean over the heads.",
            _map_of(lambda w, t: w.sum(0)[t, 2:]),
        ),
        Mistake(
            "The map is divided by its sum. Leave the shares as they are.",
            _map_of(lambda w, t: w.mean(0)[t, 2:] / w.mean(0)[t, 2:].sum()),
        ),
        Mistake(
            "Rows and columns of the map are exchanged: patches go row by row.",
            lambda w, t, side: w.mean(0)[t, 2:].reshape(side, side).T,
        ),
        Mistake(
            "This is the other token. Entry 0 is the class token, entry 1 the distillation token.",
            _map_of(lambda w, t: w.mean(0)[1 - t, 2:]),
        ),
        Mistake(
            "A second softmax is applied. These are shares already.",
            _map_of(lambda w, t: w.mean(0)[t, 2:].softmax(-1)),
        ),
    ),
)

EXERCISES = {e.name: e for e in (patches, two_heads, token_map)}

"""CRD as a recipe: each example's two views against those of others, which a bank remembers."""

import torch
from torch import Tensor, nn

from distill_lab._util.describe import describe
from distill_lab._util.io import short_hash
from distill_lab._util.tensors import Batch
from distill_lab.losses import MemoryBank
from distill_lab.methods.features import beside_base, run_tapped
from distill_lab.methods.method import Method, Student, TeacherFn, Terms
from distill_lab.models.encoders import Read, embedding_of
from distill_lab.models.projections import Regressor


def crd(
    pair: tuple[str, str],
    widths: tuple[int, int],
    *,
    examples: int,
    labels: Tensor | None = None,
    dim: int = 128,
    negatives: int = 4096,
    momentum: float = 0.5,
    T: float = 0.07,
    weight: float = 0.8,
    base_method: Method | None = None,
    read: Read = None,
    seed: int = 0,
) -> Method:
    """Contrastive representation distillation with its memory, beside another recipe.

    A linear projection of each side and a bank of both sides' embeddings of every example belong
    to the method: trained or remembered beside the student, checkpointed, and left out of it. Draws
    follow from the seed and the step, so a resumed run is the same to the bit. One process only.
    Where the data weigh examples, this term takes each once.

    Formula: the terms of `base_method` + weight CRD, see `crd_loss` and `MemoryBank`.

    Args:
        pair: a module of the student and one of the teacher, as `Tap` takes them; each gives one
            vector an example, as the layer before the classifier does.
        widths: of these vectors, the student's first.
        examples: how many the data have, all of them: the bank has a row for each.
        labels: their classes (examples,): then negatives are of other classes alone, as in the
            paper; None draws them from all other examples.
        dim: the width that both are projected to.
        negatives: how many are drawn for each example.
        momentum: what stays of a remembered row, in [0, 1).
        T: divides the cosines.
        weight: what the term weighs.
        base_method: the recipe on the answers; None for the term alone.
        read: makes vectors (B, D) of what a module returns, for maps `lambda f: f.mean((-2, -1))`.
        seed: of the projections, the first rows and the draws.

    Returns:
        A method with the terms of `base_method` and "crd".

    Raises:
        ValueError: as `MemoryBank` and `Regressor`; when it runs, for features that are no vectors,
            a teacher that cannot be looked into, or examples beyond the bank.
        RuntimeError: where several processes train together.

    Source: Tian, Krishnan & Isola 2020, arXiv:1910.10699, sections 3 and 4.

    >>> crd(("hidden.0", "hidden.1"), (8, 12), examples=100, negatives=16).weights
    {'crd': 0.8}
    """
    if base_method is not None and "crd" in base_method.weights:
        raise ValueError(f"{base_method.name} has a term 'crd' already: one bank is enough.")
    ours, its = (Regressor(width, dim, seed=seed + i) for i, width in enumerate(widths))
    bank = MemoryBank(
        examples, dim, negatives=negatives, momentum=momentum, T=T, seed=seed, labels=labels
    )
    modules = nn.ModuleList([ours, its, bank])
    if base_method is not None and base_method.projections is not None:
        modules.append(base_method.projections)

    def terms(batch: Batch, student: Student, teacher: TeacherFn) -> Terms:
        layers = [pair[0]], [pair[1]]
        result, student_tap, teacher_tap = run_tapped(batch, student, teacher, layers, base_method)
        f_s, f_t = (
            embedding_of(tap[path], batch.inputs, read)
            for tap, path in zip((student_tap, teacher_tap), pair, strict=True)
        )
        return result | {"crd": bank(ours(f_s), its(f_t.detach()), batch.ids)}

    settings = {"dim": dim, "negatives": negatives, "momentum": momentum, "T": T, "seed": seed}
    named = [f"{key}={value}" for key, value in settings.items()]
    if labels is not None:
        named.append(f"labels={short_hash(labels.to(torch.int64).cpu().numpy().tobytes(), size=4)}")
    named += [f"read={read if isinstance(read, str) else describe(read)}"] * (read is not None)
    method = Method(
        f"crd({pair[0]}: {pair[1]}, widths={tuple(widths)}, examples={examples}, weight={weight}, "
        f"{', '.join(named)})",
        terms,
        {"crd": weight},
        projections=modules,
        taps=(pair[1],),
    )
    return beside_base(method, base_method)

"""Recipes on embeddings: one vector an example, of the teacher's width or of another."""

from torch import Tensor, nn

from distill_lab._util.checks import one_of
from distill_lab._util.describe import describe
from distill_lab._util.tensors import Batch
from distill_lab.losses import cosine_loss, hint_loss, similarity_loss
from distill_lab.methods.answers import check_no_mean_of_softmaxes
from distill_lab.methods.method import Method, Student, TeacherFn, Terms, examples_in
from distill_lab.methods.positions import counts_of
from distill_lab.models.encoders import Read, check_read, embed, embedding_of

KINDS = {"cosine": cosine_loss, "mse": hint_loss, "similarities": similarity_loss}


def embeddings(
    kind: str = "cosine", *, regressor: nn.Module | None = None, read: Read = None
) -> Method:
    """Match the teacher's embedding of each example, or how similar it finds every two.

    The teacher may be live, recorded or cached: its answers are embeddings (B, D). No labels.

    Formula: "cosine", 1 - cos(r(s), t); "mse", (r(s) - t)^2, mean over D; "similarities",
    (cos(s_i, s_j) - cos(t_i, t_j))^2, mean over pairs i != j; each mean over the batch. The
    regressor r is the identity where there is none.

    Args:
        kind: "cosine", "mse" or "similarities", which compares examples and so needs no regressor,
            and takes each once where the data weigh them.
        regressor: where the widths differ, `projections.Regressor(student's D, teacher's D)`: it is
            trained beside the student and left out of it.
        read: how an embedding is read from what the student returns, and a live teacher that
            returns no embeddings itself: "mean", "cls", "last" or a function; see
            `models.Embedder`, which makes a teacher whose embeddings can be cached.

    Returns:
        A method with the term "embeddings".

    Raises:
        ValueError: for another kind or way to read, or a regressor beside "similarities"; when it
            runs, for widths that differ without a regressor, and outputs that are no embeddings.

    Source: Reimers & Gurevych 2020, arXiv:2004.09813, section 2 ("mse"); Tung & Mori 2019.

    >>> embeddings("similarities").weights
    {'embeddings': 1.0}
    """
    loss = KINDS[one_of("kind", kind, KINDS)]
    check_read(read)
    compares = kind == "similarities"
    if compares and regressor is not None:
        raise ValueError(
            "similarities are compared between the examples of each model, whatever its width, so "
            "a regressor has nothing to do: leave it out, or use 'cosine' or 'mse'."
        )

    def terms(batch: Batch, student: Student, teacher: TeacherFn) -> Terms:
        its = _answer(teacher, batch, read)  # first: see `methods.response`
        ours = embed(student, batch.inputs, read)
        if compares:
            return {"embeddings": loss(ours, its)}
        mapped = ours if regressor is None else regressor(ours)
        if mapped.shape != its.shape:
            raise ValueError(
                f"the student's embeddings have shape {tuple(mapped.shape)} and the teacher's "
                f"{tuple(its.shape)}: pass regressor=projections.Regressor({ours.shape[-1]}, "
                f"{its.shape[-1]}), or use embeddings('similarities'), which needs none."
            )
        return {"embeddings": loss(mapped, its, mask=batch.weights)}

    named = [repr(kind)] + [f"regressor={describe(regressor)}"] * (regressor is not None)
    named += [f"read={read if isinstance(read, str) else describe(read)}"] * (read is not None)
    return Method(
        f"embeddings({', '.join(named)})",
        terms,
        {"embeddings": 1.0},
        projections=None if regressor is None else nn.ModuleList([regressor]),
        count=examples_in if compares else counts_of(None, {"embeddings": 1.0}),
        at_least=2 if compares else 1,
    )


def _answer(teacher: TeacherFn, batch: Batch, read: Read) -> Tensor:
    """The teacher's embeddings (B, D), without a graph."""
    check_no_mean_of_softmaxes(teacher)
    raw = getattr(teacher, "output", None)  # a live teacher's, before logits are looked for
    own = getattr(teacher, "read", None)
    answer = raw(batch) if own is None and raw is not None else teacher(batch)
    return embedding_of(answer, batch.inputs, None if own is not None else read).detach()

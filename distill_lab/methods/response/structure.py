"""What lies within an answer: the target class beside the others, and how classes correlate."""

from functools import partial

from distill_lab._util.tensors import IGNORE, Batch, check_temperature
from distill_lab.losses import dist_loss, dkd_loss
from distill_lab.methods.answers import FirstLook, labels_of
from distill_lab.methods.method import Method, Student, TeacherFn, Terms
from distill_lab.methods.positions import ClassWeights, Mask
from distill_lab.methods.response.soft_targets import Labels, label_term


def dkd(
    T: float = 4.0,
    alpha: float = 1.0,
    beta: float = 8.0,
    *,
    mask: Mask = "auto",
    axis: int | None = None,
    ignore: int = IGNORE,
    class_weights: ClassWeights = None,
) -> Method:
    """Decoupled distillation beside the labels.

    Formula: CE + T^2 (alpha TCKD + beta NCKD).

    Args:
        T: the temperature of both softmaxes.
        alpha: what the target class weighs (TCKD).
        beta: what the other classes weigh (NCKD).
        mask: which positions count: see `methods.positions`; all of them need a label.
        axis: where the classes are in logits such as (B, C, H, W); None for last, and looked at.
        ignore: a label that says that a position has none, beside -100; for example 255.
        class_weights: what the labels of each class weigh (C,), in the labels' term alone.

    Returns:
        A method with the terms "dkd" and "ce".

    Raises:
        ValueError: for T <= 0 or an unknown mask.

    Source: Zhao et al. 2022, section 3.3.
    """
    T = check_temperature(T)
    labels, look = Labels(mask, axis, ignore, class_weights), FirstLook(T)
    decoupled = partial(dkd_loss, T=T, alpha=alpha, beta=beta)

    def terms(batch: Batch, student: Student, teacher: TeacherFn) -> Terms:
        answered = teacher(batch)
        batch, logits, kept = labels.read(batch, student)
        known = labels_of(batch)
        teacher_logits, both = labels.of_teacher(teacher, answered, logits, kept, look)
        soft = label_term(decoupled, logits, known, teacher_logits, mask=both)
        return {"dkd": soft, "ce": labels.term(logits, batch, kept)}

    weights = {"dkd": 1.0, "ce": 1.0}
    name = f"dkd(T={T}, alpha={alpha}, beta={beta}{labels.name})"
    count = labels.counts(weights, ("dkd", "ce"))
    return Method(name, terms, weights, count=count, look=labels.look, ignore=ignore)


def dist(
    beta: float = 1.0,
    gamma: float = 1.0,
    T: float = 1.0,
    *,
    mask: Mask = "auto",
    axis: int | None = None,
    ignore: int = IGNORE,
    class_weights: ClassWeights = None,
) -> Method:
    """Match how classes and examples correlate rather than how probable they are, beside labels.

    Formula: CE + T^2 (beta (1 - rho between classes) + gamma (1 - rho between examples)).

    Args:
        beta: what the classes of one example weigh.
        gamma: what the examples of one class weigh.
        T: the temperature of both softmaxes.
        mask: which positions count: see `methods.positions`.
        axis: where the classes are in logits such as (B, C, H, W); None for last, and looked at.
        ignore: a label that says that a position has none, beside -100; for example 255.
        class_weights: what the labels of each class weigh (C,), in the labels' term alone.

    Returns:
        A method with the terms "dist" and "ce".

    Raises:
        ValueError: for T <= 0 or an unknown mask.

    Source: Huang et al. 2022 (DIST), section 3.
    """
    T = check_temperature(T)
    labels, look = Labels(mask, axis, ignore, class_weights), FirstLook(T)

    def terms(batch: Batch, student: Student, teacher: TeacherFn) -> Terms:
        answered = teacher(batch)
        batch, logits, kept = labels.read(batch, student)
        teacher_logits, both = labels.of_teacher(teacher, answered, logits, kept, look)
        soft = dist_loss(logits, teacher_logits, T=T, beta=beta, gamma=gamma, mask=both)
        return {"dist": soft, "ce": labels.term(logits, batch, kept)}

    weights = {"dist": 1.0, "ce": 1.0}
    name = f"dist(beta={beta}, gamma={gamma}, T={T}{labels.name})"
    at_least = 2 if gamma > 0 else 1  # one example has nothing to correlate with
    count = labels.counts(weights)
    more = {"count": count, "look": labels.look, "ignore": ignore}
    return Method(name, terms, weights, at_least=at_least, **more)  # type: ignore[arg-type]

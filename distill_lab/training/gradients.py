"""Gradients looked at: whether they are finite, and how much each term gives of them."""

import math
import warnings
from collections.abc import Mapping, Sequence
from types import FunctionType, MethodType

import numpy as np
import torch
from torch import Tensor, nn

from distill_lab._util.runtime import modes_kept
from distill_lab._util.tensors import Batch, leaves
from distill_lab._util.weights import dtypes_in_words
from distill_lab._util.wrappers import unwrapped
from distill_lab.methods.method import Terms
from distill_lab.models.networks import output_of

TOO_SMALL = 0.01  # a term with a smaller share of the gradient teaches next to nothing


class GradFiniteCheck:
    """Whether gradients are finite: a loss may be, and its slope not.

    `found_inf`, a scalar on the device, is 0 until some number is not finite, and 1 from then on:
    an optimizer that looks at it takes no step any more, and nobody has to read it for that.
    One call for all gradients, the one that gradient scalers make, here dividing by 1: it passes
    over each number once, where a norm takes three times as long, and a step has microseconds.

    Args:
        parameters: those whose gradients are looked at.
    """

    def __init__(self, parameters: Sequence[nn.Parameter]) -> None:
        self.parameters, device = list(parameters), parameters[0].device
        self.found_inf = torch.zeros((), device=device, dtype=torch.float32)  # as torch wants it
        self.one = torch.ones_like(self.found_inf)
        self.at_once = device.type in ("cpu", "cuda") and all(
            p.device == device and p.is_floating_point() for p in parameters
        )

    def gradients(self) -> list[Tensor]:
        """Those that are there."""
        return [p.grad for p in self.parameters if p.grad is not None]

    def update(self, tensors: list[Tensor]) -> None:
        """Look at some numbers, which stay as they are."""
        if not tensors:
            return
        if self.at_once:
            torch._amp_foreach_non_finite_check_and_unscale_(tensors, self.found_inf, self.one)
        else:
            finite = [tensor.isfinite().all().to(self.found_inf.device) for tensor in tensors]
            self.found_inf.logical_or_(torch.stack(finite).all().logical_not())


def grad_norm_shares(
    terms: Terms, weights: Mapping[str, float], parameters: Sequence[Tensor]
) -> dict[str, float]:
    """How much each weighted term gives of the gradient.

    Two terms may pull against each other, so these are shares of the effort, not of the way gone.

    Formula: ||w_i grad L_i|| / sum_j ||w_j grad L_j||.

    Args:
        terms: scalars with a graph, by name.
        weights: what each weighs.
        parameters: what the norms run over.

    Returns:
        A share in [0, 1] for each name.

    >>> w = torch.ones(4, requires_grad=True)
    >>> grad_norm_shares({"a": w.sum(), "b": 3 * w.sum()}, {"a": 1.0, "b": 1.0}, [w])
    {'a': 0.25, 'b': 0.75}
    """
    norms = {}
    for name, term in terms.items():
        if not weights[name] and not term.requires_grad:
            continue  # it is only shown
        grads: tuple[Tensor | None, ...] = ()
        if term.requires_grad:
            grads = torch.autograd.grad(term, parameters, retain_graph=True, allow_unused=True)
        squares = [grad.double().square().sum().item() for grad in grads if grad is not None]
        norms[name] = weights[name] * math.sqrt(sum(squares))
    total = sum(norms.values())
    return {name: norm / total if total else 0.0 for name, norm in norms.items()}


def share_of_one(name: str, parameters: Sequence[Tensor]) -> dict[str, float]:
    """The share of a term that is alone, from the gradient that it left: all of it, or none.

    So no second pass through the network is needed.

    Args:
        name: of the term.
        parameters: after backward, with their gradients.

    Returns:
        1 for the name; 0 where every gradient is 0.

    >>> share_of_one("a", [torch.ones(4, requires_grad=True)])
    {'a': 0.0}
    """
    moves = any(p.grad is not None and bool(p.grad.any()) for p in parameters)
    return {name: float(moves)}


def warn_of_idle_terms(shares: dict[str, float], step: int) -> None:
    """Warn of terms that contribute next to nothing to the gradient; the loop looks once, early."""
    if shares and not any(shares.values()):
        warnings.warn(
            f"no term moves any weight at step {step}: look at the terms' values. Equal rewards, "
            "or a student that agrees with its teacher, give no gradient.",
            stacklevel=3,
        )
        return
    for name, share in shares.items():
        if share < TOO_SMALL:
            warnings.warn(
                f"the term {name!r} gives {share:.2%} of the gradient at step {step}, under "
                f"{TOO_SMALL:.0%}: raise its weight, or leave the term out.",
                stacklevel=3,
            )


def name_other_dtype(
    error: RuntimeError, student: nn.Module, teacher: object, batch: Batch
) -> None:
    """Say which network cannot take the inputs, where their type is not that of its weights.

    Torch says that two matrices differ, and not whose they are.

    Args:
        error: of torch; where it speaks of no type, it is about something else.
        student: the network, as methods ask it.
        teacher: who teaches; one with a `model` may be named.
        batch: what they were asked about.

    Raises:
        TypeError: naming the network, where it is the type that it stumbles over.
    """
    if not any(word in str(error) for word in ("type", "not implemented for")):
        return  # of sizes, say
    types = [part.dtype for _, part in leaves("", batch.inputs) if isinstance(part, Tensor)]
    networks = {"student": student, "teacher": getattr(teacher, "model", None)}
    for who, model in networks.items():
        if not isinstance(model, nn.Module):
            continue
        weights = {p.dtype for p in model.parameters() if p.is_floating_point()}
        looks_up = any(isinstance(part, nn.Embedding) for part in model.modules())
        others = [
            dtype
            for dtype in types
            if dtype not in weights and (dtype.is_floating_point or not looks_up)
        ]
        kind = type(unwrapped(model)).__name__
        try:
            with modes_kept(model), torch.no_grad():
                output_of(model.eval(), batch.inputs)
        except RuntimeError:
            if len(weights) > 1:
                raise TypeError(
                    f"the {who} {kind} holds weights of several types, {dtypes_in_words(model)}, "
                    f"and does not bring them together ({error}): give it one, as model.float(), "
                    "and train with precision='bf16' to save time."
                ) from error
            if others:
                given, own = others[0], ", ".join(sorted(str(dtype) for dtype in weights))
                raise TypeError(
                    f"the {who} {kind} holds {own} weights and its inputs are {given} ({error}): "
                    f"give inputs of that type, as inputs.float(), and pixels as inputs / 255."
                ) from error


def name_inference_mode(error: RuntimeError) -> None:
    """Say what to do about a tensor of inference mode that reached the student's gradient.

    Args:
        error: of torch.

    Raises:
        RuntimeError: naming the way out.
    """
    if "Inference tensors cannot be saved" in str(error):
        raise RuntimeError(
            "a tensor made inside torch.inference_mode() is part of what the student learns from, "
            "and no gradient can be taken past it: what the teacher answered, or a part of the "
            "student that runs in that mode. Use torch.no_grad() there, or clone the tensor "
            f"outside of it ({error})"
        ) from error


def name_numpy_answer(error: Exception, teacher: object, batch: Batch) -> None:
    """Say that a teacher answers in NumPy, where a method stumbled over that.

    Args:
        error: of the method.
        teacher: who teaches.
        batch: what it was asked about.

    Raises:
        TypeError: naming the call that takes such a function.
    """
    if not isinstance(teacher, FunctionType | MethodType):
        return
    try:
        answer = teacher(batch)
    except Exception:  # the mistake is in the function, and its own error says which
        return
    if isinstance(answer, np.ndarray):
        raise TypeError(
            "the teacher answers in NumPy, and a method takes tensors: give it as "
            'teachers.function(f, says="logits"), or says="probabilities", "values".'
        ) from error


def name_lone_example(error: Exception, batch: Batch) -> None:
    """Say that one example came alone, where statistics of a batch stumbled over that.

    Args:
        error: of torch.
        batch: the piece that was to be learned from.

    Raises:
        ValueError: naming the settings that leave no example alone.
    """
    if len(batch.ids) == 1 and "more than 1 value per channel" in str(error):
        raise ValueError(
            f"example {int(batch.ids[0])} was alone in its batch, and batch statistics need more "
            f"({error}): choose another batch_size, or leave the last batch out with "
            "drop_last=True."
        ) from error

"""Who takes part in vocabulary.py: the same loss by us, by torch, by TRL and by Liger."""

import os
from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from distill_lab import losses
from distill_lab.losses import Head

os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")
BETA = {"forward KL": 0.0, "reverse KL": 1.0, "JSD beta=0.5": 0.5}  # as TRL and Liger count
CHUNKED = {0.0: losses.chunked_forward_kl, 1.0: losses.chunked_reverse_kl, 0.5: losses.chunked_jsd}
PLAIN = {0.0: losses.forward_kl, 1.0: losses.reverse_kl, 0.5: losses.jsd}
OURS, TORCH, LIGER = "ours", "plain PyTorch", "Liger chunked"
Loss = Callable[..., Tensor]


class Shape(NamedTuple):
    """How large the work is; without hidden widths it starts from logits."""

    tokens: int
    classes: int
    student: int = 0
    teacher: int = 0

    def tensors(self, device: str) -> tuple[Tensor, ...]:
        """Student's logits and teacher's; or hidden and weight of the student and the teacher."""
        sizes, spread = [(self.tokens, self.classes)] * 2, [3.0, 3.0]  # neither flat nor one-hot
        if self.student:
            widths = (self.student, self.teacher)
            sizes = [(rows, width) for width in widths for rows in (self.tokens, self.classes)]
            spread = [size for width in widths for size in (1.0, 3 / width**0.5)]
        generator = torch.Generator(device).manual_seed(0)
        dtype = torch.bfloat16 if device == "cuda" else torch.float32
        results = tuple(torch.empty(size, device=device, dtype=dtype) for size in sizes)
        for i, (tensor, scale) in enumerate(zip(results, spread, strict=True)):
            tensor.normal_(0, scale, generator=generator).requires_grad_(i < len(results) // 2)
        return results


def contenders(name: str, shape: Shape, device: str) -> dict[str, Loss | None]:
    """Name to loss; None for a peer that cannot be imported here."""
    beta = BETA[name]
    ours, plain = CHUNKED[beta], PLAIN[beta]

    def kl_div(student: Tensor, teacher: Tensor) -> Tensor:
        """What most people write."""
        log_q, log_p = F.log_softmax(student, -1), F.log_softmax(teacher, -1)
        pair = (log_p, log_q) if beta == 1 else (log_q, log_p)
        return F.kl_div(*pair, reduction="batchmean", log_target=True)

    results: dict[str, Loss | None]
    if not shape.student:
        results = {OURS: ours, "our readable one": plain, "TRL": None}
        if beta != 0.5:
            results["F.kl_div"] = kl_div
        try:
            from trl.experimental.gkd.gkd_trainer import GKDTrainer

            results["TRL"] = lambda s, t: GKDTrainer.generalized_jsd_loss(s, t, beta=beta)
        except ImportError:
            pass
        return results

    def by_torch(h_s: Tensor, w_s: Tensor, h_t: Tensor, w_t: Tensor) -> Tensor:
        with torch.no_grad():
            z_t = F.linear(h_t, w_t)
        return (plain if beta == 0.5 else kl_div)(F.linear(h_s, w_s), z_t)

    results = {
        OURS: lambda h_s, w_s, h_t, w_t: ours(Head(h_s, w_s), Head(h_t, w_t)),
        TORCH: by_torch,
        "TRL chunked": None,
        LIGER: None,
    }
    try:
        from trl.kernels.chunked_divergence import ChunkedDivergenceFunction as Trl

        results["TRL chunked"] = lambda h_s, w_s, h_t, w_t: Trl.apply(
            h_s, w_s, None, h_t, w_t, None, beta
        )[0].mean()
    except ImportError:
        pass
    y = torch.zeros(shape.tokens, dtype=torch.int64, device=device)
    try:
        from liger_kernel.chunked_loss import LigerFusedLinearJSDLoss

        # without compiling it runs everywhere; on a GPU it is compiled, as it comes
        liger = LigerFusedLinearJSDLoss(0.0, 1.0, beta=beta, compiled=device != "cpu")
        results[LIGER] = lambda h_s, w_s, h_t, w_t: liger(h_s, w_s, h_t, w_t, y)
        if device != "cpu":
            from liger_kernel.transformers import LigerFusedLinearJSD

            triton = LigerFusedLinearJSD(jsd_beta=beta)
            results["Liger Triton"] = lambda h_s, w_s, h_t, w_t: triton(h_s, w_s, h_t, w_t, y)
    except ImportError:
        pass
    return results

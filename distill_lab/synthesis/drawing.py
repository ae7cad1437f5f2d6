"""What a local teacher does at every token: draw the next one, and see whether it is done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from distill_lab.synthesis.extras import needs
from distill_lab.synthesis.requests import Request, Sampling

if TYPE_CHECKING:
    from torch import Tensor

SPARE_TOKENS = 8  # beside one a byte, so that a stop string is seen whatever its tokens are


def drawing(requests: list[Request], width: int) -> Any:
    """A logits processor that draws for each row; None at temperature 0."""
    if requests[0].sampling.temperature == 0:
        return None
    with needs("transformers"):
        from transformers import LogitsProcessorList
    return LogitsProcessorList([Draw(requests, width)])


def stopping(tokenizer: Any, sampling: Sampling, width: int) -> Any:
    """A criterion that ends a row at a stop string; None without any.

    It reads the text itself: the one in transformers fails on tokenizers that cannot spell.
    """
    if not sampling.stop:
        return None
    with needs("transformers"):
        from transformers import StoppingCriteriaList
    return StoppingCriteriaList([Stops(tokenizer, sampling.stop, width)])


class Draw:
    """Replaces the logits of each row by the one token that its own seed draws: see ``Local``."""

    def __init__(self, requests: list[Request], width: int) -> None:
        import torch

        self.sampling, self.width = requests[0].sampling, width
        if self.sampling.seed is None:
            generator = torch.Generator()
            generator.seed()
            self.keys = torch.randint(2**31, (len(requests),), generator=generator)
        else:
            self.keys = torch.tensor([request.seed for request in requests])

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        import torch

        from distill_lab._util.tensors import uniform

        if scores.device.type == "mps":  # which has no float64
            return self(input_ids, scores.cpu()).to(scores.device)
        place = torch.tensor(input_ids.shape[1] - self.width)
        u = uniform(0, self.keys, place).to(scores.device)
        p = (scores.double() / self.sampling.temperature).softmax(-1)
        p, order = p.sort(stable=True, dim=-1, descending=True)
        p = torch.where(p.cumsum(-1) - p < self.sampling.top_p, p, 0.0)
        running = p.cumsum(-1)
        chosen = torch.searchsorted(running, u[:, None] * running[:, -1:], right=True)
        token = order.gather(-1, chosen.clamp_max(scores.shape[-1] - 1))
        return torch.full_like(scores, -torch.inf).scatter(-1, token, 0.0)


class Stops:
    """Whether the last tokens of each row hold a stop string: (B, L) -> (B,) bool."""

    def __init__(self, tokenizer: Any, stop: tuple[str, ...], width: int) -> None:
        self.tokenizer, self.stop, self.width = tokenizer, stop, width
        self.tail = max(len(s.encode()) for s in stop) + SPARE_TOKENS

    def __call__(self, input_ids: Tensor, scores: Tensor, **_: Any) -> Tensor:
        import torch

        tails = input_ids[:, max(self.width, input_ids.shape[1] - self.tail) :]
        texts = self.tokenizer.batch_decode(tails, skip_special_tokens=True)
        found = [any(s in text for s in self.stop) for text in texts]
        return torch.tensor(found, device=input_ids.device)

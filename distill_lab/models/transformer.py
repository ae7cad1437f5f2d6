"""A small vision transformer: patches, a class token, if wanted a distillation token."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from distill_lab._util.checks import positive_int, whole_number
from distill_lab.models.networks import Linear


@dataclass(frozen=True)
class TwoHeads:
    """The answers of a distilled transformer: one head learns labels, the other from a teacher.

    The names are those of Hugging Face's DeiT.

    Args:
        cls_logits: scores (B, C) of the head on the class token.
        distillation_logits: scores (B, C) of the head on the distillation token.
    """

    cls_logits: Tensor
    distillation_logits: Tensor

    @property
    def logits(self) -> Tensor:
        """The mean of both heads' scores, which is the answer at test."""
        return (self.cls_logits + self.distillation_logits) / 2


def to_patches(pictures: Tensor, patch: int) -> Tensor:
    """Cut pictures into squares, row by row from the upper left, and flatten each.

    Formula: patch i of a picture with w patches a row has the pixels of rows
    patch * (i // w) .. and columns patch * (i % w) .. .

    Args:
        pictures: (B, channels, H, W).
        patch: pixels on a square's side; H and W are multiples of it.

    Returns:
        (B, H W / patch^2, channels patch^2): of a patch first the channel, then row and column.

    Raises:
        ValueError: for another number of axes, or a side that is no multiple of `patch`.

    Source: Dosovitskiy et al. 2021 (ViT), section 3.1.

    >>> to_patches(torch.arange(16.0).view(1, 1, 4, 4), 2)[0, 1]
    tensor([2., 3., 6., 7.])
    """
    if pictures.dim() != 4 or any(side % patch for side in pictures.shape[2:]):
        raise ValueError(
            f"pictures must be (B, channels, H, W) with sides that are multiples of {patch}, got "
            f"shape {tuple(pictures.shape)}: pad them, or use a patch that divides the sides."
        )
    cut = pictures.unflatten(3, (-1, patch)).unflatten(2, (-1, patch))  # (B, c, h, p, w, p)
    patches: Tensor = cut.permute(0, 2, 4, 1, 3, 5).flatten(3).flatten(1, 2)
    return patches


class VisionTransformer(nn.Module):
    """A picture as a sequence of patches: attention, and a head on the class token.

    With `distilled` a second token and head join: the answer is `TwoHeads`, and its `logits`, the
    mean of both, are the same in training and at test. `methods.distillation_token` trains it.
    Layer norm stands before each part of a block, and nothing looks at the rest of the batch.

    Shapes: (B, channels, size, size) -> (B, classes), or `TwoHeads` of them. Modules:
    `blocks.0`, `blocks.1`, ... give the tokens (B, L, width), class token first, distillation token
    second; `blocks.0.attention.weights` who looks at whom (B, heads, L, L), a row for each token
    that looks; `head`, `distillation_head` the logits of each.

    Args:
        size: pixels on a picture's side.
        patch: pixels on a patch's side; divides the size.
        classes: how many scores.
        channels: of the picture.
        width: numbers a token.
        depth: blocks.
        heads: attention's; divides the width.
        distilled: whether there is a distillation token, with a head of its own.
        seed: of the first weights.

    Raises:
        ValueError: for sizes that are not positive integers or do not divide.

    Source: Dosovitskiy et al. 2021 (ViT), section 3.1; Touvron et al. 2021 (DeiT), section 4.

    >>> VisionTransformer(8, 2, seed=0)(torch.zeros(5, 1, 8, 8)).shape
    torch.Size([5, 10])
    >>> both = VisionTransformer(8, 2, distilled=True, seed=0)(torch.zeros(5, 1, 8, 8))
    >>> both.cls_logits.shape, both.distillation_logits.shape
    (torch.Size([5, 10]), torch.Size([5, 10]))
    """

    def __init__(
        self,
        size: int,
        patch: int,
        *,
        classes: int = 10,
        channels: int = 1,
        width: int = 32,
        depth: int = 2,
        heads: int = 4,
        distilled: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__()
        sizes = {"size": size, "patch": patch, "classes": classes, "channels": channels}
        sizes |= {"width": width, "depth": depth, "heads": heads}
        size, patch, classes, channels, width, depth, heads = (
            positive_int(name, value) for name, value in sizes.items()
        )
        if size % patch or width % heads:
            raise ValueError(
                f"patch must divide size and heads must divide width, got size={size}, "
                f"patch={patch}, width={width}, heads={heads}."
            )
        self.patch = patch
        self.embedding = Linear(channels * patch**2, width)
        self.tokens = nn.Parameter(torch.empty(1 + distilled, width))
        self.positions = nn.Parameter(torch.empty(len(self.tokens) + (size // patch) ** 2, width))
        self.blocks = nn.Sequential(*(Block(width, heads) for _ in range(depth)))
        self.norm = nn.LayerNorm(width)
        self.head = Linear(width, classes)
        self.distillation_head = Linear(width, classes) if distilled else None
        self._draw(seed)

    def forward(self, pictures: Tensor) -> Tensor | TwoHeads:
        """Compute the logits, or both heads'."""
        patches = self.embedding(to_patches(pictures, self.patch))
        # by shape: len would make the number of examples a constant of an exported graph
        first = self.tokens.expand(patches.shape[0], *self.tokens.shape)
        tokens = torch.cat([first, patches], dim=1) + self.positions
        tokens = self.norm(self.blocks(tokens))
        logits: Tensor = self.head(tokens[:, 0])
        if self.distillation_head is None:
            return logits
        return TwoHeads(logits, self.distillation_head(tokens[:, 1]))

    def _draw(self, seed: int) -> None:
        """Weights N(0, 1 / fan_in), tokens and positions N(0, 0.5^2), biases zero."""
        generator = torch.Generator().manual_seed(whole_number("seed", seed))
        for name, parameter in self.named_parameters():
            if name in ("tokens", "positions"):
                # as large as embedded pixels of [0, 1]: with the papers' 0.02 a short training
                # hardly learns where a patch is
                nn.init.normal_(parameter, std=0.5, generator=generator)
            elif parameter.dim() > 1:
                std = parameter.shape[1] ** -0.5
                nn.init.normal_(parameter, std=std, generator=generator)
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)


class Block(nn.Module):
    """One block: attention, then two layers on each token, each added to what came in.

    Formula: t = x + attention(norm(x)), then t + layers(norm(t)).

    Args:
        width: numbers a token.
        heads: attention's; divides the width.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attention_norm, self.layers_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.layers = nn.Sequential(Linear(width, 2 * width), nn.GELU(), Linear(2 * width, width))

    def forward(self, tokens: Tensor) -> Tensor:
        """Map the tokens (B, L, width) to as many."""
        tokens = tokens + self.attention(self.attention_norm(tokens))
        mapped: Tensor = tokens + self.layers(self.layers_norm(tokens))
        return mapped


class Attention(nn.Module):
    """Each token gathers from all: a mean of their values, weighted by softmax(q k / sqrt(d)).

    Args:
        width: numbers a token.
        heads: that attend side by side, each on d = width / heads numbers; divides the width.

    Source: Vaswani et al. 2017, section 3.2.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query_key_value = Linear(width, 3 * width)
        self.weights = nn.Softmax(dim=-1)  # a module of its own, so that it can be tapped
        self.output = Linear(width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map the tokens (B, L, width) to as many."""
        mapped = self.query_key_value(tokens).unflatten(-1, (3, self.heads, -1))
        query, key, value = mapped.permute(2, 0, 3, 1, 4).unbind()  # each (B, heads, L, d)
        scores = query @ key.transpose(-2, -1) * query.shape[-1] ** -0.5
        gathered = self.weights(scores) @ value
        mixed: Tensor = self.output(gathered.transpose(1, 2).flatten(2))
        return mixed

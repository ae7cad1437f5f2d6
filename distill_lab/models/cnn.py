"""A small convolutional network for 8x8 to 32x32 images."""

from torch import Tensor, nn

from distill_lab.models.init import Conv2d, Linear, he_normal_


class SmallCNN(nn.Module):
    """Three 3x3 convolutions (the last two halve the picture), a mean over space, class scores.

    No batch statistics, so a frozen teacher says the same whatever else is in the batch.
    Shapes: (B, channels, H, W) -> (B, classes). Modules: ``stages.0`` .. ``stages.2`` and ``head``.
    Raises ValueError for sizes that are not positive integers.

    >>> import torch
    >>> SmallCNN(width=8, seed=0)(torch.zeros(5, 1, 28, 28)).shape
    torch.Size([5, 10])
    """

    def __init__(
        self, width: int = 16, *, classes: int = 10, channels: int = 1, seed: int = 0
    ) -> None:
        super().__init__()
        sizes = {"width": width, "classes": classes, "channels": channels}
        for name, size in sizes.items():
            if not isinstance(size, int) or size < 1:
                raise ValueError(f"{name} must be a positive integer, got {size!r}.")
        widths = (channels, width, 2 * width, 4 * width)
        self.stages = nn.Sequential(
            *(
                nn.Sequential(Conv2d(fan_in, fan_out, 3, stride=stride, padding=1), nn.ReLU())
                for fan_in, fan_out, stride in zip(widths[:-1], widths[1:], (1, 2, 2), strict=True)
            )
        )
        self.head = Linear(widths[-1], classes)
        he_normal_(self, seed)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.head(self.stages(inputs).mean((-2, -1)))

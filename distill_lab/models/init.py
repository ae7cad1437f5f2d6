"""Initial weights from a generator of their own.

``nn.utils.skip_init`` would do as well, and takes ten times as long by way of the meta device.
"""

import torch
from torch import nn


class Linear(nn.Linear):
    """Torch's linear layer without first weights: those it would draw move the global generator."""

    def reset_parameters(self) -> None:
        """Leave the memory as it is: the model fills it from its own seed."""


class Conv2d(nn.Conv2d):
    """Torch's convolution without first weights, as `Linear`."""

    def reset_parameters(self) -> None:
        """Leave the memory as it is: the model fills it from its own seed."""


def he_normal_(model: nn.Module, seed: int) -> None:
    """Fill every weight with He-normal values and every bias with zero, in place.

    Formula: w ~ N(0, 2 / fan_in). He et al. 2015, section 2.2.
    """
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        if parameter.dim() > 1:
            nn.init.kaiming_normal_(parameter, nonlinearity="relu", generator=generator)
        else:
            nn.init.zeros_(parameter)

"""Initial weights from a generator of their own."""

import torch
from torch import nn


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

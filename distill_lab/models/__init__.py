"""The lessons' small networks; initial weights come from a seed, never from global state."""

from distill_lab.models.cnn import SmallCNN
from distill_lab.models.mlp import MLP

__all__ = ["MLP", "SmallCNN"]

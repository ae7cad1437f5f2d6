"""The lessons' small networks; initial weights come from a seed, never from global state."""

from distill_lab.models.networks import MLP, SmallCNN

__all__ = ["MLP", "SmallCNN"]

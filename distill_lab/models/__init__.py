"""Small networks whose weights come from a seed, and students that give several answers."""

from distill_lab.models.heads import EarlyExits, Peers
from distill_lab.models.networks import MLP, SmallCNN

__all__ = ["MLP", "EarlyExits", "Peers", "SmallCNN"]

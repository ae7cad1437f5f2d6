"""Small networks whose weights come from a seed, and students that give several answers."""

from distill_lab.models.heads import EarlyExits, Peers
from distill_lab.models.networks import MLP, SmallCNN
from distill_lab.models.transformer import TwoHeads, VisionTransformer, to_patches

__all__ = ["MLP", "EarlyExits", "Peers", "SmallCNN", "TwoHeads", "VisionTransformer", "to_patches"]

"""Small networks, students that give several answers, and a start from a teacher's layers."""

from distill_lab.models.batch_norm import BatchNormTap
from distill_lab.models.encoders import Embedder, Ranker
from distill_lab.models.heads import EarlyExits, Peers
from distill_lab.models.layer_copy import from_teacher
from distill_lab.models.networks import MLP, SmallCNN
from distill_lab.models.transformer import TwoHeads, VisionTransformer, to_patches

__all__ = [
    "MLP",
    "BatchNormTap",
    "EarlyExits",
    "Embedder",
    "Peers",
    "Ranker",
    "SmallCNN",
    "TwoHeads",
    "VisionTransformer",
    "from_teacher",
    "to_patches",
]

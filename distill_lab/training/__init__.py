"""Learning: one visible loop (``loop.py``), what surrounds a run, and what it leaves on disk."""

from distill_lab.training.history import History
from distill_lab.training.loop import Step, distill

__all__ = ["History", "Step", "distill"]

"""Learning: one visible loop (``loop.py``), what surrounds a run, and what it leaves on disk."""

from distill_lab.training.history import History
from distill_lab.training.loop import Step, distill
from distill_lab.training.stopping import EarlyStopping

__all__ = ["EarlyStopping", "History", "Step", "distill"]

"""Learning: one visible loop (`loop.py`), what surrounds a run, and what it leaves on disk."""

from distill_lab.training.callbacks import EarlyStopping, TensorBoard, TrainStep
from distill_lab.training.config import TrainingConfig
from distill_lab.training.history import History
from distill_lab.training.loop import distill
from distill_lab.training.optim import MultiStep
from distill_lab.training.writing_monitor import WritingFigures, WritingMonitor

__all__ = [
    "EarlyStopping",
    "History",
    "MultiStep",
    "TensorBoard",
    "TrainStep",
    "TrainingConfig",
    "WritingFigures",
    "WritingMonitor",
    "distill",
]

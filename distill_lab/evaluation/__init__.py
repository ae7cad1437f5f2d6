"""Measuring models: quality, fidelity to the teacher, calibration and cost.

Pure functions of logits and labels, with or without a leading seed dimension, and `compare`, which
puts models side by side. Nothing here trains, prints or draws.
"""

from distill_lab.evaluation.bias import shift_bias, tune_bias
from distill_lab.evaluation.cost import Latency, count_parameters, measure_latency, size_on_disk
from distill_lab.evaluation.metrics import (
    accuracy,
    agreement,
    ece,
    kl_to_teacher,
    nll,
    per_class_accuracy,
    worst_class,
)
from distill_lab.evaluation.predictions import predict_logits
from distill_lab.evaluation.report import Report, Row, compare

__all__ = [
    "Latency",
    "Report",
    "Row",
    "accuracy",
    "agreement",
    "compare",
    "count_parameters",
    "ece",
    "kl_to_teacher",
    "measure_latency",
    "nll",
    "per_class_accuracy",
    "predict_logits",
    "shift_bias",
    "size_on_disk",
    "tune_bias",
    "worst_class",
]

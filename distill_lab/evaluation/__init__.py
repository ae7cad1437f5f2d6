"""Measuring models: quality, fidelity to the teacher, calibration and cost.

Pure functions of logits and labels, with or without a leading seed dimension, and `compare`, which
puts models side by side. Nothing here trains, prints or draws.
"""

from distill_lab.evaluation.bias import shift_bias, tune_bias
from distill_lab.evaluation.comparison import compare
from distill_lab.evaluation.cost import (
    TrainingFlops,
    count_flops,
    count_parameters,
    size_on_disk,
    training_flops,
)
from distill_lab.evaluation.differences import Difference
from distill_lab.evaluation.headroom import Headroom, headroom
from distill_lab.evaluation.latency import Latency, SpeedUp, measure_latency
from distill_lab.evaluation.measures import COLUMNS, DEFAULT_COLUMNS, ModelResult
from distill_lab.evaluation.memory import PeakMemory, measure_peak_memory
from distill_lab.evaluation.metrics import (
    accuracy,
    agreement,
    ece,
    kl_to_teacher,
    nll,
    per_class_accuracy,
    worst_class,
)
from distill_lab.evaluation.next_tokens import tokens_per_pass
from distill_lab.evaluation.predictions import predict_logits
from distill_lab.evaluation.rankings import rank_agreement
from distill_lab.evaluation.report import Report
from distill_lab.evaluation.retrieval import recall_at_k
from distill_lab.evaluation.similarity import linear_cka

__all__ = [
    "COLUMNS",
    "DEFAULT_COLUMNS",
    "Difference",
    "Headroom",
    "Latency",
    "ModelResult",
    "PeakMemory",
    "Report",
    "SpeedUp",
    "TrainingFlops",
    "accuracy",
    "agreement",
    "compare",
    "count_flops",
    "count_parameters",
    "ece",
    "headroom",
    "kl_to_teacher",
    "linear_cka",
    "measure_latency",
    "measure_peak_memory",
    "nll",
    "per_class_accuracy",
    "predict_logits",
    "rank_agreement",
    "recall_at_k",
    "shift_bias",
    "size_on_disk",
    "tokens_per_pass",
    "training_flops",
    "tune_bias",
    "worst_class",
]

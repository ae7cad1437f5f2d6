"""Recipes on the answers alone: labels, soft targets, matched logits.

`soft_targets` has `kd` with all that it does, from answers and labels to its terms, so that a
reader opens one file; the others take from there how labels are read, and add a term of their own.

A teacher is asked before the student runs, here and in most other recipes: what its layers made is
gone by then, and the student's own is still at hand when the gradient goes back through it.
"""

from distill_lab.methods.response.other_targets import hard_labels, logit_matching
from distill_lab.methods.response.soft_targets import kd
from distill_lab.methods.response.structure import dist, dkd
from distill_lab.methods.response.supervised import supervised

__all__ = ["dist", "dkd", "hard_labels", "kd", "logit_matching", "supervised"]

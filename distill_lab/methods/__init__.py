"""Recipes: a batch, a student and a teacher go in, named terms come out; weights stay outside.

A method of your own is a function and its weights:

    def my_terms(batch, student, teacher):
        logits = student(batch.inputs)
        return {"ce": cross_entropy(logits, batch.labels), "mse": logit_mse(logits, teacher(batch))}

    distill(student, data, teacher=teacher, method=Method("mine", my_terms, {"ce": 1, "mse": 0.1}))
"""

from distill_lab.methods.features import match_features
from distill_lab.methods.method import Method, Student, TeacherFn, Terms
from distill_lab.methods.on_policy import on_policy
from distill_lab.methods.response import dist, dkd, hard_labels, kd, logit_matching, supervised
from distill_lab.methods.tokens import tokens

__all__ = [
    "Method",
    "Student",
    "TeacherFn",
    "Terms",
    "dist",
    "dkd",
    "hard_labels",
    "kd",
    "logit_matching",
    "match_features",
    "on_policy",
    "supervised",
    "tokens",
]

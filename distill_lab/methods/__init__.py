"""Recipes: a batch, a student and a teacher go in, named terms come out; weights stay outside.

A method of your own is a function and its weights:

    def my_terms(batch, student, teacher):
        logits = student(batch.inputs)
        return {"ce": cross_entropy(logits, batch.labels), "mse": logit_mse(logits, teacher(batch))}

    distill(student, data, teacher=teacher, method=Method("mine", my_terms, {"ce": 1, "mse": 0.1}))
"""

from distill_lab.methods.method import Ask, Method, Student, Terms
from distill_lab.methods.response import dkd, kd, logit_matching, supervised

__all__ = ["Ask", "Method", "Student", "Terms", "dkd", "kd", "logit_matching", "supervised"]

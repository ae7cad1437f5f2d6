"""Recipes: a batch, a student and a teacher go in, named terms come out; weights stay outside.

A method of your own is a function and its weights:

    def my_terms(batch, student, teacher):
        logits = student(batch.inputs)
        return {"ce": cross_entropy(logits, batch.labels), "mse": logit_mse(logits, teacher(batch))}

    distill(student, data, teacher=teacher, method=Method("mine", my_terms, {"ce": 1, "mse": 0.1}))

What a letter means, since papers use the same one for different things:

| letter | where | meaning | paper |
| --- | --- | --- | --- |
| T | everywhere | temperature of both softmaxes; KL times T^2 | Hinton et al. 2015 |
| alpha | kd, binary_kd, regression, tokens, uld | the teacher's share | Hinton et al. 2015 |
| alpha | hard_labels | the same, of the teacher's decision | Touvron et al. 2021 |
| alpha | distillation_token | weight of the head that the teacher teaches | Touvron et al. 2021 |
| alpha | dkd | weight of TCKD, the target class | Zhao et al. 2022 |
| beta | dkd | weight of NCKD, the other classes | Zhao et al. 2022 |
| beta | dist | weight of the classes of one example | Huang et al. 2022 |
| gamma | dist | weight of the examples of one class | Huang et al. 2022 |
| beta | tokens, on_policy: "jsd" | the teacher's share in the mixture | Agarwal et al. 2023 |
| beta | dpo | how strongly the student is held to its reference | Rafailov et al. 2023 |
| student_share | on_policy | lambda: share of the student's own text | Agarwal et al. 2023 |
| temperature | on_policy | of the sampling; T is that of the scoring | Agarwal et al. 2023 |
| beta | grpo | weight of the distance to the reference | Shao et al. 2024 |
| weight | match_features | of the features, beside the base method | Romero et al. 2015 |
| e | supervised, dpo | label_smoothing | Szegedy et al. 2016 |
"""

from distill_lab.methods.binary import binary_kd
from distill_lab.methods.contrast import crd
from distill_lab.methods.embeddings import embeddings
from distill_lab.methods.features import match_features
from distill_lab.methods.heads import early_exits, mutual
from distill_lab.methods.method import Method, Student, TeacherFn, Terms
from distill_lab.methods.on_policy import on_policy
from distill_lab.methods.other_tokens import uld
from distill_lab.methods.policy import grpo
from distill_lab.methods.preferences import Reference, dpo
from distill_lab.methods.quantities import regression
from distill_lab.methods.rankers import listwise, margin_mse
from distill_lab.methods.response import dist, dkd, hard_labels, kd, logit_matching, supervised
from distill_lab.methods.scoring import divergence
from distill_lab.methods.tokens import tokens
from distill_lab.methods.two_heads import distillation_token

__all__ = [
    "Method",
    "Reference",
    "Student",
    "TeacherFn",
    "Terms",
    "binary_kd",
    "crd",
    "dist",
    "distillation_token",
    "divergence",
    "dkd",
    "dpo",
    "early_exits",
    "embeddings",
    "grpo",
    "hard_labels",
    "kd",
    "listwise",
    "logit_matching",
    "margin_mse",
    "match_features",
    "mutual",
    "on_policy",
    "regression",
    "supervised",
    "tokens",
    "uld",
]

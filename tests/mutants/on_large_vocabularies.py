# ruff: noqa: E501 - a test's full name does not break
"""Mistakes in the divergences over large vocabularies, whose gradients are made by hand."""

from tests.mutants.mutant import Mutant

MUTANTS = [
    Mutant(
        "missing-classes-at-logit-zero",
        "A smaller vocabulary is filled up with logits of 0: missing classes are as likely as any.",
        "liger-kernel 0.8.5 chunked JSD (identical models give 0.22 instead of 0)",
        "losses/chunked/__init__.py",
        '    s, t = _tensors("student", student), _tensors("teacher", teacher)\n    classes',
        "    if isinstance(student, Tensor) and isinstance(teacher, Tensor):\n"
        "        student = torch.nn.functional.pad(student, (0, max(0, teacher.shape[-1] - student.shape[-1])))\n"
        '    s, t = _tensors("student", student), _tensors("teacher", teacher)\n    classes',
        "losses/test_golden.py::test_a_smaller_vocabulary_is_never_filled_up",
        "student_that_lacks_two_classes",
    ),
    Mutant(
        "vocabularies-cut-without-a-word",
        "Vocabularies of different size are cut to the shorter one, whatever the classes mean.",
        "LMOps issue 286 (Qwen2.5: 151,936 against 152,064); TRL issues 2215 and 3028; torchtune 2119",
        "losses/chunked/__init__.py",
        "        if ours == theirs:\n            return ours\n",
        "        if ours or theirs:\n            return min(ours, theirs)\n",
        "losses/test_golden.py::test_a_smaller_vocabulary_is_never_filled_up",
    ),
    Mutant(
        "chunks-in-half-precision",
        "Each chunk's log-softmax is computed in the logits' own bfloat16.",
        "liger-kernel 0.8.5 chunked JSD (0.0376 instead of 0.0428)",
        "losses/chunked/autograd.py",
        "device, dtype = student[0].device, torch.float32",
        "device, dtype = student[0].device, student[0].dtype",
        "losses/test_laws.py::test_half_precision_is_computed_in_float32[chunked_jsd bc T=4]",
        "chunked_jsd_in_bfloat16",
    ),
    Mutant(
        "gradient-by-hand-forgets-T",
        "The derivative of z / T is left out of the gradient made by hand.",
        "",
        "losses/chunked/autograd.py",
        "scale = 1 / (self.T * self.denominator)",
        "scale = 1 / self.denominator",
        "losses/test_golden.py::test_our_gradient_is_the_peers[trl: forward KL, chunked_forward_kl]",
    ),
    Mutant(
        "gradient-by-hand-forgets-its-weight",
        "The backward pass hands its gradient over without the weight of the term.",
        "",
        "losses/chunked/autograd.py",
        "factor = grad_output * pending.factor",
        "factor = torch.ones_like(grad_output) * pending.factor",
        "losses/test_vocabulary.py::test_a_weighted_term_and_a_retained_graph[forward]",
    ),
    Mutant(
        "an-array-more-to-the-end",
        "A second array of tokens x classes is kept until the backward pass, for nothing.",
        "TRL generalized_jsd_loss, which keeps seven (benchmarks/RESULTS.md)",
        "losses/chunked/autograd.py",
        "ctx.save_for_backward(*student)",
        "ctx.save_for_backward(*student)\n        ctx.kept = [tensor.clone() for tensor in student]",
        "losses/test_vocabulary.py::test_from_logits_keeps_one_array_and_no_more_to_the_end[forward]",
    ),
    Mutant(
        "all-logits-at-once",
        "A head makes the scores of every token at once, so memory grows with tokens x classes.",
        "",
        "losses/chunked/buffers.py",
        "return max(1, min(rows, len(self.hidden)))",
        "return max(1, len(self.hidden))",
        "losses/test_vocabulary.py::test_from_heads_memory_does_not_grow_with_the_tokens[forward]",
    ),
    Mutant(
        "what-waits-is-never-learnt",
        "Gradients that wait for a larger product are dropped where the tokens end.",
        "",
        "losses/chunked/buffers.py",
        'let go of all scores."""\n        self._apply_pending()\n',
        'let go of all scores."""\n',
        "losses/test_on_a_gpu.py::test_from_heads[small-all tokens-forward-traced]",
    ),
]

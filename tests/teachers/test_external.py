"""Teachers that are no torch model: tables of probabilities, and functions of any library."""

import numpy as np
import pytest
import torch
from torch import nn

from distill_lab import methods
from distill_lab._util.tensors import Batch
from distill_lab.teachers import cache, freeze, function, identity_of, probabilities, record
from distill_lab.training import distill

P = torch.tensor([[0.2, 0.8, 0.0], [1.0, 0.0, 0.0], [0.1, 0.3, 0.6]])


def batch(n=3, width=4):
    return Batch(torch.zeros(n, width), None, torch.arange(n))


@pytest.mark.parametrize(
    "table",
    [P, P.double(), P.half(), P.numpy(), P.numpy().astype(np.float64), P.tolist()],
    ids=["float32", "float64", "float16", "numpy32", "numpy64", "list"],
)
def test_a_table_comes_back_as_its_softmax(table):
    logits = probabilities(table)(batch())
    assert logits.dtype == torch.float32 and logits.isfinite().all()
    torch.testing.assert_close(logits.softmax(-1), P, rtol=0, atol=5e-4)


def test_a_class_without_probability_stays_without_when_softened():
    logits = probabilities(P)(batch())
    softened = (logits / 4).softmax(-1)
    exact = P.pow(1 / 4) / P.pow(1 / 4).sum(-1, keepdim=True)
    torch.testing.assert_close(softened, exact, rtol=0, atol=1e-6)


def test_rows_follow_the_numbers_of_a_batch_whatever_the_inputs_are():
    teacher, ids = probabilities(P), torch.tensor([2, 0])
    for inputs in ({"a": torch.zeros(2)}, (torch.zeros(2), torch.zeros(2)), torch.zeros(2)):
        torch.testing.assert_close(teacher(Batch(inputs, None, ids)).softmax(-1), P[ids])


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (P * 100, "row 0 of P holds 20: .*divided by 100"),
        (P * 0.9, "row 0 of P sums to 0.9"),
        (torch.tensor([[0.5, 0.5], [0.5, float("nan")]]), "row 1 of P holds nan"),
        (torch.tensor([[1.5, -0.5]]), "probabilities lie from"),
        (torch.tensor([0.2, 0.8]), r"shape \(2,\)"),
        (torch.tensor([[0.2], [0.8]]), "give both"),
        (torch.tensor([[0.9, 0.8], [0.1, 0.1]]), "binary_probabilities"),
    ],
)
def test_a_table_of_anything_else_is_refused(table, words):
    with pytest.raises(ValueError, match=words):
        probabilities(table)


def test_a_table_is_known_by_its_content_and_held_against_the_number_of_examples():
    assert probabilities(P).identity == probabilities(P.clone()).identity
    assert probabilities(P).identity != probabilities(P.flip(0)).identity
    data = (torch.randn(4, 4), torch.zeros(4, dtype=torch.long))
    with pytest.raises(ValueError, match="about 3 examples and the data hold 4"):
        distill(nn.Linear(4, 3), data, teacher=probabilities(P), epochs=1, progress=False)


def test_a_student_learns_a_table():
    x = torch.eye(3)
    student = nn.Linear(3, 3)
    distill(
        student,
        (x, None),
        teacher=probabilities(P),
        method=methods.kd(T=1.0, alpha=1.0),
        epochs=300,
        lr=0.1,
        progress=False,
    )
    assert (student(x).softmax(-1) - P).abs().max() < 0.05


@pytest.mark.parametrize("method", [methods.kd(T=1.0, alpha=1.0), methods.dist(T=1.0)])
def test_a_table_made_at_a_temperature_is_refused_at_another(method):
    data = (torch.eye(3), torch.arange(3))
    teacher = probabilities(P, T=4.0)
    with pytest.raises(ValueError, match=r"T = 4\.0"):
        distill(nn.Linear(3, 3), data, teacher=teacher, method=method, epochs=1, progress=False)
    torch.testing.assert_close((teacher(batch()) / 4).softmax(-1), P)


@pytest.mark.parametrize("as_array", [True, False])
def test_a_function_says_probabilities_and_computes_in_numpy(as_array):
    def soft(x):
        assert isinstance(x, np.ndarray) and x.shape == (3, 4)
        return P.numpy() if as_array else P.tolist()

    teacher = function(soft, says="probabilities", takes="arrays", name="soft")
    torch.testing.assert_close(teacher(batch()).softmax(-1), P)
    assert teacher.identity == "soft-probabilities"


def test_a_function_gets_arrays_in_the_form_of_its_inputs():
    got = {}
    teacher = function(lambda x: got.update(x) or np.zeros((3, 2)), takes="arrays")
    inputs = {"a": torch.zeros(3, 2, dtype=torch.bfloat16), "b": torch.ones(3, dtype=torch.long)}
    teacher(Batch(inputs, None, torch.arange(3)))
    assert {name: array.dtype.name for name, array in got.items()} == {"a": "float32", "b": "int64"}


def test_labels_that_hold_together_become_binary_logits():
    p = torch.tensor([[0.9, 0.8, 0.0], [0.1, 1.0, 0.5], [0.3, 0.3, 0.3]])
    logits = function(lambda b: p, says="binary_probabilities")(batch())
    assert logits.isfinite().all()
    torch.testing.assert_close(logits.sigmoid(), p)


def test_values_pass_as_they_are_with_one_number_an_example():
    for values in (np.array([1.5, -2.0, 0.25]), P.numpy().astype(np.float64)):
        answer = function(lambda b, values=values: values, says="values", name="r")(batch())
        assert answer.dtype == torch.float32 and np.allclose(answer.numpy(), values)


def test_answers_that_do_not_fit_are_refused_when_asked():
    for answer, says, words in (
        (P[:2], "logits", "expected one row an example"),
        (P[:, 0], "logits", 'say says="values"'),
        (P * 2, "probabilities", "row 0 of the answer holds 1.6"),
        (P * 2, "binary_probabilities", "row 0 of the answer holds 1.6"),
    ):
        with pytest.raises(ValueError, match=words):
            function(lambda b, answer=answer: answer, says=says)(batch())
    with pytest.raises(TypeError, match="must hold numbers"):
        function(lambda b: ["a", "b", "c"])(batch())


def test_a_name_is_the_identity_and_without_one_a_function_is_as_nameless_as_before(tmp_path):
    def f(b):
        return b.inputs

    assert identity_of(function(f, name="a")) != identity_of(function(f, name="b"))
    assert function(f, name="a").identity != function(f, name="a", says="values").identity
    with pytest.raises(ValueError, match="has no identity"):
        cache(function(f), (torch.zeros(3, 4), None), tmp_path / "c", progress=False)
    assert repr(function(f)) == repr(function(f)) and "0x" not in repr(function(f))


def test_a_function_of_probabilities_is_recorded_as_logits():
    data = (torch.eye(3), None)
    recorded = record(function(lambda b: P[b.ids], says="probabilities", T=2.0), data)
    torch.testing.assert_close((recorded.logits / 2).softmax(-1), P)
    assert recorded.scored_at == 2.0 and recorded.says == "logits"


def test_what_a_frozen_model_returns_is_read_by_name():
    class Segments(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = nn.Conv2d(3, 5, 1)

        def forward(self, x):
            z = self.net(x)
            return {"out": z, "aux": z + 1}

    model, at = Segments(), Batch(torch.randn(2, 3, 4, 4), None, torch.arange(2))
    with pytest.raises(
        TypeError, match=r"dict with \['out', 'aux'\].*read=lambda out: out\['out'\]"
    ):
        freeze(model)(at)
    main, aux = (freeze(model, read=lambda out, k=k: out[k]) for k in ("out", "aux"))
    torch.testing.assert_close(main(at) + 1, aux(at))
    assert main.identity != aux.identity != freeze(model).identity
    with pytest.raises(TypeError, match="of which read= made a dict"):
        freeze(model, read=lambda out: out)(at)
    with pytest.raises(TypeError, match="read must be a function"):
        freeze(model, read="out")


def test_outputs_of_every_usual_form_are_read():
    from collections import UserDict
    from dataclasses import dataclass
    from typing import NamedTuple

    @dataclass
    class Data:
        logits: torch.Tensor
        loss: None = None

    class Named(NamedTuple):
        logits: torch.Tensor
        aux: None = None

    class Returns(nn.Module):
        def __init__(self, form):
            super().__init__()
            self.form = form

        def forward(self, x):
            return self.form(x)

    at = batch()
    forms = (lambda x: x, Data, Named, lambda x: {"logits": x}, lambda x: UserDict(logits=x))
    for form in forms:
        assert torch.equal(freeze(Returns(form))(at), at.inputs)
    for form, words in ((lambda x: (x, x), r"tuple of 2.*out\[0\]"), (lambda x: None, "NoneType")):
        with pytest.raises(TypeError, match=words):
            freeze(Returns(form))(at)


def test_a_teacher_in_half_precision_answers_a_student_in_any():
    torch.manual_seed(0)
    model = nn.Linear(4, 3)
    exact = model(torch.eye(4)).detach()
    for dtype in (torch.bfloat16, torch.float64, torch.float16):
        copy = nn.Linear(4, 3)
        copy.load_state_dict(model.state_dict())
        teacher = freeze(copy, dtype=dtype)
        for given in (torch.float32, torch.bfloat16, torch.float64):
            answer = teacher(Batch({"input": torch.eye(4, dtype=given)}, None, torch.arange(4)))
            assert answer.dtype == torch.float32 and copy.weight.dtype == dtype
            torch.testing.assert_close(answer, exact, rtol=0, atol=0.02)
    assert freeze(copy, dtype=torch.float16).identity != freeze(copy).identity
    with pytest.raises(TypeError, match="dtype must be a floating type"):
        freeze(copy, dtype=torch.int8)


def test_types_that_do_not_fit_name_the_teacher_and_the_way_out():
    with pytest.raises(TypeError, match=r"the teacher Linear .*dtype=torch\.float32"):
        freeze(nn.Linear(4, 2))(Batch(torch.zeros(3, 4).bfloat16(), None, torch.arange(3)))
    with pytest.raises(RuntimeError, match="mat1 and mat2"):  # another mistake keeps its words
        freeze(nn.Linear(4, 2))(Batch(torch.zeros(3, 5), None, torch.arange(3)))


def test_a_table_from_another_machine_or_with_a_mask():
    table = np.array([[0.9, 0.1], [0.2, 0.8]])
    for kind in (">f4", ">f8", "longdouble"):
        given = probabilities(table.astype(kind)).logits
        assert torch.allclose(given, torch.tensor(table).log().float())
    with pytest.raises(ValueError, match="P is a masked array"):
        probabilities(np.ma.masked_greater(table, 0.85))


@pytest.mark.parametrize("fails", [np.log1p, lambda x: x[:, 0], lambda x: x.sum(1)])
def test_a_function_of_arrays_that_is_given_a_batch_is_answered_with_the_way(fails):
    """An estimator's method, for example, fails in words of its own library, which say nothing."""
    at = batch()
    with pytest.raises((TypeError, ValueError, AttributeError)) as failed:
        function(fails, says="values")(at)
    assert any("takes='arrays' gives it the inputs" in note for note in failed.value.__notes__)
    with pytest.raises(ValueError, match="of its own") as other:
        function(lambda x: wrong(), takes="arrays")(at)
    assert not hasattr(other.value, "__notes__")


def wrong():
    raise ValueError("of its own")

"""Contenders in every form that people have: each answers as the plain module does."""

import copy
import warnings

import pytest
import torch
from torch import nn

from distill_lab import teachers
from distill_lab.evaluation import (
    compare,
    count_flops,
    count_parameters,
    measure_latency,
    measure_peak_memory,
    size_on_disk,
)
from distill_lab.evaluation.runnable import Runnable, unpadded
from distill_lab.models import MLP
from distill_lab.teachers import freeze

X = torch.randn(40, 6, generator=torch.Generator().manual_seed(0))
Y = X[:, :3].argmax(-1)
COLUMNS = ["accuracy", "agreement", "parameters", "size", "flops", "latency_p50"]
FAST = {"runs": 3, "warmup": 1}


@pytest.fixture
def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 64), nn.ReLU(), nn.Linear(64, 3))


def quantised(net):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.ao.quantization.quantize_dynamic(copy.deepcopy(net), {nn.Linear}, torch.qint8)


def onnx_session(net, folder, *, dynamic=True, name="net.onnx"):
    onnxruntime = pytest.importorskip("onnxruntime", reason="an extra of export")
    pytest.importorskip("onnx")
    weights = [p.detach() for p in net.parameters()]
    from onnx import TensorProto, helper, numpy_helper, save

    rows = "n" if dynamic else 4
    made = [numpy_helper.from_array(w.numpy(), f"w{i}") for i, w in enumerate(weights)]
    nodes = [
        helper.make_node("Gemm", ["x", "w0", "w1"], ["a"], transB=1),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Gemm", ["b", "w2", "w3"], ["logits"], transB=1),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [rows, 6])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [rows, 3])],
        made,
    )
    path = folder / name
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    save(model, path)
    return onnxruntime.InferenceSession(str(path)), path


def test_every_form_answers_as_the_plain_module_does(net, tmp_path):
    plain = net.state_dict()
    session, path = onnx_session(net, tmp_path)
    forms = {
        "module": net,
        "compiled": torch.compile(copy.deepcopy(net), backend="eager"),
        "scripted": torch.jit.trace(copy.deepcopy(net).eval(), X[:2]),
        "exported": torch.export.export(
            copy.deepcopy(net).eval(), (X[:4],), dynamic_shapes=({0: torch.export.Dim("n")},)
        ),
        "exported, four": torch.export.export(copy.deepcopy(net).eval(), (X[:4],)),
        "exported module": torch.export.export(
            copy.deepcopy(net).eval(), (X[:4],), dynamic_shapes=({0: torch.export.Dim("n")},)
        ).module(),
        "exported module, four": torch.export.export(copy.deepcopy(net).eval(), (X[:4],)).module(),
        "onnx": session,
        "onnx, four": onnx_session(net, tmp_path, dynamic=False, name="four.onnx")[0],
        "frozen": freeze(copy.deepcopy(net)),
        "double": copy.deepcopy(net).double(),
        "bf16": copy.deepcopy(net).bfloat16(),
        "quantised": quantised(net),
        "function": lambda x: net.eval()(x),
        "of a batch": lambda batch: net.eval()(batch.inputs),
        "in numpy": lambda x: net.eval()(x).detach().numpy(),
        "recorded": net.eval()(X).detach(),
        "recorded in numpy": net.eval()(X).detach().numpy(),
    }
    report = compare(forms, (X, Y), teacher="module", columns=COLUMNS, **FAST)
    accuracy = report["module"].accuracy
    for name in forms:
        row = report[name]
        if name in ("bf16", "quantised"):
            assert row.agreement > 90
        else:
            assert (row.accuracy, row.agreement) == (accuracy, 100.0), name
    parameters = sum(p.numel() for p in plain.values())
    for name in ("compiled", "scripted", "exported", "frozen", "double", "bf16", "quantised"):
        assert report[name].parameters == parameters, name
    for name in ("module", "compiled", "exported", "double"):
        assert report[name].flops == report["module"].flops == count_flops(net, X), name
    assert report["onnx"].size_bytes == path.stat().st_size
    assert report["bf16"].size_bytes < 0.6 * report["module"].size_bytes
    assert report["quantised"].size_bytes < report["double"].size_bytes / 2
    timed = [name for name in forms if report[name].latency is not None]
    untimed = {f"{form}, four" for form in ("exported", "exported module", "onnx")}
    untimed |= {"of a batch", "recorded", "recorded in numpy"}
    assert set(timed) == set(forms) - untimed
    text = report.to_text()
    assert "none (ONNX session)" in text and "none (function)" in text
    assert "none (quantised)" in text and "none (takes 4 at once)" in text


def test_what_is_beside_an_onnx_file_counts(net, tmp_path):
    session, path = onnx_session(net, tmp_path)
    alone = size_on_disk(session)
    path.with_name("net.onnx.data").write_bytes(bytes(1000))
    assert size_on_disk(session) == alone + 1000
    path.with_name("net.onnx.data").unlink()
    import onnxruntime

    from_memory = onnxruntime.InferenceSession(path.read_bytes())
    with pytest.raises(ValueError, match="not read from a file"):
        size_on_disk(from_memory)
    report = compare({"a": from_memory}, (X, Y), columns=["accuracy", "size"])
    assert report["a"].size_bytes is None and "none (ONNX session)" in report.to_text()


def test_a_session_is_fed_by_name_and_in_its_own_type(net, tmp_path):
    session, _ = onnx_session(net, tmp_path)
    wanted = net.eval()(X).detach()
    data = {"x": X.double(), "more": X}, Y
    report = compare({"net": wanted, "onnx": session}, data, teacher="net", columns=["agreement"])
    assert report["onnx"].agreement == 100
    with pytest.raises(ValueError, match=r"wants inputs \['x'\]"):
        compare({"onnx": session}, ({"z": X}, Y))


def test_quantised_weights_are_counted_as_they_are(net):
    small = quantised(net)
    assert count_parameters(small) == count_parameters(net) == 6 * 64 + 64 + 64 * 3 + 3
    weights, biases = 6 * 64 + 64 * 3, 64 + 3
    assert weights + 4 * biases < size_on_disk(small) < weights + 4 * biases + 1200
    memory = measure_peak_memory(small, X[:2])
    assert memory.weights >= weights
    with pytest.raises(TypeError, match="quantised"):
        count_flops(small, X)


def test_a_network_that_casts_by_itself_gets_what_it_was_given(net):
    seen = []

    class Casting(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = copy.deepcopy(net).bfloat16()

        def forward(self, x):
            seen.append(x.dtype)
            return self.net(x.bfloat16())

    compare({"a": Casting()}, (X, Y), columns=["accuracy"])
    assert set(seen) == {torch.float32}


def test_latency_of_any_form_and_of_a_dict():
    class Named(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = nn.Linear(6, 3)

        def forward(self, ids, attention_mask=None):
            return self.net(ids)

    inputs = {"ids": X, "attention_mask": torch.ones(40, 6)}
    assert measure_latency(Named(), inputs, runs=2, warmup=0).batch == 40
    assert measure_latency(lambda x: x, X, runs=2, warmup=0).runs == 2
    assert count_flops(Named(), inputs) == 2 * 6 * 3
    assert measure_peak_memory(Named(), inputs).batch == 40


def test_padding_is_cut_where_every_row_has_it():
    ids = torch.tensor([[5, 6, 0, 0], [7, 0, 0, 0]])
    inputs = {"input_ids": ids, "attention_mask": (ids > 0).long(), "score": torch.ones(2)}
    cut = unpadded(inputs)
    assert cut["input_ids"].tolist() == [[5, 6], [7, 0]] and cut["attention_mask"].shape == (2, 2)
    assert cut["score"].shape == (2,) and unpadded(ids) is ids
    left = {"input_ids": ids.flip(1), "attention_mask": (ids > 0).long().flip(1)}
    assert unpadded(left)["input_ids"].tolist() == [[6, 5], [0, 7]]


def test_outputs_are_read_as_they_come_or_as_told(net):
    class Out(nn.Module):
        def __init__(self, form):
            super().__init__()
            self.net, self.form = copy.deepcopy(net), form

        def forward(self, x):
            return self.form(self.net(x))

    from types import SimpleNamespace

    forms = {
        "plain": net,
        "logits": Out(lambda z: SimpleNamespace(logits=z)),
        "dict": Out(lambda z: {"loss": z.sum(), "logits": z}),
        "one": Out(lambda z: {"out": z}),
    }
    report = compare(forms, (X, Y), teacher="plain", columns=["agreement"])
    assert all(report[name].agreement == 100 for name in forms)
    pair = {"plain": net, "pair": Out(lambda z: (z.sum(), z))}
    with pytest.raises(TypeError, match=r"'pair'.*read=lambda out"):
        compare(pair, (X, Y), columns=["accuracy"])
    read = {"pair": lambda out: out[1]}
    report = compare(pair, (X, Y), teacher="plain", read=read, columns=["agreement"])
    assert report["pair"].agreement == 100
    frozen = freeze(Out(lambda z: (z.sum(), z)), read=lambda out: out[1])
    report = compare(
        {"plain": net, "pair": frozen}, (X, Y), teacher="plain", columns=["agreement", "parameters"]
    )
    assert report["pair"].agreement == 100
    assert report["pair"].parameters == report["plain"].parameters


def test_teachers_from_elsewhere_are_contenders_too(net):
    logits = net.eval()(X).detach()
    forms = {
        "net": net,
        "table": teachers.probabilities(logits.softmax(-1)),
        "function": teachers.function(lambda b: net(b.inputs).detach().numpy(), name="net"),
        "recorded": teachers.record(freeze(copy.deepcopy(net)), (X, Y)),
        "ensemble": teachers.Ensemble([freeze(copy.deepcopy(net)), freeze(copy.deepcopy(net))]),
    }
    columns = [*COLUMNS, "peak_memory", "kl_to_teacher"]
    report = compare(forms, (X, Y), teacher="net", columns=columns, **FAST)
    for name in forms:
        assert report[name].agreement == 100, name
        assert report[name].kl_to_teacher == pytest.approx(0, abs=1e-6), name
    assert report["ensemble"].parameters == 2 * report["net"].parameters
    for name in ("table", "function", "recorded"):
        assert report[name].parameters is report[name].latency is None
    assert "none (Recorded)" in report.to_text() and "none (Ensemble)" in report.to_text()


BAD = [
    (lambda: Runnable("net"), TypeError, "expected a torch module"),
    (lambda: Runnable(MLP), TypeError, "expected a torch module"),
    (lambda: compare({"a": lambda x: x[:2]}, (X, Y)), ValueError, "'a': 40 inputs must give 40"),
    (lambda: compare({"a": lambda x: "no"}, (X, Y)), TypeError, "got str of a function"),
    (
        lambda: compare({"a": lambda x: x[:, :3].softmax(-1)}, (X, Y)),
        ValueError,
        "probabilities, where logits are expected",
    ),
]


@pytest.mark.parametrize(("call", "error", "sentence"), BAD)
def test_bad_input_gets_a_sentence(call, error, sentence):
    with pytest.raises(error, match=sentence):
        call()

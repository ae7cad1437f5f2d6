"""The same examples and networks in every form in which a user may have them."""

import copy
import io
import warnings
from functools import partial
from typing import Any

import datasets
import numpy as np
import torch
from tokenizers import Regex, Tokenizer, models, pre_tokenizers
from torch import Tensor, nn
from transformers import BatchEncoding, PreTrainedTokenizerFast

from distill_lab.data import Batch, Labelled, Texts
from distill_lab.methods import supervised
from distill_lab.seeds import distill_seeds
from distill_lab.teachers import freeze
from tests.evaluation.grid.axes import RECORDED, SEEDS
from tests.evaluation.grid.problems import END, LENGTH, Net, Problem, made
from tests.training.grid.covering import Case
from tests.training.grid.forms import Rows, padded, stacked


class Source:
    def __init__(self, inputs: Any, labels: Tensor | None, weights: Tensor | None) -> None:
        self.parts = inputs, labels, weights

    def __len__(self) -> int:
        inputs = self.parts[0]
        return len(next(iter(inputs.values())) if isinstance(inputs, dict) else inputs)

    def batch(self, index: Tensor) -> Batch:
        inputs, labels, weights = self.parts
        rows = (
            {k: v[index] for k, v in inputs.items()} if isinstance(inputs, dict) else inputs[index]
        )
        taken = (None if part is None else part[index] for part in (labels, weights))
        return Batch(rows, next(taken), index, next(taken))


def as_given(case: Case, problem: Problem) -> tuple[Any, dict[str, Any]]:
    """The data as the case has them, and what `compare` is told beside them."""
    form, inputs, labels, weights = case["form"], problem.inputs, problem.labels, problem.weights
    alone: Any = inputs["x"] if set(inputs) == {"x"} and form != "collate" else dict(inputs)
    named = {"labels": labels, "weights": weights}
    by_name = inputs | {name: part for name, part in named.items() if part is not None}
    count = case["examples"]
    if form == "dict":
        return by_name, {}
    if form == "lists":
        return [{n: c[i].tolist() for n, c in by_name.items()} for i in range(count)], {}
    if form == "hf":
        return datasets.Dataset.from_dict({n: c.tolist() for n, c in by_name.items()}), {}
    if form == "collate":
        return Rows([{n: c[i] for n, c in by_name.items()} for i in range(count)]), {
            "collate": stacked
        }
    if form == "ragged":
        lengths = problem.lengths.tolist()
        rows = [
            {n: c[i, :m].tolist() if c.dim() > 1 else c[i] for n, c in by_name.items()}
            for i, m in enumerate(lengths)
        ]
        return Rows(rows), {"collate": partial(padded, soft=False)}
    if form == "labelled":
        words = [
            _words(row[:m]) for row, m in zip(inputs["input_ids"], problem.lengths, strict=True)
        ]
        texts = words if case["answer"] == "tags" else ["".join(each) for each in words]
        own: Any = labels
        if case["answer"] == "tags":
            own = [row[:m].tolist() for row, m in zip(labels, problem.lengths, strict=True)]
        return Labelled(texts, own, letters(), weights=weights), {}
    if form == "texts":
        learned = (labels != -100).long().argmax(1)
        rows = [
            {"prompt": "".join(_words(row[:k])), "answer": "".join(_words(row[k : m - 1]))}
            for row, k, m in zip(inputs["input_ids"], learned, problem.lengths, strict=True)
        ]
        return Texts(rows, letters()), {}
    if form == "source":
        return Source(alone, labels, weights), {}
    parts: tuple[Any, ...] = (alone, labels) if weights is None else (alone, labels, weights)
    if form == "rows":
        return Rows(
            [
                tuple(
                    {n: c[i] for n, c in p.items()} if isinstance(p, dict) else p[i] for p in parts
                )
                for i in range(count)
            ]
        ), {}
    if form == "encoding":
        return (BatchEncoding(inputs), *parts[1:]), {}
    if form in ("numpy", "stacked numpy"):
        return tuple(None if p is None else p.numpy() for p in parts), {}
    return parts, {}


def _words(ids: Tensor) -> list[str]:
    return [chr(96 + i) for i in ids.tolist()]


def letters() -> Any:
    """A tokenizer to which each letter is a token: a is 1."""
    words = {"<pad>": 0} | {chr(96 + i): i for i in range(1, END + 1)}
    fast = Tokenizer(models.WordLevel(words, "<pad>"))
    fast.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    return PreTrainedTokenizerFast(
        tokenizer_object=fast, pad_token="<pad>", eos_token=chr(96 + END), model_max_length=LENGTH
    )


def seeds_of(case: Case, number: int = 0) -> list[Net]:
    """The networks of the model that is looked at, one a seed."""
    output, model = case["output"], case["model"]
    inside = "in place" if model == "in place" else ""
    many = SEEDS if model in ("seeds", "recorded seeds") else 1
    return [made(case["answer"], 100 + 10 * number + i, output, inside) for i in range(many)]


def teachers_of(case: Case) -> list[Net]:
    """The teacher's networks; embeddings of its own are wider."""
    wide = 2 if case["answer"] == "embeddings" and case["teacher"] == "own" else 0
    many = SEEDS if case["teacher"] == "seeds" else int(case["teacher"] is not None)
    return [made(case["answer"], 200 + i, wide=wide) for i in range(many)]


def asked(network: Any, inputs: dict[str, Tensor]) -> Tensor:
    """What a network says to all examples at once: the answer of the plain module."""
    with torch.no_grad():
        mode, _ = network.training, network.eval()
        given = {name: part.clone() for name, part in inputs.items()}
        answer = network(**given)
        network.train(mode)
    answer = answer["logits"] if isinstance(answer, dict) else answer
    answer = answer[1] if isinstance(answer, tuple) else answer
    return answer.detach().clone()


def contender(case: Case, problem: Problem, data: Any) -> tuple[Any, list[Tensor]]:
    """The model in the form of the case, and what it says to all examples, of each seed."""
    form, nets, inputs = case["model"], seeds_of(case), problem.inputs
    if form == "runs":
        runs = distill_seeds(
            *(lambda seed: made("classes", 100 + seed), data),
            seeds=range(SEEDS),
            method=supervised(),
            steps=1,
            progress=False,
        )
        return runs, [asked(runs.model(i), inputs) for i in range(SEEDS)]
    if form == "int8":
        net = nets[0].float()
        net.own = torch.float32
        with warnings.catch_warnings(action="ignore"):
            small = torch.ao.quantization.quantize_dynamic(net, {nn.Linear}, torch.qint8)
        return small, [asked(small, dict(inputs.items()))]
    if case["form"].startswith("stacked"):
        each = nets if len(nets) > 1 else nets * SEEDS
        answers = [asked(net, {"x": x}) for net, x in zip(each, inputs["x"], strict=True)]
        return (nets if len(nets) > 1 else nets[0]), answers
    answers = [asked(net, inputs) for net in nets]
    if form in RECORDED:
        kept = torch.stack(answers) if form == "recorded seeds" else answers[0]
        kept = kept.half() if form == "recorded half" else kept
        answers = list(kept) if form == "recorded seeds" else [kept]
        return (kept.float().numpy() if kept.dtype == torch.bfloat16 else kept.numpy()) if (
            form == "recorded numpy"
        ) else kept, answers
    if form == "onnx":
        return session(case, nets[0]), [z.float() for z in answers]
    return _live(case, nets, problem), answers


def _live(case: Case, nets: list[Net], problem: Problem) -> Any:
    net, form = nets[0], case["model"]

    def called(inputs: Any) -> Any:
        mode, _ = net.training, net.eval()
        answer = net(**inputs) if isinstance(inputs, dict | BatchEncoding) else net(inputs)
        net.train(mode)
        return answer

    if form == "seeds":
        return nets
    if form == "frozen":
        return freeze(net, read=(lambda out: out[1]) if case["output"] == "read" else None)
    if form == "function":
        return called
    if form == "of a batch":
        return lambda batch: called(batch.inputs)
    if form == "compiled":
        torch._dynamo.reset()
        return torch.compile(net, backend="eager", dynamic=True)
    if form == "exported":
        some = problem.inputs["x"]
        some = torch.cat([some] * 4)[:4]
        rows = torch.export.Dim("n", min=1)
        return torch.export.export(copy.deepcopy(net).eval(), (some,), dynamic_shapes=({0: rows},))
    if form == "one buffer":
        held: dict[int, Tensor] = {}

        def written(inputs: Any) -> Tensor:  # as what was compiled for one batch after another
            scores = called(inputs)
            buffer = held.setdefault(0, torch.zeros(1024, *scores.shape[1:], dtype=scores.dtype))
            rows = buffer[: len(scores), ..., : scores.shape[-1]] if scores.dim() > 2 else None
            rows = buffer[: len(scores)] if rows is None else rows
            if rows.shape != scores.shape:
                return scores  # narrower texts
            return rows.copy_(scores)

        return written
    return net


def session(case: Case, net: Net) -> Any:
    """An ONNX session of the network's one layer."""
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper, save

    weight, bias = (p.detach().float().numpy() for p in net.head.parameters())
    axes = ["n"] if case["answer"] in ("yes", "number", "order") else ["n", len(weight)]
    made_of = [numpy_helper.from_array(weight, "w"), numpy_helper.from_array(bias, "b")]
    nodes = [helper.make_node("Gemm", ["x", "w", "b"], ["a"], transB=1)]
    if len(axes) == 1:
        made_of.append(numpy_helper.from_array(np.array([1]), "axis"))
        nodes.append(helper.make_node("Squeeze", ["a", "axis"], ["logits"]))
    else:
        nodes.append(helper.make_node("Identity", ["a"], ["logits"]))
    output = helper.make_tensor_value_info("logits", TensorProto.FLOAT, axes)
    reads = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 5])
    graph = helper.make_graph(nodes, "net", [reads], [output], made_of)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    file = io.BytesIO()
    save(model, file)
    return onnxruntime.InferenceSession(file.getvalue())

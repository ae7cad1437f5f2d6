"""Data in every form that people have: trained on, cached, recorded and known again."""

from collections import UserDict
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pandas
import pytest
import scipy.sparse
import torch
from torch import Tensor, nn
from torch.utils.data import (
    ChainDataset,
    DataLoader,
    Dataset,
    IterableDataset,
    Subset,
    TensorDataset,
)

from distill_lab import methods
from distill_lab._util.tensors import leaves
from distill_lab.data import Batch, Buffered, DatasetSource, as_data
from distill_lab.data.datasets import PictureFolder
from distill_lab.methods import Method
from distill_lab.teachers import cache, freeze, record
from distill_lab.training import distill

N, WORDS, CLASSES = 12, 20, 3
GENERATOR = torch.Generator().manual_seed(0)
LENGTHS = [2 + i % 4 for i in range(N)]
TEXTS = [torch.randint(1, WORDS, (n,), generator=GENERATOR) for n in LENGTHS]
IDS = nn.utils.rnn.pad_sequence(TEXTS, batch_first=True)
MASK = (torch.arange(IDS.shape[1]) < torch.tensor(LENGTHS)[:, None]).long()
Y = torch.arange(N) % CLASSES
X = torch.arange(8.0).view(4, 2)
COLUMNS = {"input_ids": IDS, "attention_mask": MASK}


class Both(NamedTuple):
    first: Any
    second: Any


class Reader(nn.Module):
    """The mean of the real tokens' embeddings, read by name as those of Hugging Face are."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.embedding, self.head = nn.Embedding(WORDS, 8), nn.Linear(8, CLASSES)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        real = attention_mask[..., None].float()
        return self.head((self.embedding(input_ids) * real).sum(1) / real.sum(1))


def padded(rows: list[Any]) -> Any:
    """Collate rows of tokens and a label, as DataCollatorWithPadding does."""
    tokens = [torch.as_tensor(row["input_ids"]) for row in rows]
    ids = nn.utils.rnn.pad_sequence(tokens, batch_first=True)
    mask = (torch.arange(ids.shape[1]) < torch.tensor([len(t) for t in tokens])[:, None]).long()
    name = "label" if "label" in rows[0] else "labels"
    labels = {"labels": torch.tensor([int(row[name]) for row in rows])} if name in rows[0] else {}
    return UserDict({"input_ids": ids, "attention_mask": mask, **labels})


class Texts(Dataset[Any]):
    """Rows of different lengths, as mappings."""

    def __len__(self) -> int:
        return N

    def __getitem__(self, i: int) -> dict[str, Any]:
        return {"input_ids": TEXTS[i].tolist(), "label": int(Y[i])}


class Pairs(Dataset[Any]):
    """A mapping that is no dict, and a label; with weights a triple."""

    def __init__(self, weights: list[float] | None = None) -> None:
        self.weights = weights

    def __len__(self) -> int:
        return N

    def __getitem__(self, i: int) -> Any:
        row = UserDict({name: column[i].numpy() for name, column in COLUMNS.items()})
        return (row, Y[i]) if self.weights is None else (row, Y[i], self.weights[i])


def hub(**columns: Any) -> Any:
    datasets = pytest.importorskip("datasets")
    return datasets.Dataset.from_dict(columns)


def tokens() -> Any:
    return hub(input_ids=[t.tolist() for t in TEXTS], label=Y.tolist())


def encoding() -> Any:
    return pytest.importorskip("transformers").BatchEncoding(COLUMNS)


ARRAYS = {name: column.numpy() for name, column in COLUMNS.items()}
LISTS = {name: column.tolist() for name, column in COLUMNS.items()}
ROWS = [{name: column[i] for name, column in COLUMNS.items()} | {"label": Y[i]} for i in range(N)]
FORMS: dict[str, Any] = {
    "a dict and labels": lambda: ((COLUMNS, Y), {}),
    "a mapping that is no dict": lambda: ((UserDict(COLUMNS), Y), {}),
    "a BatchEncoding": lambda: ((encoding(), Y.tolist()), {}),
    "a BatchEncoding with its labels": lambda: (encoding() | {"labels": Y}, {}),
    "a dict with its labels": lambda: (COLUMNS | {"label": Y}, {}),
    "arrays": lambda: ((ARRAYS, Y.numpy()), {}),
    "small arrays": lambda: (({n: a.astype("int32") for n, a in ARRAYS.items()}, ARRAYS_Y), {}),
    "lists": lambda: (LISTS | {"labels": Y.tolist()}, {}),
    "rows in a list": lambda: (ROWS, {}),
    "pairs": lambda: (Pairs(), {}),
    "triples": lambda: (Pairs([1.0] * N), {}),
    "rows of different lengths": lambda: (Texts(), {"collate": padded}),
    "columns of different lengths": lambda: (
        ({"input_ids": [t.tolist() for t in TEXTS]}, Y),
        {"collate": padded},
    ),
    "a stream": lambda: (Buffered(iter(ROWS), examples=N), {}),
    "a Hugging Face data set": lambda: (tokens(), {"collate": padded}),
    "one of tensors": lambda: (tokens().with_format("torch"), {"collate": padded}),
    "one that is padded": lambda: (hub(**LISTS, label=Y.tolist()), {}),
    "one padded, of arrays": lambda: (hub(**LISTS, label=Y.tolist()).with_format("numpy"), {}),
    "one read by workers": lambda: (tokens(), {"collate": padded, "workers": 2}),
}
ARRAYS_Y = Y.numpy().astype("uint8")
SETTINGS: dict[str, Any] = {"batch_size": 5, "lr": 0.05, "progress": False}
ROUNDED = {"rtol": 1e-3, "atol": 1e-4}  # padded to their batch, texts are summed up otherwise
METHOD = methods.kd(alpha=0.5)


def bits(model: nn.Module) -> Tensor:
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def trained(data: Any, epochs: int = 2, **options: Any) -> Tensor:
    student = Reader(1)
    distill(student, data, method=METHOD, epochs=epochs, **SETTINGS, **options)
    return bits(student)


@pytest.fixture(scope="module")
def teacher() -> Any:
    return freeze(Reader(0))


@pytest.fixture(scope="module")
def expected(teacher: Any) -> Tensor:
    return trained((COLUMNS, Y), teacher=teacher)


@pytest.mark.parametrize("form", FORMS)
def test_every_form_trains_the_same_student(form, teacher, expected):
    data, options = FORMS[form]()
    torch.testing.assert_close(trained(data, teacher=teacher, **options), expected, **ROUNDED)


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_cached_recorded_and_resumed(form, teacher, expected, tmp_path):
    data, options = FORMS[form]()
    cached = cache(teacher, data, tmp_path / "cache", batch_size=4, progress=False, **options)
    recorded = record(teacher, data, batch_size=5, **options)
    for answer in (cached, recorded):
        torch.testing.assert_close(trained(data, teacher=answer, **options), expected, **ROUNDED)
    straight = trained(data, teacher=teacher, **options)
    path = {"checkpoint": tmp_path / "run", "checkpoint_every": 2}
    trained(data, 1, teacher=teacher, **path, **options)
    assert torch.equal(trained(FORMS[form]()[0], teacher=teacher, **path, **options), straight)
    other = {"labels": (Y + 1) % CLASSES, **COLUMNS}
    with pytest.raises(ValueError, match="belongs to another run"):
        trained(other, 3, teacher=teacher, **path)


def test_a_label_is_no_input_and_an_input_no_label():
    batch = as_data(COLUMNS | {"labels": Y}).batch(torch.arange(4))
    assert sorted(batch.inputs) == ["attention_mask", "input_ids"]
    assert torch.equal(batch.labels, Y[:4]) and batch.weights is None
    batch = as_data(hub(x=[[0.5], [1.5]], score=[3, 4])).batch(torch.tensor([1]))
    assert batch.labels is None and batch.inputs["score"].tolist() == [4]


@pytest.mark.parametrize(
    ("labels", "dtype"),
    [
        ([0, 1, 2, 1], torch.int64),
        (np.array([0, 1, 2, 1], dtype="uint8"), torch.int64),
        ((0, 1, 2, 1), torch.int64),
        ([[1.0, 0.0]] * 4, torch.float32),
        (np.ones((4, 2)), torch.float32),
        ([0.5, 1.5, 2.5, 3.5], torch.float32),
        (torch.ones(4, 2, 2, dtype=torch.uint8), torch.uint8),
        (torch.ones(4, dtype=torch.float64), torch.float64),
    ],
)
def test_labels_of_any_kind(labels, dtype):
    batch = as_data((np.zeros((4, 2)), labels)).batch(torch.tensor([2, 0]))
    assert batch.labels.dtype == dtype and batch.inputs.dtype == torch.float32
    assert batch.labels.tolist() == np.asarray(labels)[[2, 0]].tolist()


def test_pictures_stay_bytes_and_arrays_that_torch_cannot_share_are_copied():
    pictures = np.arange(24, dtype=np.uint8).reshape(4, 6)
    assert as_data((pictures, None)).batch(torch.tensor([1])).inputs.dtype == torch.uint8
    frozen = pictures[::-1]
    frozen.flags.writeable = False
    assert as_data((frozen, None)).batch(torch.tensor([0])).inputs.tolist() == [
        pictures[3].tolist()
    ]


def test_inputs_may_be_several_and_lie_deep():
    inputs = {"pair": (torch.arange(4.0), torch.arange(4.0) + 10), "one": [5, 6, 7, 8]}
    batch = as_data((inputs, None)).batch(torch.tensor([3, 1]))
    assert batch.inputs["pair"][1].tolist() == [13.0, 11.0] and batch.inputs["one"].tolist() == [
        8,
        6,
    ]
    moved = batch.to(torch.device("meta"))
    assert moved.inputs["pair"][0].is_meta and moved.inputs["one"].is_meta


@pytest.mark.parametrize(
    "form",
    [
        lambda x: UserDict(x=x),
        lambda x: MappingProxyType({"x": x}),
        lambda x: UserDict(text=UserDict(x=x), other=(x, {"y": x})),
        lambda x: (MappingProxyType({"x": x}), [x]),
        lambda x: Both(x, UserDict(x=x)),
    ],
    ids=["a mapping", "a view of one", "one in another", "one in a tuple", "one in a named tuple"],
)
def test_a_mapping_of_any_kind_is_moved(form):
    weights = torch.ones(2)
    batch = Batch(form(torch.ones(2)), torch.ones(2), torch.arange(2), weights)
    for device in (torch.device("meta"), "meta"):
        moved = batch.to(device)
        assert moved.weights is not None and moved.weights.is_meta
        parts = leaves("", moved.inputs)
        assert all(part.is_meta for _, part in parts) and moved.labels.is_meta
        assert [name for name, _ in parts] == [name for name, _ in leaves("", batch.inputs)]
        assert not moved.ids.is_meta


def unweighted(rows: list[Any]) -> Any:
    return {name: part for name, part in padded(rows).items() if name != "weights"}


def test_weights_reach_the_method_with_their_examples():
    weights, seen = torch.rand(N), []

    def terms(batch: Any, student: Any, teacher: Any) -> Any:
        seen.append((batch.ids, batch.weights))
        return {"x": student(**batch.inputs).mean()}

    forms = {
        "columns": ((COLUMNS, Y, weights), {}),
        "a mapping": (COLUMNS | {"labels": Y, "weights": weights}, {}),
        "a float64 array": (COLUMNS | {"label": Y, "weight": weights.double().numpy()}, {}),
        "triples": (Pairs(weights.tolist()), {}),
        "collated": (
            ({"input_ids": TEXTS}, Y, weights),
            {"collate": lambda rows: padded(rows) | {"weights": [r["weights"] for r in rows]}},
        ),
        "collated without": (({"input_ids": TEXTS}, Y, weights.tolist()), {"collate": unweighted}),
        "collated ahead": (
            {"input_ids": TEXTS, "label": Y, "weight": weights.numpy()},
            {"collate": unweighted, "workers": 2},
        ),
        "pieces": ((COLUMNS, Y, weights), {"accumulate": 3}),
        "ahead": (Pairs(weights.tolist()), {"workers": 2}),
    }
    for name, (data, options) in forms.items():
        seen.clear()
        method = Method("weighted", terms, {"x": 1.0}, needs_teacher=False)
        distill(Reader(), data, method=method, epochs=1, **SETTINGS, **options)
        assert len(seen) >= 3
        for ids, part in seen:
            assert part is not None, name
            torch.testing.assert_close(part, weights[ids], msg=name)


def test_a_dataset_of_hugging_face_is_no_source():
    """It has a method `batch` of its own, which takes a size; a source's takes numbers."""
    assert isinstance(as_data(hub(x=[1.0, 2.0], label=[0, 1])), DatasetSource)


class Stream(IterableDataset):
    """A stream that says how long it is, as those of webdataset do."""

    def __iter__(self):
        yield from ROWS

    def __len__(self):
        return N


def hugging_face():
    return pytest.importorskip("datasets").Dataset.from_dict({"input": IDS.tolist(), "label": Y})


def table():
    """A structured array, as numpy.genfromtxt(names=True) reads a file."""
    rows = np.zeros(N, dtype=[("a", "f4"), ("b", "f8"), ("label", "i4")])
    rows["a"], rows["b"], rows["label"] = IDS[:, 0], IDS[:, 1], Y
    return rows


@pytest.mark.parametrize("kind", [np.asarray, lambda rows: rows.view(np.recarray)])
def test_a_structured_array_is_its_columns(kind):
    batch = as_data(kind(table())).batch(torch.tensor([3, 1]))
    assert sorted(batch.inputs) == ["a", "b"] and batch.labels.tolist() == [0, 1]
    assert torch.equal(batch.inputs["b"], IDS[[3, 1], 1].float())


@pytest.mark.parametrize("names", [("input", "target"), ("image", "mask", "y")])
def test_a_mapping_for_a_network_of_one_argument_says_how_to_name_it(names):
    data = dict.fromkeys(names, X)
    with pytest.raises(TypeError, match=r"reads one argument.*call that column 'input'.*'labels'"):
        distill(nn.Sequential(nn.Linear(2, 3)), data, method=methods.supervised(), progress=False)
    with pytest.raises(TypeError, match="those names, and labels the name 'labels'"):
        distill(nn.Linear(2, 3), data, method=methods.supervised(), progress=False)


REFUSED: list[tuple[str, Any, type[Exception], str]] = [
    ("texts", lambda: (["a", "b"], [0, 1]), ValueError, r"pass tokenizer\(texts.*or Labelled"),
    ("text labels", lambda: (np.zeros((2, 3)), ["a", "b"]), ValueError, r"names\.index\(label\)"),
    ("ragged", lambda: ([[1, 2], [3]], [0, 1]), ValueError, "collate=DataCollatorWithPadding"),
    ("ragged", lambda: ([torch.ones(2), torch.ones(3)], None), ValueError, "collate=.*Labelled"),
    ("other lengths", lambda: ({"a": [1, 2], "b": [1]}, None), ValueError, "one row an example"),
    ("labels twice", lambda: COLUMNS | {"label": Y, "labels": Y}, ValueError, "labels and label"),
    ("an answer read", lambda: (COLUMNS | {"labels": Y}, Y), ValueError, "would read its answers"),
    ("no inputs", lambda: {"labels": Y}, ValueError, "no inputs"),
    ("objects", lambda: ([object()], None), TypeError, "expected tensors, arrays or numbers"),
    ("a scalar", lambda: (torch.tensor(1.0), None), ValueError, "one row an example"),
    ("splits", lambda: {"train": tokens()}, TypeError, r"data\['train'\]"),
    ("a loader", lambda: DataLoader(Texts()), TypeError, "collate=loader.collate_fn"),
    ("a stream", lambda: iter(ROWS), TypeError, r"Buffered\(stream, examples=10_000\)"),
    ("a stream with a length", lambda: Stream(), TypeError, r"Buffered\(stream"),
    ("streams in a chain", lambda: ChainDataset([Stream()]), TypeError, r"Buffered\(stream"),
    ("arrow", lambda: hugging_face().with_format("arrow"), TypeError, r"with_format\('torch'\)"),
    ("a sparse table", lambda: (scipy.sparse.csr_array(IDS), Y), TypeError, r"toarray\(\)"),
    ("sparse in a dict", lambda: {"x": scipy.sparse.coo_matrix(IDS)}, TypeError, r"toarray\(\)"),
    ("fields", lambda: (table()[["a", "b"]], Y), ValueError, "the fields a, b.*unstructured"),
    ("weights", lambda: (COLUMNS, Y, Y), ValueError, "what each example weighs"),
    ("weights", lambda: (COLUMNS, Y, -torch.ones(N)), ValueError, "at least 0"),
    ("weights", lambda: (COLUMNS, Y, [float("nan")] * N), ValueError, "finite"),
    ("large", lambda: (COLUMNS, [2**70] * N), ValueError, "more than int64 can"),
    ("large array", lambda: (np.full((N, 2), 2**63, np.uint64), Y), ValueError, "more than int64"),
    (
        "large tensor",
        lambda: (torch.from_numpy(np.full((N, 2), 2**63, np.uint64)), Y),
        ValueError,
        "inputs holds 9223372036854775808, more than int64 can",
    ),
    (
        "twice",
        lambda: (pandas.DataFrame(np.zeros((N, 3)), columns=["a", "b", "a"]), Y),
        ValueError,
        "column 'a' twice",
    ),
]


@pytest.mark.parametrize(("name", "data", "error", "words"), REFUSED, ids=[r[0] for r in REFUSED])
def test_what_cannot_be_read_is_refused_in_words(name, data, error, words):
    with pytest.raises(error, match=words):
        as_data(data())


@pytest.mark.parametrize(
    ("rows", "options", "words"),
    [
        (Texts(), {}, "collate=DataCollatorWithPadding"),
        ([{"x": 1.0, "text": "a"}] * 3, {}, "remove_columns"),
        ([{"x": 1.0, "text": "a"}] * 3, {"collate": torch.tensor}, r"remove_columns\(\['text'\]\)"),
        ([{"x": 1.0}, {"y": 1.0}], {}, "different names"),
        ([(1.0, 0), (1.0, None)], {}, "-100 marks an example without a label"),
        ([(1.0, "cat"), (1.0, "dog")], {}, "labels are text"),
        (TensorDataset(IDS, MASK, Y), {}, r"\(\(x, mask\), labels\)"),
        ([3, 4], {}, r"pairs \(input, label\) or mappings; this one yielded int"),
        (ROWS, {"collate": lambda rows: torch.ones(1, 2)}, "every example keeps its number"),
    ],
)
def test_rows_that_make_no_batch_are_refused_in_words(rows, options, words):
    with pytest.raises((ValueError, TypeError), match=words):
        as_data(rows, **options).batch(torch.arange(2))


def test_rows_with_weights_say_so_to_their_collate():
    """Rows of one's own are read by collate= alone: what it drops may be no weight of examples."""

    def batch(collate: Any) -> Batch:
        rows = [{"x": 1.0, "labels": 0, "weight": w} for w in (100.0, 0.0)]
        return as_data(rows, collate).batch(torch.tensor([1, 0]))

    def columns(rows: list[Any], **more: Any) -> Any:
        return {name: torch.tensor([r[name] for r in rows]) for name in ("x", "labels")} | more

    with pytest.raises(ValueError, match="the rows have weights and collate= hands none on"):
        batch(columns)
    assert batch(lambda rows: columns(rows, weights=None)).weights is None
    handed = batch(lambda rows: columns(rows, weights=[row["weight"] for row in rows]))
    assert handed.weights is not None and handed.weights.tolist() == [0.0, 100.0]
    with pytest.raises(ValueError, match="8 inputs but 9 weights"):
        as_data(({"x": [1.0] * 8}, [0] * 8, [1.0] * 9), columns)


def test_numbers_in_an_array_of_objects_are_read():
    assert as_data((X, np.array([0, 1, 2, 1], object))).batch(torch.arange(3)).labels.tolist() == [
        0,
        1,
        2,
    ]
    with pytest.raises(ValueError, match=r"numbers and text .first: example 2, 'a'"):
        as_data((X, np.array([0, 1, "a", 1], object)))


class Bare:
    """A source that returns a pair in place of a batch."""

    def __len__(self) -> int:
        return 4

    def batch(self, index: Tensor) -> Any:
        return X[index], Y[index]


def test_a_source_that_returns_no_batch_is_named():
    source: Any = Bare()
    for call in (
        lambda: distill(nn.Linear(2, 3), source, epochs=1, **SETTINGS),
        lambda: record(freeze(nn.Linear(2, 3)), source),
        lambda: as_data(source, workers=1).batch(torch.arange(2)),
    ):
        with pytest.raises(TypeError, match=r"source Bare must return a Batch .* returned tuple"):
            call()


def test_collate_is_for_rows():
    with pytest.raises(TypeError, match="makes its batches itself"):
        as_data(DatasetSource(Texts(), padded), collate=padded)
    with pytest.raises(TypeError, match="collate must be a function"):
        as_data(Texts(), collate="pad")
    with pytest.raises(ValueError, match="workers must be a whole number"):
        as_data(Texts(), workers=-1)


def test_a_collate_that_draws_draws_the_same_with_workers_or_without():
    def noisy(rows: list[Any]) -> Any:
        batch = padded(rows)
        shifted = (batch["input_ids"] + torch.randint(0, 2, (1,))) % WORDS
        return {**batch, "input_ids": shifted}

    plain, ahead = (
        trained(Texts(), collate=noisy, workers=n, teacher=freeze(Reader(0))) for n in (0, 2)
    )
    assert torch.equal(plain, ahead)
    assert not torch.equal(plain, trained(Texts(), collate=padded, teacher=freeze(Reader(0))))


def test_a_source_of_ones_own_is_read_ahead():
    source = as_data((COLUMNS, Y))
    assert torch.equal(
        trained(source, workers=2, teacher=freeze(Reader(0))),
        trained(source, teacher=freeze(Reader(0))),
    )


def test_other_weights_under_a_checkpoint_are_refused(tmp_path):
    path, teacher = {"checkpoint": tmp_path / "run"}, freeze(Reader(0))
    trained((COLUMNS, Y, torch.ones(N)), teacher=teacher, **path)
    for other in ((COLUMNS, Y, torch.arange(N) + 1.0), (COLUMNS, Y)):
        with pytest.raises(ValueError, match=r"belongs to another run.*data"):
            trained(other, 3, teacher=teacher, **path)


@pytest.mark.parametrize("rows", [False, True])
def test_what_a_mask_hides_is_not_read(rows):
    """A masked array loses its mask in torch, and what it hides would be learned."""
    hidden = np.ma.masked_greater(np.arange(6.0).reshape(3, 2), 4)
    with pytest.raises(ValueError, match=r"masked array.*array.filled"):
        as_data((list(hidden) if rows else hidden, np.arange(3)))
    with pytest.raises(ValueError, match="labels is a masked array"):
        as_data((np.zeros((3, 2)), np.ma.masked_equal(np.arange(3), 1)))
    full = np.ma.masked_greater(np.arange(6.0).reshape(3, 2), 9)  # masks nothing
    assert as_data((full, np.arange(3))).batch(torch.arange(3)).inputs.tolist() == full.tolist()


@pytest.mark.parametrize("kind", [">f4", ">f8", "longdouble", "<f4"])
@pytest.mark.parametrize("rows", [False, True])
def test_numbers_of_other_machines_are_read(kind, rows):
    numbers = np.arange(6.0).reshape(3, 2).astype(kind)
    labels = np.arange(3).astype(">i8")
    batch = as_data((list(numbers) if rows else numbers, labels)).batch(torch.arange(3))
    assert batch.inputs.dtype == torch.float32 and batch.inputs.tolist() == numbers.tolist()
    assert batch.labels.tolist() == [0, 1, 2]


def test_a_frame_is_its_numbers_and_a_column_without_is_named():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"x": [1.0, 2.0], "yes": [True, False], "city": ["a", "b"]})
    labels = pandas.Series([0, 1])
    batch = as_data((frame[["x", "yes"]], labels)).batch(torch.tensor([1, 0]))
    assert batch.inputs.tolist() == [[2.0, 0.0], [1.0, 1.0]] and batch.labels.tolist() == [1, 0]
    coded = frame.assign(city=frame["city"].astype("category"))
    for held in (frame, coded, frame[["city"]]):
        with pytest.raises(ValueError, match=r"inputs is a DataFrame, and 'city' holds no numbers"):
            as_data((held, labels))
    with pytest.raises(ValueError, match=r"inputs\[:, 2\] holds text \(first: 'a'\)"):
        as_data((frame.to_numpy(), labels))
    with pytest.raises(ValueError, match=r"inputs\['city'\] holds text"):
        as_data((dict(frame), labels))
    with pytest.raises(ValueError, match="the labels are text"):
        as_data((frame[["x"]], frame["city"]))
    with pytest.raises(TypeError, match=r"pass \(frame\[names\], frame\['label'\]\)"):
        as_data(frame)


def test_columns_of_pandas_in_another_order_are_refused():
    pandas = pytest.importorskip("pandas")
    x = pandas.DataFrame({"a": np.arange(4.0), "b": np.ones(4)}, index=[3, 7, 5, 9])
    y = pandas.Series([0, 1, 2, 0], index=[3, 7, 5, 9])
    assert as_data((x, y)).batch(torch.arange(4)).labels.tolist() == [0, 1, 2, 0]
    assert len(as_data((x, y.reset_index(drop=True)))) == 4  # another index says nothing
    for data in ((x, y.sort_index()), (x["a"], y.sort_index()), (x, y, y.sort_index() + 1.0)):
        with pytest.raises(ValueError, match=r"in another order.*\.loc\[inputs\.index\]"):
            as_data(data)


@pytest.mark.parametrize(
    ("data", "error", "words"),
    [
        ((X, [0, None, 1, 2]), ValueError, "labels hold None, first in row 1: a class -100"),
        ((X, np.array([0, 1, 2, None], dtype=object)), ValueError, "first in row 3"),
        ((X, [0.5, None, 1.0, 2.0]), ValueError, "NaN a number that is not known"),
        (lambda: (X.to_sparse_csr(), None), TypeError, "sparse_csr tensor.*to_dense"),
        (
            lambda: (torch.nested.nested_tensor([X, X[:2]]), None),
            TypeError,
            "nested tensor.*to_padded",
        ),
        (lambda: ({"x": X.to_sparse_csc()}, None), TypeError, r"inputs\['x'\] is a sparse_csc"),
    ],
    ids=["None", "None in NumPy", "None of numbers", "csr", "nested", "csc in a dict"],
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_what_is_missing_and_what_has_no_rows_is_named(data, error, words):
    with pytest.raises(error, match=words):
        as_data(data() if callable(data) else data)


def test_class_numbers_with_gaps_say_how_they_are_filled():
    y = [0.0, float("nan"), 1.0, 2.0]
    with pytest.raises(TypeError, match=r"with NaN.*labels\.nan_to_num\(-100\)\.long\(\)"):
        distill(nn.Linear(2, 3), (X, y), method=methods.supervised(), epochs=1, progress=False)
    distill(
        nn.Linear(2, 3),
        (X, torch.tensor(y).nan_to_num(-100).long()),
        method=methods.supervised(),
        epochs=1,
        progress=False,
    )


def test_texts_that_collate_leaves_in_a_batch_are_one_column():
    """Each of another length than the batch has rows."""
    rows = [{"text": "a" * n, "x": [float(n)], "label": n % 2} for n in range(5)]

    def collate(some):
        x, labels = (torch.tensor([row[name] for row in some]) for name in ("x", "label"))
        return {"text": [row["text"] for row in some], "x": x, "labels": labels}

    batch = as_data(rows, collate).batch(torch.tensor([4, 1]))
    assert batch.inputs["text"] == ["aaaa", "a"] and batch.labels.tolist() == [0, 1]
    with pytest.raises(ValueError, match="one row an example"):
        as_data(rows, lambda some: {**collate(some), "text": ["a"]}).batch(torch.tensor([4, 1]))


def test_pictures_that_are_packed_are_to_be_unpacked(tmp_path):
    packed = tmp_path / "pictures.zip"
    packed.write_bytes(b"PK")
    with pytest.raises(FileNotFoundError, match="is a file: unpack it"):
        PictureFolder(packed)


@pytest.mark.parametrize("kind", [torch.uint16, torch.uint32, torch.uint64])
def test_whole_numbers_without_a_sign_are_read_as_others(kind):
    """Torch draws no rows of them."""
    numbers = torch.tensor([[1, 0], [3, 2], [5, 4]])
    batch = as_data((numbers.to(kind), torch.tensor([2, 1, 0]).to(kind))).batch(
        torch.tensor([2, 0])
    )
    assert batch.inputs.tolist() == [[5, 4], [1, 0]] and batch.labels.tolist() == [0, 2]


def test_data_that_hold_less_than_they_say_are_named():
    data = Subset(TensorDataset(IDS, Y), [0, 99])
    with pytest.raises(IndexError) as error:
        as_data(data).batch(torch.tensor([0, 1]))
    assert "say by len() that they hold 2 examples" in error.value.__notes__[0]

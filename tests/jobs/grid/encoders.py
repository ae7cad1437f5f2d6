"""Jobs of encoders: classifiers, taggers, embedders, rankers; what plain Python expects of them."""

import copy
import functools
import random
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import (
    AutoModel,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
)

from distill_lab.data.batches import epoch_order
from distill_lab.data.samplers import ByLength, ClassBalanced
from tests.jobs import tiny
from tests.jobs.grid import files
from tests.jobs.grid.cover import ENDS, OF_A_RUN, SHAPE, of_a_run
from tests.jobs.grid.laws import Trial

METHODS = {
    "classes": ("kd", "supervised", "dkd", "dist", "logit-matching"),
    "several": ("binary-kd", "supervised"),
    "number": ("regression",),
    "tags": ("kd", "supervised", "logit-matching"),
    "embedding": ("cosine", "mse", "similarities"),
    "ranking": ("margin-mse", "supervised", "listwise"),
}
KINDS = {
    "classes": "text-classification",
    "several": "text-classification",
    "number": "text-classification",
    "tags": "token-classification",
}
ORDER = ("rate", "card", "loan")  # in which a teacher knows its classes: not that of the alphabet
TAGS = ("loan", "O", "rate", "card")
NUMBERS = {"card": -1.0, "loan": 0.5, "rate": 2.0}
POSITIONS = 32
AXES = {
    "task": tuple(METHODS),
    "method": (0, 1, 2, 3, 4),
    "form": files.FORMS,
    "labels": ("names", "numbers", "missing", "joined", "columns"),
    "oddity": ("plain", "long", "odd", "spaces", "twins", "single"),
    "renamed": (False, True),
    "teacher": ("ready", "first"),
    "student": ("folder", "layers", "shape", "other words"),
    "reads": ("together", "apart"),
    "cache": (True, False),
    "T": (None, 1.5),
    "alpha": (None, 0.3, 1.0),
    "batch_size": (1, 4, 7, 64),
    "accumulate": (1, 2, 3),
    "balance": (None, "sampler", "weights"),
    "match": (None, "hint", "relations"),
    "precision": ("fp32", "bf16"),
    **OF_A_RUN,
    "max_length": (None, 6),
    "end": ENDS,
}


def method_of(case):
    return METHODS[case["task"]][case["method"]]


def allowed(case):
    """Whether these values go together; what does not is refused, and tested elsewhere."""
    task, labels, ready = case["task"], case["labels"], case["teacher"] == "ready"
    if case["method"] >= len(METHODS[task]):
        return False
    method = method_of(case)
    compares = method in ("dist", "similarities")
    excluded = (
        labels in ("joined", "columns") and task != "several",
        labels == "columns" and case["renamed"],
        labels == "numbers" and (task not in ("classes", "tags") or not ready),
        labels == "missing" and task in ("tags", "embedding", "ranking", "several"),
        labels == "missing" and (case["balance"] == "sampler" or method == "dkd"),
        task == "embedding" and not ready,
        case["reads"] == "apart" and task != "ranking",
        case["balance"] and task not in ("classes", "tags"),
        case["balance"] == "sampler" and task == "tags",
        case["balance"] == "weights" and method == "logit-matching",
        case["balance"] == "weights" and case["alpha"] == 1,
        case["match"] and (method == "supervised" or case["reads"] == "apart" or not case["cache"]),
        case["match"] and case["student"] == "other words",
        case["match"] == "relations" and case["batch_size"] == 1,
        case["match"] == "relations" and case["accumulate"] > 1,
        compares and (case["batch_size"] == 1 or case["accumulate"] > 1),
        case["while"] and case["measured"] == "training",
        case["end"] == "other held-out word" and case["measured"] != "validation",
        case["accumulate"] > case["batch_size"],
        case["warmup"] and case["batch_size"] == 64,
        case["oddity"] == "twins" and case["measured"] == "held out",
    )
    return not any(excluded)


@functools.cache
def shelf():
    """The folder with the models that all cases share."""
    place = Path(tempfile.mkdtemp(prefix="grid-"))
    others = [*tiny.WORDS[:4], *reversed(tiny.WORDS[4:])]
    heads = {
        "classes": (AutoModelForSequenceClassification, _names(ORDER)),
        "several": (
            AutoModelForSequenceClassification,
            _names(ORDER) | {"problem_type": "multi_label_classification"},
        ),
        "number": (
            AutoModelForSequenceClassification,
            {"num_labels": 1, "problem_type": "regression"},
        ),
        "tags": (AutoModelForTokenClassification, _names(TAGS)),
        "embedding": (AutoModel, {}),
        "ranking": (AutoModelForSequenceClassification, {"num_labels": 1}),
        "apart": (AutoModel, {}),
    }
    for dropout in (0.0, 0.2):
        rates = {"hidden_dropout_prob": dropout, "attention_probs_dropout_prob": dropout}
        end = "-dropout" if dropout else ""
        tiny.encoder(place / f"bare{end}", 2, **rates)
        for task, (kind, config) in heads.items():
            given = {"kind": kind, **config, **rates}
            tiny.encoder(place / f"{task}-teacher{end}", 2, seed=1, **given)
            tiny.encoder(place / f"{task}-student{end}", 1, seed=2, **given)
            tiny.encoder(place / f"{task}-other{end}", 1, seed=2, words=others, **given)
    return place


def _names(names):
    return {
        "id2label": dict(enumerate(names)),
        "label2id": {name: i for i, name in enumerate(names)},
    }


@dataclass
class Encoding(Trial):
    """A job of encoders.

    Args:
        case: its values.
        rows: the training rows, each as plain values.
        held_out: those of `validation`.
    """

    case: dict
    rows: list
    held_out: list


def encoding(place, case, seed=0):
    """Write the files of a case."""
    made = Encoding(place, _settings(case), case, rows(case, 19, seed), rows(case, 13, seed + 50))
    made.settings["train"] = write(made, "train", made.rows, case["form"])
    if case["measured"] == "validation":
        made.settings["validation"] = write(made, "held", made.held_out, "jsonl")
    return made


def rows(case, number, seed):
    """Rows as plain values: text or words, and what is learned of them."""
    draw, some = random.Random(f"{seed} {case['task']} {case['oddity']}"), []
    sentences = [each for i in range(9) for each in tiny.sentences(number, seed * 10 + i)]
    per_class = {name: [x for x in sentences if x["label"] == name] for name in ORDER}
    for i in range(number):
        row = per_class[ORDER[min(i % 5, 2)]].pop()
        words, odd = row["text"].split(), i % 3 == 1
        if case["oddity"] == "long" and odd:
            words = [draw.choice("abcdefxyz") for _ in range(POSITIONS + 9)]
        elif case["oddity"] == "odd" and odd:
            words += [draw.choice(["é", "a-b", "👍", '"', "a,b", "A", "\u2028c", "'"])]
        elif case["oddity"] == "twins" and i > 4:
            words = list(some[i % 5]["words"])
        elif case["oddity"] == "single" and odd:
            words = words[:1]
        made = {"words": words, "label": row["label"], "i": i}
        if case["oddity"] == "twins" and i > 4:
            made["label"] = some[i % 5]["label"]
        others = [name for name in ORDER if name != made["label"]]
        made["set"] = sorted({made["label"]} | ({draw.choice(others)} if i % 4 == 0 else set()))
        if i % 7 == 6:
            made["set"] = []
        made["number"] = NUMBERS[made["label"]]
        made["tags"] = [tag_of(word) for word in words]
        made["positive"] = " ".join(draw.sample(tiny.CLASSES[made["label"]], 2))
        wrong = [" ".join(draw.sample(tiny.CLASSES[draw.choice(others)], 2)) for _ in range(3)]
        same = method_of(case) == "supervised" or case["teacher"] == "first"
        made["negative"] = wrong[: 2 if same else 1 + i % 3]
        made["missing"] = case["labels"] == "missing" and i % 3 == 2
        some.append(made)
    return some


def tag_of(word):
    return next((name for name, letters in tiny.CLASSES.items() if word in letters), "O")


def text_of(case, row):
    gap = "  " if case["oddity"] == "spaces" else " "
    return gap.join(row["words"])


def write(made, name, some, form):
    """Write rows as people have them."""
    return files.write(made.place, name, [_row(made.case, row, form) for row in some], form)


def _row(case, row, form):
    task, table = case["task"], form in ("csv", "tsv")
    names = {"text": "utterance", "label": "intent"} if case["renamed"] else {}
    text, label = names.get("text", "text"), names.get("label", "label")
    if task == "ranking":
        alone = len(row["negative"]) == 1 and form not in ("parquet", "folder")  # of one type
        return {
            "q" if case["renamed"] else "query": text_of(case, row),
            "positive": row["positive"],
            "negative": row["negative"][0] if alone else row["negative"],
        }
    if task == "tags":
        numbered = case["labels"] == "numbers"
        given = {
            "utterance" if case["renamed"] else "tokens": row["words"],
            "intent" if case["renamed"] else "tags": [
                TAGS.index(tag) if numbered else tag for tag in row["tags"]
            ],
        }
        if table and not numbered and case["oddity"] != "odd":  # blanks between plain words
            return {name: " ".join(listed) for name, listed in given.items()}
        return given
    given = {text: text_of(case, row)}
    if task == "number":
        given[label] = row["number"]
    elif task == "several":
        if case["labels"] == "columns":
            return given | {name: int(name in row["set"]) for name in ORDER}
        given[label] = "|".join(row["set"]) if case["labels"] == "joined" else row["set"]
        return given
    else:
        given[label] = ORDER.index(row["label"]) if case["labels"] == "numbers" else row["label"]
    if row["missing"]:
        given[label] = None
    return given


def names(case):
    """The folders of the teacher and of the student that a case begins with."""
    end = "-dropout" if case["dropout"] else ""
    teacher = f"bare{end}" if case["teacher"] == "first" else f"{case['task']}-teacher{end}"
    which = "other" if case["student"] == "other words" else "student"
    task = "apart" if case["reads"] == "apart" else case["task"]
    return teacher, f"{task}-{which}{end}"


def _settings(c):
    teacher, student = names(c)
    task, method = c["task"], method_of(c)
    given = {"kind": KINDS.get(task, task), "method": method, "epochs": 2, "lr": 3e-3, "seed": 3}
    given["teacher"] = str(shelf() / teacher)
    if c["teacher"] == "first":
        given["teacher"] = {"model": given["teacher"], "finetune": {"epochs": 1, "warmup": 0}}
    given["student"] = str(shelf() / student)
    if c["student"] in ("layers", "shape"):
        given["student"] = {"layers": [1]} if c["student"] == "layers" else SHAPE
    if method in ("kd", "dkd", "dist", "binary-kd", "listwise"):
        given["T"] = c["T"]
    if method in ("kd", "logit-matching", "binary-kd", "regression", "dkd"):
        given["alpha"] = c["alpha"]
    if task == "ranking":
        given["reads"] = c["reads"]
    if c["match"]:
        given["match"] = {"layers": {"encoder.layer.0": "encoder.layer.1"}, "kind": c["match"]}
        if task in ("classes", "several", "number", "tags", "ranking"):
            given["match"]["layers"] = {"bert.encoder.layer.0": "bert.encoder.layer.1"}
    same = ("cache", "batch_size", "accumulate", "balance", "precision", "optimizer", "schedule")
    given |= {name: c[name] for name in (*same, "warmup", "clip", "max_length", "seeds")}
    if c["match"]:
        del given["cache"]  # nothing of what the teacher says in its layers can be kept
    given["checkpoint_every"] = 1
    given["columns"] = _columns(c) or None
    if task == "several" and c["labels"] == "joined":
        given["separator"] = "|"
    return given | of_a_run(c)


def _columns(c):
    if c["task"] == "ranking":
        return {"query": "q"} if c["renamed"] else {}
    if c["task"] == "several" and c["labels"] == "columns":
        return {"label": list(ORDER)}
    if c["task"] == "tags":
        return {"tokens": "utterance", "tags": "intent"} if c["renamed"] else {}
    renamed = {"text": "utterance", "label": "intent"} if c["renamed"] else {}
    return renamed | ({"label": renamed.get("label", "label")} if c["task"] == "embedding" else {})


# What is expected


def pieces(text):
    return re.findall(r"\w+|[^\w\s]+", text)


def ids_of(text, words, limit):
    """[CLS] letters [SEP], cut to so many tokens."""
    numbers = {word: i for i, word in enumerate(words)}
    ids = [numbers.get(piece, numbers["[UNK]"]) for piece in pieces(text)]
    return [numbers["[CLS]"], *ids[: limit - 2], numbers["[SEP]"]]


def limit_of(case):
    return min(case["max_length"] or 128, POSITIONS)


def split(made, out="out"):
    """The rows that are learned and those that are measured on."""
    from distill_lab.jobs.held_out import kept_apart

    case = made.case
    if case["measured"] == "validation":
        return made.rows, made.held_out
    if case["measured"] == "training":
        return made.rows, made.rows
    job = made.job(out)
    from distill_lab.jobs.setups.tables import read_table

    column = {"ranking": "query", "tags": "tokens"}.get(case["task"], "text")
    values = read_table(job.train).column(job.columns.get(column, column), column)
    learned, apart = kept_apart(map(str, values), 0.3, 3)
    assert sorted([*learned, *apart]) == list(range(len(made.rows)))
    return [made.rows[i] for i in learned], [made.rows[i] for i in apart]


def in_order(case, some):
    """Short ones first, as they are numbered."""
    if case["task"] == "tags":
        return sorted(some, key=lambda row: len(row["words"]))
    if case["task"] == "ranking":
        return sorted(some, key=lambda row: len(" ".join([row["positive"], *row["negative"]])))
    return sorted(some, key=lambda row: len(text_of(case, row)))


def words_of(folder):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    vocabulary = tokenizer.get_vocab()
    return sorted(vocabulary, key=vocabulary.get)


class Reader:
    """A model that answers about a row, one text at a time.

    Args:
        case: its values.
        model: the network.
        words: of its tokenizer.
        apart: whether it is one encoder of query and candidates.
    """

    def __init__(self, case, model, words, *, apart=False):
        self.case, self.model, self.words, self.apart = case, model.eval(), words, apart

    def ask(self, ids):
        with torch.no_grad():
            return self.model(input_ids=torch.tensor([ids]))

    def pair(self, query, text, limit):
        """[CLS] query [SEP] text [SEP], the longer one cut first."""
        numbers = {word: i for i, word in enumerate(self.words)}
        one, two = (
            [numbers.get(piece, numbers["[UNK]"]) for piece in pieces(each)]
            for each in (query, text)
        )
        room = limit - 3
        if len(one) + len(two) > room:  # as fast tokenizers cut: the shorter one keeps most
            less, more = sorted((len(one), len(two)))
            more = max(less, room - less)
            if less + more > room:
                less, more = room // 2, room - room // 2
            sides = (more, less) if len(one) > len(two) else (less, more)
            one, two = one[: sides[0]], two[: sides[1]]
        cls, sep = numbers["[CLS]"], numbers["[SEP]"]
        return [cls, *one, sep, *two, sep]

    def __call__(self, row):
        """Scores (C,), (L, C) of the words that have a tag, an embedding (D,), or scores (K,)."""
        case, limit = self.case, limit_of(self.case)
        task = case["task"]
        if task == "ranking":
            candidates = [row["positive"], *row["negative"]]
            query = text_of(case, row)
            if self.apart:
                q, *each = (self.vector(text) for text in (query, *candidates))
                return torch.stack([q @ other for other in each])
            each = [self.ask(self.pair(query, text, limit)).logits[0, 0] for text in candidates]
            return torch.stack(each).double()
        if task == "embedding":
            return self.vector(text_of(case, row))
        if task == "tags":
            ids, firsts = [], []
            numbers = {word: i for i, word in enumerate(self.words)}
            for word in row["words"]:
                firsts.append(len(ids) + 1)
                ids += [numbers.get(piece, numbers["[UNK]"]) for piece in pieces(word)]
            ids = [numbers["[CLS]"], *ids[: limit - 2], numbers["[SEP]"]]
            places = [place for place in firsts if place < len(ids) - 1]
            return self.ask(ids).logits[0, places].double()
        return self.ask(ids_of(text_of(case, row), self.words, limit)).logits[0].double()

    def vector(self, text):
        ids = ids_of(text, self.words, limit_of(self.case))
        return self.ask(ids).last_hidden_state[0].mean(0).double()


def auto(case, *, student=True):
    """The class that a model of the case is loaded with."""
    if case["task"] == "embedding" or (student and case["reads"] == "apart"):
        return AutoModel
    tags = case["task"] == "tags"
    return AutoModelForTokenClassification if tags else AutoModelForSequenceClassification


def reader(case, folder, *, student=True):
    model = auto(case, student=student).from_pretrained(folder, dtype=torch.float32)
    apart = student and case["reads"] == "apart"
    return Reader(case, model, words_of(folder), apart=apart)


def student_before(case):
    """The student as it begins; None where its first weights are drawn."""
    teacher, student = names(case)
    if case["student"] in ("folder", "other words"):
        return reader(case, shelf() / student)
    if case["student"] == "shape" or case["teacher"] == "first" or case["reads"] == "apart":
        return None
    full = auto(case).from_pretrained(shelf() / teacher, dtype=torch.float32)
    config = copy.deepcopy(full.config)
    config.num_hidden_layers = 1
    made = auto(case).from_config(config)
    state = full.state_dict()
    taken = {
        name.replace("encoder.layer.1.", "encoder.layer.0."): value
        for name, value in state.items()
        if "encoder.layer.0." not in name
    }
    made.load_state_dict(taken)
    return Reader(case, made, words_of(shelf() / teacher))


def order_of_first(case, some, words, seed=3):
    """The rows of the first step."""
    size = case["batch_size"]
    if case["task"] == "ranking":
        sampler = None
    elif case["balance"] == "sampler":
        sampler = ClassBalanced(torch.stack([label_of(case, row) for row in some]))
    else:
        sampler = ByLength(torch.tensor([length_of(case, row) for row in some]), size)
    return [some[i] for i in epoch_order(len(some), seed, 0, sampler)[:size].tolist()]


def length_of(case, row):
    text = " ".join(row["words"]) if case["task"] == "tags" else text_of(case, row)
    return min(len(pieces(text)) + 2, limit_of(case))


def classes_of(case):
    """The classes in the order of a teacher that knows them; else in that of the alphabet."""
    known = TAGS if case["task"] == "tags" else ORDER
    by_column = case["task"] == "several" and case["labels"] == "columns"
    return known if case["teacher"] == "ready" or by_column else tuple(sorted(known))


def label_of(case, row, kept=None):
    """What is learned of a row, as a tensor."""
    task, known = case["task"], classes_of(case)
    if task == "classes":
        return torch.tensor(-100 if row["missing"] else known.index(row["label"]))
    if task == "several":
        return torch.tensor([float(name in row["set"]) for name in known]).double()
    if task == "number":
        return torch.tensor([float("nan") if row["missing"] else row["number"]]).double()
    if task == "tags":
        return torch.tensor([known.index(tag) for tag in row["tags"]][:kept])
    return torch.tensor(0)


def weights_of(case, some):
    """What the labels of each class weigh: N / (C n_c)."""
    if case["balance"] != "weights":
        return None
    labels = torch.cat([label_of(case, row).flatten() for row in some])
    counts = labels[labels >= 0].bincount(minlength=len(classes_of(case)))
    each = counts.sum() / (len(counts) * counts.double())
    return torch.where(counts > 0, each, 1.0)


def first_terms(case, batch, student, teacher, class_weights):
    """The terms of the first step by hand, from one text at a time."""
    method, task = method_of(case), case["task"]
    ours, theirs = ([model(row) for row in batch] for model in (student, teacher))
    labels = [label_of(case, row, len(own)) for row, own in zip(batch, ours, strict=True)]
    if task in ("embedding", "ranking"):
        return _of_vectors(case, method, ours, theirs)
    if task == "tags":
        z, t, y = torch.cat(ours), torch.cat(theirs), torch.cat(labels)
    else:
        z, t, y = torch.stack(ours), torch.stack(theirs), torch.stack(labels)
    terms = {}
    if task == "several":
        T, alpha = case["T"] or 2.0, 0.7 if case["alpha"] is None else case["alpha"]
        bce = torch.nn.functional.binary_cross_entropy_with_logits(z, y, reduction="none").sum(-1)
        if method == "supervised":
            return {"bce": float(bce.mean())}
        if method == "binary-kd":
            p, q = (t / T).sigmoid(), (z / T).sigmoid()
            kl = p * (p / q).log() + (1 - p) * ((1 - p) / (1 - q)).log()
            terms["kd"] = float(T**2 * kl.sum(-1).mean())
            return terms | ({"bce": float(bce.mean())} if alpha < 1 else {})
        return None
    if task == "number":
        alpha = 0.5 if case["alpha"] is None else case["alpha"]
        known = ~y.isnan()
        terms["kd"] = float(((z - t) ** 2).mean())
        hard = float(((z - y)[known] ** 2).mean()) if known.any() else 0.0
        return terms | ({"mse": hard} if alpha < 1 else {})
    known = y >= 0
    each = -z.log_softmax(-1)[known].gather(-1, y[known][:, None])[:, 0]
    of_each = torch.ones_like(each) if class_weights is None else class_weights[y[known]]
    ce = float((each * of_each).sum() / of_each.sum()) if known.any() else 0.0
    if method == "supervised":
        return {"ce": ce}
    if method == "kd":
        T, alpha = case["T"] or 4.0, 0.9 if case["alpha"] is None else case["alpha"]
        p, q = (t / T).log_softmax(-1), (z / T).log_softmax(-1)
        terms["kd"] = float(T**2 * (p.exp() * (p - q)).sum(-1).mean())
    elif method == "logit-matching":
        alpha = 1.0 if case["alpha"] is None else case["alpha"]
        terms["logits"] = float(((z - t) ** 2).mean() / 2)
    else:
        return {"ce": ce}
    return terms | ({"ce": ce} if alpha < 1 else {})


def _of_vectors(case, method, ours, theirs):
    cosine = torch.nn.functional.cosine_similarity
    if method == "supervised":
        each = [-own.log_softmax(-1)[0] for own in ours]
        return {"ce": float(torch.stack(each).mean())}
    if method == "margin-mse":
        each = [((s[0] - s[1:]) - (t[0] - t[1:])) ** 2 for s, t in zip(ours, theirs, strict=True)]
        return {"margin": float(torch.cat(each).mean())}
    if method == "listwise":
        T = case["T"] or 1.0
        each = []
        for s, t in zip(ours, theirs, strict=True):
            p, q = (t / T).log_softmax(-1), (s / T).log_softmax(-1)
            each.append((p.exp() * (p - q)).sum())
        return {"listwise": float(T**2 * torch.stack(each).mean())}
    if len(ours[0]) != len(theirs[0]) and method != "similarities":
        return None  # through a map that is drawn
    s, t = torch.stack(ours), torch.stack(theirs)
    if method == "cosine":
        return {"embeddings": float((1 - cosine(s, t)).mean())}
    if method == "mse":
        return {"embeddings": float(((s - t) ** 2).mean())}
    s, t = (each / each.norm(dim=-1, keepdim=True) for each in (s, t))
    off = 1 - torch.eye(len(s), dtype=s.dtype)
    return {"embeddings": float((((s @ s.T) - (t @ t.T)) ** 2 * off).sum() / off.sum())}


def figures(case, model, some):
    """Figures of a model on rows, by hand."""
    task = case["task"]
    answers = [model(row) for row in some]
    labels = [label_of(case, row, len(own)) for row, own in zip(some, answers, strict=True)]
    if task == "ranking":
        return _of_ranks(answers)
    if task == "embedding":
        return {}
    z = torch.cat(answers) if task == "tags" else torch.stack(answers)
    y = torch.cat(labels) if task == "tags" else torch.stack(labels)
    if task == "number":
        off = (z - y)[~y.isnan()]
        return {"rmse": float(off.square().mean().sqrt()), "mae": float(off.abs().mean())}
    if task == "several":
        right, held = (z > 0) & (y > 0), (z > 0).sum() + (y > 0).sum()
        bce = torch.nn.functional.binary_cross_entropy_with_logits(z, y, reduction="none")
        return {"micro_f1": float(100 * 2 * right.sum() / held) if held else None, "bce": bce}
    z, y = z[y >= 0], y[y >= 0]
    nll = -z.log_softmax(-1).gather(-1, y[:, None]).mean()
    accuracy = float(100 * (z.argmax(-1) == y).double().mean())
    if task == "tags":
        return {"nll": float(nll), "accuracy": accuracy}
    f1 = []
    for c in sorted({*y.tolist(), *z.argmax(-1).tolist()}):
        hits = ((z.argmax(-1) == c) & (y == c)).sum()
        f1.append(float(2 * hits / ((z.argmax(-1) == c).sum() + (y == c).sum())))
    return {"nll": float(nll), "accuracy": accuracy, "macro_f1": 100 * sum(f1) / len(f1)}


def _of_ranks(answers):
    answers = [own.round(decimals=4) for own in answers]
    if any(own[0] in own[1:] for own in answers):
        return {}  # two candidates are cut to the same text, and chance decides
    first = [float(own.argmax() == 0) for own in answers]
    ranks = [1 + int((own[1:] > own[0]).sum()) for own in answers]
    return {
        "first is right": 100 * sum(first) / len(first),
        "reciprocal_rank": sum(1 / rank for rank in ranks) / len(ranks),
    }

"""Jobs of pictures: networks of ours and of transformers; what plain PyTorch and PIL expect."""

import functools
import itertools
import json
import random
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file
from torch.nn import functional as F
from transformers import (
    AutoModelForImageClassification,
    ResNetConfig,
    ResNetForImageClassification,
    ViTConfig,
    ViTForImageClassification,
)

from distill_lab.data.batches import epoch_order
from distill_lab.data.samplers import ClassBalanced
from distill_lab.jobs.held_out import kept_apart
from distill_lab.jobs.setups.networks import NETWORKS, Network, View
from distill_lab.models import VisionTransformer
from tests.jobs.grid.cover import ENDS, OF_A_RUN, SHAPE, of_a_run
from tests.jobs.grid.laws import Trial

METHODS = ("kd", "supervised", "dkd", "dist", "logit-matching")
CLASSES = {  # in the order of a teacher that knows them: not that of the folders
    "two": ("red", "blue"),
    "three": ("red", "blue", "green"),
    "numbers": ("10", "2", "1", "0", "3", "4", "5", "6", "7", "8", "9"),
}
SIDE = 8  # pixels on the side of what the models on the shelf see
VIEWS = {"vit": ([0.4, 0.5, 0.6], [0.3, 0.25, 0.2]), "resnet": ([0.45] * 3, [0.22] * 3)}
AXES = {
    "method": METHODS,
    "teacher": ("vit", "network", "resnet", "vit first", "network first", "resnet first"),
    "student": ("small-cnn", "mlp", "vit", "our folder", "vit folder", "resnet folder", "shape"),
    "picture": (
        *("plain", "grey", "alpha", "palette", "turned", "wide", "pixel", "unequal", "twins"),
    ),
    "ending": ("png", "jpg", "webp", "mixed"),
    "classes": tuple(CLASSES),
    "apart": ("same", "empty folder", "class missing", "other empty folder"),
    "size": (None, SIDE, 12),
    "augment": (None, "flip", "crop", "both"),
    "cache": (True, False),
    "T": (None, 1.5),
    "alpha": (None, 0.3, 1.0),
    "batch_size": (1, 4, 7, 64),
    "accumulate": (1, 2, 3),
    "balance": (None, "sampler", "weights"),
    "match": (None, "hint", "relations"),
    "precision": ("fp32", "bf16"),
    "export": (None, None, None, "torch-export", "onnx", "int8"),
    **OF_A_RUN,
    "end": ENDS,
}
SIZES = {
    "small-cnn": {"width": 3},
    "mlp": {"width": 12, "depth": 1},
    "vit": {"width": 8, "depth": 1, "heads": 2, "patch": 4},
}
LAYERS = {  # of each network, one whose states are matched, and what they are
    "small-cnn": ("stages.0", "maps"),
    "mlp": ("hidden.0", "rows"),
    "vit": ("blocks.0", "tokens"),
    "our folder": ("stages.0", "maps"),
    "shape": ("vit.layernorm", "tokens"),
    "vit folder": ("vit.layernorm", "tokens"),
    "resnet folder": ("resnet.pooler", "maps"),
}


def kind_of(case):
    """Of what family the teacher is."""
    return case["teacher"].removesuffix(" first")


def side_of(case):
    """Pixels on the side of what the student sees."""
    return case["size"] or SIDE


def allowed(case):
    """Whether these values go together; what does not is refused, and tested elsewhere."""
    method, student, teacher = case["method"], case["student"], kind_of(case)
    own = student in NETWORKS
    compares = method == "dist" or case["match"] == "relations"
    # a batch norm of one example in places of one pixel has nothing to measure either
    normed = student == "resnet folder" or case["teacher"] == "resnet first"
    excluded = (
        student == "shape" and teacher != "vit",
        not own and case["size"] == 12,
        # what is compared at each step is one input
        (case["match"] or case["augment"]) and not alike(case),
        (case["match"] or case["augment"]) and not case["cache"],
        case["match"] == "hint" and len({layout for _, layout in matched(case)}) > 1,
        (compares or normed) and not together(case),
        case["balance"] == "weights" and method == "logit-matching",
        case["balance"] == "weights" and case["alpha"] == 1,
        case["accumulate"] > case["batch_size"],
        # of so few channels 8 bits say little, which shows when it is written
        case["export"] == "int8" and student == "resnet folder",
        case["warmup"] and case["batch_size"] == 64,
        case["while"] and case["measured"] == "training",
        case["end"] == "other held-out word" and case["measured"] != "validation",
        case["apart"] != "same" and case["measured"] != "validation",
        case["picture"] == "twins" and case["measured"] == "held out",
        case["dropout"] and (own or student == "our folder" or teacher == "network"),
    )
    return not any(excluded)


def together(case):
    """Whether no piece of a batch has one picture alone: of 27, with copies of 36."""
    known = case["measured"] != "held out" or case["batch_size"] == 64
    alone = case["picture"] == "twins" and case["batch_size"] == 7
    return case["batch_size"] > 1 and case["accumulate"] == 1 and known and not alone


def matched(case):
    """The layers of student and teacher that are matched, each with what its states are."""
    teacher = {"network": "our folder"}.get(kind_of(case), f"{kind_of(case)} folder")
    return LAYERS[case["student"]], LAYERS[teacher]


def alike(case):
    """Whether teacher and student see the same of each picture."""
    student, teacher = case["student"], kind_of(case)
    if side_of(case) != SIDE:
        return False
    if student in NETWORKS or student == "shape":
        return True
    return {"our folder": "network"}.get(student, student.removesuffix(" folder")) == teacher


@functools.cache
def shelf():
    """The folder with the models that all cases share."""
    place = Path(tempfile.mkdtemp(prefix="grid-"))
    for classes, names in CLASSES.items():
        config = {
            "id2label": dict(enumerate(names)),
            "label2id": {name: i for i, name in enumerate(names)},
            "image_size": SIDE,
            "patch_size": 4,
            "initializer_range": 0.3,
        }
        for seed, who in ((1, "teacher"), (2, "student")):
            for dropout in (0.0, 0.2):
                end = "-dropout" if dropout else ""
                rates = {"hidden_dropout_prob": dropout, "attention_probs_dropout_prob": dropout}
                torch.manual_seed(seed)
                layers = {"num_hidden_layers": 3 - seed}
                vit = ViTForImageClassification(ViTConfig(**SHAPE | layers | config | rates))
                _keep(vit, place / f"vit-{who}-{classes}{end}", "vit")
                sizes = {"embedding_size": 4, "hidden_sizes": [4, 6], "depths": [1, 1]}
                settings = {"layer_type": "basic", "num_labels": len(names), **sizes}
                settings |= {name: config[name] for name in ("id2label", "label2id")}
                resnet = ResNetForImageClassification(ResNetConfig(**settings))
                _keep(resnet, place / f"resnet-{who}-{classes}{end}", "resnet")
            (folder := place / f"network-{who}-{classes}").mkdir()
            recipe = {"name": "small-cnn", "width": 3 + seed}
            Network(recipe, names, SIDE, seed=seed).save_pretrained(folder)
            View(SIDE, (0.3, 0.4, 0.5), (0.3, 0.3, 0.2)).save_pretrained(folder)
    return place


def _keep(model, folder, family):
    model.save_pretrained(folder)
    mean, std = VIEWS[family]
    size = {"shortest_edge": SIDE} if family == "resnet" else {"height": SIDE, "width": SIDE}
    facts = {"size": size, "image_mean": mean, "image_std": std, "do_normalize": True}
    (folder / "preprocessor_config.json").write_text(json.dumps(facts))


def folder_of(case, who):
    """A model on the shelf, the teacher's or the student's."""
    family = kind_of(case)
    if who == "student":
        family = {"our folder": "network"}.get(case["student"], case["student"].split()[0])
    end = "-dropout" if case["dropout"] and family != "network" else ""
    return shelf() / f"{family}-{who}-{case['classes']}{end}"


@dataclass
class Picturing(Trial):
    """A job of pictures.

    Args:
        case: its values.
    """

    case: dict

    def pictures(self, name):
        """The files of a folder, in the order of their numbers: by class, by name."""
        folders = sorted(each for each in (self.place / name).iterdir() if each.is_dir())
        return [file for folder in folders for file in sorted(folder.iterdir())]


def picturing(place, case, seed=0):
    """Write the files of a case."""
    made = Picturing(place, _settings(case), case)
    draw = random.Random(f"{seed} {case['picture']} {case['classes']}")
    names = CLASSES[case["classes"]]
    for part, number in (("train", 27), ("held", 17)):
        if part == "held" and case["measured"] != "validation":
            continue
        for name in names:
            (place / part / name).mkdir(parents=True)
        for i in range(number):
            name = names[min(i % (len(names) + 2), len(names) - 1)]
            if part == "held" and name == names[0] and case["apart"] in ("empty folder",):
                continue
            _write(case, place / part / name, i, draw)
        if case["picture"] == "twins":
            for file in made.pictures(part)[::3]:
                shutil.copy(file, file.with_name(f"again-{file.name}"))
        if part == "held" and case["apart"] == "class missing":
            shutil.rmtree(place / part / names[0])
        if part == "held" and case["apart"] == "other empty folder":
            (place / part / "unheard").mkdir()
        (place / part / ".hidden").mkdir()
    return made


def _settings(c):
    given = {
        "kind": "image-classification",
        "train": "train",
        "method": c["method"],
        "epochs": 2,
        "lr": 3e-3,
        "seed": 3,
        "teacher": str(folder_of(c, "teacher")),
        "student": c["student"],
        "checkpoint_every": 1,
    }
    if c["teacher"].endswith("first"):
        given["teacher"] = {"model": given["teacher"], "finetune": {"epochs": 1, "warmup": 0}}
    if c["student"] in NETWORKS:
        given["student"] = {"network": c["student"], **SIZES[c["student"]]}
    elif c["student"] == "shape":
        given["student"] = SHAPE
    else:
        given["student"] = str(folder_of(c, "student"))
    if c["method"] in ("kd", "dkd", "dist"):
        given["T"] = c["T"]
    if c["method"] in ("kd", "dkd", "logit-matching"):
        given["alpha"] = c["alpha"]
    if c["augment"]:
        given["augment"] = {"flip": {"flip": True}, "crop": {"crop": 1}}.get(
            c["augment"], {"flip": True, "crop": 1}
        )
    if c["match"]:
        (own, _), (other, _) = matched(c)
        given["match"] = {"layers": {own: other}, "kind": c["match"]}
    same = ("cache", "batch_size", "accumulate", "balance", "precision", "optimizer", "schedule")
    given |= {name: c[name] for name in (*same, "warmup", "clip", "size", "seeds")}
    if c["match"] or c["augment"]:
        del given["cache"]  # nothing of what the teacher says can be kept
    if c["export"]:
        given["export"] = [c["export"]]
    if c["measured"] == "validation":
        given["validation"] = "held"
    return given | of_a_run(c)


# Pictures as people have them


# of a camera's mark, quarter turns to the left that bring it upright
TURNS = {3: 2, 6: 3, 8: 1}


def _write(case, folder, i, draw):
    kind, odd = case["picture"], i % 3 != 2
    width, height = SIDE, SIDE
    if kind == "turned":
        width, height = 10, 7
    elif kind == "wide":
        width, height = ((24, 6), (5, 17), (8, 9))[i % 3]
    elif kind == "pixel" and odd:
        width = height = 1
    elif kind == "unequal":
        width, height = draw.randint(2, 20), draw.randint(2, 20)
    elif kind in ("grey", "alpha", "palette"):
        width = height = 9
    noise = np.array(draw.choices(range(256), k=height * width * 3), dtype=np.uint8)
    shade = sum(map(ord, folder.name)) * 37 % 200
    picture = Image.fromarray((noise.reshape(height, width, 3) // 4 + shade).astype(np.uint8))
    ending = case["ending"]
    if ending == "mixed":
        ending = ("png", "JPEG", "webp", "bmp", "gif", "tiff")[i % 6]
    more = {}
    if kind == "grey" and odd:
        picture = picture.convert(("L", "1")[i % 2] if ending in ("png", "tiff") else "L")
    elif kind == "alpha" and odd:
        mask = picture.convert("L").point(lambda value: 255 - value)
        if ending in ("png", "tiff", "webp"):
            picture.putalpha(mask)
            picture = picture.convert("LA") if ending == "png" and i % 2 else picture
        elif ending in ("jpg", "JPEG"):
            picture = picture.convert("CMYK")
    elif kind == "palette" and odd and ending in ("png", "gif", "bmp", "tiff"):
        picture = picture.quantize(9)
        more = {"transparency": 2} if ending in ("png", "gif") else {}
    elif kind == "turned" and odd and ending not in ("bmp", "gif"):
        exif = Image.Exif()
        exif[0x0112] = tuple(TURNS)[i % 3]
        more = {"exif": exif}
    picture.save(folder / f"{i}.{ending}", **more)


def seen(file, side):
    """A picture as a model of this side sees it, before it is scaled: uint8 (3, side, side)."""
    with Image.open(file) as opened:
        opened.load()  # a TIFF is turned by that
        mark = opened.getexif().get(0x0112, 1)
        pixels = np.array(opened.convert("RGB"))
    picture = Image.fromarray(np.ascontiguousarray(np.rot90(pixels, TURNS.get(mark, 0))))
    width, height = picture.size
    least = min(width, height)
    left, top = (width - least) / 2, (height - least) / 2
    box = (left, top, left + least, top + least)
    small = picture.resize((side, side), Image.Resampling.BICUBIC, box=box)
    return torch.from_numpy(np.array(small)).permute(2, 0, 1)


def variants(case, pixels):
    """A picture in all the ways in which it may be made anew."""
    augment, side = case["augment"], pixels.shape[-1]
    if augment == "flip" or augment is None:
        moved = [pixels]
    else:
        framed = F.pad(pixels, [1] * 4)
        places = itertools.product(range(3), range(3))
        moved = [framed[:, y : y + side, x : x + side] for y, x in places]
    return moved + [each.flip(-1) for each in moved] if augment in ("flip", "both") else moved


# What is expected


def classes_of(case):
    """The classes in the order of a teacher that knows them; else in that of the folders."""
    names = CLASSES[case["classes"]]
    if not case["teacher"].endswith("first"):
        return names
    return tuple(sorted(names, key=int if case["classes"] == "numbers" else None))


def label_of(case, file):
    return classes_of(case).index(file.parent.name)


def split(made):
    """The pictures that are learned and those that are measured on."""
    files, measured = made.pictures("train"), made.case["measured"]
    if measured == "validation":
        return files, made.pictures("held")
    if measured == "training":
        return files, files
    learned, apart = kept_apart((file.read_bytes().hex() for file in files), 0.3, 3)
    assert sorted([*learned, *apart]) == list(range(len(files)))
    return [files[i] for i in learned], [files[i] for i in apart]


class Eye:
    """A model that answers about a picture, one at a time.

    Args:
        ask: (1, 3, side, side) -> (1, C).
        side: pixels on a side.
        mean: of each channel.
        std: of each channel.
    """

    def __init__(self, ask, side, mean, std):
        self.ask, self.side = ask, side
        self.mean, self.std = (torch.tensor(each).view(-1, 1, 1) for each in (mean, std))

    def pixels(self, pixels):
        """The logits of a picture that is as large as it has to be."""
        with torch.no_grad():
            return self.ask(((pixels / 255 - self.mean) / self.std)[None])[0].double()

    def __call__(self, file):
        return self.pixels(seen(file, self.side))


def eye_of(folder):
    """The model of a folder, read by hand."""
    config = json.loads((folder / "config.json").read_text())
    facts = json.loads((folder / "preprocessor_config.json").read_text())
    side = next(iter(facts["size"].values()))
    if "network" not in config:
        model = AutoModelForImageClassification.from_pretrained(folder, dtype=torch.float32).eval()
        ask = lambda pixels: model(pixel_values=pixels).logits  # noqa: E731
    else:
        ask = by_hand(config["network"], load_file(folder / "model.safetensors"))
    return Eye(ask, side, facts["image_mean"], facts["image_std"])


def by_hand(recipe, state):
    """A network of ours as a function, of its weights alone."""
    name = recipe["name"]
    state = {key.removeprefix("body."): value for key, value in state.items()}

    def small_cnn(x):
        for i, stride in enumerate((1, 2, 2)):
            w, b = (state[f"stages.{i}.0.{part}"] for part in ("weight", "bias"))
            x = F.conv2d(x, w, b, stride=stride, padding=1).relu()
        return x.mean((2, 3)) @ state["head.weight"].T + state["head.bias"]

    def mlp(x):
        x = x.flatten(1)
        for i in range(recipe.get("depth", 2)):
            w, b = (state[f"hidden.{i}.0.{part}"] for part in ("weight", "bias"))
            x = (x @ w.T + b).relu()
        return x @ state["head.weight"].T + state["head.bias"]

    if name != "vit":
        return {"small-cnn": small_cnn, "mlp": mlp}[name]
    patch, width = recipe["patch"], recipe["width"]
    side = round((len(state["positions"]) - 1) ** 0.5) * patch
    sizes = {"classes": len(state["head.weight"]), "channels": 3, "width": width}
    vit = VisionTransformer(side, patch, depth=recipe["depth"], heads=recipe["heads"], **sizes)
    vit.load_state_dict(state)
    return vit.eval()


def student_before(case, seed):
    """The student as it begins; None where its first weights are drawn elsewhere."""
    student = case["student"]
    if student == "shape":
        return None
    if student not in NETWORKS:
        folder = folder_of(case, "student")
        return eye_of(folder) if "resnet" not in student else None  # it asks its own batch
    side = side_of(case)
    body = NETWORKS[student](side, len(classes_of(case)), seed, SIZES[student])
    facts = json.loads((folder_of(case, "teacher") / "preprocessor_config.json").read_text())
    ask = by_hand({"name": student, **SIZES[student]}, body.state_dict())
    return Eye(ask, side, facts["image_mean"], facts["image_std"])


def order_of_first(case, some, seed):
    """The pictures of the first step."""
    sampler = None
    if case["balance"] == "sampler":
        sampler = ClassBalanced(torch.tensor([label_of(case, file) for file in some]))
    order = epoch_order(len(some), seed, 0, sampler)
    return [some[i] for i in order[: case["batch_size"]].tolist()]


def weights_of(case, some):
    """What the labels of each class weigh: N / (C n_c)."""
    if case["balance"] != "weights":
        return torch.ones(len(classes_of(case))).double()
    labels = torch.tensor([label_of(case, file) for file in some])
    counts = labels.bincount(minlength=len(classes_of(case)))
    return torch.where(counts > 0, len(labels) / (len(counts) * counts.double()), 1.0)


def first_terms(case, batch, student, teacher, weights):
    """The least and the most that each term of the first step may be, from single pictures."""
    some = [[(student.pixels(p), p) for p in variants(case, seen(f, student.side))] for f in batch]
    labels = [label_of(case, file) for file in batch]
    three, terms = list(zip(some, labels, batch, strict=True)), {}

    def term(name, of_one, shares=None):
        each = [[of_one(z, p, y, f) for z, p in ways] for ways, y, f in three]
        shares = weights.new_ones(len(batch)) if shares is None else shares
        terms[name] = tuple(
            float((torch.stack([pick(ways) for ways in each]) * shares).sum() / shares.sum())
            for pick in (min, max)
        )

    def answer(p, file):
        return teacher.pixels(p) if case["augment"] else teacher(file)

    def ce(z, p, y, file):
        return -z.log_softmax(-1)[y]

    method, T, alpha = case["method"], case["T"], case["alpha"]
    if method == "kd":
        T, alpha = T or 4.0, 0.9 if alpha is None else alpha
        term("kd", lambda z, p, y, f: T**2 * _kl(answer(p, f) / T, z / T))
    elif method == "logit-matching":
        alpha = 1.0 if alpha is None else alpha
        term("logits", lambda z, p, y, f: ((z - answer(p, f)) ** 2).mean() / 2)
    elif method == "dkd":
        T, share, alpha = T or 4.0, 1.0 if alpha is None else alpha, 0

        def dkd(z, p, y, file):
            t = answer(p, file)
            others = torch.arange(len(z)) != y
            pair = [torch.stack([x[y], x[others].logsumexp(-1)]) for x in (t / T, z / T)]
            return T**2 * (share * _kl(*pair) + 8 * _kl(t[others] / T, z[others] / T))

        term("dkd", dkd)
    else:
        alpha = 0
        if method == "dist" and not case["augment"]:
            T = T or 1.0
            q = torch.stack([ways[0][0] for ways in some]).div(T).softmax(-1)
            p = torch.stack([teacher(file) for file in batch]).div(T).softmax(-1)
            value = T**2 * (_uncorrelated(p, q) + _uncorrelated(p.T, q.T))
            terms["dist"] = (float(value), float(value))
    if alpha < 1:
        term("ce", ce, weights[labels])
    return terms


def _kl(t, z):
    p, q = t.log_softmax(-1), z.log_softmax(-1)
    return (p.exp() * (p - q)).sum()


def _uncorrelated(p, q):
    p, q = (each - each.mean(-1, keepdim=True) for each in (p, q))
    return (1 - (p * q).sum(-1) / (p.norm(dim=-1) * q.norm(dim=-1))).mean()


def figures(case, eye, some):
    """Figures of a model on pictures, by hand."""
    z = torch.stack([eye(file) for file in some])
    y = torch.tensor([label_of(case, file) for file in some])
    best = z.argmax(-1)
    f1 = []
    for c in sorted({*y.tolist(), *best.tolist()}):
        hits = ((best == c) & (y == c)).sum()
        f1.append(float(2 * hits / ((best == c).sum() + (y == c).sum())))
    return {
        "nll": float(-z.log_softmax(-1).gather(-1, y[:, None]).mean()),
        "accuracy": float(100 * (best == y).double().mean()),
        "macro_f1": 100 * sum(f1) / len(f1),
    }

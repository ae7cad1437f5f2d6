"""Pictures in classes, a folder for each class."""

from collections.abc import Mapping
from copy import copy
from dataclasses import replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from distill_lab import methods
from distill_lab._util.io import short_hash
from distill_lab.data.batches import Batch
from distill_lab.data.datasets.pictures import PictureFolder
from distill_lab.jobs.held_out import far_off, kept_apart
from distill_lab.jobs.model_job import ModelJob
from distill_lab.jobs.setups import encoders
from distill_lab.jobs.setups.classes import class_weights
from distill_lab.jobs.setups.examples import Examples
from distill_lab.jobs.setups.labels import SHOWN, Labels, Quantity, find_names
from distill_lab.jobs.setups.networks import (
    TIMM,
    Network,
    View,
    network_facts,
    seen_by_model,
    timm_view,
)
from distill_lab.jobs.setups.recipes import recipe
from distill_lab.jobs.setups.road import EncoderSetup, Kind, drive
from distill_lab.jobs.setups.setup import Context, Log
from distill_lab.jobs.setups.students import SIZE, network_recipe, view_of
from distill_lab.jobs.setups.text_classification import check_meaning, teacher_classes

HEAD = "ForImageClassification"
IN_MEMORY = 2**30  # bytes of pictures that are decoded once


class Pictures:
    """Pictures as a network sees them, decoded once where they fit into memory.

    Args:
        folder: the pictures.
        labels: a class for each (N,), as the job counts them.
        view: how they are seen.
        augment: `flip` half of them, `crop` each from so many black pixels around it; what is drawn
            follows from seed and batch, so that a resumed run draws the same.
    """

    def __init__(
        self,
        folder: PictureFolder,
        labels: Tensor,
        view: View,
        augment: Mapping[str, Any] | None = None,
    ) -> None:
        self.folder, self.labels, self.view = folder, labels, view
        self.augment = dict(augment or {})
        self.draws = bool(self.augment)
        self.mean, self.std = (torch.tensor(v).view(-1, 1, 1) for v in (view.mean, view.std))

    def __len__(self) -> int:
        return len(self.folder)

    @cached_property
    def fingerprint(self) -> str:
        """A short name for the pictures, their classes and how they are seen."""
        augmented = f" {sorted(self.augment.items())}" if self.augment else ""
        facts = f"{self.folder.fingerprint} {self.view} {self.labels.tolist()}{augmented}"
        return short_hash(facts.encode())

    @cached_property
    def _decoded(self) -> Tensor | None:
        if len(self) * 3 * self.view.size**2 > IN_MEMORY:
            return None
        return torch.stack([self.folder[i][0] for i in range(len(self))])

    def batch(self, index: Tensor) -> Batch:
        """The pictures of these numbers, as (B, 3, size, size)."""
        if self._decoded is None:
            pixels = torch.stack([self.folder[i][0] for i in index.tolist()])
        else:
            pixels = self._decoded[index]
        pixels = self._augmented(pixels)
        if self.view.flipped:
            pixels = pixels.flip(1)
        seen = (pixels.float() / 255 - self.mean) / self.std
        return Batch({"pixel_values": seen}, self.labels[index], index)

    def _augmented(self, pixels: Tensor) -> Tensor:
        """The pictures changed at random, from torch's generator."""
        if self.augment.get("flip"):
            flipped = torch.rand(len(pixels)) < 0.5
            pixels = torch.where(flipped[:, None, None, None], pixels.flip(-1), pixels)
        if around := self.augment.get("crop"):
            size = self.view.size
            framed = nn.functional.pad(pixels, [around] * 4)
            places = torch.randint(2 * around + 1, (len(pixels), 2)).tolist()
            each = zip(framed, places, strict=True)
            pixels = torch.stack([p[:, y : y + size, x : x + size] for p, (y, x) in each])
        return pixels


def read_examples(job: ModelJob) -> Examples[PictureFolder]:
    """Look through the folders of a job and number its classes; no model is loaded.

    Args:
        job: what to do.

    Returns:
        The examples.

    Raises:
        OSError: for what is not there.
        ValueError: for folders that hold no pictures, or classes that are unknown.
    """
    of_teacher = None
    if job.teacher is not None and not job.teacher.startswith(TIMM):
        facts = network_facts(job.teacher)
        known = None if facts is None or job.finetune is not None else facts["id2label"]
        of_teacher = (
            teacher_classes(job, HEAD) if facts is None else known and tuple(known.values())
        )
    elif job.teacher is not None and job.finetune is None:
        raise ValueError(
            f"the teacher {job.teacher} knows other classes than these folders: let it learn them "
            "first, as teacher: {model: " + job.teacher + ", finetune: {epochs: 3}}."
        )
    family = not isinstance(job.student, str) and network_recipe(job.student) is None
    if family and job.teacher and (job.teacher.startswith(TIMM) or network_facts(job.teacher)):
        raise ValueError(
            f"the teacher {job.teacher} has no family that a student of other sizes could be of: "
            "name a network, as in student: {network: small-cnn, width: 16}."
        )
    if isinstance(job.train, list):
        raise ValueError(f"train must be one folder with a folder for each class, got {job.train}.")
    train = PictureFolder(str(job.train))
    held_out = train if job.validation is None else PictureFolder(str(job.validation))
    if job.held_out is not None:
        contents = (file.read_bytes().hex() for file in train.files)
        learned, apart = kept_apart(contents, job.held_out, job.origin.training.seed)
        train, held_out = train.part(learned), train.part(apart)
    present = {train.classes[i] for i in train.labels.tolist()}
    if len(present) == 1 and of_teacher is None and job.labels is None:
        raise ValueError(
            f"the pictures of {job.train} are all of a single class, {present.pop()!r}, and a "
            "classifier tells two or more apart: add pictures of another, or list the classes as "
            "labels: [no, yes]."
        )
    view, crop = view_of(job), (job.augment or {}).get("crop")
    if job.size not in (None, view.size):
        raise ValueError(
            f"size = {job.size}, and this student sees pictures of {view.size} pixels on a side, "
            f"as {job.student if isinstance(job.student, str) else job.teacher} was made: leave "
            "size out, or give the student as a network, as in {network: small-cnn}."
        )
    if crop and crop >= view.size:
        raise ValueError(
            f"augment: crop = {crop} moves pictures of {view.size} pixels out of sight: lower it."
        )
    names = Labels(find_names(train.classes, given=job.labels, of_teacher=of_teacher))
    if of_teacher is not None and network_facts(str(job.teacher)) is None:
        check_meaning(job, names)
    broken = []
    for folder in dict.fromkeys((train, held_out)):
        labels_of(folder, names)
        broken += folder.broken()
    if broken:
        rest = len(broken) - SHOWN
        more = f"\nand {rest:,} more of the kind." if rest > 0 else ""
        raise ValueError("\n".join(broken[:SHOWN]) + more)
    note = far_off(job.held_out, len(train), len(held_out))
    return Examples(train, held_out, "pictures", names, f"{len(names)} classes", note=note)


def labels_of(folder: PictureFolder, names: Labels | Quantity) -> Tensor:
    """The class of each picture, as a job counts them, whatever its folder is in number.

    Args:
        folder: the pictures.
        names: the classes of the job.

    Returns:
        Classes (N,).

    Raises:
        ValueError: for a folder whose name is none of them.
    """
    each = [folder.classes[i] for i in folder.labels.tolist()]
    return names.numbers(each, [folder.place(i) for i in range(len(folder))])


def seen_by(
    view: View,
    folder: PictureFolder,
    names: Labels | Quantity,
    augment: Mapping[str, Any] | None = None,
) -> Pictures:
    """Pictures as a network sees them.

    Args:
        view: the network's.
        folder: the pictures.
        names: the classes of the job.
        augment: as in `Pictures`.

    Returns:
        The data.
    """
    sized = copy(folder)
    sized.size = view.size
    return Pictures(sized, labels_of(folder, names), view, augment)


def learned(job: ModelJob, examples: Examples[PictureFolder], log: Log) -> Pictures:
    """What a student will learn from, with no weights.

    Args:
        job: names student and teacher.
        examples: the pictures.
        log: called with nothing.

    Returns:
        The data.
    """
    assert examples.names is not None
    return seen_by(view_of(job), examples.train, examples.names, job.augment)


def setup(job: ModelJob, context: Context) -> EncoderSetup:
    """Make a job ready: look, load, let the teacher learn and answer where it has to.

    Args:
        job: what to do.
        context: where.

    Returns:
        Student, data, teacher and method.

    Raises:
        OSError: for what cannot be loaded.
        ValueError: for what cannot be read or learned, in words.
    """
    from transformers import AutoModelForImageClassification as Classifier

    examples = context.kept("examples", lambda: read_examples(job))
    seed = job.training.seed
    assert examples.names is not None
    classes, names = examples.names, examples.names.names
    context.log(str(examples))

    def load(name: str) -> tuple[Any, View]:
        if name.startswith(TIMM):
            view = timm_view(name, job.size)
            return Network({"name": name}, names, view.size, seed=seed, pretrained=True), view
        if network_facts(name) is not None:
            network = Network.from_pretrained(name, names, seed=seed)
            return network, View.of(name, network.size)
        body = encoders.load(Classifier, name, seed, has_head=job.is_taught(name), **classes.config)
        return body, seen_by_model(name, body.config, job.size)

    def make(student: Mapping[str, Any], teacher: Any, view: View | None) -> tuple[Any, View]:
        seen = view or View(job.size or SIZE)
        if "name" not in student:
            return encoders.new_student(Classifier, student, teacher, seed, **classes.config), seen
        seen = replace(seen, size=job.size or seen.size)
        return Network(student, names, seen.size, seed=seed), seen

    def read(view: View, body: Any, held_out: bool) -> Pictures:
        folder = examples.held_out if held_out else examples.train
        return seen_by(view, folder, classes, None if held_out else job.augment)

    student = network_recipe(job.student) or job.student
    weights = class_weights(job, labels_of(examples.train, classes), len(names))
    first = methods.supervised(class_weights=weights)
    kind = Kind(None, read, "classification", names, load=load, make=make, first=first)
    method = recipe(job, class_weights=weights)
    return drive(job, context, kind, lambda *_: method, examples.count, student=student)

"""Jobs as the tests of jobs write them, and what they look at in a finished one."""

import os

import torch
import yaml
from safetensors.torch import load_file

from distill_lab.jobs.job import Job

SHAPE = {
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
}
TEXTS = {
    "kind": "text-classification",
    "teacher": {"model": "bare", "finetune": {"epochs": 1}},
    "student": {"layers": [0]},
    "train": "train.csv",
    "method": "kd",
    "out": "out",
}
PICTURES = {
    "kind": "image-classification",
    "student": {"network": "small-cnn", "width": 4},
    "train": "pictures",
    "method": "supervised",
    "size": 8,
    "out": "out",
}


def job(folder, out, method, **more):
    """A job of language models, with the teacher and the data of the fixture `folder`."""
    given = {
        "teacher": str(folder / "teacher"),
        "student": SHAPE,
        "train": str(folder / "train.jsonl"),
        "validation": str(folder / "held_out.jsonl"),
        "out": str(out),
        "method": method,
        "epochs": 30,
        "batch_size": 10,
        "lr": 1e-2,
        "max_new_tokens": 4,
        "schedule": "constant",
        "checkpoint_every": 7,
    }
    return Job.of(**given | more)


def job_file(place, usual, name="job.yaml", **more):
    """A job file with the usual settings and others; None leaves one out."""
    file = place / name
    file.write_text(yaml.safe_dump({k: v for k, v in (usual | more).items() if v is not None}))
    return file


def stop_at(last):
    """A progress that interrupts the training behind a step."""

    def progress(terms, step, steps):
        if step == last:
            raise KeyboardInterrupt

    return progress


def weights(out):
    """The tensors of the student that a job left in its folder."""
    return load_file(out / "student/model.safetensors")


def equal(one, two):
    """Whether two students are the same, bit for bit."""
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


def forked(action):
    """Do this in a silent child, a fork of this process, so that no package is imported anew.

    Its exit code is the integer that comes back, 0 for anything else, and 1 after an error.
    """
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            torch.set_num_threads(1)
            nothing = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nothing, 1)
            os.dup2(nothing, 2)
            result = action()
            code = result if isinstance(result, int) else 0
        finally:
            os._exit(code)
    return pid

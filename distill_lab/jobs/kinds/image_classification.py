"""Jobs that put pictures in classes."""

from distill_lab.jobs.kinds.shared import ANSWERS, LABELS, SHAPE, make_kind
from distill_lab.jobs.settings import Setting
from distill_lab.jobs.values import integer, optional, text

NETWORK = ("width", "depth", "patch", "heads")


IMAGE_CLASSIFICATION = make_kind(
    "image-classification",
    "distil a classifier of pictures that lie in a folder for each class",
    ANSWERS,
    (),
    (LABELS, Setting("size", "pixels on a side; else the teacher's", optional(integer), None)),
    student=(
        Setting("network", "small-cnn, mlp, vit, or timm:resnet18", text, None),
        *(Setting(each, f"the network's {each}", integer, None) for each in NETWORK),
        *(Setting(each, f"the student's {each}", integer, None) for each in SHAPE),
    ),
    defaults={"lr": 1e-3},
)

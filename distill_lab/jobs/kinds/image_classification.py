"""Jobs that put pictures in classes."""

from distill_lab.jobs.kinds.model_settings import ANSWERS, LABELS, MATCH, SHAPE, balance
from distill_lab.jobs.kinds.shared import make_kind
from distill_lab.jobs.settings import Setting
from distill_lab.jobs.values import flag, integer, mapping, optional, text

NETWORK = ("width", "depth", "patch", "heads")


IMAGE_CLASSIFICATION = make_kind(
    "image-classification",
    "distil a classifier of pictures that lie in a folder for each class",
    ANSWERS,
    (),
    (
        LABELS,
        Setting("size", "pixels on a side; else the teacher's", optional(integer), None),
        Setting(
            "augment",
            "training pictures anew at each step, by seed; the teacher sees what the student sees",
            optional(mapping),
            None,
            parts=(
                Setting("flip", "half of them from left to right", flag, False),
                Setting("crop", "moved by up to so many pixels", optional(integer), None),
            ),
        ),
        balance("sampler", "weights"),
        MATCH,
    ),
    student=(
        Setting("network", "small-cnn, mlp, vit, or timm:resnet18", text, None),
        *(Setting(each, f"the network's {each}", integer, None) for each in NETWORK),
        *(Setting(each, f"the student's {each}", integer, None) for each in SHAPE),
    ),
    defaults={"lr": 1e-3},
)

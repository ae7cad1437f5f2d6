"""Networks for pictures that are no model of transformers: ours by name, and timm's."""

import difflib
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_model, save_model
from torch import Tensor, nn

from distill_lab._util.io import to_json
from distill_lab.models import MLP, SmallCNN, VisionTransformer

TIMM = "timm:"
OWN_SIZE = 224  # pixels on a side of what a model sees, where nothing says it
SETTINGS = "preprocessor_config.json"


@dataclass(frozen=True)
class View:
    """How a network sees a picture.

    Args:
        size: pixels on a side.
        mean: of each channel, 0 to 1, taken off.
        std: of each channel, divided by.
        flipped: whether blue comes first and red last, as MobileViT sees it.
    """

    size: int
    mean: tuple[float, ...] = (0.5, 0.5, 0.5)
    std: tuple[float, ...] = (0.5, 0.5, 0.5)
    flipped: bool = False

    @classmethod
    def of(cls, name: str, size: int, config: Any = None) -> "View":
        """The view that a model's preprocessor_config.json, or config, describes, at this size."""
        facts = _processor(name, config)
        mean, std = facts.get("image_mean") or cls.mean, facts.get("image_std") or cls.std
        flips = facts.get("do_flip_channel_order")  # MobileViT's reader, which takes no mean off
        if flips is not None or not facts.get("do_normalize", True):
            mean, std = (0.0,) * 3, (1.0,) * 3
        # theirs are of pixels times a factor, ours of pixels over 255
        factor = facts.get("rescale_factor", 1 / 255) if facts.get("do_rescale", True) else 1
        scale = 1 if factor == 1 / 255 else 1 / (255 * factor)
        return cls(size, tuple(m * scale for m in mean), tuple(s * scale for s in std), bool(flips))

    def save_pretrained(self, folder: str | Path) -> None:
        """Write it as transformers' image processors read it."""
        facts = {
            "image_processor_type": "ViTImageProcessor",
            "do_resize": True,
            "size": {"height": self.size, "width": self.size},
            "do_normalize": True,
            "image_mean": list(self.mean),
            "image_std": list(self.std),
        }
        if self.flipped:
            facts["image_processor_type"] = "MobileViTImageProcessor"
            facts |= {"do_center_crop": False, "do_flip_channel_order": True}
        (Path(folder) / SETTINGS).write_text(to_json(facts), encoding="utf-8")


class Network(nn.Module):
    """A network with all that makes it again: (B, 3, size, size) -> (B, classes).

    Args:
        recipe: its name and sizes, as in {"name": "small-cnn", "width": 16}.
        names: of the classes.
        size: pixels on a picture's side.
        seed: of the first weights.
        pretrained: whether timm's weights are fetched.

    Raises:
        ValueError: for another name, sizes that it does not take, or pictures too small for it.
        ModuleNotFoundError: where timm is asked for and missing.
    """

    def __init__(
        self,
        recipe: Mapping[str, Any],
        names: tuple[str, ...],
        size: int,
        *,
        seed: int = 0,
        pretrained: bool = False,
    ) -> None:
        super().__init__()
        self.recipe, self.names, self.size = dict(recipe), names, size
        sizes = {key: value for key, value in recipe.items() if key != "name"}
        name = str(recipe["name"])
        try:
            if name.startswith(TIMM):
                self.body = _timm_model(name, len(names), seed, pretrained, sizes, size)
            elif name in NETWORKS:
                _check_sizes(name, sizes)
                self.body = NETWORKS[name](size, len(names), seed, sizes)
            else:
                known = ", ".join(NETWORKS)
                raise ValueError(f"there is no network {name!r}: name {known}, or timm:resnet18.")
        except TypeError as error:
            raise ValueError(f"the network {name} does not take {sizes}: {error}") from error

    def forward(self, pixel_values: Tensor) -> Tensor:
        """Compute the logits."""
        logits: Tensor = self.body(pixel_values)
        return logits

    def save_pretrained(self, folder: str | Path, **options: Any) -> None:
        """Write weights and what makes the network again.

        Args:
            folder: where to.
            **options: those of transformers, which say nothing here.
        """
        facts = {
            "architectures": ["distill_lab.Network"],
            "network": self.recipe,
            "image_size": self.size,
            "num_channels": 3,
            "id2label": dict(enumerate(self.names)),
        }
        save_model(self, str(_weights(folder)))  # of weights that layers share, one name each
        (Path(folder) / "config.json").write_text(to_json(facts), encoding="utf-8")

    @classmethod
    def from_pretrained(
        cls, folder: str | Path, names: Sequence[str] | None = None, *, seed: int = 0
    ) -> "Network":
        """Load what `save_pretrained` wrote.

        Args:
            folder: where it is.
            names: of the classes, in place of its own; for another number of them the last layer
                begins anew.
            seed: of a new last layer.

        Returns:
            The network.

        Raises:
            OSError: where it is not there.
        """
        facts = network_facts(folder)
        if facts is None:
            raise OSError(f"{folder} holds no network of this package: check the path.")
        own = tuple(facts["id2label"][str(i)] for i in range(len(facts["id2label"])))
        wanted = own if names is None else tuple(names)
        size = int(facts["image_size"])
        network = cls(facts["network"], wanted, size, seed=seed)
        if len(wanted) == len(own):
            load_model(network, _weights(folder))
            return network
        saved = cls(facts["network"], own, size)
        load_model(saved, _weights(folder))
        new = network.state_dict()
        state = {k: v if v.shape == new[k].shape else new[k] for k, v in saved.state_dict().items()}
        network.load_state_dict(state)
        return network


def network_facts(folder: str | Path) -> dict[str, Any] | None:
    """What a folder's config.json says of a network of this package; None for another's."""
    path = Path(folder) / "config.json"
    facts = json.loads(path.read_text()) if path.is_file() else {}
    return facts if "network" in facts else None


def seen_by_model(name: str, config: Any, size: int | None = None) -> View:
    """How a model of transformers sees pictures.

    Args:
        name: a folder or a name on the hub.
        config: its configuration.
        size: pixels on a side, where neither the model nor its folder says it.

    Returns:
        The view.

    Raises:
        ValueError: for pictures that are no squares, or have other channels than red, green, blue.
    """
    inner = getattr(config, "vision_config", config)
    made_for = getattr(inner, "image_size", None)
    if made_for is None:
        facts = _processor(name, config)
        given = facts.get("crop_size") or facts.get("size") or size or OWN_SIZE
        of_timm = getattr(config, "pretrained_cfg", None) or {"fixed_input_size": True}
        if size is not None and not of_timm.get("fixed_input_size"):
            given = size  # a network of timm that sees pictures of any
        made_for = next(iter(given.values())) if isinstance(given, Mapping) else given
    sides = {made_for} if isinstance(made_for, int) else set(made_for)
    channels = getattr(inner, "num_channels", 3)
    if len(sides) > 1 or channels != 3:
        what = f"{made_for} pixels" if len(sides) > 1 else f"{channels} channels"
        raise ValueError(
            f"{name} sees pictures of {what}, and here they are squares of red, green and blue: "
            "name another model."
        )
    return View.of(name, int(sides.pop()), config)


def _processor(name: str, config: Any = None) -> dict[str, Any]:
    """What a model's preprocessor_config.json says, or else its config; nothing where none does."""
    path = Path(name) / SETTINGS
    if path.is_file():
        facts: dict[str, Any] = json.loads(path.read_text())
        return facts
    # a repository of timm, which transformers loads too, has one file for all
    of_timm = getattr(config, "pretrained_cfg", None)
    if of_timm:
        high, wide = of_timm.get("input_size", (3, OWN_SIZE, OWN_SIZE))[1:]
        known = {"image_mean": of_timm.get("mean"), "image_std": of_timm.get("std")}
        return known | {"size": wide if high == wide else (high, wide)}
    if Path(name).is_dir():
        return {}
    from transformers import ImageProcessingMixin

    with suppress(OSError):  # it lies on the hub, or in its cache
        return dict(ImageProcessingMixin.get_image_processor_dict(name)[0])
    return {}


def timm_view(name: str, size: int | None) -> View:
    """How a network of timm sees pictures, by timm's own account; nothing is made.

    Args:
        name: as in timm:resnet18.
        size: pixels on a side; None asks timm.

    Returns:
        The view.

    Raises:
        ValueError: for a network that is not there, or sees no squares and is given no size.
        ModuleNotFoundError: where timm is missing.
    """
    facts = check_timm(name)
    high, wide = facts.input_size[1:]
    if high != wide and size is None:
        raise ValueError(
            f"{name} sees pictures of {high} x {wide} pixels by itself, and here they are squares: "
            "give their size."
        )
    return View(size or int(wide), tuple(facts.mean), tuple(facts.std))


def check_timm(name: str, *, weights: bool = False) -> Any:
    """Refuse a network that timm does not have; nothing is made.

    Args:
        name: as in timm:resnet18.
        weights: whether its weights are asked for, and not a new network.

    Returns:
        What timm says of it.

    Raises:
        ValueError: naming those that are spelled alike.
        ModuleNotFoundError: where timm is missing.
    """
    timm, bare = _timm(), name.removeprefix(TIMM)
    source, colon, rest = bare.partition(":")
    if colon or "/" in bare:
        raise ValueError(
            f"{name!r} is no name in timm: what lies on the hub, or in a folder with timm's "
            f"config.json, is named by itself, as in {rest or source}."
        )
    if not timm.is_model(bare):
        near = difflib.get_close_matches(bare, timm.list_models(), n=3)
        hint = f"did you mean {', '.join(near)}?" if near else "timm.list_models() names them all."
        raise ValueError(f"there is no network {name!r} in timm: {hint}")
    try:
        facts = timm.get_pretrained_cfg(bare)
    except RuntimeError as error:
        raise ValueError(
            f"{name}: {error} timm has {', '.join(timm.list_pretrained(bare.partition('.')[0]))}."
        ) from error
    if facts is None:  # an old name, whose weights and sizes stand under the new one
        now = timm.models.get_deprecated_models().get(bare) or "nothing"
        raise ValueError(f"{name} is an old name, in place of which timm has {now}: name that.")
    if weights and not facts.has_weights:
        raise ValueError(
            f"timm has no weights for {name}: name a network of timm.list_pretrained(). A new one "
            "is made as a student, {network: " + name + "}, and its folder can teach others."
        )
    return facts


def _timm() -> Any:
    try:
        # no dependency of ours: it stands on a torchvision that has to fit one's torch
        return import_module("timm")
    except (ImportError, RuntimeError) as error:  # beside another torch it cannot be imported
        raise ModuleNotFoundError(
            f"timm:... needs the package timm, and it cannot be imported here ({error}): "
            "pip install timm, in a version that fits your torch and torchvision; or name a model "
            f"of transformers, or one of {', '.join(NETWORKS)}."
        ) from error


def _timm_model(
    name: str, classes: int, seed: int, pretrained: bool, sizes: Mapping[str, Any], pixels: int
) -> nn.Module:
    facts = check_timm(name, weights=pretrained)
    timm, bare = _timm(), name.removeprefix(TIMM)
    if facts.fixed_input_size:
        sizes = {"img_size": pixels, **sizes}  # one that has a place for each patch, as ViTs
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            model: nn.Module = timm.create_model(
                bare, pretrained=pretrained, num_classes=classes, **sizes
            )
        except OSError as error:
            raise OSError(
                f"the weights of {name} are not on this machine and cannot be fetched: {error} "
                "Where there is no network, copy the hub's cache of a machine that has them, or "
                "name a teacher in a folder."
            ) from error
        except (AssertionError, RuntimeError) as error:  # of any size: timm's word on it
            raise ValueError(_too_small(name, pixels, facts, error)) from error
    _try_out(name, model, classes, pixels, facts)
    return model


def _try_out(name: str, model: nn.Module, classes: int, pixels: int, facts: Any) -> None:
    """Refuse a network that gives no class scores for pictures of this size; no value is looked at.

    Raises:
        ValueError: naming its own size, or what it gives.
    """
    held = (*model.parameters(), *model.buffers())
    # a copy without a value: what is copied is looked up by its id
    bare = deepcopy(model, {id(each): nn.Parameter(each.to("meta"), False) for each in held})
    picture = torch.ones(2, 3, pixels, pixels, device="meta")
    try:
        with torch.no_grad():  # in eval mode, where a single place has batch statistics
            scores = bare.eval()(picture)
    except Exception as error:  # of any kind: a layer's word on what it cannot read
        if "meta" in str(error) or isinstance(error, NotImplementedError):
            return  # one that looks at values is tried by the training
        raise ValueError(_too_small(name, pixels, facts, error)) from error
    if not isinstance(scores, Tensor) or scores.shape != (2, classes):
        given = tuple(scores.shape) if isinstance(scores, Tensor) else type(scores).__name__
        raise ValueError(
            f"the network {name} gives {given} for 2 pictures, and {classes} scores each are "
            "needed: name a classifier."
        )


def _too_small(name: str, pixels: int, facts: Any, error: Exception) -> str:
    own = " x ".join(str(side) for side in dict.fromkeys(facts.input_size[1:]))
    first, *_ = str(error).strip().splitlines() or [type(error).__name__]
    return (
        f"the network {name} cannot see pictures of {pixels} pixels on a side ({first}): choose "
        f"another size; its own is {own}."
    )


def _check_sizes(name: str, sizes: Mapping[str, Any]) -> None:
    """Refuse sizes that a network of ours does not have."""
    if wrong := {each: size for each, size in sizes.items() if each not in SIZES[name]}:
        raise ValueError(
            f"the network {name} does not take {wrong}: its sizes are {', '.join(SIZES[name])}."
        )


def _weights(folder: str | Path) -> Path:
    return Path(folder) / "model.safetensors"


def _small_cnn(size: int, classes: int, seed: int, sizes: Mapping[str, Any]) -> nn.Module:
    return SmallCNN(classes=classes, channels=3, seed=seed, **sizes)


def _mlp(size: int, classes: int, seed: int, sizes: Mapping[str, Any]) -> nn.Module:
    width, hidden = sizes.get("width", 128), sizes.get("depth", 2)
    return MLP(3 * size * size, *(width,) * hidden, classes, seed=seed)


def _vit(size: int, classes: int, seed: int, sizes: Mapping[str, Any]) -> nn.Module:
    patch = sizes.get("patch", 4)
    rest = {key: value for key, value in sizes.items() if key != "patch"}
    return VisionTransformer(size, patch, classes=classes, channels=3, seed=seed, **rest)


SIZES = {  # that each takes
    "small-cnn": ("width",),
    "mlp": ("width", "depth"),
    "vit": ("width", "depth", "patch", "heads"),
}
NETWORKS: dict[str, Callable[[int, int, int, Mapping[str, Any]], nn.Module]] = {
    "small-cnn": _small_cnn,
    "mlp": _mlp,
    "vit": _vit,
}

"""Networks for pictures that are no model of transformers: ours by name, and timm's."""

import difflib
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
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
    """

    size: int
    mean: tuple[float, ...] = (0.5, 0.5, 0.5)
    std: tuple[float, ...] = (0.5, 0.5, 0.5)

    @classmethod
    def of(cls, name: str, size: int) -> "View":
        """The view that a model's preprocessor_config.json describes, at another size."""
        facts = _processor(name)
        mean, std = facts.get("image_mean") or cls.mean, facts.get("image_std") or cls.std
        if not facts.get("do_normalize", True):
            mean, std = (0.0,) * 3, (1.0,) * 3
        # theirs are of pixels times a factor, ours of pixels over 255
        factor = facts.get("rescale_factor", 1 / 255) if facts.get("do_rescale", True) else 1
        scale = 1 if factor == 1 / 255 else 1 / (255 * factor)
        return cls(size, tuple(m * scale for m in mean), tuple(s * scale for s in std))

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
        (Path(folder) / SETTINGS).write_text(to_json(facts), encoding="utf-8")


class Network(nn.Module):
    """A network with all that makes it again: (B, 3, size, size) -> (B, classes).

    Args:
        recipe: its name and sizes, as in {"name": "small-cnn", "width": 16}.
        names: of the classes.
        size: pixels on a picture's side.
        seed: of the first weights.
        pretrained: whether timm's weights are fetched.
        own_size: whether a network of timm is made for the size that it has by itself.

    Raises:
        ValueError: for another name, or sizes that it does not take.
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
        own_size: bool = False,
    ) -> None:
        super().__init__()
        self.recipe, self.names, self.size = dict(recipe), names, size
        sizes = {key: value for key, value in recipe.items() if key != "name"}
        name = str(recipe["name"])
        try:
            if name.startswith(TIMM):
                pixels = None if own_size else size
                self.body = _timm_model(name, len(names), seed, pretrained, sizes, pixels)
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
        save_file({k: v.contiguous() for k, v in self.state_dict().items()}, _weights(folder))
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
        network = cls(facts["network"], wanted, int(facts["image_size"]), seed=seed)
        state = load_file(_weights(folder))
        if len(wanted) != len(own):
            new = network.state_dict()
            state = {k: v if v.shape == new[k].shape else new[k] for k, v in state.items()}
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
        facts = _processor(name)
        given = facts.get("crop_size") or facts.get("size") or size or OWN_SIZE
        made_for = next(iter(given.values())) if isinstance(given, Mapping) else given
    sides = {made_for} if isinstance(made_for, int) else set(made_for)
    channels = getattr(inner, "num_channels", 3)
    if len(sides) > 1 or channels != 3:
        what = f"{made_for} pixels" if len(sides) > 1 else f"{channels} channels"
        raise ValueError(
            f"{name} sees pictures of {what}, and here they are squares of red, green and blue: "
            "name another model."
        )
    return View.of(name, int(sides.pop()))


def _processor(name: str) -> dict[str, Any]:
    """What a model's preprocessor_config.json says; nothing where there is none."""
    path = Path(name) / SETTINGS
    if path.is_file():
        facts: dict[str, Any] = json.loads(path.read_text())
        return facts
    if Path(name).is_dir():
        return {}
    from transformers import ImageProcessingMixin

    with suppress(OSError):  # it lies on the hub, or in its cache
        return dict(ImageProcessingMixin.get_image_processor_dict(name)[0])
    return {}


def timm_view(network: Network, size: int | None) -> View:
    """How a network of timm sees pictures, by timm's own account.

    Args:
        network: the network.
        size: pixels on a side; None asks timm.

    Returns:
        The view.
    """
    facts = _timm().data.resolve_model_data_config(network.body)
    return View(size or int(facts["input_size"][-1]), tuple(facts["mean"]), tuple(facts["std"]))


def check_timm(name: str) -> None:
    """Refuse a network that timm does not have; nothing is made.

    Args:
        name: as in timm:resnet18.

    Raises:
        ValueError: naming those that are spelled alike.
        ModuleNotFoundError: where timm is missing.
    """
    timm, bare = _timm(), name.removeprefix(TIMM)
    if not timm.is_model(bare):
        near = difflib.get_close_matches(bare, timm.list_models(), n=3)
        hint = f"did you mean {', '.join(near)}?" if near else "timm.list_models() names them all."
        raise ValueError(f"there is no network {name!r} in timm: {hint}")


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
    name: str,
    classes: int,
    seed: int,
    pretrained: bool,
    sizes: Mapping[str, Any],
    pixels: int | None,
) -> nn.Module:
    check_timm(name)
    timm, bare = _timm(), name.removeprefix(TIMM)
    facts = timm.get_pretrained_cfg(bare)
    if pixels is not None and getattr(facts, "fixed_input_size", False):
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
    return model


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

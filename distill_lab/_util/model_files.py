"""The files of a saved model, looked at before anything is loaded: present, whole, no pointers."""

import json
import math
import os
import re
from pathlib import Path
from typing import Any

from distill_lab._util.io import refuse_pointer, user_path

HEADER = 8  # bytes that say how long a safetensors file's header is
PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
OTHERS = (".safetensors", ".gguf", ".h5", ".msgpack", ".onnx")  # weights that are not looked for
SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"
OBJECTS = {
    *("config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json"),
    *("special_tokens_map.json", INDEX),
}
KEPT_IN = ("bfloat16", "float16", "float32", "float64", "half", "float", "double")
BYTES = {  # of a number, as safetensors names their kinds
    **dict.fromkeys(("F64", "I64", "U64"), 8),
    **dict.fromkeys(("F32", "I32", "U32"), 4),
    **dict.fromkeys(("BF16", "F16", "I16", "U16"), 2),
    **dict.fromkeys(("F8_E4M3", "F8_E5M2", "I8", "U8", "BOOL"), 1),
}
WHOLE = ("I8", "U8", "I16", "U16", "I32", "U32")


def model_folder(name: str | os.PathLike[str], what: str = "the model") -> Path | None:
    """The folder that a model is to be loaded from, its files looked at; None: it is on the hub.

    Args:
        name: A folder, or a name on the hub.
        what: Whose it is, for the words of an error.

    Returns:
        The folder.

    Raises:
        FileNotFoundError: For what is no folder, and no name that a hub may have.
        ValueError: For files that are missing, cut short, pickled or pointers, by name.
    """
    if "://" in os.fspath(name):
        raise ValueError(
            f"{what} {name} is an address: expected a folder or a name on the hub. A server "
            "answers prompts: `distill-lab generate --server`; learn its answers with method sft."
        )
    folder = user_path(name, what)
    if folder.is_dir():
        check_folder(folder)
        return folder
    if folder.exists():
        raise ValueError(f"{what} {folder} is a file: expected the folder of a model.")
    inside = folder.parts[0] if len(folder.parts) > 1 else None
    hub = re.fullmatch(r"[\w.-]+(/[\w.-]+)?", os.fspath(name))
    if not hub or os.fspath(name)[0] in "./~" or (inside is not None and Path(inside).is_dir()):
        raise FileNotFoundError(
            f"{what}: there is no folder {name} (looked in {folder.absolute()}): check the path."
        )
    if os.environ.get("HF_HUB_OFFLINE", "0").lower() in ("1", "true", "yes") and not in_cache(name):
        raise FileNotFoundError(
            f"{what}: there is no folder {name} (looked in {folder.absolute()}), no copy of it in "
            "Hugging Face's cache, and HF_HUB_OFFLINE forbids to ask the hub."
        )
    return None


def in_cache(name: str | os.PathLike[str]) -> bool:
    """Whether a model of the hub lies in Hugging Face's cache."""
    from huggingface_hub import try_to_load_from_cache

    return isinstance(try_to_load_from_cache(os.fspath(name), "config.json"), str)


def check_hub(name: str | os.PathLike[str]) -> None:
    """Ask the hub once, and briefly, whether it has a model: loaders try for a minute.

    Args:
        name: On the hub, of a model that lies neither in a folder nor in the cache.

    Raises:
        FileNotFoundError: Where the hub does not know it or cannot be reached.
    """
    from huggingface_hub import HfApi

    try:
        HfApi().model_info(os.fspath(name), timeout=10)
    except Exception as error:  # of the network's or the hub's own kinds
        words = " ".join(str(error).split())[:200]
        raise FileNotFoundError(
            f"there is no folder {name} (looked in {Path(name).absolute()}), and the hub gives no "
            f"model of this name: {words or type(error).__name__}."
        ) from error


def check_folder(folder: Path) -> None:
    """Refuse a folder that `from_pretrained` cannot load, naming the file.

    Args:
        folder: Of the model.

    Raises:
        ValueError: For files that are missing, cut short, pickled or pointers.
    """
    objects: dict[str, dict[str, Any]] = {}
    for file in sorted(folder.glob("*.json")):
        refuse_pointer(file)
        try:  # whoever loads them knows no marks and no other encoding
            known = file.name in OBJECTS
            value = json.loads(file.read_text("utf-8") if known else file.read_bytes())
        except ValueError as error:
            raise ValueError(f"{file} is not whole: {error}. Get it again.") from None
        if known and not isinstance(value, dict):
            raise ValueError(f"{file} holds no object, but {str(value)[:40]!r}: get it again.")
        objects[file.name] = value
    adapter = "adapter_config.json" in objects
    if "config.json" not in objects:
        hint = " It holds an adapter: merge it into its base model first." if adapter else ""
        raise ValueError(f"{folder} holds no config.json, so it is no saved model.{hint}")
    if adapter:
        raise ValueError(
            f"{folder} holds a model and an adapter (adapter_config.json), which would be put upon "
            "a third model, its own base: merge it, or move its files out."
        )
    _check_settings(folder, objects["config.json"], objects.get("generation_config.json", {}))
    held = tensors(folder)
    integral = [
        name
        for name, each in held.items()
        if name.endswith(".weight") and each["dtype"] in WHOLE and len(each["shape"]) > 1
    ]
    if integral and not objects["config.json"].get("quantization_config"):
        raise ValueError(
            f"{folder} holds weights in whole numbers (first: {integral[0]}), and config.json has "
            "no quantization_config that says what they stand for: take the model as it was before."
        )


def _check_settings(folder: Path, config: dict[str, Any], generation: dict[str, Any]) -> None:
    """Refuse settings that loading would trip over, by file and name."""
    for name in ("dtype", "torch_dtype"):
        kept = config.get(name)
        if kept is not None and not isinstance(kept, dict) and kept not in KEPT_IN:
            raise ValueError(
                f"{folder / 'config.json'}: {name} must be one of {', '.join(KEPT_IN[:4])}, got "
                f"{kept!r}."
            )
    ends = generation.get("eos_token_id")
    if ends is not None and not all(
        type(end) is int for end in (ends if isinstance(ends, list) else [ends])
    ):
        raise ValueError(
            f"{folder / 'generation_config.json'}: eos_token_id must be a number or a list of "
            f"numbers, got {ends!r}."
        )


def tensors(folder: Path) -> dict[str, dict[str, Any]]:
    """What every safetensors file of a folder says it holds; only headers are read.

    Args:
        folder: Of the model.

    Returns:
        The `dtype` and `shape` of each tensor by its name.

    Raises:
        ValueError: For shards that are missing, cut short or pointers, and for pickled weights.
    """
    index = folder / INDEX
    if (folder / SINGLE).exists():  # which is loaded, whatever lies beside it
        names = [SINGLE]
    elif index.is_file():
        names = _shards(index)
    else:
        names = []
    if not names:
        files = sorted(file.name for file in folder.iterdir())
        pickled = [name for name in files if name.endswith(PICKLED)]
        others = [name for name in files if name.endswith(OTHERS)]
        what = f" but {pickled[0]}, which is pickled and may run code" if pickled else ""
        what = f" but {others[0]}, which is not looked for" if others else what
        raise ValueError(
            f"{folder} holds no {SINGLE} and no shards that {INDEX} names{what}: save it with "
            "save_pretrained of transformers."
        )
    headers: dict[str, dict[str, Any]] = {}
    for name in names:
        if not (folder / name).is_file():
            raise ValueError(f"{folder} lacks the shard {name} that {index.name} names: get it.")
        headers |= header(folder / name)
    return headers


def _shards(index: Path) -> list[str]:
    """The files that an index names."""
    refuse_pointer(index)
    given = json.loads(index.read_bytes())
    places = given.get("weight_map") if isinstance(given, dict) else None
    if not isinstance(places, dict) or not all(isinstance(file, str) for file in places.values()):
        raise ValueError(f"{index} holds no weight_map of tensors and their files: get it again.")
    return sorted({*places.values()})


def header(file: Path) -> dict[str, dict[str, Any]]:
    """What a safetensors file says it holds, held against its size.

    Raises:
        ValueError: For a pointer, or a file that is cut short or of another kind.
    """
    refuse_pointer(file)
    size = file.stat().st_size
    with open(file, "rb") as stream:
        length = int.from_bytes(stream.read(HEADER), "little")
        try:
            if size < HEADER or length > size - HEADER:
                raise ValueError
            held: dict[str, Any] = json.loads(stream.read(length))
            held.pop("__metadata__", None)
            end = max((each["data_offsets"][1] for each in held.values()), default=0)
            for each in held.values():
                start, stop = each["data_offsets"]
                size_of_one = BYTES.get(each["dtype"])  # kinds to come are left to the loader
                if size_of_one and math.prod(each["shape"]) * size_of_one != stop - start:
                    raise ValueError
        except (ValueError, KeyError, TypeError, AttributeError):
            raise ValueError(
                f"{file} is cut short or no safetensors file ({size:,} bytes): get it again."
            ) from None
    if HEADER + length + end != size:
        raise ValueError(
            f"{file} has {size:,} bytes in place of {HEADER + length + end:,}: it was cut short. "
            "Get it again."
        )
    return held

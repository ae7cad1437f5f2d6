"""Encoders as teachers and students: loaded, made new, or started from a teacher's layers."""

import copy
import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch

from distill_lab._util.checks import needs
from distill_lab._util.model_files import model_folder
from distill_lab.models import from_teacher
from distill_lab.models.positions import positions_of
from distill_lab.models.pretrained import check_body

# What a configuration lists for each layer, where kinds of layers take turns.
PER_LAYER = (
    *("layer_types", "mlp_layer_types", "no_rope_layers", "attention_window"),
    "attention_layers",  # of GPT-Neo, which reads it from attention_types
)
# What families call the width inside a layer, where it is not intermediate_size.
INNER = (
    "hidden_dim",
    "d_ff",
    "d_inner",
    "ffn_dim",
    "ffn_hidden_size",
    "n_inner",
    "encoder_ffn_dim",
    "decoder_ffn_dim",
)
AS_WIDE = ("embedding_size", "pooler_hidden_size", "word_embed_proj_dim")
# families that keep the parts of their layers in a list each
XLM = ("attentions", "layer_norm1", "ffns", "layer_norm2")
IN_PARTS = {"xlm": XLM, "flaubert": XLM}
HEAD = ("head_dim", "d_head", "d_kv")  # the width of a head, where a family keeps it


@contextmanager
def quiet() -> Iterator[None]:
    """Keep transformers from writing bars and reports while it loads."""
    from transformers.utils import logging

    level, shown = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if shown:
            logging.enable_progress_bar()


class AutoEncoder:
    """What reads a text to its vectors: transformers' AutoModel, and of T5 the encoder alone."""

    @staticmethod
    def of(config: Any) -> Any:
        """The class that makes a model of a configuration."""
        from transformers import MODEL_FOR_TEXT_ENCODING_MAPPING as ENCODERS
        from transformers import AutoModel, AutoModelForTextEncoding

        own = ENCODERS.get(type(config), None)
        alone = getattr(own, "__name__", "").endswith("EncoderModel")
        return AutoModelForTextEncoding if alone else AutoModel

    @classmethod
    def from_config(cls, config: Any) -> Any:
        """A model with first weights."""
        return cls.of(config).from_config(config)

    @classmethod
    def from_pretrained(cls, name: str, **options: Any) -> Any:
        """A saved model."""
        return cls.of(read_config(name, "model")).from_pretrained(name, **options)


def read_config(name: str, who: str) -> Any:
    """The configuration of a model, without its weights.

    Args:
        name: a folder or a name on the hub.
        who: "teacher" or "student", for the words of an error.

    Returns:
        The configuration.

    Raises:
        OSError: where there is none, in words.
        ValueError: for a folder with files that are incomplete, by name.
    """
    with needs("transformers"):
        from transformers import AutoConfig
    model_folder(name, f"the {who}")
    try:
        with quiet():
            return AutoConfig.from_pretrained(name, trust_remote_code=False)
    except (OSError, ValueError) as error:
        first = str(error).strip().splitlines()[0]
        raise OSError(
            f"no {who} could be read from {name!r}: {first} Expected a folder with config.json, "
            "model.safetensors and a tokenizer, or a name on the hub."
        ) from error


def head_of(config: Any, ending: str) -> bool:
    """Whether a saved model has the head of a task.

    Args:
        config: the model's.
        ending: of the name of its class, such as "ForSequenceClassification".

    Returns:
        Whether it was saved with it.
    """
    return any(name.endswith(ending) for name in config.architectures or ())


def load_tokenizer(name: str) -> Any:
    """The tokenizer beside a model.

    Raises:
        OSError: where there is none, in words.
    """
    from transformers import AutoTokenizer

    try:
        with quiet():
            tokenizer = AutoTokenizer.from_pretrained(name, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise OSError(
            f"no tokenizer could be loaded from {name!r}: save it beside the model, with "
            "tokenizer.save_pretrained."
        ) from error
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def load(kind: Any, name: str, seed: int, *, has_head: bool = False, **config: Any) -> Any:
    """Load a model with the head of a task; a head that the folder lacks is drawn from the seed.

    Args:
        kind: transformers' class, such as AutoModelForSequenceClassification.
        name: a folder or a name on the hub.
        seed: of a new head.
        has_head: whether it answers as it was saved, so that nothing of it may be new.
        **config: what the configuration says instead, such as the names of the classes.

    Returns:
        The model, in float32.

    Raises:
        OSError: where there is none, or only one that is pickled, in words.
        ValueError: for files that lack a part of the model's body, or hold more layers.
    """
    try:
        with quiet(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model, report = kind.from_pretrained(
                name,
                dtype=torch.float32,
                use_safetensors=True,
                trust_remote_code=False,
                ignore_mismatched_sizes=True,  # told below, by name
                output_loading_info=True,
                **config,
            )
    except (OSError, ValueError) as error:
        raise OSError(
            f"{kind.__name__} could not load {name!r}: {error}. Expected a folder with "
            "config.json and model.safetensors, or a name on the hub."
        ) from error
    check_body(model, report, name, has_head=has_head)
    return model


def new_student(kind: Any, shape: Mapping[str, Any], teacher: Any, seed: int, **config: Any) -> Any:
    """Make a student of the teacher's family: of another shape, or from some of its layers.

    Args:
        kind: transformers' class, such as AutoModelForSequenceClassification.
        shape: sizes as the family's configuration names them; or `layers`, the numbers of the
            teacher's layers that it starts from.
        teacher: the teacher's model.
        seed: of the weights that are not the teacher's.
        **config: what the configuration says instead, such as the names of the classes.

    Returns:
        The model, in float32.

    Raises:
        ValueError: for sizes that the family does not have or that do not fit.
    """
    settings, layers = _shaped(teacher.config, shape), shape.get("layers")
    for name, value in config.items():
        setattr(settings, name, value)
    try:
        with quiet(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            student = kind.from_config(settings).float()
    except (ValueError, RuntimeError, TypeError) as error:
        raise ValueError(f"no student of the shape {dict(shape)} can be made: {error}") from error
    if layers is None:
        return student
    # what ESM reads of all layers at once is not asked, and has another size in fewer
    fresh = [name for name, _ in student.named_modules() if name.endswith("contact_head")]
    numbers = _groups(teacher.config, layers)
    return from_teacher(student, teacher, layers=numbers, fresh=fresh, stack=_stack(teacher))


def _stack(model: Any) -> Sequence[str] | None:
    """Where the layers stand of a model that has several lists of modules; None of another."""
    ends: Sequence[str] = ()
    if model.config.model_type in IN_PARTS:
        ends = IN_PARTS[model.config.model_type]
    elif hasattr(model.config, "num_decoder_layers") or model.config.is_encoder_decoder:
        ends = ("encoder.block", "encoder.layers")  # those of the encoder
    names = [name for name, _ in model.named_modules() if ends and name.endswith(tuple(ends))]
    return names or None


def _groups(config: Any, layers: list[int]) -> list[int]:
    """Which modules of the teacher hold these layers: ALBERT's share them, in groups."""
    groups = getattr(config, "num_hidden_groups", None)
    if groups is None:
        return layers
    return [0] if groups == 1 else [i * groups // _depth(config) for i in layers]


def check_student(student: str | Mapping[str, Any], teacher: str | None) -> None:
    """Refuse a student that is not there, or cannot be made; no weights are read.

    Args:
        student: a name, or a shape.
        teacher: the name of whose family a new one is.

    Raises:
        OSError: where there is none.
        ValueError: for sizes or layers that the family does not have.
    """
    if isinstance(student, str):
        read_config(student, "student")
    elif teacher is not None:
        settings = config_of(student, teacher)
        # a family that reads values while it is made cannot be made without any: then later
        with suppress(NotImplementedError, RuntimeError), torch.device("meta"), quiet():
            try:
                AutoEncoder.from_config(settings)
            except ValueError as error:
                raise ValueError(
                    f"no student of the shape {dict(student)} can be made: {error}"
                ) from error


def config_of(named: str | Mapping[str, Any], teacher: str | None) -> Any:
    """The configuration of a model that a job names: a saved one's, or a new student's.

    Args:
        named: a name, or a shape.
        teacher: the name of whose family a new one is.

    Returns:
        The configuration.

    Raises:
        OSError: where there is none.
        ValueError: for sizes or layers that the family does not have.
    """
    if isinstance(named, str):
        return read_config(named, "teacher" if named == teacher else "student")
    return _shaped(read_config(str(teacher), "teacher"), named)


def _shaped(config: Any, shape: Mapping[str, Any]) -> Any:
    sizes, layers = dict(shape), shape.get("layers")
    sizes.pop("layers", None)
    if layers is not None:
        sizes["num_hidden_layers"] = len(layers)
    return student_config(config, sizes, layers)


def student_config(config: Any, sizes: Mapping[str, int], layers: list[int] | None = None) -> Any:
    """The teacher's configuration with other sizes.

    Args:
        config: the teacher's.
        sizes: some of its numbers.
        layers: which of the teacher's layers these are, where kinds of layers take turns.

    Returns:
        A configuration of its own.

    Raises:
        ValueError: for a size that the family does not have, or layers that the teacher lacks.
    """
    result = copy.deepcopy(config)
    if layers is not None and (wrong := [i for i in layers if not 0 <= i < _depth(config)]):
        raise ValueError(
            f"the teacher has the layers 0 to {_depth(config) - 1}, and layers names {wrong}: "
            "layers are numbered from 0."
        )
    if "num_hidden_layers" in sizes:
        chosen = layers or range(sizes["num_hidden_layers"])
        for name in PER_LAYER:
            if isinstance(kinds := getattr(result, name, None), list):
                if _worked_out(result, name):
                    continue
                setattr(result, name, [kinds[i % len(kinds)] for i in chosen])
        if isinstance(kinds := getattr(result, "attention_layers", None), list):
            result.attention_types = [[kinds, 1]]
    if layers is not None and getattr(config, "num_hidden_groups", 1) > 1:
        result.num_hidden_groups = len(layers)
    if "hidden_size" in sizes and _own_names(result, "intermediate_size"):
        # Mamba's follows from its own factor, also when its folder is read again
        times = getattr(result, "expand", 4)
        sizes = {"intermediate_size": int(times * sizes["hidden_size"]), **sizes}
    for name, size in sizes.items():
        own = _own_names(result, name)
        if not own:
            raise ValueError(
                f"a {config.model_type} has no size {name!r}; name some of "
                f"{', '.join(sizes_of(config))}, or layers: [0, ...] to start from the teacher's."
            )
        try:
            for each in own:
                setattr(result, each, size)
        except NotImplementedError as error:  # of Funnel, which has blocks of layers
            raise ValueError(
                f"a {config.model_type} does not let {name} be chosen ({error}): leave it and "
                "layers out, or name a student that is made already, as a folder."
            ) from error
    if {"hidden_size", "num_attention_heads"} & set(sizes):
        for name in HEAD:
            width = getattr(config, name, None)
            if width is not None and width == _share(config) and not _worked_out(config, name):
                setattr(result, name, _share(result))
    return result


def _worked_out(config: Any, name: str) -> bool:
    """Whether a configuration works a value out from the rest, as Mamba's layer_types."""
    return isinstance(getattr(type(config), name, None), property)


def _share(config: Any) -> int:
    """The width of a head, where heads share the model's; 0 where there are none."""
    heads = getattr(config, "num_attention_heads", 0)
    return int(config.hidden_size) // int(heads) if heads else 0


def sizes_of(config: Any) -> list[str]:
    """The sizes that a family's configuration has, by their usual names."""
    usual = ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")
    return [name for name in usual if _own_names(config, name)]


def _own_names(config: Any, name: str) -> list[str]:
    """Where a family keeps a size of a usual name; nowhere where it has none.

    What is as wide as the model, such as a pooler, stays so.
    """
    names = [name, *(INNER if name == "intermediate_size" else ())]
    if name == "hidden_size":
        names += [each for each in AS_WIDE if getattr(config, each, None) == config.hidden_size]
    return [each for each in names if isinstance(getattr(config, each, None), int)]


def reads_last(config: Any) -> bool:
    """Whether a classifier reads the last place of a text, as XLNet's does: padding goes before it.

    Args:
        config: the model's.

    Returns:
        Whether texts are padded on the left.
    """
    return getattr(config, "summary_type", None) == "last"


def text_limit(config: Any, tokenizer: Any, max_length: int) -> int:
    """How many tokens of a text a model reads.

    Args:
        config: the model's.
        tokenizer: its tokenizer.
        max_length: what was asked for.

    Returns:
        The least of what was asked for, the model's positions and the tokenizer's own limit.

    Raises:
        ValueError: where that leaves nothing of a text.
    """
    positions = positions_of(config) or max_length
    limit = int(min(max_length, positions, tokenizer.model_max_length))
    special = tokenizer.num_special_tokens_to_add()
    if limit <= special:
        raise ValueError(
            f"max_length = {limit} leaves no token of a text beside the {special} that the "
            "tokenizer adds to each: raise it."
        )
    return limit


def save(
    model: Any,
    tokenizer: Any,
    folder: Path,
    extra: Callable[[Path, Any], None] = lambda folder, model: None,
) -> None:
    """Write a model and its tokenizer as `from_pretrained` takes them, whole or not at all.

    Args:
        model: a plain one.
        tokenizer: its tokenizer, or the reader of its pictures.
        folder: where both go; what was there is replaced.
        extra: writes what else belongs there.
    """
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        with quiet():
            model.save_pretrained(partial, safe_serialization=True)
        if tokenizer is not None:
            tokenizer.save_pretrained(partial)
        extra(partial, model)
        shutil.rmtree(folder, ignore_errors=True)
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def saved_labels(config: Any) -> tuple[str, ...]:
    """The names of the classes that a saved classifier has, in their order."""
    names = {int(number): name for number, name in json.loads(json.dumps(config.id2label)).items()}
    return tuple(str(names[number]) for number in sorted(names))


def _depth(config: Any) -> int:
    return int(config.num_hidden_layers)

"""How long a text a network reads, and the names of tables that are too small for an input."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from torch import Tensor, nn

from distill_lab._util.wrappers import unwrapped

POSITIONS = ("wpe", "pos_emb", "pos_embed")  # what embeddings of places are called besides
# families that count places from behind the padding's number, beside all of RoBERTa's
BEHIND_PADDING = (
    *("camembert", "clap_text_model", "data2vec-text", "esm", "ibert", "layoutlmv3", "lilt"),
    *("longformer", "luke", "markuplm", "mluke", "mpnet", "xmod"),
)
OF_SIZES = ("out of bounds", "out of range", "expanded size", "size of tensor")  # torch's words


def positions_of(model: Any) -> int | None:
    """How many tokens of a text a model can take at once, by its configuration.

    Args:
        model: one of Hugging Face, or its config.

    Returns:
        The number of tokens; None where it does not say.

    >>> from transformers import BertConfig, RobertaConfig
    >>> positions_of(BertConfig()), positions_of(RobertaConfig(max_position_embeddings=514))
    (512, 512)
    """
    config = getattr(model, "config", model)
    config = config.get_text_config() if hasattr(config, "get_text_config") else config
    limit = getattr(config, "max_position_embeddings", getattr(config, "max_seq_len", None))
    if not isinstance(limit, int) or limit <= 0:
        return None
    kind = str(getattr(config, "model_type", ""))
    if "roberta" in kind or kind in BEHIND_PADDING:
        pad = getattr(config, "pad_token_id", None)
        limit -= 1 + (1 if pad is None else int(pad))
    return limit


def may_be_too_small(model: nn.Module, name: str, longest: int, largest: int) -> bool:
    """Whether some table of a network may have no row for a text; it is asked, to be sure.

    Args:
        model: the network.
        name: of the input, such as "input_ids".
        longest: tokens of a text.
        largest: number of a token.

    Returns:
        True where a table is smaller.
    """
    model = unwrapped(model)
    rows = any(largest >= table.num_embeddings for _, table in _tables_of(model, name))
    return rows or any(longest > room for _, room in _places(model))


def name_small_table(model: object, inputs: Any, error: Exception, *, more: int = 0) -> None:
    """Say which embedding is too small for the inputs, where one is: torch names neither.

    Args:
        model: the network that failed.
        inputs: what it was asked, a tensor or tensors by name.
        error: of torch.
        more: how many tokens it was to write behind them.

    Raises:
        IndexError: naming the table, its size and the way out.
    """
    if not any(words in str(error) for words in OF_SIZES) or not isinstance(model, nn.Module):
        return
    model = unwrapped(model)
    given = inputs if isinstance(inputs, Mapping) else {"inputs": inputs}
    numbers = {
        name: part
        for name, part in given.items()
        if isinstance(part, Tensor) and not part.is_floating_point() and name != "attention_mask"
    }
    for name, part in numbers.items():
        for path, room in _places(model):
            if part.dim() > 1 and part.shape[1] + more > room:
                beside = f", max_new_tokens = {more} behind them," if more else ""
                way_out = f"max_length={room - more}" if room > more else "fewer new tokens"
                raise IndexError(
                    f"{name} has {part.shape[1]} tokens a text{beside} and the model{path} knows "
                    f"{room} positions: cut the texts, as {way_out} ({error})"
                ) from error
    if isinstance(error, RuntimeError):
        return  # a number without a row is an IndexError
    for name, part in numbers.items():
        largest = int(part.max()) if part.numel() else -1
        tables = sorted(_tables_of(model, name), key=lambda pair: pair[1].num_embeddings)
        if not tables or largest < tables[0][1].num_embeddings:
            continue
        advice = (
            "use the tokenizer that the model was made with, or "
            "model.resize_token_embeddings(len(tokenizer))."
        )
        path, table = tables[-1]
        rows = f"the model's {path} only {table.num_embeddings} rows"
        if largest < table.num_embeddings:  # which table its numbers go to is not known
            each = [f"{path} {table.num_embeddings}" for path, table in tables]
            rows = f"of the model's tables some have less rows: {', '.join(each)}"
            advice = "look at which numbers go to which."
        raise IndexError(f"{name} has the number {largest} and {rows}: {advice}") from error


def _tables(model: nn.Module) -> Iterator[tuple[str, nn.Embedding]]:
    return ((path, t) for path, t in model.named_modules() if isinstance(t, nn.Embedding))


def _is_of_places(path: str) -> bool:
    return "position" in path or path.rpartition(".")[2] in POSITIONS


def _places(model: nn.Module) -> Iterator[tuple[str, int]]:
    """The words for each table of places, and how many tokens of a text it has places for."""
    by_config = positions_of(model)
    paths = [(path, table) for path, table in _tables(model) if _is_of_places(path)]
    if by_config is not None:
        yield (f"'s {paths[0][0]}" if paths else ""), by_config
        return
    for path, table in paths:
        first = 0 if table.padding_idx is None else table.padding_idx + 1
        yield f"'s {path}", table.num_embeddings - first


def _tables_of(model: nn.Module, name: str) -> list[tuple[str, nn.Embedding]]:
    """The tables that numbers of this name are looked up in, as far as that is known."""
    tables = [(path, table) for path, table in _tables(model) if not _is_of_places(path)]
    if name == "input_ids":
        words = [id(table) for table in _word_tables(model)]
        if words:
            return [(path, table) for path, table in tables if id(table) in words]
    stem = name.removesuffix("_ids")
    named = [(path, table) for path, table in tables if stem in path]
    return named or tables


def _word_tables(model: nn.Module) -> Iterator[nn.Module]:
    """The tables of words of Hugging Face's models, wherever they stand in a network."""
    for part in model.modules():
        if hasattr(part, "get_input_embeddings"):
            with suppress(NotImplementedError, AttributeError):  # one that reads no words
                words: nn.Module = part.get_input_embeddings()  # type: ignore[operator]
                yield words

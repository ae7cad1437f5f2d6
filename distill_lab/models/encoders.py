"""Encoders of sentences, and the ranker that one makes: how a vector or a score is read from them.

An encoder returns a vector for each token, and which of them stands for the text is a choice of
whoever trained it. So it is said, and never guessed.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from distill_lab._util.checks import one_of
from distill_lab._util.tensors import attention_of, in_float32
from distill_lab.models.networks import logits_of, output_of

POOLINGS = ("mean", "cls", "last")
SCORES = ("dot", "cosine")
Read = str | Callable[[Any], Tensor] | None


class Embedder(nn.Module):
    """An encoder whose output is one vector a text, so that it can be cached and compared.

    Args:
        model: the encoder.
        read: how the vector is read, as in `embedding_of`.

    Raises:
        ValueError: for another way to read.

    >>> tokens = {"x": torch.tensor([[[1.0], [3.0], [9.0]]]), "attention_mask": torch.ones(1, 3)}
    >>> class Encoder(nn.Module):
    ...     def forward(self, x, attention_mask):
    ...         return x
    >>> Embedder(Encoder(), "mean")(**tokens | {"attention_mask": torch.tensor([[1, 1, 0]])})
    tensor([[2.]])
    """

    def __init__(self, model: nn.Module, read: Read = None) -> None:
        super().__init__()
        check_read(read)
        self.model, self.read = model, read

    def forward(self, inputs: Any = None, **named: Any) -> Tensor:
        """Embed texts: token ids and their mask by name -> (B, D)."""
        return embed(self.model, named or inputs, self.read)

    def extra_repr(self) -> str:
        """Show the settings in the module's `repr`."""
        return f"read={self.read!r}" if isinstance(self.read, str) else ""


class Ranker(nn.Module):
    """A network that scores the candidates of a query: inputs by name -> (B, K).

    With a `query` the model is a bi-encoder: it embeds query and candidates, and scores are their
    products. Without one each candidate is a pair (query and text, tokenised together), and the
    model is a cross-encoder that gives each pair one score. Candidates are `positive` and
    `negative`, which may have other lengths, or `candidates`, tensors (B, K, ...).

    Args:
        model: the encoder.
        score: "dot" or "cosine": the product of embeddings.
        read: how an embedding, or a pair's score, is read from the model's output: see
            `embedding_of`.

    Raises:
        ValueError: for another score or way to read; when it runs, for inputs without candidates.

    Source: Reimers & Gurevych 2019 (Sentence-BERT), section 3; Nogueira & Cho 2019, section 3.

    >>> ranker = Ranker(nn.Identity())
    >>> query, good, bad = torch.tensor([[1.0, 0.0]]), torch.tensor([[2.0, 1.0]]), torch.ones(1, 2)
    >>> ranker(query=query, positive=good, negative=bad)
    tensor([[2., 1.]])
    >>> ranker(query=query, candidates=torch.stack((good, bad), 1))
    tensor([[2., 1.]])
    """

    def __init__(self, model: nn.Module, *, score: str = "dot", read: Read = None) -> None:
        super().__init__()
        check_read(read)
        self.model, self.score, self.read = model, one_of("score", score, SCORES), read

    def forward(
        self,
        *,
        query: Any = None,
        positive: Any = None,
        negative: Any = None,
        candidates: Any = None,
        mask: Tensor | None = None,
    ) -> Tensor:
        """Score the candidates; `mask` (B, K) says which there are, and is read by the method."""
        if candidates is None and (positive is None or negative is None):
            raise ValueError(
                "a Ranker needs `candidates` (B, K, ...), or both `positive` and `negative`, and "
                "`query` beside them for a bi-encoder: give inputs as {'query': ..., 'positive': "
                "..., 'negative': ...}."
            )
        if candidates is None:
            sides = [self._of_each(part, query is None) for part in (positive, negative)]
            each = torch.stack(sides, 1)
        else:
            shape = _first(candidates).shape[:2]
            flat = self._of_each(_flat(candidates), query is None)
            each = flat.reshape(*shape, *flat.shape[1:])
        if query is None:
            return each
        query_vectors = embed(self.model, query, self.read)
        if self.score == "cosine":
            query_vectors, each = (
                nn.functional.normalize(f, dim=-1) for f in (query_vectors, each)
            )
        return torch.einsum("bd,bkd->bk", query_vectors, each)

    def extra_repr(self) -> str:
        """Show the settings in the module's `repr`."""
        return f"score={self.score!r}, read={self.read if isinstance(self.read, str) else None!r}"

    def _of_each(self, inputs: Any, pairs: bool) -> Tensor:
        """An embedding (N, D) of each text, or a score (N,) of each pair."""
        if not pairs:
            return embed(self.model, inputs, self.read)
        if callable(self.read):
            scores = self.read(output_of(self.model, inputs))
        else:
            scores = logits_of(self.model, inputs)
        if not isinstance(scores, Tensor) or scores.shape[1:] not in ((), (1,)):
            shape = tuple(scores.shape) if isinstance(scores, Tensor) else type(scores).__name__
            raise ValueError(
                f"without a `query` the model scores pairs and returned {shape}: expected one "
                "score a pair, (B,) or (B, 1). Give a `query` where it embeds, or read=."
            )
        return scores.flatten()


def check_read(read: Read) -> None:
    """Refuse another way to read an embedding than those that there are."""
    if read is not None and not callable(read) and read not in POOLINGS:
        raise ValueError(
            f"read must be one of {POOLINGS}, a function of the model's output, or None where that "
            f"is (B, D) already, got {read!r}."
        )


def embed(model: Callable[..., Any], inputs: Any, read: Read = None) -> Tensor:
    """Ask an encoder for one vector a text.

    Args:
        model: the encoder.
        inputs: of B texts, as it takes them.
        read: how a vector is read from what it returns: see `embedding_of`.

    Returns:
        Vectors (B, D).
    """
    return embedding_of(output_of(model, inputs), inputs, read)


def embedding_of(output: Any, inputs: Any, read: Read = None) -> Tensor:
    """Read one vector a text from what an encoder returned.

    Formula: "mean", sum_i m_i h_i / sum_i m_i over the tokens with attention mask m; "cls" and
    "last", the first and the last token that the mask keeps.

    Args:
        output: vectors (B, D); those of tokens (B, L, D); an object with `last_hidden_state`; or a
            dict with `sentence_embedding`, as sentence-transformers returns.
        inputs: with an `attention_mask` (B, L), where texts are padded; without, all tokens count.
        read: "mean", "cls" or "last", a function of the output, or None where it is (B, D).

    Returns:
        Vectors (B, D).

    Raises:
        ValueError: where which vector is meant is not said.

    Source: Reimers & Gurevych 2019 (Sentence-BERT), section 3.

    >>> h = torch.tensor([[[1.0], [3.0], [9.0]]])
    >>> kept = {"attention_mask": torch.tensor([[1, 1, 0]])}
    >>> [embedding_of(h, kept, read).item() for read in ("mean", "cls", "last")]
    [2.0, 1.0, 3.0]
    """
    if callable(read):
        output = read(output)
    elif isinstance(output, Mapping) and "sentence_embedding" in output:
        output = output["sentence_embedding"]
    elif read is not None and not (isinstance(output, Tensor) and output.dim() == 2):
        output = _pooled(output, inputs, read)
    if isinstance(output, Tensor) and output.dim() == 2:
        return output
    kind = f"shape {tuple(output.shape)}" if isinstance(output, Tensor) else type(output).__name__
    raise ValueError(
        f"an embedding has shape (B, D), and the encoder returned {kind}: say which vector stands "
        "for a text, as its authors trained it: read='mean', 'cls' or 'last', or a function such "
        "as read=lambda output: output.pooler_output."
    )


def _pooled(output: Any, inputs: Any, read: str) -> Any:
    tokens = getattr(output, "last_hidden_state", output)
    if not isinstance(tokens, Tensor) or tokens.dim() != 3:
        return tokens  # refused in words by the caller
    kept = attention_of(inputs)
    if kept is None:
        return (
            in_float32(tokens).mean(1) if read == "mean" else tokens[:, 0 if read == "cls" else -1]
        )
    if read == "mean":
        real = torch.where(kept.unsqueeze(-1), in_float32(tokens), 0.0)  # no NaN of padding either
        return real.sum(1) / kept.sum(1, keepdim=True).clamp_min(1)
    # padding may stand on either side
    places = kept.int().argmax(1) if read == "cls" else (kept * _places(kept)).argmax(1)
    return tokens[torch.arange(len(tokens), device=tokens.device), places]


def _places(mask: Tensor) -> Tensor:
    return torch.arange(mask.shape[1], device=mask.device)


def _flat(inputs: Any) -> Any:
    """Candidates as one batch: (B, K, ...) -> (B K, ...), in a dict too."""
    if isinstance(inputs, Mapping):
        return {name: _flat(part) for name, part in inputs.items()}
    return inputs.flatten(0, 1)


def _first(inputs: Any) -> Tensor:
    """One tensor of some inputs, for their shape."""
    while isinstance(inputs, Mapping):
        inputs = next(iter(inputs.values()))
    return inputs  # type: ignore[no-any-return]

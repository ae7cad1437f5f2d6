"""A teacher in this process: a Hugging Face causal language model, asked in batches."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distill_lab.synthesis.drawing import drawing, stopping
from distill_lab.synthesis.extras import needs
from distill_lab.synthesis.replies import Failure, Reply, Take
from distill_lab.synthesis.requests import Request, Sampling, digest

if TYPE_CHECKING:
    import torch


class Local:
    """A model given as an object, a folder or a name on the hub, with its tokenizer.

    Requests are sorted by length, the longest first (if memory runs out, it does so at once), and
    answered ``batch_size`` at a time with padding on the left. Each prompt goes through the
    tokenizer's chat template; ``plain=True`` shows the text of its messages as it is, for models
    without one.
    Formula: the next token is the first whose cumulated probability under
    softmax(logits / temperature), cut to the nucleus ``top_p``, exceeds u; u follows from the
    request's own seed and the position. So an answer does not depend on which others share its
    batch, up to the rounding of the model itself, and a resumed run says what one run would have.
    Holtzman et al. 2020, arXiv:1904.09751, section 3.1 (nucleus sampling).
    Raises ValueError without a chat template, or without a tokenizer for a model object.
    """

    prices = None

    def __init__(
        self,
        model: Any,
        tokenizer: Any = None,
        *,
        batch_size: int = 16,
        plain: bool = False,
        device: str | torch.device | None = None,
    ) -> None:
        if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
            raise ValueError(f"batch_size must be a positive whole number, got {batch_size!r}.")
        if isinstance(model, (str, Path)):
            self.name = str(model)
            model, tokenizer = _load(self.name, tokenizer, device)
        else:
            self.name = type(model).__name__
            if tokenizer is None:
                raise ValueError("a model given as an object needs its tokenizer beside it.")
            if device is not None:
                model = model.to(device)
        if not plain and not getattr(tokenizer, "chat_template", None):
            raise ValueError(
                f"the tokenizer of {self.name} has no chat template: pass plain=True to show it "
                "the bare text of each prompt, or set tokenizer.chat_template."
            )
        self.model, self.tokenizer = model, tokenizer
        self.batch_size, self.plain = batch_size, plain
        self._identity: dict[str, Any] | None = None

    @property
    def identity(self) -> dict[str, Any]:
        """Fingerprints of weights, tokenizer and template, not the name of the folder they lie in.

        Made once: it takes a second a gigabyte.
        """
        if self._identity is None:
            from distill_lab.data import fingerprints

            self._identity = {
                "kind": "local",
                "weights": fingerprints.of_model(self.model),
                "tokenizer": fingerprints.of_tokenizer(self.tokenizer),
                "template": digest(None if self.plain else self.tokenizer.chat_template),
            }
        return self._identity

    def answer(self, requests: list[Request], take: Take) -> None:
        """Answer all of them; a batch is handed over when its last answer has ended."""
        texts = [self._text(request) for request in requests]
        ids = [self.tokenizer(t, add_special_tokens=self.plain)["input_ids"] for t in texts]
        room = getattr(self.model.config, "max_position_embeddings", None) or float("inf")
        fitting, unfit = [], []
        for i in sorted(range(len(requests)), key=lambda i: -len(ids[i])):
            request = requests[i]
            if not ids[i]:
                unfit.append((request, "the tokenizer makes no token of it"))
            elif len(ids[i]) + request.sampling.max_tokens > room:
                words = (
                    f"{len(ids[i])} tokens of prompt and max_tokens = "
                    f"{request.sampling.max_tokens} exceed the {room} positions of the model"
                )
                unfit.append((request, words))
            else:
                fitting.append(i)
        for start in range(0, len(fitting), self.batch_size):
            batch = fitting[start : start + self.batch_size]
            replies = self._batch([requests[i] for i in batch], [ids[i] for i in batch])
            for i, reply in zip(batch, replies, strict=True):
                take(requests[i], reply)
        for request, words in unfit:  # last: before the first answer they would look like a fault
            take(request, Failure(words, kind="rejected"))

    def _text(self, request: Request) -> str:
        messages = list(request.prompt.messages)
        if self.plain:
            return "\n".join(str(message["content"]) for message in messages)
        text = self.tokenizer.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=True
        )
        return str(text)

    def _batch(self, requests: list[Request], ids: list[list[int]]) -> list[Reply]:
        import torch

        from distill_lab._util.runtime import modes_kept

        sampling, began = requests[0].sampling, time.monotonic()
        device = next(self.model.parameters()).device
        width, filler = max(map(len, ids)), self._filler()
        tokens = torch.full((len(ids), width), filler, device=device)
        mask = torch.zeros_like(tokens)
        for row, found in enumerate(ids):
            tokens[row, width - len(found) :] = torch.tensor(found, device=device)
            mask[row, width - len(found) :] = 1
        with torch.no_grad(), modes_kept(self.model):
            self.model.eval()
            said = self.model.generate(
                input_ids=tokens,
                attention_mask=mask,
                generation_config=self._config(sampling, filler),
                logits_processor=drawing(requests, width),
                stopping_criteria=stopping(self.tokenizer, sampling, width),
            )[:, width:]
        seconds = round((time.monotonic() - began) / len(ids), 3)
        return [
            self._reply(row.tolist(), len(found), sampling, seconds)
            for row, found in zip(said, ids, strict=True)
        ]

    def _config(self, sampling: Sampling, filler: int) -> Any:
        with needs("transformers"):
            from transformers import GenerationConfig
        return GenerationConfig(
            max_new_tokens=sampling.max_tokens,
            do_sample=False,  # what is drawn is drawn by Draw, row by row
            eos_token_id=self._ends() or None,
            pad_token_id=filler,
        )

    def _ends(self) -> list[int]:
        """The tokens that end an answer, by the model's settings and the tokenizer's."""
        config = getattr(self.model, "generation_config", None) or self.model.config
        found = getattr(config, "eos_token_id", None)
        ends = found if isinstance(found, list) else [found]
        return sorted({end for end in (*ends, self.tokenizer.eos_token_id) if end is not None})

    def _filler(self) -> int:
        pad = self.tokenizer.pad_token_id
        return pad if pad is not None else (self._ends() or [0])[0]

    def _reply(self, said: list[int], prompt: int, sampling: Sampling, seconds: float) -> Reply:
        ends = set(self._ends())
        end = next((i for i, token in enumerate(said) if token in ends), None)
        kept = said if end is None else said[:end]
        text = self.tokenizer.decode(kept, skip_special_tokens=True)
        finish = "length" if end is None else "stop"
        found = [place for s in sampling.stop if (place := text.find(s)) >= 0]
        if found:
            text, finish = text[: min(found)], "stop"
            while end is None and kept and kept[-1] == self._filler():
                kept.pop()  # filled up to the length of its neighbours
        return Reply(text, finish, (prompt, len(kept)), seconds, model=self.name)


def _load(name: str, tokenizer: Any, device: Any) -> tuple[Any, Any]:
    with needs("transformers"):
        from transformers import AutoModelForCausalLM, AutoTokenizer
    import torch

    model: Any = AutoModelForCausalLM.from_pretrained(name, dtype="auto")
    best = device or ("cuda" if torch.cuda.is_available() else "cpu")
    return model.to(best), tokenizer or AutoTokenizer.from_pretrained(name)

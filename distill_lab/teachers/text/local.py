"""A teacher in this process: a Hugging Face causal language model, asked in batches."""

import time
from array import array
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from distill_lab._util.checks import needs, positive_int
from distill_lab._util.devices import find_device
from distill_lab._util.runtime import modes_kept
from distill_lab._util.tensors import uniform
from distill_lab.data import fingerprints
from distill_lab.data.templates import Template
from distill_lab.data.turns import Conversation, read_turns
from distill_lab.models.decoding import cuts_of, decoding_settings
from distill_lab.models.positions import positions_of
from distill_lab.models.pretrained import load_language_model
from distill_lab.teachers.text.protocol import Failure, Reply, Request, Sampling, Take, digest

SPARE_TOKENS = 8  # beside one a byte, so that a stop string is seen whatever its tokens are


class LocalGenerator:
    """A model given as an object, a folder or a name on the hub, with its tokenizer.

    Requests are sorted by length, the longest first (if memory runs out, it does so at once), and
    padded on the left. An answer does not depend on which others share its batch, up to the
    rounding of the model itself, so a resumed run writes what one run would have written.

    Formula: the next token is the first whose cumulated probability under
    softmax(logits / temperature), cut to the nucleus `top_p`, exceeds u; u follows from the
    request's own seed and the position. The order is the vocabulary's, and with `top_p` below 1
    the likeliest first. What the model's own generation_config does besides, such as a penalty on
    repetition or a top k, is done here as `generate` does it.

    Args:
        model: A model, a folder, or a name on the hub.
        tokenizer: Its tokenizer; only a model object needs one.
        batch_size: Prompts answered at once.
        plain: Whether prompts are shown as they are, without the tokenizer's chat template.
        template: Options of the chat template, such as `{"enable_thinking": False}`.
        device: Where the model is put, as "cuda:1"; by default the best there is, and a model
            object stays.

    Raises:
        ValueError: Without a chat template, without a tokenizer for a model object, or for a device
            that is not there.

    Source: Holtzman et al. 2020, arXiv:1904.09751, section 3.1 (nucleus sampling).
    """

    prices = None

    def __init__(
        self,
        model: Any,
        tokenizer: Any = None,
        *,
        batch_size: int = 16,
        plain: bool = False,
        template: Mapping[str, Any] | None = None,
        device: str | torch.device | None = None,
    ) -> None:
        batch_size = positive_int("batch_size", batch_size)
        if isinstance(model, (str, Path)):
            self.name = str(model)
            model, tokenizer = load_language_model(self.name, tokenizer)
            model = model.to(find_device(device))
        else:
            self.name = type(model).__name__
            if tokenizer is None:
                raise ValueError("a model given as an object needs its tokenizer beside it.")
            if device is not None:
                model = model.to(find_device(device))
        if not plain and not getattr(tokenizer, "chat_template", None):
            raise ValueError(
                f"the tokenizer of {self.name} has no chat template: pass plain=True to show it "
                "the bare text of each prompt, or set tokenizer.chat_template."
            )
        self.model, self.tokenizer = model, tokenizer
        self.template = Template(tokenizer, plain=plain, options=template)
        self.batch_size, self.plain = batch_size, plain
        self._identity: dict[str, Any] | None = None

    @property
    def identity(self) -> dict[str, Any]:
        """Fingerprints of weights, tokenizer and template, not the name of the folder they lie in.

        Made once: it takes a second a gigabyte.
        """
        if self._identity is None:
            self._identity = {"weights": fingerprints.of_model(self.model), **self.facts}
        return self._identity

    @property
    def facts(self) -> dict[str, Any]:
        """Its identity as far as it is known without its weights."""
        return {
            "kind": "local",
            "tokenizer": fingerprints.of_tokenizer(self.tokenizer),
            "template": digest(None if self.plain else self.tokenizer.chat_template),
            **({"options": options} if (options := self.template.options) else {}),
            **({"decoding": _plain(own)} if (own := decoding_settings(self.model)) else {}),
        }

    def answer(self, requests: Sequence[Request], take: Take) -> None:
        """Answer all of them; a batch is handed over when its last answer has ended.

        Args:
            requests: what to answer.
            take: called with (request, reply) for each.
        """
        unfit: list[tuple[int, str]] = []
        lengths, written = array("q"), array("q")
        room = positions_of(self.model) or float("inf")
        for place, request in enumerate(requests):
            try:
                lengths.append(len(self._prompt(request)))
            except ValueError as error:
                unfit.append((place, f"the prompt {error}"))
            except Exception as error:  # a template refuses a message, in jinja2's or its own words
                unfit.append((place, f"the chat template cannot write it: {error}"))
            else:
                written.append(place)
        fitting = array("q")
        for i in torch.tensor(lengths).argsort(descending=True, stable=True).tolist():
            length, place = lengths[i], written[i]
            longest = requests[place].sampling.max_new_tokens
            if not length:
                unfit.append((place, "the tokenizer makes no token of it"))
            elif length + longest > room:
                reason = (
                    f"{length} tokens of prompt and max_new_tokens = {longest} exceed the {room} "
                    "positions of the model"
                )
                unfit.append((place, reason))
            else:
                fitting.append(place)
        for start in range(0, len(fitting), self.batch_size):
            batch = [requests[place] for place in fitting[start : start + self.batch_size]]
            replies = self._batch(batch, [self._prompt(request) for request in batch])
            for request, reply in zip(batch, replies, strict=True):
                take(request, reply)
        for place, reason in unfit:  # last: before the first answer they would look like a fault
            take(requests[place], Failure(reason, kind="invalid"))

    def _prompt(self, request: Request) -> list[int]:
        """The tokens of a prompt: made twice, for those of all prompts would fill the memory."""
        turns = tuple(read_turns(request.prompt.messages))
        return self.template.prompt(Conversation(turns, request.prompt.tools))

    def _batch(self, requests: list[Request], ids: list[list[int]]) -> list[Reply]:
        with needs("transformers"):
            from transformers import GenerationConfig, LogitsProcessorList, StoppingCriteriaList
        sampling, began = requests[0].sampling, time.monotonic()
        device = next(self.model.parameters()).device
        width, pad = max(map(len, ids)), self._pad()
        tokens = torch.full((len(ids), width), pad, device=device)
        mask = torch.zeros_like(tokens)
        for row, prompt in enumerate(ids):
            tokens[row, width - len(prompt) :] = torch.tensor(prompt, device=device)
            mask[row, width - len(prompt) :] = 1
        processors, criteria = LogitsProcessorList(), StoppingCriteriaList()
        if sampling.temperature:
            cuts = cuts_of(self.model, sampling.temperature, sampling.top_p)
            processors.append(SeededSampler(requests, width, cuts))
        if sampling.stop:
            criteria.append(StopStrings(self.tokenizer, sampling.stop, width))
        config = GenerationConfig(
            max_new_tokens=sampling.max_new_tokens,
            do_sample=False,  # what is sampled is sampled by SeededSampler, row by row
            num_beams=1,
            num_return_sequences=1,
            eos_token_id=self._ends() or None,
            pad_token_id=pad,
        )
        with torch.no_grad(), modes_kept(self.model):
            self.model.eval()
            answers = self.model.generate(
                input_ids=tokens,
                attention_mask=mask,
                generation_config=config,
                logits_processor=processors,
                stopping_criteria=criteria,
            )[:, width:]
        seconds = round((time.monotonic() - began) / len(ids), 3)
        return [
            self._reply(row.tolist(), len(prompt), sampling, seconds)
            for row, prompt in zip(answers, ids, strict=True)
        ]

    def _ends(self) -> list[int]:
        """The tokens that end an answer: by model, tokenizer and template."""
        return sorted(self.template.ends(self.model))

    def _pad(self) -> int:
        pad = self.tokenizer.pad_token_id
        return pad if pad is not None else (self._ends() or [0])[0]

    def _reply(self, tokens: list[int], prompt: int, sampling: Sampling, seconds: float) -> Reply:
        ends = set(self._ends())
        end = next((i for i, token in enumerate(tokens) if token in ends), None)
        kept = tokens if end is None else tokens[:end]
        text = self.template.decode(kept)
        finish = "length" if end is None else "stop"
        cuts = [place for s in sampling.stop if (place := text.find(s)) >= 0]
        if cuts:
            text, finish = text[: min(cuts)], "stop"
            while end is None and kept and kept[-1] == self._pad():
                kept.pop()  # filled up to the length of its neighbours
        return Reply(text, finish, (prompt, len(kept)), seconds)


def _plain(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings as a journal can hold them."""
    simple = (bool, int, float, str, list)
    return {name: x if isinstance(x, simple) else str(x) for name, x in settings.items()}


class SeededSampler:
    """Replaces the logits of each row by the one token that its own seed draws.

    A logits processor, so greedy generation then takes that token: see `LocalGenerator`.

    Args:
        requests: whose answers are written.
        width: of their prompts, in tokens.
        cuts: processors that cut the distribution as a model's own settings say, its temperature
            and nucleus among them; None for those of the requests alone.
    """

    def __init__(self, requests: list[Request], width: int, cuts: Any = None) -> None:
        self.sampling, self.width, self.cuts = requests[0].sampling, width, cuts
        if self.sampling.seed is None:
            generator = torch.Generator()
            generator.seed()
            self.keys = torch.randint(2**31, (len(requests),), generator=generator)
        else:
            self.keys = torch.tensor([request.seed for request in requests])

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Process the scores of the next token, as `generate` asks it to."""
        if scores.device.type == "mps":  # which has no float64
            return self(input_ids, scores.cpu()).to(scores.device)
        place = torch.tensor(input_ids.shape[1] - self.width)
        u = uniform(0, self.keys, place).to(scores.device)
        p = self.probabilities(input_ids, scores)
        order = None
        # only a nucleus has to know which tokens are likeliest
        if self.sampling.top_p < 1 and self.cuts is None:
            p, order = p.sort(stable=True, dim=-1, descending=True)
            p = torch.where(p.cumsum(-1) - p < self.sampling.top_p, p, 0.0)
        running = p.cumsum(-1)
        chosen = torch.searchsorted(running, u[:, None] * running[:, -1:], right=True)
        # at the very end rounding may point past the last token that has any probability
        last = (running < running[:, -1:]).sum(-1, keepdim=True)
        token = chosen.minimum(last)
        token = token if order is None else order.gather(-1, token)
        return torch.full_like(scores, -torch.inf).scatter(-1, token, 0.0)

    def probabilities(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """What tokens are drawn from, (B, V) in float64, before the nucleus of the requests.

        Args:
            input_ids: what was written so far (B, L).
            scores: logits of the next token (B, V).

        Returns:
            Probabilities.
        """
        if self.cuts is not None:
            softmax: Tensor = self.cuts(input_ids, scores.float()).double().softmax(-1)
            return softmax
        return (scores.double() / self.sampling.temperature).softmax(-1)


class StopStrings:
    """Whether the last tokens of each row hold a stop string: (B, L) -> (B,) bool.

    It reads the text itself: the criterion in transformers fails on tokenizers that cannot spell.
    """

    def __init__(self, tokenizer: Any, stop: tuple[str, ...], width: int) -> None:
        self.tokenizer, self.stop, self.width = tokenizer, stop, width
        self.tail = max(len(s.encode()) for s in stop) + SPARE_TOKENS

    def __call__(self, input_ids: Tensor, scores: Tensor, **_: Any) -> Tensor:
        """Say which texts have ended, as `generate` asks it to."""
        tails = input_ids[:, max(self.width, input_ids.shape[1] - self.tail) :]
        texts = self.tokenizer.batch_decode(tails, skip_special_tokens=True)
        stopped = [any(s in text for s in self.stop) for text in texts]
        return torch.tensor(stopped, device=input_ids.device)

"""What a model's own generation_config does to the distribution that its tokens are drawn from."""

from collections.abc import Callable
from typing import Any

# What each does nothing at. Lengths, ends and caches are no part of the distribution.
_PROCESSORS: dict[str, Any] = {
    "repetition_penalty": 1.0,
    "encoder_repetition_penalty": 1.0,
    "no_repeat_ngram_size": 0,
    "encoder_no_repeat_ngram_size": 0,
    "bad_words_ids": None,
    "min_length": 0,
    "min_new_tokens": 0,
    "forced_bos_token_id": None,
    "forced_eos_token_id": None,
    "exponential_decay_length_penalty": None,
    "suppress_tokens": None,
    "begin_suppress_tokens": None,
    "sequence_bias": None,
    "guidance_scale": 1.0,
    "watermarking_config": None,
}
_CUTS: dict[str, Any] = {
    "top_h": None,
    "top_k": 0,
    "min_p": None,
    "typical_p": 1.0,
    "epsilon_cutoff": 0.0,
    "eta_cutoff": 0.0,
}
_SEARCH: dict[str, Any] = {"num_beams": 1, "num_return_sequences": 1}
NEUTRAL = _PROCESSORS | _CUTS | _SEARCH


def decoding_settings(model: Any) -> dict[str, Any]:
    """Those settings of a model that make `generate` draw otherwise than from its softmax.

    Temperature and top_p are not among them: who draws says them.

    Args:
        model: a Hugging Face model, or anything that has a `generation_config`.

    Returns:
        Their values by name; none where there is no such setting.

    >>> from types import SimpleNamespace as Config
    >>> decoding_settings(Config(generation_config=Config(top_k=20, repetition_penalty=1.0)))
    {'top_k': 20}
    """
    config = getattr(model, "generation_config", None)
    values = {name: getattr(config, name, None) for name in NEUTRAL}
    return {name: x for name, x in values.items() if x is not None and x != NEUTRAL[name]}


def cuts_of(model: Any, temperature: float, top_p: float) -> Any:
    """What a model's own settings cut its distribution to, as `generate` does it.

    Args:
        model: a Hugging Face model.
        temperature: that logits are divided by first.
        top_p: the probability that the nucleus holds.

    Returns:
        Logits processors, temperature and nucleus among them, in `generate`'s order; None where the
        model cuts nothing.
    """
    cuts = {name: value for name, value in decoding_settings(model).items() if name in _CUTS}
    if not cuts:
        return None
    device = getattr(model, "device", "cpu")
    from transformers import LogitsProcessorList
    from transformers.generation import logits_process as made

    processors: Any = made  # its makers have no types
    makers: dict[str, Callable[[Any], Any]] = {
        "top_h": lambda x: processors.TopHLogitsWarper(top_h=x),
        "top_k": lambda x: processors.TopKLogitsWarper(top_k=x),
        "top_p": lambda x: processors.TopPLogitsWarper(top_p=x),
        "min_p": lambda x: processors.MinPLogitsWarper(min_p=x),
        "typical_p": lambda x: processors.TypicalLogitsWarper(mass=x),
        "epsilon_cutoff": lambda x: processors.EpsilonLogitsWarper(epsilon=x),
        "eta_cutoff": lambda x: processors.EtaLogitsWarper(epsilon=x, device=device),
    }
    cuts |= {"top_p": top_p} if top_p < 1 else {}
    own = [make(cuts[name]) for name, make in makers.items() if name in cuts]
    return LogitsProcessorList([processors.TemperatureLogitsWarper(float(temperature)), *own])

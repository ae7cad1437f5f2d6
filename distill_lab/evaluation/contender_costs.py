"""What the contenders of a report cost, and why a figure is missing where it is."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from distill_lab.evaluation.contenders import Answers, Contender
from distill_lab.evaluation.cost import count_flops, count_parameters, packed_tensors, size_on_disk
from distill_lab.evaluation.latency import (
    REFILL,
    REFILL_MS,
    as_latency,
    speed_up,
    time_in_blocks,
    time_in_turn,
)
from distill_lab.evaluation.memory import measure_peak_memory
from distill_lab.evaluation.runnable import Runnable, example_count, session_bytes, unpadded

__all__ = ["costs_of", "timed_inputs"]

TIMED = ("latency_p50", "latency_p95", "latency_in_turn", "throughput", "speed_up")
ROUNDS = 50  # at most, of calls in turn: they are there to be seen beside the others


def timed_inputs(answers: Answers, batch: int, given: Any) -> tuple[Any, str]:
    """The inputs that are timed, and what they are in words.

    Without `given` the first examples; of texts those of median length, without their padding.
    """
    if given is not None:
        count = example_count(given)
        return given, f"{count:,} given example{'s' if count > 1 else ''} a call"
    words = "one example a call" if batch == 1 else f"{batch:,} examples a call"
    if answers.lengths is None:
        return answers.source.batch(torch.arange(batch)).inputs, words
    order = answers.lengths.argsort(stable=True)
    middle = min(len(order) // 2, len(order) - batch)
    chosen = order[middle : middle + batch]
    inputs = unpadded(answers.source.batch(chosen).inputs)
    longest = int(answers.lengths[chosen].max())
    return inputs, f"{words}, of {longest:,} tokens (the median)"


def costs_of(
    contenders: Mapping[str, Contender],
    x: Any,
    shown: Sequence[str],
    *,
    against: Sequence[str | None],
    runs: int,
    warmup: int,
    what: str,
) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """The fields of each model's row that say what it costs, and how they were measured.

    Args:
        contenders: the models.
        x: inputs of one call.
        shown: the columns; nothing else is measured.
        against: whom the speed is held against: the first of these that was timed.
        runs: timed calls of each.
        warmup: calls of each before them.
        what: the inputs in words.

    Returns:
        Name -> fields, and notes.
    """
    networks = {name: c.network for name, c in contenders.items() if c.network is not None}
    fields = {name: _counted(networks.get(name), x, shown) for name in contenders}
    if not networks or not set(TIMED) & set(shown):
        return fields, []
    count = example_count(x)
    able = {}
    for name, network in networks.items():
        if why := _untimed(network, count):
            fields[name]["unmeasured"] |= dict.fromkeys(TIMED, why)
        else:
            able[name] = network
    if not able:
        return fields, []
    times = time_in_blocks(able, x, runs=runs, warmup=warmup)
    fast = next((name for name in against if name in times), None)
    for name, row in times.items():
        fields[name]["latency"] = as_latency(row, count)
        fields[name]["speed_up"] = fast and speed_up(times[fast], row)
    turned = "latency_in_turn" in shown and len(able) > 1
    if turned:
        rounds = min(runs, ROUNDS)
        for name, row in time_in_turn(able, x, runs=rounds, warmup=min(warmup, 5)).items():
            fields[name]["latency_in_turn"] = as_latency(row, count)
    devices = sorted({n.device.type if n.device else "cpu" for n in able.values()})
    text = f"Latency: {what}, {runs} calls of each model"
    if len(able) > 1:
        text += f" in blocks that alternate, of each the first {REFILL} or {REFILL_MS:g} ms"
    text += f" and {warmup} to warm up not counted"
    text += "; in turn: every call after one of another model" if turned else ""
    text += (
        f"; on {' and '.join(devices)} with torch {torch.__version__} and "
        f"{torch.get_num_threads()} thread(s)."
    )
    notes = [text]
    if fast is not None and "speed_up" in shown:
        notes.append(
            f"Speed-up over {fast}: median, lowest and highest ratio of stretches of the run."
        )
    return fields, notes


def _counted(network: Runnable | None, x: Any, shown: Sequence[str]) -> dict[str, Any]:
    """Parameters, bytes, arithmetic and memory; a word where a form does not tell them."""
    counts: dict[str, tuple[str, Any]] = {
        "parameters": ("parameters", lambda m: count_parameters(m)),
        "size": ("size_bytes", lambda m: size_on_disk(m)),
        "flops": ("flops", lambda m: count_flops(m, x)),
        "peak_memory": ("peak_memory", lambda m: measure_peak_memory(m, x)),
    }
    fields: dict[str, Any] = {"unmeasured": {}}
    for column, (field, count) in counts.items():
        if network is None or column not in shown:
            continue
        if column == "size" and network.session and session_bytes(network.model):
            fields[field] = session_bytes(network.model)
        elif network.module is None or (
            column in ("flops", "peak_memory") and network.network is None
        ):
            fields["unmeasured"][column] = network.kind
        elif column == "flops" and packed_tensors(network.module):
            fields["unmeasured"][column] = "quantised"
        elif column in ("flops", "peak_memory") and network.rows not in (None, 1):
            fields["unmeasured"][column] = f"takes {network.rows} at once"
        else:
            fields[field] = count(network.module)
    return fields


def _untimed(network: Runnable, count: int) -> str:
    """Why a model cannot be timed; empty where it can."""
    if network.network is None and network.whole_batch:
        return network.kind
    if network.rows not in (None, count):
        return f"takes {network.rows} at once"
    return ""

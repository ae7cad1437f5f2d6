"""A step of token-wise distillation at a vocabulary of 50,257: ours, by hand, and TRL's loss.

    python benchmarks/token_step.py [--rounds 5] [--quick] [--json FILE]

Two random Llamas, 3.3 and 6.8 million weights, and rows as long as SciTLDR's: 207 tokens of prompt,
27 of answer, four a batch, on one thread. By hand is what a careful person writes: log-softmaxes
and `F.kl_div` at the answer tokens, fused AdamW, clipped gradients. TRL is the same loop with its
`generalized_jsd_loss`; where it is not installed its row says so. Rounds alternate, and ratios are
taken round by round.

Memory, each contender in a fresh process: the most it reached in a step beyond what the models and
the optimizer hold. Last a whole job at batch_size 1: what the process reached, libraries and all.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from table import Row, finish, machine, show, versions
from torch import Tensor
from vocabulary import resident

from distill_lab import methods
from distill_lab.teachers import freeze
from distill_lab.training import distill

VOCABULARY, PROMPT, ANSWER, BATCH, STEPS = 50_257, 207, 27, 4, 4
WORK = f"KL step, V = {VOCABULARY:,}, SciTLDR-like rows, batch {BATCH}"
OURS, BY_HAND, TRL = "ours", "by hand", "TRL's loss"
Step = Callable[[Any, Any, dict[str, Tensor], Tensor], None]


def llama(width: int, seed: int, vocabulary: int = VOCABULARY) -> Any:
    """A random Llama with tied ends."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        intermediate_size=4 * width,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=512,
        tie_word_embeddings=True,
    )
    return LlamaForCausalLM(config)


def texts(steps: int, vocabulary: int = VOCABULARY) -> tuple[dict[str, Tensor], Tensor]:
    """Random tokens, and labels on the answers."""
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(vocabulary, (steps * BATCH, PROMPT + ANSWER), generator=generator)
    labels = ids.clone()
    labels[:, :PROMPT] = -100
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}, labels


def ours(student: Any, teacher: Any, inputs: dict[str, Tensor], labels: Tensor) -> None:
    """The loop of this package."""
    distill(
        student,
        (inputs, labels),
        teacher=teacher,
        method=methods.tokens("forward_kl"),
        epochs=1,
        batch_size=BATCH,
        shares_every=0,
        lr=1e-4,
        clip=1.0,
        schedule="constant",
        progress=False,
    )


def kl_by_hand(z_s: Tensor, z_t: Tensor, labels: Tensor) -> Tensor:
    """KL at the answer tokens, as a careful person writes it."""
    kept = labels[:, 1:] != -100
    log_q, log_p = (z[:, :-1][kept].log_softmax(-1) for z in (z_s, z_t))
    return F.kl_div(log_q, log_p, reduction="batchmean", log_target=True)


def kl_of_trl(z_s: Tensor, z_t: Tensor, labels: Tensor) -> Tensor:
    """TRL's divergence of GKD, which is the forward KL at beta = 0."""
    from trl.experimental.gkd import GKDTrainer

    value: Tensor = GKDTrainer.generalized_jsd_loss(
        z_s[:, :-1], z_t[:, :-1], labels=labels[:, 1:], beta=0.0
    )
    return value


def loop(loss_of: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Step:
    """The loop by hand, around a loss."""

    def run(student: Any, teacher: Any, inputs: dict[str, Tensor], labels: Tensor) -> None:
        optimizer = torch.optim.AdamW(student.parameters(), lr=1e-4, fused=True)
        for index in torch.arange(len(labels)).split(BATCH):
            batch = {name: tensor[index] for name, tensor in inputs.items()}
            with torch.no_grad():
                frozen = teacher.model(**batch).logits
            loss = loss_of(student(**batch).logits, frozen, labels[index])
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(student.parameters(), 1.0)
            optimizer.step()

    return run


def contenders() -> dict[str, Step | None]:
    """All by name; None for what is not installed."""
    try:
        from trl.experimental.gkd import GKDTrainer  # noqa: F401

        peer: Step | None = loop(kl_of_trl)
    except ImportError:
        peer = None
    return {OURS: ours, BY_HAND: loop(kl_by_hand), TRL: peer}


def pair(vocabulary: int = VOCABULARY) -> tuple[Any, Any]:
    """Student and frozen teacher."""
    return llama(64, 1, vocabulary), freeze(llama(128, 2, vocabulary))


def timed(rounds: int, vocabulary: int) -> dict[str, list[float]]:
    """Milliseconds a step of each contender in each round but the first."""
    running = {name: step for name, step in contenders().items() if step is not None}
    milliseconds: dict[str, list[float]] = {name: [] for name in running}
    inputs, labels = texts(STEPS, vocabulary)
    for turn in range(rounds + 1):
        for name, step in running.items():
            student, teacher = pair(vocabulary)
            began = time.perf_counter()
            step(student, teacher, inputs, labels)
            if turn:
                milliseconds[name].append(1e3 * (time.perf_counter() - began) / STEPS)
    return milliseconds


def extra_memory(name: str, vocabulary: int) -> float:
    """MB that one contender reached beyond models, gradients and moments, in this process."""
    step = contenders()[name]
    assert step is not None
    warm = llama(64, 1, 97), freeze(llama(128, 2, 97))
    step(*warm, *texts(1, 97))
    student, teacher = pair(vocabulary)
    inputs, labels = texts(STEPS, vocabulary)
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
    before = resident("VmRSS")
    step(student, teacher, inputs, labels)
    return (resident("VmHWM") - before) / 1e6


def job_peak(rows: int) -> float:
    """MB that the process of a whole job reached: batch_size 1, with so many validation rows."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    from distill_lab.jobs.job import Job
    from distill_lab.jobs.running import run_job

    words = {f"w{i}": i for i in range(VOCABULARY - 3)}
    words |= {name: len(words) + i for i, name in enumerate(("<pad>", "<eos>", "<unk>"))}
    fast = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    fast.pre_tokenizer = pre_tokenizers.Whitespace()
    special = {"pad_token": "<pad>", "eos_token": "<eos>", "unk_token": "<unk>"}
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=fast, **special)
    generator = torch.Generator().manual_seed(3)

    def row() -> str:
        ids = torch.randint(VOCABULARY - 3, (PROMPT + ANSWER - 1,), generator=generator).tolist()
        prompt, answer = (" ".join(f"w{i}" for i in part) for part in (ids[:PROMPT], ids[PROMPT:]))
        return json.dumps({"prompt": prompt, "completion": answer}) + "\n"

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for who, model in (("student", llama(64, 1)), ("teacher", llama(128, 2))):
            model.save_pretrained(folder / who)
            tokenizer.save_pretrained(folder / who)
        for file, count in (("train", 4), ("validation", rows)):
            (folder / f"{file}.jsonl").write_text("".join(row() for _ in range(count)))
        job = Job.of(
            student=str(folder / "student"),
            teacher=str(folder / "teacher"),
            train=str(folder / "train.jsonl"),
            validation=str(folder / "validation.jsonl"),
            out=str(folder / "out"),
            method="token-kl",
            epochs=1,
            batch_size=1,
        )
        run_job(job, progress=False)
    return resident("VmHWM") / 1e6


def in_a_fresh_process(*arguments: str) -> float:
    """A figure of this script, measured alone."""
    command = [sys.executable, __file__, "--alone", *arguments]
    # glibc gives back at once what it did not take from its heap: what is freed is not counted
    given_back = os.environ | {"MALLOC_MMAP_THRESHOLD_": str(2**18)}
    done = subprocess.run(command, capture_output=True, text=True, env=given_back, check=True)
    return float(done.stdout.splitlines()[-1])


def main() -> None:
    """Measure, print the table, leave the rows."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--quick", action="store_true", help="a small vocabulary, held to nothing")
    options.add_argument("--json", help="write the rows there")
    options.add_argument("--alone", nargs=2, help=argparse.SUPPRESS)
    arguments = options.parse_args()
    torch.set_num_threads(1)
    if arguments.alone:
        what, size = arguments.alone
        print(job_peak(int(size)) if what == "job" else extra_memory(what, int(size)))
        return
    print(f"{machine()}, 1 thread in use; {versions()}")
    vocabulary, rounds = (2_000, 2) if arguments.quick else (VOCABULARY, arguments.rounds)
    milliseconds = timed(rounds, vocabulary)
    rows = []
    for peer, target in ((BY_HAND, 0.4), (TRL, 0.2)):
        if peer not in milliseconds:
            rows.append(Row(f"{WORK}: time", peer, None, None, "ms", note="TRL is not installed"))
            continue
        times = milliseconds[OURS], milliseconds[peer]
        held = None if arguments.quick else target
        rows.append(Row.of_times(f"{WORK}: time", peer, *times, unit="ms", target=held))
    extra = {name: in_a_fresh_process(name, str(vocabulary)) for name in milliseconds}
    for peer in [name for name in extra if name != OURS]:
        mine, theirs = extra[OURS], extra[peer]
        met = None if arguments.quick else mine <= 400
        row = Row(f"{WORK}: extra memory", peer, mine, theirs, "MB", target="<= 400 MB", met=met)
        rows.append(row)
    if not arguments.quick:
        peak = in_a_fresh_process("job", "64")
        work = "a job at batch_size 1, 64 validation rows: peak"
        rows.append(Row(work, "", peak, None, "MB", target="<= 2,000 MB", met=peak <= 2000))
    show(rows)
    finish(rows, arguments.json)


if __name__ == "__main__":
    main()

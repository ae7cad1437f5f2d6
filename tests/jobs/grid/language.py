"""Jobs of language models: their axes, their files, and what plain Python expects of them."""

import functools
import math
import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM

from distill_lab.data.batches import epoch_order
from distill_lab.data.samplers import ByLength
from distill_lab.jobs.language_models import new_student
from distill_lab.jobs.rows import read_exchanges
from tests.jobs.grid import files, talks
from tests.jobs.grid.cover import ENDS, OF_A_RUN, of_a_run
from tests.jobs.grid.laws import Trial
from tests.jobs.grid.models import DOUBLE, LETTERS, POSITIONS, SINGLE, llama, save

TOKEN_WISE = ("token-kl", "reverse-kl", "jsd")
SHAPE = {
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
}
WHOLE = len(SINGLE.words)
AXES = {
    "method": ("sft", "seq-kd", *TOKEN_WISE, "on-policy", "uld", "dpo"),
    "form": files.FORMS,
    "shape": talks.SHAPES,
    "talk": talks.TALKS,
    "oddity": ("plain", "long", "edge", "silent", "odd", "spaces", "twins"),
    "chat": (True, True, False),
    "student": ("folder", "half", "shape", "lora", "apart"),
    "teacher": ("live", "top_k", "whole", "sampled", "view", "wider"),
    "T": (1.0, 2.0),
    "alpha": (1.0, 0.5),
    "beta": (None, 0.3),
    "learn": ("last", "all"),
    "batch_size": (1, 4, 7, 64),
    "accumulate": (1, 2, 3),
    "bundle": (False, True),
    "precision": ("fp32", "bf16"),
    "checkpointing": (False, True),
    **OF_A_RUN,
    "max_length": (None, 11),
    "max_new_tokens": (1, 8, 20),
    "exam": (False, True),
    "asking": (None, "system", "samples", "filters"),
    "end": ENDS,
}


ASKING = {
    "system": {"system": "ab"},
    "samples": {"samples": 3, "temperature": 0.8},
    "filters": {"filters": [{"length": {"most": 9}}, "distinct"]},
}


def allowed(case):
    """Whether these values go together; what does not is refused, and tested elsewhere."""
    method, teacher, oddity = case["method"], case["teacher"], case["oddity"]
    kept, paired = teacher in ("top_k", "whole", "sampled"), method == "dpo"
    alone, view = method in ("sft", "dpo"), teacher == "view"
    excluded = (
        kept and method not in TOKEN_WISE,
        view and method not in (*TOKEN_WISE, "seq-kd", "on-policy"),
        view and (case["learn"] == "all" or case["asking"] == "system"),
        teacher == "wider" and (alone or method == "uld"),
        alone and (teacher != "live" or case["student"] == "shape"),
        method == "uld" and (case["student"] == "shape" or case["alpha"] == 1 or case["bundle"]),
        case["asking"] and method != "seq-kd",
        paired and (case["bundle"] or case["learn"] == "all" or case["talk"] == "weighted"),
        case["talk"] == "weighted" and case["shape"] != "turns",
        case["while"] and case["measured"] == "training",
        case["end"] == "other held-out word" and case["measured"] != "validation",
        # lengths that leave some rows, and steps that a few answers make
        (oddity == "edge") != (case["max_length"] is not None),
        case["max_length"] and case["talk"] != "one",
        case["warmup"] and (case["batch_size"] >= 7 or method == "seq-kd"),
        case["accumulate"] > case["batch_size"],
        method == "seq-kd" and oddity == "twins" and case["measured"] == "held out",
        method == "seq-kd" and oddity == "twins" and case["asking"],
        oddity == "edge" and case["measured"] == "held out",
        method == "seq-kd" and (case["max_new_tokens"] < 20 or case["max_length"]),
        method == "on-policy" and case["max_length"] and case["max_new_tokens"] > 8,
        # questions of an exam are as short as can be
        case["exam"] and (paired or case["max_length"]),
    )
    return not any(excluded)


@functools.cache
def shelf():
    """The folder with the models that all cases share."""
    place = Path(tempfile.mkdtemp(prefix="grid-"))
    for chat in (True, False):
        plain = SINGLE.tokenizer(chat=chat)
        end = "" if chat else "-bare"
        save(llama(SINGLE, 2, 1, width=24), plain, place / f"teacher{end}")
        save(llama(SINGLE, 2, 1, width=24, padded=3), plain, place / f"wider{end}")
        save(llama(DOUBLE, 1, 2), DOUBLE.tokenizer(chat=chat), place / f"other{end}")
        save(llama(SINGLE, 1, 3), plain, place / f"student{end}")
        save(llama(SINGLE, 1, 3).bfloat16(), plain, place / f"half{end}")
        save(llama(SINGLE, 1, 3, attention_dropout=0.2), plain, place / f"dropout{end}")
    return place


@functools.cache
def network(name):
    """One of these models, to be asked."""
    return AutoModelForCausalLM.from_pretrained(shelf() / name, dtype=torch.float32).eval()


@dataclass
class Speech(Trial):
    """A job of language models.

    Args:
        case: its values.
        talks: the training rows.
        held_out: those of `validation`.
    """

    case: dict
    talks: list
    held_out: list


def speech(place, case, seed=0):
    """Write the files of a case."""
    c = case
    how = {"talk": c["talk"], "oddity": c["oddity"]}
    train = talks.talks(17, seed, **how)
    held = talks.talks(9, seed + 1, **how)
    made = Speech(place, _settings(c), c, train, held)
    made.settings["train"] = write(made, "train", train, c["form"])
    if c["measured"] == "validation":
        made.settings["validation"] = write(made, "held", held, "jsonl")
    if c["exam"]:
        rows = [{"prompt": "ab", "answer": "a"}, {"prompt": "cd", "answer": "d"}]
        files.write(place, "exam", rows, "jsonl")
        made.settings["exam"] = {"data": "exam.jsonl", "verify": "exact"}
    return made


def write(made, name, some, form):
    """Write rows in the case's shape."""
    paired = made.case["method"] == "dpo"
    rows = [talks.row_of(talk, made.case["shape"], paired=paired) for talk in some]
    return files.write(made.place, name, rows, form)


def names(case):
    """The folders of the teacher and of the student that a case begins with."""
    end = "" if case["chat"] else "-bare"
    teacher = {"wider": "wider"}.get(case["teacher"], "teacher")
    teacher = "other" if case["method"] == "uld" else teacher
    student = "half" if case["student"] == "half" else "student"
    if case["dropout"] and student == "student":
        student = "dropout"
    return teacher + end, student + end


def _settings(c):
    teacher, student = names(c)
    given = {"method": c["method"], "student": str(shelf() / student), "epochs": 2, "lr": 1e-2}
    if c["student"] == "shape":
        given["student"] = SHAPE
    elif c["student"] in ("lora", "apart"):
        given["lora"] = {"r": 2, "merge": c["student"] == "lora", "dropout": c["dropout"]}
    if c["method"] not in ("sft", "dpo"):
        given["teacher"] = str(shelf() / teacher)
        keep = {"top_k": {"top_k": 3}, "whole": {"top_k": WHOLE}, "sampled": {"sampled": 24}}
        if c["teacher"] in keep:
            given["teacher"] = {"model": given["teacher"], "keep": keep[c["teacher"]]}
        if c["teacher"] == "view":
            given["teacher_prompt"] = "{prompt} {hint}"
    if c["method"] in (*TOKEN_WISE, "uld"):
        given |= {"alpha": c["alpha"]}
    if c["method"] in (*TOKEN_WISE, "uld", "on-policy"):
        given |= {"T": c["T"]}
    if c["beta"] and c["method"] in ("jsd", "dpo"):
        given["beta"] = c["beta"]
    if c["method"] in ("seq-kd", "on-policy"):
        given |= {"temperature": 0, "max_new_tokens": c["max_new_tokens"]}
    if c["exam"]:
        given["max_new_tokens"] = c["max_new_tokens"]
    if c["method"] == "seq-kd" and not c["chat"]:
        given["plain"] = True
    given |= ASKING.get(c["asking"], {})
    if c["method"] != "dpo":
        given["learn"] = c["learn"]
    given |= {name: c[name] for name in ("batch_size", "accumulate", "precision", "optimizer")}
    given |= {name: c[name] for name in ("schedule", "warmup", "max_length", "seeds", "clip")}
    given |= {"gradient_checkpointing": c["checkpointing"], "checkpoint_every": 1, "seed": 3}
    given |= {"columns": talks.columns_of(c["shape"], paired=c["method"] == "dpo") or None}
    if c["bundle"]:
        given["bundle"] = True
    return given | of_a_run(c)


# What is expected


def limit_of(case, *, answers=False):
    room = POSITIONS - (case["max_new_tokens"] if answers else 0)
    return min(case["max_length"] or 512, room)


def split(made, out="out"):
    """The rows that are learned and those that are measured on."""
    if made.case["measured"] == "validation":
        return made.talks, made.held_out
    if made.case["measured"] == "training":
        return made.talks, made.talks
    job = made.job(out)
    learned, apart = (
        list(read_exchanges(job, job.train, apart=apart).table.numbers) for apart in (False, True)
    )
    assert sorted([*learned, *apart]) == list(range(len(made.talks)))
    questions = [{str(made.talks[i].before) for i in each} for each in (learned, apart)]
    assert not questions[0] & questions[1]
    return [made.talks[i] for i in learned], [made.talks[i] for i in apart]


def texts_of(made, some, *, train):
    """The texts that are learned, or measured on."""
    c = made.case
    answers = train and c["method"] == "on-policy"
    how = {"chat": c["chat"], "learn": c["learn"] if c["method"] != "dpo" else "last"}
    limit = limit_of(c, answers=answers)
    if c["method"] == "dpo":
        return talks.counted_pairs(some, SINGLE, limit, chat=c["chat"])
    if c["method"] == "uld" and train:
        own = talks.counted(some, SINGLE, 2**40, **how)
        other = talks.counted(some, DOUBLE, 2**40, **how)
        pairs = list(zip(own.texts, other.texts, strict=True))
        texts = [
            (mine, theirs)
            for mine, theirs in pairs
            if len(mine[0] + mine[1]) <= limit and len(theirs[0] + theirs[1]) <= limit
        ]
        return talks.Counted(texts, len(pairs) - len(texts), own.empty)
    prompts_only = train and c["method"] in ("seq-kd", "on-policy")
    return talks.counted(some, SINGLE, limit, prompts_only=prompts_only, **how)


def scores(model, prompt, answer):
    """Logits (n, C) at the places that predict the answer's tokens."""
    with torch.no_grad():
        logits = model(torch.tensor([prompt + answer])).logits[0].double()
    return logits[len(prompt) - 1 : -1]


def student_before(made, seed=3):
    c = made.case
    if c["student"] == "shape":
        tokenizer = SINGLE.tokenizer(chat=c["chat"])
        return new_student(SHAPE, tokenizer, seed).eval()
    return network(names(c)[1])


def written(made, learned, texts):
    """The answers that the teacher writes to prompts, as letters: (prompt, letters, row)."""
    c, (teacher, _) = made.case, names(made.case)
    rows = []
    for prompt, _, row in texts:
        if c["asking"] == "system" and c["teacher"] != "view":
            prompt = with_system(learned[row].before, c["chat"])
        read = teacher_prompt(learned, row, c["chat"]) if c["teacher"] == "view" else prompt
        answer = greedy(network(teacher), read, c["max_new_tokens"])
        if answer[-1] != SINGLE.mark("end"):
            continue  # cut: not learned
        words = (SINGLE.words[i] for i in answer if i < len(SINGLE.words))
        letters = "".join(word for word in words if word in LETTERS)
        rows.append((prompt, letters, row))
    return rows


def with_system(turns, chat):
    """A prompt behind the job's own system message, where it has none."""
    if turns[0][0] != "system":
        turns = (("system", "ab", True), *turns)
    return talks.prompt_ids(turns, SINGLE, chat=chat)


def greedy(model, prompt, most):
    ids = list(prompt)
    for _ in range(most):
        with torch.no_grad():
            ids.append(int(model(torch.tensor([ids])).logits[0, -1].argmax()))
        if ids[-1] == SINGLE.mark("end"):
            break
    return ids[len(prompt) :]


def teacher_prompt(some, row, chat):
    """What the teacher alone reads of a row."""
    *before, (role, content, learned) = some[row].before
    turn = (role, f"{content} {some[row].hint}", learned)
    return talks.prompt_ids((*before, turn), SINGLE, chat=chat)


def divergence(case, ours, theirs, *, kept=None):
    """T^2 D at each place (n,), of student's and teacher's logits (n, C)."""
    T, method = case["T"], case["method"]
    method = "reverse-kl" if method == "on-policy" else method
    p, q = (each.div(T).softmax(-1) for each in (theirs, ours))
    if kept is not None:
        top = p.topk(kept, -1).indices
        p, q = (_with_rest(each, top) for each in (p, q))
    if method == "jsd":
        beta = case["beta"] or 0.5
        mixed = beta * p + (1 - beta) * q
        return T**2 * (beta * _kl(p, mixed) + (1 - beta) * _kl(q, mixed))
    return T**2 * (_kl(p, q) if method == "token-kl" else _kl(q, p))


def _with_rest(p, top):
    some = p.gather(-1, top)
    return torch.cat([some, (1 - some.sum(-1, keepdim=True)).clamp(min=0)], -1)


def _kl(p, q):
    return torch.where(p > 0, p * (p.clamp(min=1e-300).log() - q.clamp(min=1e-300).log()), 0.0).sum(
        -1
    )


def nll(ours, answer):
    return -ours.log_softmax(-1).gather(-1, torch.tensor(answer)[:, None])[:, 0]


def first_loss(made, learned, texts, seed=3):
    """The terms of the first step by hand."""
    c, (teacher, _) = made.case, names(made.case)
    size = c["batch_size"]
    lengths = torch.tensor([len(prompt) + len(answer) for prompt, answer, _ in flat(texts)])
    sampler = ByLength(lengths, size) if c["bundle"] else None
    first = epoch_order(len(texts), seed, 0, sampler)[:size].tolist()
    batch = [texts[i] for i in first]
    student = student_before(made, seed)
    if c["method"] == "dpo":
        return {"dpo": math.log(2)}
    if c["method"] == "uld":
        return _first_uld(c, student, network(teacher), batch)
    if c["method"] == "on-policy":
        most = c["max_new_tokens"]
        batch = [(prompt, greedy(student, prompt, most), row) for prompt, _, row in batch]
    terms = {}
    alpha = c["alpha"] if c["method"] in TOKEN_WISE else 1.0 if c["method"] == "on-policy" else 0.0
    ours = [scores(student, prompt, answer) for prompt, answer, _ in batch]
    if alpha > 0:
        kind = {"token-kl": "forward_kl", "jsd": "jsd"}.get(c["method"], "reverse_kl")
        kept = {"top_k": 3}.get(c["teacher"])
        each = []
        for (prompt, answer, row), own in zip(batch, ours, strict=True):
            read = teacher_prompt(learned, row, c["chat"]) if c["teacher"] == "view" else prompt
            theirs = scores(network(teacher), read, answer)[:, : own.shape[-1]]
            each.append(divergence(c, own, theirs, kept=kept))
        terms[kind] = float(torch.cat(each).mean())
    if alpha < 1:
        each = [nll(own, answer) for own, (_, answer, _) in zip(ours, batch, strict=True)]
        terms["ce"] = float(torch.cat(each).mean())
    return terms


def flat(texts):
    """Texts of which each may be a pair: the first of it."""
    return [text[0] if isinstance(text[0], tuple) else text for text in texts]


def _first_uld(c, student, teacher, batch):
    compared, learned = [], []
    for (prompt, answer, _), (other, their_answer, _) in batch:
        ours, theirs = scores(student, prompt, answer), scores(teacher, other, their_answer)
        learned.append(nll(ours, answer))
        common = min(len(ours), len(theirs))
        p, q = (
            (each[:common] / c["T"]).softmax(-1).sort(-1, descending=True).values
            for each in (theirs, ours)
        )
        wide = max(p.shape[-1], q.shape[-1])
        p, q = (torch.nn.functional.pad(each, (0, wide - each.shape[-1])) for each in (p, q))
        compared.append((p - q).abs().sum(-1))
    terms = {"uld": float(torch.cat(compared).mean())} if c["alpha"] > 0 else {}
    return terms | {"ce": float(torch.cat(learned).mean())}


def figures(made, model, texts, some):
    """NLL, KL to the teacher and agreement of a model on texts, one text at a time."""
    c, (teacher, _) = made.case, names(made.case)
    with_teacher = c["method"] in (*TOKEN_WISE, "on-policy")
    sums = {"nll": [], "kl": [], "agreement": []}
    for prompt, answer, row in flat(texts):
        ours = scores(model, prompt, answer)
        sums["nll"].append(nll(ours, answer))
        if with_teacher:
            read = teacher_prompt(some, row, c["chat"]) if c["teacher"] == "view" else prompt
            theirs = scores(network(teacher), read, answer)
            width = min(ours.shape[-1], theirs.shape[-1])
            theirs, own = theirs[:, :width], ours[:, :width]
            p, q = theirs.softmax(-1), own.softmax(-1)
            sums["kl"].append(_kl(p, q))
            sums["agreement"].append(100.0 * (theirs.argmax(-1) == own.argmax(-1)))
    return {name: float(torch.cat(each).mean()) for name, each in sums.items() if each}

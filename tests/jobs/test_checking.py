"""`--check` finds what a job would stumble over, before a model is loaded."""

import dataclasses
import json
import re
import shutil

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer, GPT2Config, GPT2LMHeadModel

from distill_lab import cli
from distill_lab.data.tokenized import Texts
from distill_lab.jobs.checking import check
from distill_lab.jobs.job import Job
from distill_lab.jobs.language_models import merged, refuse_tied, with_lora
from distill_lab.jobs.rehearsal import rehearse
from distill_lab.jobs.running import run_job
from tests.data.test_tokenized import WORDS, llama, words_tokenizer

SHAPE = {
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
}
ROWS = [{"prompt": a + b, "answer": b + a} for a in "abcde" for b in "abcd"]
TALK = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:4d\nsize 132\n"


@pytest.fixture
def folder(tmp_path):
    for name in ("teacher", "student"):
        llama(1, len(name)).save_pretrained(tmp_path / name)
        words_tokenizer().save_pretrained(tmp_path / name)
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return tmp_path


def job(folder, **more):
    given = {
        "teacher": str(folder / "teacher"),
        "student": str(folder / "student"),
        "train": str(folder / "train.jsonl"),
        "out": str(folder / "out"),
        "method": "token-kl",
        "batch_size": 8,
        "epochs": 2,
    }
    return Job.of(**given | more)


def sentences(job):
    with pytest.raises(ValueError) as error:
        check(job, lambda line: None)
    return str(error.value).splitlines()


def test_a_job_that_fits_is_told_in_rows_tokens_and_steps(folder, monkeypatch):
    def refuse(*args, **options):
        raise AssertionError("weights are loaded")

    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", refuse)
    lines = []
    check(job(folder, validation=str(folder / "train.jsonl"), lora={"r": 2}), lines.append)
    messages = "\n".join(lines)
    tokens = int(Texts(ROWS, words_tokenizer()).lengths.sum())
    assert re.search(r"padding: \d+% of the places in batches of \d+\n", messages)
    assert f"train: 20 rows, {tokens} tokens, the longest has 7 of 64" in messages.replace(
        "the longest has 8", "the longest has 7"
    )
    assert "validation: 20 rows" in messages and "steps: 3 an epoch, 6 in all" in messages
    assert not (folder / "out").exists()


@pytest.mark.parametrize(
    ("rows", "more", "texts"),
    [
        # every answer of a conversation is a text of its own
        ([{"messages": [*TALK, *TALK]}] * 8, {"learn": "all"}, 16),
        # of a conversation that is too long as a whole the first answer is learned
        ([{"messages": [*TALK, *TALK]}] * 8, {"learn": "all", "max_length": 6}, 8),
        # an answer without a word is left out
        ([*ROWS[:5], *({**row, "answer": " "} for row in ROWS[5:])], {}, 5),
        ([{**row, "answer": " "} for row in ROWS] + ROWS[:3], {"method": "sft"}, 3),
    ],
)
def test_steps_are_those_of_the_texts_that_rows_become(folder, monkeypatch, rows, more, texts):
    (folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    own, lines = job(folder, batch_size=1, **more), []
    check(own, lines.append)
    steps = run_job(own, progress=False).history.steps
    assert steps == 2 * texts
    assert f"steps: {texts} an epoch, {steps} in all" in lines
    monkeypatch.setattr("distill_lab.jobs.checking.SAMPLE", len(rows) // 2)
    check(dataclasses.replace(own, out=str(folder / "other")), lines.append)
    about = re.search(r"steps: (\d+) an epoch", lines[-2 if "padding" in lines[-1] else -3])
    assert abs(int(about[1]) - texts) <= max(2, texts // 3)


@pytest.mark.parametrize("method", ["sft", "token-kl"])
def test_of_many_rows_it_is_said_that_others_were_learned(folder, monkeypatch, method):
    """Where too few are tokenised to know it, and the run would refuse the folder."""
    own, again = job(folder, method=method, epochs=1), []
    run_job(own, progress=False)
    monkeypatch.setattr("distill_lab.jobs.checking.SAMPLE", len(ROWS) // 2)
    check(own, again.append)
    assert not [line for line in again if "are not the ones" in line]
    rows = [*ROWS[:-2], {**ROWS[-2], "answer": "ab"}, ROWS[-1]]
    (folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    lines = []
    check(own, lines.append)
    assert len([line for line in lines if "these rows are not the ones" in line]) == 1
    with pytest.raises(ValueError, match=r"belongs to another run.*data: "):
        run_job(own, progress=False)


@pytest.mark.parametrize("method", ["sft", "token-kl", "seq-kd"])
def test_a_single_row_to_measure_on_is_enough(folder, method):
    """There is no headroom of one text, and the job that --check lets pass runs all the same."""
    (folder / "held_out.jsonl").write_text(json.dumps(ROWS[0]) + "\n")
    held_out = str(folder / "held_out.jsonl")
    own = job(folder, method=method, validation=held_out, max_new_tokens=30, epochs=1)
    check(own, lambda line: None)
    outcome = run_job(own, progress=False)
    assert outcome.headroom is None and outcome.figures["student after"].nll > 0


def test_texts_of_like_length_leave_less_padding_and_a_run_draws_them_so(folder):
    rows = [{"prompt": "ab" * (1 + n % 7), "answer": "c"} for n in range(20)]
    (folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    shares, histories = [], []
    for bundle in (False, True):
        lines, own = [], job(folder, batch_size=4, bundle=bundle, out=str(folder / str(bundle)))
        check(own, lines.append)
        shares.append(int(re.search(r"padding: (\d+)%", "\n".join(lines))[1]))
        histories.append(run_job(own, progress=False).history["forward_kl"])
    assert shares[1] < shares[0]
    assert histories[0] != histories[1]  # the same texts in another order


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"train": "gone.jsonl"}, "there is no file gone.jsonl"),
        ({"validation": "gone-*.csv"}, "no file fits the pattern gone-*.csv"),
        ({"teacher": "./gone"}, "teacher: there is no folder ./gone (looked in "),
        ({"teacher": "http://localhost:8000/v1"}, "is an address: expected a folder"),
        ({"student": SHAPE | {"hidden_size": 50, "num_attention_heads": 4}}, "hidden size (50)"),
        ({"warmup": 1000}, "warmup = 1000 steps, and the run has 6"),
        ({"out": "{folder}/train.jsonl"}, "train.jsonl is a file, and a folder is needed"),
        ({"out": "{folder}/train.jsonl/a/b"}, "train.jsonl is a file, and a folder is needed"),
        ({"exam": "gone.jsonl"}, "the exam: there is no file gone.jsonl"),
        ({"max_length": 3}, "no text is left to learn from (20 are longer than max_length = 3"),
        ({"lora": {"target_modules": ["gone"]}}, "'gone'"),
        ({"student": SHAPE, "lora": {"target_modules": ["q_proj", "lm_head"]}}, "lm_head is tied"),
        ({"student": SHAPE, "lora": {"target_modules": ["embed_tokens"]}}, "embed_tokens is tied"),
        ({"max_new_tokens": 64, "method": "on-policy"}, "leaves no room for a prompt"),
        ({"max_new_tokens": 61, "method": "seq-kd"}, "prompts are longer than the 3 tokens"),
    ],
    ids=str,
)
def test_jobs_that_cannot_run(folder, change, words):
    change = {
        name: value.replace("{folder}", str(folder)) if isinstance(value, str) else value
        for name, value in change.items()
    }
    lines = sentences(job(folder, **change))
    assert len(lines) == 1 and words in lines[0], lines


def test_all_mistakes_are_found_at_once(folder):
    (folder / "train.jsonl").write_text('{"prompt": "a", "answer": "b"}\n{"prompt": "a"}\n')
    (folder / "student/model.safetensors").write_text(LFS)
    (folder / "teacher/tokenizer.json").write_text(LFS)
    (folder / "out").touch()
    first, *others = sentences(job(folder))
    assert "train.jsonl, line 2: the columns are 'prompt'" in first
    assert [name for name in ("out is a file", "tokenizer.json is a Git", "model.safetensors is a")
            if not any(name in line for line in others)] == []  # fmt: skip


def test_vocabularies_are_compared_by_their_words(folder):
    other = words_tokenizer()
    other.add_tokens(["k"])
    other.save_pretrained(folder / "student")
    (line,) = sentences(job(folder))
    assert f"has {len(WORDS) + 1} tokens and the model's embedding {len(WORDS)} rows" in line
    network = llama(1, 1)
    network.resize_token_embeddings(len(WORDS) + 1)
    network.save_pretrained(folder / "student")
    (line,) = sentences(job(folder))
    assert "cut text into different tokens" in line
    check(job(folder, method="seq-kd", max_new_tokens=8), lambda line: None)


def test_a_tokenizer_with_more_tokens_than_rows_is_refused_at_loading(folder):
    for name in ("teacher", "student"):
        tokenizer = AutoTokenizer.from_pretrained(folder / name)
        tokenizer.add_special_tokens({"additional_special_tokens": ["<x>", "<y>"]})
        tokenizer.save_pretrained(folder / name)
    for method in ("token-kl", "seq-kd", "on-policy"):
        with pytest.raises(ValueError, match=f"{len(WORDS) + 2} tokens .* {len(WORDS)} rows"):
            run_job(job(folder, method=method), progress=False)
        assert f"{len(WORDS) + 2} tokens" in sentences(job(folder, method=method))[0]


def test_texts_beyond_the_positions_are_left_out(folder):
    tokenizer = words_tokenizer()
    torch.manual_seed(0)
    config = GPT2Config(n_positions=8, vocab_size=len(WORDS), n_embd=8, n_layer=1, n_head=1)
    GPT2LMHeadModel(config).save_pretrained(folder / "student")
    tokenizer.save_pretrained(folder / "student")
    rows = [*ROWS, {"prompt": "abcde", "answer": "abcde"}]
    (folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    lines, messages = [], []
    check(job(folder), messages.append)
    assert any("of 8, 1 left out as too long" in line for line in messages), messages
    run_job(job(folder, epochs=1), progress=False, log=lines.append)
    assert "train: 1 rows are longer than 8 tokens: left out" in lines
    exam = folder / "exam.jsonl"
    exam.write_text('{"prompt": "abc", "answer": "a"}\n{"prompt": "a", "answer": "b"}\n')
    examined = job(folder, epochs=1, exam=str(exam), max_new_tokens=4)
    assert "1 prompts of" in sentences(examined)[0]
    with pytest.raises(ValueError, match="4 tokens that the models' positions leave"):
        run_job(dataclasses.replace(examined, out=str(folder / "b")), progress=False)


def test_a_folder_with_the_run_of_another_job(folder):
    run_job(job(folder, epochs=1, schedule="constant"), progress=False)
    check(job(folder, epochs=3, schedule="constant"), lambda line: None)  # it may be extended
    for change, words in (
        ({"lr": 1.0}, "lr: 0.0002 there, 1.0 now"),
        ({"T": 2.0}, "method: "),
        ({"lora": {"r": 2}}, "the student has other parameters"),
        ({"max_length": 63}, None),
    ):
        again = job(folder, epochs=1, **{"schedule": "constant"} | change)
        if words is None:
            check(again, lambda line: None)
        else:
            assert words in sentences(again)[0]
    (folder / "train.jsonl").write_text('{"prompt": "a", "answer": "b"}\n')
    assert "data: " in sentences(job(folder, epochs=1, schedule="constant"))[0]
    (folder / "out/run.safetensors").write_bytes(b"cut")
    assert "is not a whole checkpoint" in sentences(job(folder))[0]


@pytest.mark.parametrize("method", ["token-kl", "seq-kd", "sft"])
def test_settings_that_another_run_follows_from(folder, method):
    """What shows before a model is loaded is refused by --check as the run refuses it."""
    shutil.copytree(folder / "teacher", folder / "moved")
    shutil.copytree(folder / "teacher", folder / "other")
    llama(1, 3).save_pretrained(folder / "other")
    usual = {"epochs": 1, "method": method, "max_new_tokens": 3, "bundle": True}
    run_job(job(folder, **usual), progress=False)
    check(job(folder, **usual, teacher=str(folder / "moved")), lambda line: None)
    changes = [{"precision": "bf16"}, {"bundle": False}, {"lr": 1.0}]
    if method == "token-kl":
        changes += [
            {"teacher": str(folder / "other")},
            {"teacher_keep": {"top_k": 3}},
            {"teacher_prompt": {"user": "{prompt} a"}},
        ]
    for change in changes:
        again = job(folder, **usual | change)
        (words,) = sentences(again)
        assert "belongs to another run" in words and "choose another out" in words
        with pytest.raises(ValueError, match="belongs to another run"):
            run_job(again, progress=False)


def test_another_number_of_kept_tokens_is_another_run(folder):
    usual = {"epochs": 1, "method": "token-kl", "teacher_keep": {"top_k": 3}}
    run_job(job(folder, **usual), progress=False)
    check(job(folder, **usual), lambda line: None)
    for kept in ({"top_k": 2}, {"sampled": 30}):
        again = job(folder, **usual | {"teacher_keep": kept})
        assert "teacher.keep: {'top_k': 3} there, " in sentences(again)[0]
        with pytest.raises(ValueError):
            run_job(again, progress=False)


def test_weights_that_are_missing_are_never_random(folder):
    from safetensors.torch import save_file

    for name, words in (("teacher", "lacks 1 weights"), ("student", "lacks 1 weights")):
        path = folder / name / "model.safetensors"
        before = path.read_bytes()
        weights = load_file(path)
        del weights["model.norm.weight"]
        save_file(weights, path, metadata={"format": "pt"})
        with pytest.raises((ValueError, OSError), match=words):
            run_job(job(folder), progress=False)
        path.write_bytes(before)


@pytest.mark.parametrize(
    "targets",
    [["lm_head"], ["q_proj", "embed_tokens"], ["model.embed_tokens"], "lm_head", ".*head"],
)
def test_an_adapter_of_a_tied_layer_is_refused(targets):
    """Merged, it changes input and output: what is saved is not what was trained."""
    student = llama(1, 1)
    student.config.tie_word_embeddings = True
    with pytest.raises(ValueError, match="is tied in this student"):
        with_lora(student, {"target_modules": targets}, 0)
    by_hand = llama(1, 1)  # its settings do not say so
    by_hand.lm_head.weight = by_hand.model.embed_tokens.weight
    with pytest.raises(ValueError, match="is tied in this student"):
        with_lora(by_hand, {"target_modules": targets}, 0)


def test_adapters_of_other_layers_are_merged_into_the_student_that_was_trained():
    student = llama(1, 1)
    for tied, targets in ((True, ["q_proj"]), (True, None), (False, ["lm_head", "q_proj"])):
        student.config.tie_word_embeddings = tied
        refuse_tied(student, {"target_modules": targets})
    learning = with_lora(student, {"target_modules": ["q_proj"]}, 0)
    ids = torch.arange(6)[None]
    with torch.no_grad():
        for name, value in learning.named_parameters():
            if "lora_B" in name:
                value.add_(0.3)
        before = learning.eval()(input_ids=ids).logits
        after = merged(learning)(input_ids=ids).logits
    torch.testing.assert_close(before, after)


TEMPLATE = "{{ raise_exception('no system here') }}"


def test_a_template_that_refuses_a_row_is_told_with_file_and_line(folder, capsys):
    for name in ("teacher", "student"):
        tokenizer = words_tokenizer()
        tokenizer.chat_template = (
            "{% for m in messages %}{% if m.content == 'ad' %}" + TEMPLATE + "{% endif %}"
            "{{ m.content }}{% endfor %}"
        )
        tokenizer.save_pretrained(folder / name)
    facts = {k: v for k, v in job(folder).facts().items() if v is not None and k != "beta"}
    (folder / "job.yaml").write_text(json.dumps(facts))
    assert cli.main(["distill", str(folder / "job.yaml"), "--check"]) == 2
    assert "train.jsonl, line 4 is refused by the tokenizer or its chat" in capsys.readouterr().err
    assert cli.main(["distill", str(folder / "job.yaml"), "warmup=1"]) == 2
    assert "no system here" in capsys.readouterr().err


def test_settings_may_stand_behind_an_option(folder, capsys):
    facts = {k: v for k, v in job(folder).facts().items() if v is not None and k != "beta"}
    (folder / "job.yaml").write_text(json.dumps(facts))
    assert cli.main(["distill", str(folder / "job.yaml"), "--check", "epochs=7"]) == 0
    messages = capsys.readouterr().out
    assert "steps: 3 an epoch, 21 in all" in messages and "job.yaml fits." in messages
    with pytest.raises(SystemExit):
        cli.main(["distill", str(folder / "job.yaml"), "--chekc", "epochs=7"])


@pytest.mark.parametrize("method", ["token-kl", "seq-kd"])
def test_a_rehearsal_takes_few_steps_and_keeps_nothing(folder, capsys, method):
    rows = [{"q": row["prompt"], "a": row["answer"]} for row in ROWS * 20]
    (folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    more = {"max_new_tokens": 2} if method == "seq-kd" else {}
    facts = job(folder, method=method, epochs=9, **more).facts()
    facts["columns"] = {"prompt": "q", "answer": "a"}
    if method == "seq-kd":  # 360 rows are learned, and steps are counted of these
        facts |= {"held_out": 0.1, "validate_every": 2}
    facts = {k: v for k, v in facts.items() if v is not None and k != "beta"}
    (folder / "job.yaml").write_text(json.dumps(facts))
    before = sorted(folder.rglob("*"))
    assert cli.main(["distill", str(folder / "job.yaml"), "--dry-run"]) == 0
    messages = capsys.readouterr().out
    steps = int(messages.split(" steps of ")[0].split()[-1])
    assert steps == 450 if method == "token-kl" else 350 <= steps < 440, messages
    assert "of training; loading" in messages
    assert "memory at its height: " in messages and "job.yaml fits." in messages
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize(
    ("rows", "more", "steps"),
    [
        ([{"messages": [*TALK, *TALK]}] * 80, {"learn": "all"}, 40),
        ([{**ROWS[0], "answer": " " if n % 2 else "b"} for n in range(80)], {}, 10),
        (ROWS * 4, {"method": "seq-kd", "samples": 3, "max_new_tokens": 9}, 60),
    ],
)
def test_a_rehearsal_counts_the_texts_that_rows_become(folder, rows, more, steps):
    (folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    lines = []
    rehearse(job(folder, **more), lines.append)
    assert int(lines[0].split(" steps of ")[0]) == steps


def test_more_tokens_kept_than_there_are(folder):
    (words,) = sentences(job(folder, teacher_keep={"top_k": 5000}))
    assert words.startswith("teacher.keep.top_k = 5,000, and the models score "), words


@pytest.mark.parametrize("name", ["prompt", "answer"])
def test_a_null_is_called_one(folder, name):
    (folder / "train.jsonl").write_text(json.dumps(ROWS[0] | {name: None}) + "\n")
    assert f"line 1: {name!r} is null: fill it" in sentences(job(folder))[0]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"method": "sft", "exam": "exam.jsonl"}, "1 prompts of the exam are longer than the 3 "),
        ({"method": "on-policy"}, "no text is left to learn from (20 are longer than the 3 tokens"),
        ({"method": "seq-kd"}, "20 of the first 20 prompts are longer than the 3 tokens"),
    ],
    ids=["exam", "on-policy", "seq-kd"],
)
def test_an_answer_that_leaves_no_room_is_named_by_its_setting_and_line(
    folder, capsys, given, words
):
    """Not by max_length, which the room was never taken from."""
    (folder / "exam.jsonl").write_text('{"prompt": "ab", "answer": "a"}\n')
    settings = {"teacher": "teacher", "student": "student", "train": "train.jsonl", "out": "out"}
    settings |= {"max_new_tokens": 61, **given}
    file = folder / "job.yaml"
    file.write_text("".join(f"{name}: {value}\n" for name, value in settings.items()))
    for more, setting in (
        ([], f"max_new_tokens = 61 ({file}, line 5)"),
        (["max_new_tokens=64"], "max_new_tokens = 64 (on the command line) leaves no room"),
    ):
        assert cli.main(["distill", str(file), *more, "--check"]) == 2
        error = capsys.readouterr().err
        assert setting in error and "max_length" not in error, error
        assert (
            more
            or (words in error and "give a lower max_new_tokens, or" in error)
            or ("give rows, or a lower max_new_tokens" in error)
        )
        assert cli.main(["distill", str(file), *more]) == 2
        assert setting in capsys.readouterr().err or given["method"] == "seq-kd"
    file.write_text(file.read_text().replace("max_new_tokens: 61\n", ""))
    assert cli.main(["distill", str(file), "--check"]) == 2
    assert "max_new_tokens = 128 (by default) leaves no room" in capsys.readouterr().err


def test_texts_beyond_the_positions_are_no_matter_of_max_length(folder):
    rows = [{"prompt": "ab" * 40, "answer": "a"}]
    (folder / "train.jsonl").write_text(json.dumps(rows[0]) + "\n")
    (line,) = sentences(job(folder))
    assert "1 are longer than the 64 positions of the models): give rows, or models with" in line

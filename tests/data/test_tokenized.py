"""Texts for language models: what is learned, what is left out, and the student's own answers."""

import copy

import pytest
import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

from distill_lab import losses, methods
from distill_lab.data import fingerprints
from distill_lab.data.batches import batches, padding_share
from distill_lab.data.samplers import ByLength
from distill_lab.data.tokenized import Texts
from distill_lab.models.networks import logits_of
from distill_lab.teachers import freeze
from distill_lab.training import distill

WORDS = ["<pad>", "<end>", "<user>", "<bot>", *"abcdefghij"]
CHAT = (
    "{% for m in messages %}{{ ('<user>' if m['role'] == 'user' else '<bot>') + m['content'] }}"
    "{% if m['role'] == 'assistant' %}{{ '<end>' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<bot>' }}{% endif %}"
)


def words_tokenizer():
    """A tokenizer of ten letters, with a chat template."""
    fast = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="<pad>"))
    fast.pre_tokenizer = pre_tokenizers.Split(Regex("<[a-z]+>|."), "isolated")
    fast.decoder = decoders.Fuse()
    made = PreTrainedTokenizerFast(tokenizer_object=fast, pad_token="<pad>", eos_token="<end>")
    made.chat_template = CHAT
    return made


@pytest.fixture(scope="module")
def tokenizer():
    return words_tokenizer()


ROWS = [{"prompt": "ab", "answer": "cd"}, {"prompt": "abcde", "answer": "f"}]


def words(tensor):
    return ["-" if i == -100 else WORDS[i] for i in tensor.tolist()]


def llama(layers, seed):
    torch.manual_seed(seed)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(WORDS),
            hidden_size=16 * layers,
            intermediate_size=32,
            num_hidden_layers=layers,
            num_attention_heads=2,
            num_key_value_heads=2,
            max_position_embeddings=64,
            eos_token_id=1,
            pad_token_id=0,
            bos_token_id=None,
        )
    )


def test_only_the_answer_and_its_end_are_learned(tokenizer):
    batch = Texts(ROWS, tokenizer).batch(torch.tensor([0, 1]))
    assert words(batch.inputs["input_ids"][0]) == [
        "<user>",
        "a",
        "b",
        "<bot>",
        "c",
        "d",
        "<end>",
        "<pad>",
        "<pad>",
    ]
    assert words(batch.labels[0]) == [*"----", "c", "d", "<end>", "-", "-"]
    assert words(batch.labels[1]) == [*"-------", "f", "<end>"]
    assert batch.inputs["attention_mask"].sum(1).tolist() == [7, 9]


def test_messages_with_several_turns_learn_the_last(tokenizer):
    turns = [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b"},
        {"role": "user", "content": "c"},
        {"role": "assistant", "content": "d"},
    ]
    batch = Texts([{"messages": turns}], tokenizer).batch(torch.tensor([0]))
    assert words(batch.labels[0])[-2:] == ["d", "<end>"] and words(batch.labels[0]).count("-") == 8


def test_long_rows_are_left_out_whole_and_counted(tokenizer):
    texts = Texts([*ROWS, {"prompt": "a" * 20, "answer": "b"}], tokenizer, max_length=9)
    assert len(texts) == 2 and texts.too_long == 1
    with pytest.raises(ValueError, match="a larger max_length"):
        Texts(ROWS, tokenizer, max_length=3)
    with pytest.raises(ValueError, match=r"row 1 has the fields \['question'\]"):
        Texts([ROWS[0], {"question": "a"}], tokenizer)


def test_the_content_is_the_name(tokenizer):
    one, two = Texts(ROWS, tokenizer), Texts(ROWS[::-1], tokenizer)
    assert one.fingerprint == Texts(copy.deepcopy(ROWS), tokenizer).fingerprint != two.fingerprint


def test_checkpoints_of_before_know_their_texts_again(tokenizer):
    """The name is that of the tokens as JSON, in however many calls they were made."""
    rows = ROWS * 700
    for prompts_only in (False, True):
        texts = Texts(rows, tokenizer, prompts_only=prompts_only)
        as_lists = [texts.text(number) for number in range(len(rows))]
        assert texts.fingerprint == fingerprints.of_facts([as_lists, prompts_only])


class Interrupted(list):
    """Rows whose reading stops once behind the first call."""

    def __iter__(self):
        yield from self[:1500]
        if not self.again:
            self.again = True
            raise KeyboardInterrupt
        yield from self[1500:]


def test_tokens_are_made_once_and_read_from_the_disk(tokenizer, tmp_path, monkeypatch):
    rows, index = ROWS * 1100, torch.tensor([1, 0, 2199])
    first = Texts(rows, tokenizer, folder=tmp_path)
    one, two = first.batch(index), Texts(rows, tokenizer).batch(index)
    assert torch.equal(one.labels, two.labels) and one.inputs.keys() == two.inputs.keys()
    assert all(torch.equal(one.inputs[name], two.inputs[name]) for name in one.inputs)
    monkeypatch.setattr(type(tokenizer), "__call__", None)  # nobody asks it again
    again = Texts(copy.deepcopy(rows), tokenizer, folder=tmp_path)
    assert again.fingerprint == first.fingerprint and torch.equal(again.lengths, first.lengths)
    assert len(list(tmp_path.glob("*.arrow"))) == 1


@pytest.mark.parametrize(
    "other",
    [
        lambda t, folder: Texts(ROWS[::-1], t, folder=folder),
        lambda t, folder: Texts([{**ROWS[0], "answer": "ce"}, ROWS[1]], t, folder=folder),
        lambda t, folder: Texts(ROWS, t, folder=folder, max_length=8),
        lambda t, folder: Texts(ROWS, t, folder=folder, prompts_only=True),
        lambda t, folder: Texts(ROWS, t, folder=folder, template={"add_generation_prompt": False}),
        lambda t, folder: Texts(ROWS, t, folder=folder, reasoning="drop"),
        lambda t, folder: Texts(ROWS, t, folder=folder, learn="all"),
    ],
)
def test_other_rows_or_settings_are_tokenised_anew(tokenizer, tmp_path, other):
    Texts(ROWS, tokenizer, folder=tmp_path)
    other(tokenizer, tmp_path)
    assert len(list(tmp_path.glob("*.arrow"))) == 2


def test_another_template_is_tokenised_anew(tokenizer, tmp_path):
    kept = Texts(ROWS, tokenizer, folder=tmp_path)
    changed = words_tokenizer()
    changed.chat_template = CHAT.replace("'<bot>'", "'<user>'")
    again = Texts(ROWS, changed, folder=tmp_path)
    assert again.text(0) != kept.text(0)
    assert again.text(0) == Texts(ROWS, changed).text(0)


def test_an_interrupted_tokenisation_leaves_nothing_and_starts_again(tokenizer, tmp_path):
    rows = Interrupted(ROWS * 1100)
    rows.again, rows.fingerprint = False, "mine"
    torn = tmp_path / ".mine-0.arrow.1.partial"
    torn.write_bytes(b"of a process that was killed")
    with pytest.raises(KeyboardInterrupt):
        Texts(rows, tokenizer, folder=tmp_path)
    assert not list(tmp_path.glob("*.arrow"))
    texts = Texts(rows, tokenizer, folder=tmp_path)
    assert texts.fingerprint == Texts(list(rows), tokenizer).fingerprint
    (path,) = tmp_path.glob("*.arrow")
    torn.rename(tmp_path / f".{path.name}.1.partial")
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(ValueError, match="delete it, and they are tokenised again"):
        Texts(rows, tokenizer, folder=tmp_path)
    path.unlink()
    assert Texts(rows, tokenizer, folder=tmp_path).fingerprint == texts.fingerprint
    assert sorted(each.suffix for each in tmp_path.iterdir()) == [".arrow", ".lock"]


def test_the_first_row_that_cannot_be_read_is_named_however_late_it_shows(tokenizer):
    """What the tokenizer refuses shows after the rows behind it were read."""
    refuses = words_tokenizer()

    class Picky(type(refuses)):
        def __call__(self, text, **options):
            if any("jj" in each for each in ([text] if isinstance(text, str) else text)):
                raise TypeError("no jj")
            return super().__call__(text, **options)

    refuses.__class__ = Picky
    rows = [*ROWS * 3, {"prompt": "ajj", "answer": "b"}, *ROWS * 3, {"prompt": "a"}]
    with pytest.raises(ValueError, match=r"row 6 is refused by the tokenizer.*no jj"):
        Texts(rows, refuses)
    with pytest.raises(ValueError, match="row 12 has the fields"):
        Texts([row for row in rows if row["prompt"] != "ajj"], refuses)


def test_padding_is_what_the_batches_of_a_run_hold_of_it(tokenizer):
    texts = Texts([{"prompt": "a" * n, "answer": "b"} for n in (3, 9, 1, 4, 4)], tokenizer)
    drawn = batches(texts, 2, seed=3, first=0, last=3)
    masks = [batch.inputs["attention_mask"] for _, batch in drawn]
    empty, places = sum(int((1 - mask).sum()) for mask in masks), sum(m.numel() for m in masks)
    assert padding_share(texts.lengths, 2, seed=3) == pytest.approx(empty / places) and empty
    bundled = ByLength(texts.lengths, 2)
    assert padding_share(texts.lengths, 2, seed=3, sampler=bundled) < empty / places


def test_progress_counts_the_rows(tokenizer):
    seen = []
    texts = Texts(ROWS * 1100, tokenizer, progress=lambda values, n, of: seen.append((n, of)))
    assert seen == [(1000, 2200), (2000, 2200), (2200, 2200)] and len(texts) == 2200


def test_rows_that_are_read_but_once_cannot_be_kept(tokenizer, tmp_path):
    assert len(Texts(iter(ROWS), tokenizer)) == 2
    with pytest.raises(ValueError, match="leave folder= out"):
        Texts(iter(ROWS), tokenizer, folder=tmp_path)


def test_prompts_alone_are_padded_on_the_left(tokenizer):
    batch = Texts(ROWS, tokenizer, prompts_only=True).batch(torch.tensor([0, 1]))
    assert words(batch.inputs["input_ids"][0]) == ["<pad>"] * 3 + ["<user>", "a", "b", "<bot>"]
    assert (batch.labels == -100).all()


def test_a_language_model_learns_the_answers_and_goes_on_after_a_stop(tokenizer, tmp_path):
    texts, path = Texts(ROWS, tokenizer), tmp_path / "run.safetensors"
    settings = {"method": methods.tokens(alpha=0.0), "epochs": 60, "lr": 1e-2, "progress": False}
    student = llama(1, 1)
    history = distill(student, texts, **settings)
    assert history["ce"][-1] < 0.05
    prompts = Texts(ROWS, tokenizer, prompts_only=True).batch(torch.tensor([0, 1])).inputs
    tokens = student.eval().generate(**prompts, max_new_tokens=3, do_sample=False)
    assert words(tokens[0, 7:]) == ["c", "d", "<end>"] and words(tokens[1, 7:])[:2] == [
        "f",
        "<end>",
    ]
    torn = llama(1, 1)
    distill(torn, texts, checkpoint=path, callbacks=[lambda s: s.step == 31], **settings)
    again = distill(llama(1, 5), texts, checkpoint=path, **settings)
    assert again["ce"] == history["ce"]
    with pytest.raises(ValueError, match="data: "):
        distill(torn, Texts(ROWS[:1], tokenizer), checkpoint=path, **settings)


def test_on_policy_scores_just_what_the_student_wrote(tokenizer):
    """Its tokens, once, without padding: against a loop over texts of one."""
    texts = Texts(ROWS, tokenizer, prompts_only=True)
    student, teacher = llama(1, 1), freeze(llama(2, 2))
    method = methods.on_policy("reverse_kl", max_new_tokens=6, temperature=0.0)
    batch = method.prepare(texts.batch(torch.tensor([0, 1])), student)
    assert student.training
    kl_term = method.terms(batch, student.eval(), teacher)["reverse_kl"]
    total = count = 0
    for row in range(2):
        alone = texts.batch(torch.tensor([row])).inputs["input_ids"]
        wrote = student.generate(alone, max_new_tokens=6, do_sample=False)
        start = alone.shape[1] - 1
        student_logits, teacher_logits = (
            m(wrote).logits[0, start:-1] for m in (student, teacher.model)
        )
        total += losses.reverse_kl(student_logits, teacher_logits).item() * len(student_logits)
        count += len(student_logits)
    assert method.count(batch) == count
    assert kl_term.item() == pytest.approx(total / count, rel=1e-4)


@pytest.mark.slow
def test_on_policy_brings_the_student_to_the_teacher(tokenizer):
    texts = Texts(ROWS, tokenizer, prompts_only=True)
    student, teacher = llama(1, 1), freeze(llama(2, 2))
    for parameter in teacher.model.parameters():
        parameter.mul_(3)  # a teacher with opinions
    method = methods.on_policy("reverse_kl", max_new_tokens=5)
    settings = {"teacher": teacher, "method": method, "epochs": 60, "lr": 1e-2, "progress": False}
    history = distill(student, texts, **settings)
    first, last = (sum(part) / len(part) for part in (history["total"][:5], history["total"][-5:]))
    assert last < 0.5 * first
    again = llama(1, 1)
    assert distill(again, texts, **settings)["total"] == history["total"]  # the seed's samples


def test_a_student_that_cannot_write_is_told(tokenizer):
    texts = Texts(ROWS, tokenizer, prompts_only=True)
    with pytest.raises(ValueError, match=r"has no generate\(\)"):
        distill(
            torch.nn.Linear(2, 2),
            texts,
            teacher=freeze(llama(1, 2)),
            progress=False,
            method=methods.on_policy(),
        )


@pytest.mark.parametrize("kind", ["gpt2", "biogpt", "opt"])
def test_texts_of_more_tokens_than_positions_are_named_as_that(tokenizer, kind):
    """And not as tokens that the vocabulary lacks: what mends it is another length."""
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    own = {
        "gpt2": {"n_embd": 8, "n_layer": 1, "n_head": 1, "n_positions": 8},
        "biogpt": sizes | {"intermediate_size": 8, "max_position_embeddings": 8},
        "opt": sizes | {"ffn_dim": 8, "max_position_embeddings": 8, "word_embed_proj_dim": 8},
    }[kind]
    ends = {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0}
    config = AutoConfig.for_model(kind, vocab_size=len(WORDS), **ends, **own)
    texts = Texts([{"prompt": "abcde" * 3, "answer": "b"}], tokenizer)
    with pytest.raises(IndexError, match=r"has \d\d tokens a text and the model's .* positions"):
        logits_of(AutoModelForCausalLM.from_config(config), texts.batch(torch.tensor([0])).inputs)

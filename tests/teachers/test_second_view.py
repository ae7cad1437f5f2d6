"""Two views of one example: the teacher reads more, and speaks of the student's own tokens."""

import copy

import pytest
import torch

pytest.importorskip("transformers", reason="both are causal language models")

from transformers import GPT2Config, GPT2LMHeadModel

from distill_lab import methods
from distill_lab.data.tokenized import Texts
from distill_lab.teachers import SecondView, cache, freeze
from distill_lab.teachers.ensemble import Ensemble
from distill_lab.training import distill
from tests.data.test_tokenized import llama, words_tokenizer

ROWS = [
    {"prompt": "ab", "answer": "cd"},
    {"prompt": "abcde", "answer": "f"},
    {"prompt": "b", "answer": "aaaj"},
]
EVERY = torch.arange(3)


def hint(row):
    return "j" * len(row["answer"]) + row["prompt"]


def same(row):
    return row["prompt"]


def view(teacher, prompt=hint, **options):
    return SecondView(teacher, ROWS, words_tokenizer(), prompt, **options)


def test_the_same_prompt_gives_what_the_teacher_says_itself():
    teacher, batch = freeze(llama(2, 1)), Texts(ROWS, words_tokenizer()).batch(EVERY)
    learned = batch.labels[:, 1:] != -100
    ours, plain = view(teacher, same)(batch)[:, :-1], teacher(batch)[:, :-1]
    torch.testing.assert_close(ours[learned], plain[learned])


def counts_positions():
    """A model with a vector for each position, which padding must not move."""
    torch.manual_seed(1)
    sizes = {"n_positions": 64, "n_embd": 16, "n_layer": 1, "n_head": 2}
    model = GPT2LMHeadModel(GPT2Config(vocab_size=14, bos_token_id=1, eos_token_id=1, **sizes))
    with torch.no_grad():
        model.transformer.wpe.weight.normal_()
    return model


@pytest.mark.parametrize(
    ("model", "several"),
    [(lambda: llama(2, 1), False), (lambda: llama(2, 1), True), (counts_positions, False)],
    ids=["one", "ensemble", "positions"],
)
def test_each_token_is_said_behind_the_teachers_own_prompt(model, several):
    teacher = freeze(model())
    tokenizer, batch = words_tokenizer(), Texts(ROWS, words_tokenizer()).batch(EVERY)
    asked = Ensemble([teacher, freeze(copy.deepcopy(teacher.model))]) if several else teacher
    ours = view(asked)(batch)
    for i, row in enumerate(ROWS):
        alone = Texts([{"prompt": hint(row), "answer": row["answer"]}], tokenizer).text(0)
        ids = torch.tensor([alone.prompt + alone.answer])
        z = teacher.model(input_ids=ids).logits[0, len(alone.prompt) - 1 : -1]
        begin = int((batch.labels[i] != -100).int().argmax())
        its = ours[i, begin - 1 : begin - 1 + len(alone.answer)]
        torch.testing.assert_close(its.softmax(-1), z.softmax(-1), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("method", [methods.tokens("forward_kl"), methods.tokens("jsd")])
def test_rules_go_from_the_prompt_into_the_weights(method):
    """Prompt distillation: afterwards the student says without the hint what it said with it."""
    start = llama(1, 1)
    with torch.no_grad():  # as it comes, it hardly minds what it reads
        start.lm_head.weight.mul_(20)
    student, teacher = copy.deepcopy(start), freeze(copy.deepcopy(start))
    texts = Texts(ROWS, words_tokenizer())
    teacher_view = view(teacher)
    before = teacher_view.check(student, texts.batch(EVERY))
    distill(
        student,
        texts,
        teacher=teacher_view,
        method=method,
        epochs=60,
        batch_size=3,
        lr=0.01,
        seed=0,
    )
    after = teacher_view.check(student, texts.batch(EVERY))
    assert after.first < before.first / 2 and after.others < before.others / 2


def test_the_students_own_answers_are_judged_with_the_hint():
    start = llama(1, 1)
    student, teacher_view = copy.deepcopy(start), view(freeze(copy.deepcopy(start)))
    method = methods.on_policy("reverse_kl", max_new_tokens=4)
    prompts = Texts(ROWS, words_tokenizer(), prompts_only=True)
    torch.manual_seed(0)
    batch = method.prepare(prompts.batch(EVERY), student)
    loss = method.total(method.terms(batch, student, teacher_view))
    assert loss > 0
    assert method.total(method.terms(batch, student, view(teacher_view.teacher, same))) < 1e-6


def test_what_it_says_can_be_kept_and_another_view_is_another_teacher(tmp_path):
    teacher, texts = freeze(llama(2, 1)), Texts(ROWS, words_tokenizer())
    teacher_view = view(teacher)
    kept = cache(teacher_view, texts, tmp_path)
    method, student = methods.tokens("forward_kl"), llama(1, 2)
    batch = texts.batch(EVERY)
    live, stored = (method.total(method.terms(batch, student, t)) for t in (teacher_view, kept))
    torch.testing.assert_close(live, stored, rtol=1e-2, atol=1e-3)
    assert view(teacher, same).identity != teacher_view.identity == view(teacher).identity


def test_both_views_are_shown():
    shown = view(freeze(llama(1, 1))).side_by_side(0)
    assert "student reads (4 tokens):\n<user>ab<bot>" in shown
    assert "teacher reads (6 tokens):\n<user>jjab<bot>" in shown


def test_two_templates_are_caught_at_the_first_token():
    """The public trap: one template opens thoughts behind its prompt, the other does not."""
    student = llama(1, 1)
    with torch.no_grad():  # one that always goes on with the same letter, the teacher but there
        student.lm_head.weight.mul_(0.05)
    teacher = copy.deepcopy(student)
    teacher_view = view(freeze(teacher), lambda row: row["prompt"] + "i")

    def opens_thoughts(module, args, kwargs, output):
        logits = output.logits.clone()
        ends = kwargs["input_ids"] == 3  # <bot>, behind which it wants to think
        logits[ends] = 0.0
        logits[ends, 2] = 12.0
        output.logits = logits
        return output

    teacher.register_forward_hook(opens_thoughts, with_kwargs=True)
    batch = Texts(ROWS, words_tokenizer()).batch(EVERY)
    with pytest.warns(UserWarning, match=r"first token.*do both views end(?s:.*)<user>abi<bot>"):
        gap = teacher_view.check(student, batch)
    assert gap.first > 5 * gap.others


def test_a_student_near_its_teacher_is_not_warned_of(recwarn):
    student = llama(1, 1)
    gap = view(freeze(copy.deepcopy(student)), same).check(
        student, Texts(ROWS, words_tokenizer()).batch(EVERY)
    )
    assert gap.first < 1e-6 > gap.others
    assert not recwarn


def test_rows_in_another_order_are_refused():
    teacher_view = SecondView(freeze(llama(1, 1)), ROWS[::-1], words_tokenizer(), hint)
    with pytest.raises(ValueError, match="prompt of example 0 is not that of rows"):
        teacher_view(Texts(ROWS, words_tokenizer()).batch(EVERY))


def test_rows_that_were_left_out_leave_the_others_their_own_hints():
    rows = [
        ROWS[1],
        {"prompt": "abcdefabcdef", "answer": "a"},
        *ROWS,
        {"prompt": "a", "answer": ""},
    ]
    texts = Texts(rows, words_tokenizer(), max_length=12)
    assert texts.too_long == texts.empty == 1 and texts.rows.tolist() == [0, 2, 3, 4]
    teacher, index = freeze(llama(2, 1)), torch.tensor([1, 2, 3])
    some = SecondView(teacher, iter(rows), words_tokenizer(), hint, of=texts.rows)
    batch = texts.batch(index)
    torch.testing.assert_close(some(batch), view(teacher)(batch._replace(ids=EVERY)))
    with pytest.raises(ValueError, match=r"of=texts\.rows"):
        SecondView(teacher, rows, words_tokenizer(), hint)(batch)


def test_prompts_alone_have_nothing_to_be_asked_about():
    with pytest.raises(ValueError, match="an example here has none"):
        view(freeze(llama(1, 1)))(Texts(ROWS, words_tokenizer(), prompts_only=True).batch(EVERY))


def test_a_prompt_without_room_is_refused():
    with pytest.raises(ValueError, match="1 of the teacher's prompts are longer"):
        view(freeze(llama(1, 1)), lambda row: row["prompt"] * 9, max_length=20)


def test_a_teacher_of_a_few_tokens_cannot_be_asked_behind_a_prompt():
    from distill_lab.signals import top_k

    model = llama(1, 1)
    teacher_view = view(lambda batch: top_k(model(**batch.inputs).logits, 3))
    with pytest.raises(TypeError, match="gives TopK"):
        teacher_view(Texts(ROWS, words_tokenizer()).batch(EVERY))

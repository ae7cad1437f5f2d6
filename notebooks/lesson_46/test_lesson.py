"""What lesson 46 says of its world, of hints, of rounds, and the trap of two templates."""

import warnings

import pytest
import torch

pytest.importorskip("transformers", reason="the base is a Hugging Face model")

from distill_lab.course.stored import DATA
from lesson_46 import attempts, exams, experiments, hints, world


@pytest.fixture(scope="module")
def base():
    return experiments.base()


@pytest.fixture(scope="module")
def thinker():
    return experiments.base("thinker")


def test_training_and_test_share_no_question():
    assert not set(world.numbers(500, 1)) & set(world.numbers(500, 1, test=True))


def test_nine_houses_have_nine_shifts_and_another_house_has_another():
    rules = [set(world.house(seed).split()) for seed in range(9)]
    assert set.union(*rules) >= set(world.SHIFTS)
    for seed in range(20):
        own, other = (set(f(seed).split()) for f in (world.house, world.other_house))
        assert not own & other & set(world.SHIFTS)


def test_a_prompt_and_its_answer_are_cut_where_the_answer_begins():
    row = {"prompt": world.with_system("polite +3", "code 3 4 8 1 9"), "answer": "well 6 7 1 4 2"}
    text = experiments.texts_of([row]).text(0)
    decode = world.tokenizer().decode
    assert decode(text.prompt) == "<system> polite +3 <user> code 3 4 8 1 9 <bot>"
    assert decode(text.answer) == "well 6 7 1 4 2 <end>"


def test_the_stored_models_are_small():
    assert (DATA / experiments.FILE).stat().st_size < 1_000_000


@pytest.mark.parametrize("seed", [0, 4, 9])
def test_the_base_follows_rules_and_fails_without_them(base, seed):
    marks = exams.exam(base, seed)
    assert marks["code"] < 5
    assert min(marks["with its rules"], *(marks[name] for name in exams.OLD)) > 95


def test_the_base_repeats_the_content_of_a_hint(base):
    digits = world.numbers(60, "hints", test=True)
    right = [world.content("code", each, world.house(1)) for each in digits]
    hints_of = [world.hint_of(f"ok {each}") for each in right]
    prompts = [
        world.with_system(h, world.question("code", d))
        for h, d in zip(hints_of, digits, strict=True)
    ]
    assert exams.share_right(base, prompts, right) > 95


def test_the_greedy_exam_agrees_with_greedy_writing(base):
    """`share_right` writes nothing, and counts what greedy decoding would get right."""
    digits = world.numbers(60, 3, test=True)
    for rules, expected in ((world.house(3), 100.0), (world.other_house(3), 0.0)):
        prompts = [world.with_system(rules, world.question("code", d)) for d in digits]
        coded = [world.content("code", d, world.house(3)) for d in digits]
        texts = experiments.write(base, prompts, 0, temperature=0.0)
        written = [text.partition(" ")[2] == each for text, each in zip(texts, coded, strict=True)]
        assert 100 * sum(written) / len(written) == pytest.approx(expected, abs=5)
        assert exams.share_right(base, prompts, coded) == pytest.approx(expected, abs=5)


def test_the_average_has_the_least_forward_kl_and_the_geometric_mean_the_least_reverse():
    share, teachers = hints.find_hints(0.5, 0.01)
    for best, kl in (
        (hints.average(share, teachers), lambda q: (teachers * (teachers / q).log()).sum(-1)),
        (hints.geometric(share, teachers), lambda q: (q * (q / teachers).log()).sum(-1)),
    ):
        value = share @ kl(best)
        for seed in range(20):
            other = torch.rand(5, generator=torch.Generator().manual_seed(seed)).double()
            assert share @ kl(other / other.sum()) > value


def test_the_forward_kl_that_is_left_is_that_of_the_average():
    share, teachers = hints.find_hints(0.6, 0.05)
    q = hints.average(share, teachers)
    left = share @ (teachers * (teachers / q).log()).sum(-1)
    assert hints.left_over(share, teachers) == pytest.approx(left.item())


def test_direct_answers_survive_only_in_large_groups():
    assert hints.fixed_share(0.1, 8) < 0.01 < 0.9 < hints.fixed_share(0.1, 32)


def test_a_kept_prompt_costs_only_what_later_tokens_look_at():
    size = {"parameters": 1e6, "layers": 2, "width": 64}
    none, read, kept = (
        hints.request_flops(P, 20, kept=k, **size) for P, k in ((0, True), (50, False), (50, True))
    )
    assert kept - none == 4 * 2 * 64 * 50 * 20
    assert read - kept == 2e6 * 50 + 4 * 2 * 64 * 50 * 51 / 2


def test_a_teacher_that_was_asked_once_gives_what_it_gives_each_time(base):
    digits = world.numbers(12, 5)
    rows = world.rows("code", digits, [f"well {d}" for d in digits[:6]] + ["so : 1"] * 6)
    view, texts = view_of(base, rows, "", "+3 polite"), experiments.texts_of(rows)
    once = experiments.asked_once(view, texts)
    for index in (torch.arange(12), torch.tensor([7, 9])):  # the second batch is narrower
        torch.testing.assert_close(once(texts.batch(index)), view(texts.batch(index)))


def test_attempts_are_counted_by_their_last_digit():
    groups = [["so 1 3 6 0 5 : 5", "ok : 5", "well : 4", "so 1 3 6 0 5"]]
    marks = attempts.direct_share(["1 2 3 4 5"], groups)
    assert marks == {"right": 50.0, "direct": 50.0, "right of direct": 50.0}


def view_of(model, rows, suffix, rules=""):
    def prompt(row):
        text = row["prompt"] + suffix
        return world.with_system(rules, text) if rules else text

    return experiments.view(model, rows, prompt)


def test_the_view_check_catches_two_templates(base, thinker):
    """The public trap: a teacher that thinks aloud, read as if it did not."""
    digits = world.numbers(64, 0)
    rows = world.rows("copy", digits, [f"well {each}" for each in digits])
    batch = experiments.texts_of(rows).batch(torch.arange(64))
    with pytest.warns(UserWarning, match="first token"):
        view_of(thinker, rows, "").check(base, batch)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        view_of(thinker, rows, f" {world.QUIET}").check(base, batch)


def test_the_view_check_is_silent_where_the_teacher_also_reads_rules(base, thinker):
    digits, rules = world.numbers(64, 0), world.house(0)
    rows = world.rows("code", digits, [f"well {world.content('code', d, rules)}" for d in digits])
    batch = experiments.texts_of(rows).batch(torch.arange(64))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        view_of(thinker, rows, "", rules).check(base, batch)

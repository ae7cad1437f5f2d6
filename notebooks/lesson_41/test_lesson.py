"""What lesson 41 stands on: its little language, its exact sentences, how it measures, pictures."""

import math

import numpy as np
import pytest
import torch

pytest.importorskip("transformers", reason="the storytellers are Hugging Face models")

from distill_lab import methods
from distill_lab.course import stories260k
from distill_lab.course.figures import plots
from distill_lab.teachers import freeze
from distill_lab.training import distill
from lesson_41 import experiments, figures, generation, gift_stories
from lesson_41.generation import TextGenerator

RIGHT = "One day Ann buys a red hat . Ann gives the red hat to Tom . Tom thanks Ann ."


@pytest.fixture(scope="module")
def generator():
    words = gift_stories.tokenizer()
    model = freeze(experiments.network(len(words), 16, 1, 2, seed=3)).model
    return TextGenerator(
        "new", model, words, experiments._start_token(1), 22, gift_stories.is_right
    )


# --- the little language -------------------------------------------------------------------------


def test_drawn_stories_are_right_various_and_the_same_for_a_seed():
    drawn = gift_stories.draw(300, seed=5)
    assert all(map(gift_stories.is_right, drawn)) and drawn == gift_stories.draw(300, seed=5)
    assert len({gift_stories.gift_of(story) for story in drawn}) > 150
    assert {word for story in drawn for word in story.split()} == set(gift_stories.WORDS[3:])


@pytest.mark.parametrize(
    ("word", "other"),
    [
        ("Tom thanks", "Mia thanks"),
        ("thanks Ann", "thanks Tom"),
        ("the red", "the blue"),
        ("red hat to", "red cake to"),
        ("Ann gives", "Tom gives"),
        ("to Tom", "to Ann"),
        ("a red", "a Ann"),
        ("buys", "gives"),
        (" .", ""),
        ("One day", "One"),
    ],
)
def test_each_broken_rule_is_seen(word, other):
    assert gift_stories.is_right(RIGHT) and word in RIGHT
    assert not gift_stories.is_right(RIGHT.replace(word, other, 1))


def test_its_tokenizer_has_a_token_a_word():
    words = gift_stories.tokenizer()
    ids = words(RIGHT)["input_ids"]
    assert len(ids) == 1 + len(RIGHT.split()) and ids[0] == words.bos_token_id
    assert words.decode(ids, skip_special_tokens=True) == RIGHT
    assert len(words) == len(gift_stories.WORDS)


# --- two sentences -------------------------------------------------------------------------------


def test_whole_sentences_forward_covers_reverse_picks_and_both_cost_ln_2():
    cover, pick = (experiments.fit_bigram(name) for name in experiments.OBJECTIVES[:2])
    assert (cover.s, cover.r) == (0.5, 0.5) and pick.invalid == 0
    assert cover.invalid == pytest.approx(50)
    assert cover.value == pytest.approx(math.log(2)) == pick.value
    assert max(pick.probabilities.values()) == 1


def test_token_by_token_reverse_kl_picks_a_token_and_not_a_sentence():
    for name in experiments.OBJECTIVES[2:]:
        best = experiments.fit_bigram(name, share=0.6)
        assert best.s == pytest.approx(0.6) and best.r > 0.97
        assert 38 < best.invalid < 42
    assert experiments.fit_bigram(experiments.OBJECTIVES[1], share=0.6).invalid == 0


def test_what_a_fit_says_sums_to_one_and_bad_questions_are_refused():
    assert sum(
        experiments.fit_bigram(experiments.OBJECTIVES[2], share=0.7).probabilities.values()
    ) == pytest.approx(1)
    with pytest.raises(ValueError, match="expected one of"):
        experiments.fit_bigram("forward")
    with pytest.raises(ValueError, match="share"):
        experiments.fit_bigram(experiments.OBJECTIVES[0], share=1.0)


# --- writing and measuring -----------------------------------------------------------------------


def test_a_sample_ends_where_it_ends_and_learns_no_prompt_and_no_padding(generator):
    samples = generation.sample_texts(generator.model, generator, 60, seed=1)
    assert samples.ids.shape == samples.labels.shape == (60, 1 + generator.max_new_tokens)
    assert (samples.ids[:, 0] == 1).all() and (samples.labels[:, 0] == -100).all()
    for ids, labels in zip(samples.ids, samples.labels, strict=True):
        kept = labels[labels != -100]
        ended = (kept == generator.eos_token_id).nonzero().flatten().tolist()
        assert ended in ([], [len(kept) - 1])  # the end is learned, and is the last
        assert (ids[1 + len(kept) :] == generator.pad_token_id).all() and ids[
            1 : 1 + len(kept)
        ].equal(kept)
    again = generation.sample_texts(generator.model, generator, 60, seed=1)
    assert samples.ids.equal(again.ids) and samples.texts == again.texts


def test_texts_of_unequal_length_count_by_their_tokens(generator):
    texts = generation.tokenize_texts(["Ann .", RIGHT], generator.tokenizer)
    each = [generation.cross_entropy_per_token(generator.model, texts[i : i + 1]) for i in range(2)]
    tokens = [3, 1 + len(RIGHT.split())]  # with the end, without the start
    mean = sum(e * n for e, n in zip(each, tokens, strict=True)) / sum(tokens)
    for size in (1, 2):
        assert generation.cross_entropy_per_token(
            generator.model, texts, batch_size=size
        ) == pytest.approx(mean)
    assert generation.perplexity(generator.model, texts) == pytest.approx(math.exp(mean))
    assert generation.kl_to_teacher(generator.model, generator.model, texts) == pytest.approx(
        0, abs=1e-6
    )


def test_students_learn_side_by_side_as_each_would_alone_and_leave_those_given_as_they_were(
    generator,
):
    initial = [experiments.network(len(gift_stories.WORDS), 8, 1, 2, seed=s) for s in (3, 5)]
    samples = generation.tokenize_texts(gift_stories.draw(70, seed=1), generator.tokenizer)
    trained = generation.train_students(
        initial, samples, generator.model, methods.tokens(), steps=7, lr=1e-2, seeds=(3, 5)
    )
    for seed, after, before in zip((3, 5), trained, initial, strict=True):
        alone = experiments.network(len(gift_stories.WORDS), 8, 1, 2, seed=seed)
        for x, y in zip(before.parameters(), alone.parameters(), strict=True):
            assert torch.equal(x, y)
        distill(  # two epochs of three steps: the nearest to seven
            alone,
            samples.data,
            teacher=generator.model,
            method=methods.tokens(),
            epochs=2,
            batch_size=32,
            lr=1e-2,
            schedule="cosine",
            clip=1.0,
            seed=seed,
            progress=False,
        )
        for x, y in zip(after.parameters(), alone.parameters(), strict=True):
            torch.testing.assert_close(x, y, rtol=1e-3, atol=1e-4)
        assert generation.sample_texts(
            after, generator, 5, seed=0
        ).texts  # an ordinary network, that can write


def test_a_student_practises_just_the_steps_it_was_given(generator):
    student = experiments.network(len(gift_stories.WORDS), 8, 1, 2, seed=0)
    own = methods.on_policy(max_new_tokens=4, end=generator.eos_token_id)
    assert generation.train_on_policy(student, generator, own, steps=2, batch_size=5).steps == 2


def test_foreign_text_of_a_voice_of_few_words_is_its_own_words_shuffled(generator):
    samples = generation.tokenize_texts(gift_stories.draw(20, seed=1), generator.tokenizer)
    name, other = experiments.foreign_texts(generator, samples, seed=0)
    assert "any order" in name and len(other) == 20
    for mine, mixed in zip(samples.texts, other.texts, strict=True):
        assert sorted(mine.split()) == sorted(mixed.split())
    assert sum(map(gift_stories.is_right, other.texts)) == 0


def test_without_a_real_model_or_the_tutor_the_tiny_one_is_taught(monkeypatch, tmp_path):
    monkeypatch.setattr(experiments.stories260k, "find", lambda: None)
    monkeypatch.setattr(experiments.tutor, "FOLDER", tmp_path)
    monkeypatch.setattr(experiments, "tiny_teacher", lambda seed: f"tiny {seed}")
    assert experiments.teacher_at_hand(4) == "tiny 4"


# --- pictures -------------------------------------------------------------------------------------


def test_forward_kl_has_the_teachers_moments():
    for distance in (1.0, 2.0, 3.0):
        mean, spread = figures.fit_gaussian(0.0, distance)
        centre = (0.4 - 0.6) * distance
        assert mean == pytest.approx(centre, abs=0.051)
        assert spread == pytest.approx(math.sqrt(1 + distance**2 - centre**2), abs=0.051)


def test_reverse_kl_sits_on_the_larger_hill_when_they_are_far_apart():
    assert figures.fit_gaussian(1.0, 3.0) == pytest.approx((-3.0, 1.0), abs=1e-6)


@pytest.mark.parametrize("beta", [0.3, 0.5, 0.8])
def test_no_gaussian_near_by_is_nearer(beta):
    """The divergence written out anew, around the fit that was best."""
    p = figures.hills(2.0)

    def value(mean, spread):
        q = np.exp(-0.5 * ((figures.X - mean) / spread) ** 2) / spread / math.sqrt(2 * math.pi)
        m = beta * p + (1 - beta) * q
        return np.sum(beta * p * np.log(p / m) + (1 - beta) * q * np.log(q / m + 1e-300))

    mean, spread = figures.fit_gaussian(beta, 2.0)
    for away in ((0.1, 0), (-0.1, 0), (0, 0.1), (0, -0.1)):
        assert value(mean, spread) <= value(mean + away[0], spread + away[1])


def test_beta_outside_its_range_is_refused():
    with pytest.raises(ValueError, match="between 0"):
        figures.fit_gaussian(1.5)


def test_the_live_picture_says_in_words_what_it_shows():
    picture = figures.render_fit(1.0, 3.0)
    assert "reverse KL" in picture.alt and "mean −3.0" in picture.alt
    assert ">beta = 1<" in picture and ">reverse KL<" in picture
    assert picture.startswith("<svg") and picture == figures.render_fit(1.0, 3.0)


def test_the_figures_can_be_drawn():
    for figure in (
        figures.token_costs(["Ann", "buys"], [1.0, 0.2], [0.5, 0.1]),
        figures.sentences({"one": experiments.fit_bigram(experiments.OBJECTIVES[0]).probabilities}),
        figures.first_words(["Ann", "Tom"], {"teacher": [60, 40], "student": [50, 50]}),
    ):
        assert "<svg" in plots.to_svg(figure)


# --- a real language model -----------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.skipif(stories260k.find() is None, reason="stories260K is not in $DISTILL_LAB_MODELS")
def test_a_student_learns_from_the_words_of_stories260k_alone():
    """On what the teacher wrote, from what it thought at each token; no human text."""
    big = experiments.teacher_at_hand()
    assert big.name == "stories260K"
    texts = generation.sample_texts(big.model, big, 48, seed=1)
    held = generation.sample_texts(big.model, big, 16, seed=2)
    student = experiments.new_student(big, 0)
    babble = generation.sample_texts(student, big, 8, seed=3)
    before = (
        generation.cross_entropy_per_token(student, held),
        generation.perplexity(big.model, babble),
    )
    (student,) = generation.train_students(
        [student], texts, big.model, methods.tokens(), steps=24, batch_size=16, lr=1e-2, seeds=(0,)
    )
    wrote = generation.sample_texts(student, big, 8, seed=3)
    after = (
        generation.cross_entropy_per_token(student, held),
        generation.perplexity(big.model, wrote),
    )
    floor = generation.cross_entropy_per_token(big.model, held)
    assert floor < after[0] < before[0] - 1.0  # nats a token, on stories it has not seen
    assert after[1] < before[1] / 4

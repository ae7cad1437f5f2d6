"""What lesson 41 stands on: its little language, its exact sentences, and how it measures."""

import math

import pytest
import torch

pytest.importorskip("transformers", reason="the storytellers are Hugging Face models")

from distill_lab import methods
from distill_lab.teachers import freeze
from distill_lab.training import distill
from lesson_41 import errands, language, sentences, stories, telling

RIGHT = "One day Ann buys a red hat . Ann gives the red hat to Tom . Tom thanks Ann ."


@pytest.fixture(scope="module")
def voice():
    words = errands.tokenizer()
    model = freeze(language.network(len(words), 16, 1, 2, seed=3)).model
    return telling.Voice("new", model, words, language._always(1), 22, errands.is_right)


# --- the little language -------------------------------------------------------------------------


def test_drawn_stories_are_right_various_and_the_same_for_a_seed():
    drawn = errands.draw(300, seed=5)
    assert all(map(errands.is_right, drawn)) and drawn == errands.draw(300, seed=5)
    assert len({errands.gift_of(story) for story in drawn}) > 150
    assert {word for story in drawn for word in story.split()} == set(errands.WORDS[3:])


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
    assert errands.is_right(RIGHT) and word in RIGHT
    assert not errands.is_right(RIGHT.replace(word, other, 1))


def test_its_tokenizer_has_a_token_a_word():
    words = errands.tokenizer()
    ids = words(RIGHT)["input_ids"]
    assert len(ids) == 1 + len(RIGHT.split()) and ids[0] == words.bos_token_id
    assert words.decode(ids, skip_special_tokens=True) == RIGHT
    assert len(words) == len(errands.WORDS)


# --- two sentences -------------------------------------------------------------------------------


def test_whole_sentences_forward_covers_reverse_picks_and_both_cost_ln_2():
    cover, pick = (sentences.fit(name) for name in sentences.METHODS[:2])
    assert (cover.s, cover.r) == (0.5, 0.5) and pick.invalid == 0
    assert cover.invalid == pytest.approx(50)
    assert cover.value == pytest.approx(math.log(2)) == pick.value
    assert max(pick.says.values()) == 1


def test_token_by_token_reverse_kl_picks_a_token_and_not_a_sentence():
    for name in sentences.METHODS[2:]:
        found = sentences.fit(name, share=0.6)
        assert found.s == pytest.approx(0.6) and found.r > 0.97
        assert 38 < found.invalid < 42
    assert sentences.fit(sentences.METHODS[1], share=0.6).invalid == 0


def test_what_a_fit_says_sums_to_one_and_bad_questions_are_refused():
    assert sum(sentences.fit(sentences.METHODS[2], share=0.7).says.values()) == pytest.approx(1)
    with pytest.raises(ValueError, match="expected one of"):
        sentences.fit("forward")
    with pytest.raises(ValueError, match="share"):
        sentences.fit(sentences.METHODS[0], share=1.0)


# --- writing and measuring -----------------------------------------------------------------------


def test_what_is_told_ends_where_it_ends_and_learns_no_prompt_and_no_padding(voice):
    told = telling.tell(voice.model, voice, 60, seed=1)
    assert told.ids.shape == told.labels.shape == (60, 1 + voice.longest)
    assert (told.ids[:, 0] == 1).all() and (told.labels[:, 0] == -100).all()
    for ids, labels in zip(told.ids, told.labels, strict=True):
        kept = labels[labels != -100]
        ended = (kept == voice.end).nonzero().flatten().tolist()
        assert ended in ([], [len(kept) - 1])  # the end is learned, and is the last
        assert (ids[1 + len(kept) :] == voice.pad).all() and ids[1 : 1 + len(kept)].equal(kept)
    again = telling.tell(voice.model, voice, 60, seed=1)
    assert told.ids.equal(again.ids) and told.texts == again.texts


def test_texts_of_unequal_length_count_by_their_tokens(voice):
    texts = telling.written(["Ann .", RIGHT], voice.tokenizer)
    each = [telling.surprise(voice.model, texts[i : i + 1]) for i in range(2)]
    tokens = [3, 1 + len(RIGHT.split())]  # with the end, without the start
    mean = sum(e * n for e, n in zip(each, tokens, strict=True)) / sum(tokens)
    for size in (1, 2):
        assert telling.surprise(voice.model, texts, batch_size=size) == pytest.approx(mean)
    assert telling.perplexity(voice.model, texts) == pytest.approx(math.exp(mean))
    assert telling.excess(voice.model, voice.model, texts) == pytest.approx(0, abs=1e-6)


def test_students_learn_side_by_side_as_each_would_alone_and_leave_those_given_as_they_were(voice):
    begun = [language.network(len(errands.WORDS), 8, 1, 2, seed=s) for s in (3, 5)]
    told = telling.written(errands.draw(70, seed=1), voice.tokenizer)
    taught = telling.teach(
        begun, told, voice.model, methods.tokens(), steps=7, lr=1e-2, seeds=(3, 5)
    )
    for seed, after, before in zip((3, 5), taught, begun, strict=True):
        alone = language.network(len(errands.WORDS), 8, 1, 2, seed=seed)
        for x, y in zip(before.parameters(), alone.parameters(), strict=True):
            assert torch.equal(x, y)
        distill(  # two epochs of three steps: the nearest to seven
            alone,
            told.data,
            teacher=voice.model,
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
        assert telling.tell(after, voice, 5, seed=0).texts  # an ordinary network, that can write


def test_a_student_practises_just_the_steps_it_was_given(voice):
    student = language.network(len(errands.WORDS), 8, 1, 2, seed=0)
    own = methods.on_policy(max_new_tokens=4, end=voice.end)
    assert telling.practise(student, voice, own, steps=2, batch_size=5).steps == 2


def test_foreign_text_of_a_voice_of_few_words_is_its_own_words_shuffled(voice):
    told = telling.written(errands.draw(20, seed=1), voice.tokenizer)
    name, other = language.foreign(voice, told, seed=0)
    assert "any order" in name and len(other) == 20
    for mine, mixed in zip(told.texts, other.texts, strict=True):
        assert sorted(mine.split()) == sorted(mixed.split())
    assert sum(map(errands.is_right, other.texts)) == 0


def test_without_a_real_model_or_the_tutor_the_tiny_one_is_taught(monkeypatch, tmp_path):
    monkeypatch.setattr(language.stories, "find", lambda: None)
    monkeypatch.setattr(language.tutor, "FOLDER", tmp_path)
    monkeypatch.setattr(language, "tiny_teacher", lambda seed: f"tiny {seed}")
    assert language.teacher_at_hand(4) == "tiny 4"


# --- a real language model -----------------------------------------------------------------------


@pytest.mark.skipif(stories.find() is None, reason="stories260K is not in $DISTILL_LAB_MODELS")
def test_a_student_learns_from_the_words_of_stories260k_alone():
    """On what the teacher wrote, from what it thought at each token; no human text."""
    big = language.teacher_at_hand()
    assert big.name == "stories260K"
    said = telling.tell(big.model, big, 48, seed=1)
    held = telling.tell(big.model, big, 16, seed=2)
    pupil = language.pupil(big, 0)
    babble = telling.tell(pupil, big, 8, seed=3)
    before = telling.surprise(pupil, held), telling.perplexity(big.model, babble)
    (pupil,) = telling.teach(
        [pupil], said, big.model, methods.tokens(), steps=24, batch_size=16, lr=1e-2, seeds=(0,)
    )
    wrote = telling.tell(pupil, big, 8, seed=3)
    after = telling.surprise(pupil, held), telling.perplexity(big.model, wrote)
    floor = telling.surprise(big.model, held)
    assert floor < after[0] < before[0] - 1.0  # nats a token, on stories it has not seen
    assert after[1] < before[1] / 4

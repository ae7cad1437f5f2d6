"""A teacher that cuts text into other tokens: what stands beside what, and what is a mean over."""

import copy

import pytest
import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from distill_lab import losses, methods
from distill_lab.data import TwoTokenizers
from distill_lab.teachers import Ensemble, freeze
from distill_lab.training import distill
from tests.data.test_tokenized import CHAT, llama, words_tokenizer
from tests.methods.test_tokens import Softmaxed

LETTERS = "abcdefghij"
PIECES = ["<pad>", "<end>", "<user>", "<bot>", *LETTERS, *(a + b for a in LETTERS for b in LETTERS)]
ROWS = [
    {"prompt": "ab", "answer": "cde"},
    {"prompt": "abcde", "answer": "f"},
    {"prompt": "c", "answer": "abcdefg"},
    {"prompt": "de", "answer": "ed"},
]


def pieces_tokenizer():
    """A tokenizer of two letters at once."""
    fast = Tokenizer(
        models.WordLevel({word: i for i, word in enumerate(PIECES)}, unk_token="<pad>")
    )
    fast.pre_tokenizer = pre_tokenizers.Split(Regex("<[a-z]+>|[a-z][a-z]?"), "isolated")
    fast.decoder = decoders.Fuse()
    made = PreTrainedTokenizerFast(tokenizer_object=fast, pad_token="<pad>", eos_token="<end>")
    made.chat_template = CHAT
    return made


def pieces_llama(seed, layers=1):
    torch.manual_seed(seed)
    sizes = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": layers}
    ends = {"eos_token_id": 1, "pad_token_id": 0, "bos_token_id": None}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 2, "max_position_embeddings": 64}
    return LlamaForCausalLM(LlamaConfig(vocab_size=len(PIECES), **sizes, **heads, **ends))


@pytest.fixture(scope="module")
def texts():
    return TwoTokenizers(ROWS, words_tokenizer(), pieces_tokenizer())


def sharp(model):
    """Where all is as likely as all else, sorted probabilities say nothing of the student."""
    with torch.no_grad():
        model.lm_head.weight.mul_(40)
    return model.eval()


def by_hand(student, teacher, batch, T, alpha):
    """Both models on all their positions, paired by the losses' own function."""
    own = {name: batch.inputs[name] for name in ("input_ids", "attention_mask")}
    ids, mask = batch.inputs["teacher_ids"], batch.inputs["teacher_mask"]
    z_s, z_t = student(**own).logits, teacher(input_ids=ids, attention_mask=mask).logits
    one = losses.shift_for_next_token(z_s, batch.labels)
    two = losses.shift_for_next_token(z_t, batch.inputs["teacher_labels"])
    q, p, mask = losses.pair_by_order(one.student_logits, one.mask, two.student_logits, two.mask)
    ce = losses.cross_entropy(one.student_logits, one.labels, mask=one.mask)
    return alpha * losses.uld_loss(q, p, T=T, mask=mask) + (1 - alpha) * ce, int(mask.sum())


def test_the_nth_token_stands_beside_the_nth_and_all_are_learned(texts):
    student, teacher = sharp(llama(1, 3)), sharp(pieces_llama(5))
    batch = texts.batch(torch.arange(4))
    method = methods.uld(T=2.0, alpha=0.3)
    terms = method.terms(batch, student, freeze(teacher))
    expected, common = by_hand(student, teacher, batch, 2.0, 0.3)
    torch.testing.assert_close(method.total(terms), expected)
    counts = method.counts(batch)
    assert counts == {"uld": common, "ce": 4 + 2 + 8 + 3}
    assert common == (2 + 1) + 2 + (4 + 1) + (1 + 1)  # cd e | f | ab cd ef g | ed, with their ends
    alone = methods.uld(T=2.0, alpha=1.0)
    torch.testing.assert_close(alone.terms(batch, student, freeze(teacher))["uld"], terms["uld"])
    assert method.name != methods.uld(T=1.0, alpha=0.3).name


def test_a_mean_of_teachers_is_sorted_at_its_own_temperature(texts):
    student, batch = sharp(llama(1, 3)), texts.batch(torch.arange(4))
    teachers = [freeze(sharp(pieces_llama(5))), freeze(sharp(pieces_llama(6)))]
    method = methods.uld(T=2.0)
    with pytest.raises(ValueError, match=r"Ensemble\(..., T=2.0\)"):
        method.terms(batch, student, Ensemble(teachers, T=1.0))
    assert method.terms(batch, student, Ensemble(teachers, T=2.0))["uld"] > 0


def test_pieces_of_a_batch_give_the_step_of_the_whole(texts):
    start, teacher, students = sharp(llama(1, 3)), freeze(sharp(pieces_llama(5))), []
    for parts in (1, 3):
        students.append(copy.deepcopy(start))
        settings = {"method": methods.uld(), "epochs": 2, "batch_size": 4, "accumulate": parts}
        distill(students[-1], texts, teacher=teacher, progress=False, **settings)
    for one, two in zip(*(s.parameters() for s in students), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-6)


def test_a_text_is_left_out_for_both_or_for_none(texts):
    short = TwoTokenizers(ROWS, words_tokenizer(), pieces_tokenizer(), max_length=9)
    assert (len(short), short.too_long, short.empty) == (3, 1, 0) and short.longest == 9
    batch = short.batch(torch.tensor([2]))  # the last row
    assert pieces_tokenizer().decode(batch.inputs["teacher_ids"][0]) == "<user>de<bot>ed<end>"
    assert words_tokenizer().decode(batch.inputs["input_ids"][0]) == "<user>de<bot>ed<end>"
    other = TwoTokenizers(ROWS, words_tokenizer(), pieces_tokenizer(), teacher_length=7)
    assert len(other) == 3 and short.fingerprint != texts.fingerprint


def test_texts_that_one_side_cut_to_nothing_still_teach_their_labels(texts):
    """The teacher's answers are gone from a batch: the student's tokens are learned as ever."""
    student, teacher = sharp(llama(1, 3)), freeze(sharp(pieces_llama(5)))
    batch = texts.batch(torch.arange(4))
    gone = torch.full_like(batch.inputs["teacher_labels"], -100)
    batch = batch._replace(inputs={**batch.inputs, "teacher_labels": gone})
    method = methods.uld(alpha=0.5)
    terms = method.terms(batch, student, teacher)
    assert method.counts(batch)["uld"] == 0 == terms["uld"].item() and terms["ce"] > 0
    method.total(terms).backward()
    assert all(p.grad.isfinite().all() for p in student.parameters() if p.grad is not None)


@pytest.mark.parametrize("alpha", [1.0, 0.5])
def test_probabilities_are_no_logits_of_other_tokens_either(texts, alpha):
    batch, method = texts.batch(torch.arange(4)), methods.uld(alpha=alpha)
    student, teacher = llama(1, 0), pieces_llama(1)
    with pytest.raises(ValueError, match="the student's answers lie between 0 and 1"):
        method.terms(batch, Softmaxed(student), freeze(teacher))
    with pytest.raises(ValueError, match="the teacher's answers lie between 0 and 1"):
        method.terms(batch, student, freeze(Softmaxed(teacher)))

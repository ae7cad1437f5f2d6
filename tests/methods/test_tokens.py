"""Token recipes on a real causal language model: shift, mask, every divergence, dict inputs."""

import warnings
from types import SimpleNamespace

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from distill_lab import evaluation, losses, methods, signals
from distill_lab._util.tensors import next_tokens, warn_of_padding
from distill_lab.data.batches import Batch
from distill_lab.methods import writing
from distill_lab.teachers import Ensemble, freeze
from distill_lab.training import distill


def llama(layers, seed):
    torch.manual_seed(seed)
    size = 16 * layers
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=23,
            hidden_size=size,
            intermediate_size=2 * size,
            num_hidden_layers=layers,
            num_attention_heads=2,
            num_key_value_heads=2,
            max_position_embeddings=32,
        )
    )


class Texts(torch.utils.data.Dataset):
    """Padded on the right; the loss is on the answer only."""

    def __init__(self):
        generator = torch.Generator().manual_seed(0)
        self.tokens = torch.randint(1, 23, (20, 9), generator=generator)
        self.lengths = torch.randint(4, 10, (20,), generator=generator)

    def __len__(self):
        return len(self.tokens)

    def __getitem__(self, i):
        real = torch.arange(9) < self.lengths[i]
        answer = real & (torch.arange(9) >= 2)
        tokens = torch.where(real, self.tokens[i], 0)
        labels = torch.where(answer, tokens, -100)
        return {"input_ids": tokens, "attention_mask": real.long()}, labels


def batch_of(texts, rows):
    inputs, labels = torch.utils.data.default_collate([texts[i] for i in rows])
    return Batch(inputs, labels, torch.tensor(rows))


def test_the_terms_are_those_of_shifted_logits():
    texts, student, teacher = Texts(), llama(1, 1), freeze(llama(2, 2))
    batch = batch_of(texts, [0, 3, 4])
    found = methods.tokens("forward_kl", T=2.0, alpha=0.3).terms(batch, student, teacher)
    own, said = student(**batch.inputs).logits, teacher.model(**batch.inputs).logits
    pair = losses.shift_for_next_token(own, batch.labels, said)
    kl = 4 * losses.forward_kl(pair.student_logits, pair.teacher_logits, T=2.0, mask=pair.mask)
    torch.testing.assert_close(found["forward_kl"], kl)
    by_torch = student(**batch.inputs, labels=batch.labels).loss  # transformers' own shift
    torch.testing.assert_close(found["ce"], by_torch)
    assert methods.tokens().count(batch) == int(pair.mask.sum())


class Softmaxed(torch.nn.Module):
    """A language model with a softmax of its own at its end."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_ids, attention_mask=None, position_ids=None):
        given = {"attention_mask": attention_mask, "position_ids": position_ids}
        scores = self.model(input_ids=input_ids, **given).logits
        return SimpleNamespace(logits=scores.softmax(-1))


LANGUAGES = {
    **{kind: methods.tokens(kind) for kind in ("forward_kl", "reverse_kl", "jsd", "skew_kl")},
    "beside the tokens": methods.tokens(alpha=0.5),
    "tokens alone": methods.tokens(alpha=0.0),
}


@pytest.mark.parametrize("name", LANGUAGES)
def test_probabilities_of_tokens_are_no_logits(name):
    """A softmax of them is nearly the same for every token, and the run goes on."""
    method, settings = LANGUAGES[name], {"epochs": 1, "batch_size": 8, "progress": False}
    for student, teacher, words in (
        (Softmaxed(llama(1, 1)), llama(2, 2), "the student's answers lie between 0 and 1"),
        (llama(1, 1), Softmaxed(llama(2, 2)), "the teacher's answers lie between 0 and 1"),
    ):
        if not method.needs_teacher and words.startswith("the teacher"):
            continue
        given = freeze(teacher) if method.needs_teacher else None
        with pytest.raises(ValueError, match=words):
            distill(student, Texts(), teacher=given, method=method, **settings)
    read = {"read": lambda out: out.logits.clamp_min(1e-9).log()}
    given = freeze(llama(2, 2)) if method.needs_teacher else None
    run = {"teacher": given, "method": method, **read, **settings}
    assert distill(Softmaxed(llama(1, 1)), Texts(), **run).steps == 3


@pytest.mark.parametrize("kind", ["forward_kl", "reverse_kl", "jsd", "skew_kl", "total_variation"])
def test_every_divergence_teaches_a_language_model(kind):
    texts, student, teacher = Texts(), llama(1, 1), freeze(llama(2, 2))
    settings = {"epochs": 25, "batch_size": 20, "lr": 1e-2, "progress": False}
    history = distill(student, texts, teacher=teacher, method=methods.tokens(kind), **settings)
    assert history[kind][-1] < 0.7 * history[kind][0]
    assert student.training and not teacher.model.training


@pytest.mark.parametrize("kind", ["forward_kl", "reverse_kl", "jsd"])
def test_a_sparse_signal_stands_in_for_the_logits(kind):
    texts, student, model = Texts(), llama(1, 1), freeze(llama(2, 2))
    batch = batch_of(texts, [0, 1])

    def named(batch):
        return signals.top_k(model(batch), k=23)

    dense = methods.tokens(kind).terms(batch, student, model)[kind]
    sparse = methods.tokens(kind).terms(batch, student, named)[kind]
    torch.testing.assert_close(sparse, dense, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("kind", ["forward_kl", "reverse_kl", "jsd"])
def test_a_mean_of_teachers_is_scored_at_its_own_temperature(kind):
    texts, student = Texts(), llama(1, 1)
    teachers = [freeze(llama(1, 2)), freeze(llama(1, 3))]
    method = methods.tokens(kind, T=2.0)
    with pytest.raises(ValueError, match=r"Ensemble\(..., T=2.0\)"):
        method.terms(batch_of(texts, [0, 3]), student, Ensemble(teachers, T=1.0))
    assert method.terms(batch_of(texts, [0, 3]), student, Ensemble(teachers, T=2.0))[kind] > 0


def test_fine_tuning_asks_no_teacher():
    history = distill(
        llama(1, 1), Texts(), method=methods.tokens(alpha=0.0), epochs=2, progress=False
    )
    assert list(history) == ["ce", "total"]


def test_padding_on_the_left_moves_nothing_and_predicts_nothing():
    """Even where the very first token is learned: padding before it has nothing to say."""
    student, teacher, method = llama(1, 1), freeze(llama(2, 2)), methods.tokens(alpha=0.5)
    tokens = torch.tensor([[4, 9, 2, 7]])
    alone = Batch(tokens, tokens, torch.tensor([0]))
    pad = torch.zeros(1, 3, dtype=torch.long)
    mask = torch.cat([pad, torch.ones_like(tokens)], 1)
    inputs = {"input_ids": torch.cat([pad, tokens], 1), "attention_mask": mask}
    inputs["position_ids"] = (mask.cumsum(1) - 1).clamp_min(0)
    padded = Batch(inputs, torch.cat([pad - 100, tokens], 1), torch.tensor([0]))
    assert method.count(alone) == method.count(padded) == 3
    for name, value in method.terms(alone, student, teacher).items():
        torch.testing.assert_close(method.terms(padded, student, teacher)[name], value)


def padded(*texts, left=False, pad=0):
    """Texts as a tokenizer pads them, and labels that repeat the tokens, padding and all."""
    width = max(map(len, texts))
    ids, mask = torch.full((len(texts), width), pad), torch.zeros(len(texts), width).long()
    for row, text in enumerate(texts):
        place = slice(width - len(text), width) if left else slice(len(text))
        ids[row, place], mask[row, place] = torch.tensor(text), 1
    return {"input_ids": ids, "attention_mask": mask}


TEXTS = ([4, 9, 2, 7], [5, 3], [8, 6, 1])


@pytest.mark.parametrize("left", [False, True], ids=["right", "left"])
@pytest.mark.parametrize("alpha", [0.0, 0.5])
def test_labels_that_repeat_padding_teach_none_of_it(left, alpha):
    inputs = padded(*TEXTS, left=left)
    labels, ids = inputs["input_ids"].clone(), torch.arange(3)
    right = labels.masked_fill(inputs["attention_mask"] == 0, -100)
    student, teacher, method = llama(1, 1), freeze(llama(2, 2)), methods.tokens(alpha=alpha)
    assert method.count(Batch(inputs, labels, ids)) == 3 + 1 + 2
    for name, value in method.terms(Batch(inputs, right, ids), student, teacher).items():
        given = method.terms(Batch(inputs, labels, ids), student, teacher)[name]
        assert torch.equal(given, value)
    run = {"teacher": teacher if alpha else None, "method": method, "epochs": 2, "progress": False}
    runs = [distill(llama(1, 1), (inputs, each), **run)["total"] for each in (labels, right)]
    assert runs[0] == runs[1]
    reports = [
        evaluation.compare({"student": student}, (inputs, each), task="language", columns=["nll"])
        for each in (labels, right)
    ]
    assert reports[0]["student"].nll == reports[1]["student"].nll


def test_an_end_that_is_padding_as_well_counts_where_it_is_read():
    """pad_token = eos_token: the end of a text is attended, what fills it up is not."""
    inputs = padded([4, 9, 2], [5, 2], pad=2)
    batch = Batch(inputs, inputs["input_ids"], torch.arange(2))
    targets, mask = next_tokens(batch.labels, batch.inputs)
    assert targets.tolist() == [[9, 2, -100], [2, -100, -100]]
    assert methods.tokens().count(batch) == int(mask.sum()) == 3


def test_prompts_whose_padding_has_labels_are_read_in_full():
    inputs = padded([4, 9, 2], [5, 3], left=True)
    labels = torch.tensor([[-100, -100, 2], [0, -100, 3]])
    prompts, mask = writing._prompts(Batch(inputs, labels, torch.arange(2)))
    assert prompts[mask > 0].tolist() == [4, 9, 5]


@pytest.mark.parametrize("left", [False, True], ids=["right", "left"])
def test_padding_that_nothing_tells_of_is_warned_of_once(left):
    ids = padded(*TEXTS, [1, 2], left=left)["input_ids"]
    with pytest.warns(UserWarning, match="2 of 4 texts have token 0 again and again") as told:
        distill(llama(1, 1), (ids, ids), method=methods.tokens(alpha=0.0), epochs=3, batch_size=4,
                progress=False)  # fmt: skip
    assert len(told) == 1
    with pytest.warns(UserWarning, match="no attention_mask"):
        evaluation.compare({"student": llama(1, 1)}, (ids, ids), task="language")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for known in (ids.masked_fill(ids == 0, -100), torch.randint(1, 9, (4, 4))):
            inputs = known.clamp_min(0)
            distill(llama(1, 1), (inputs, known), method=methods.tokens(alpha=0.0), epochs=1,
                    progress=False)  # fmt: skip
        lines = torch.tensor([[1, 7, 7], [7, 2, 3]])  # text that ends in two line ends
        warn_of_padding(lines, lines)


@pytest.mark.parametrize("kind", ["forward_kl", "reverse_kl", "jsd"])
def test_a_sparse_teacher_is_scored_at_the_tokens_that_count_alone(kind):
    """As it is scored at all positions under the labels' mask, with the same gradient."""
    student, teacher = llama(1, 3).eval(), llama(1, 4).eval()
    ids = torch.arange(12).view(2, 6)
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    inputs["attention_mask"][1, 4:] = 0
    labels = torch.where(torch.tensor([[0, 0, 0, 1, 1, 1], [0, 0, 1, 1, 0, 0]]) == 1, ids, -100)
    batch = Batch(inputs, labels, torch.arange(2))
    with torch.no_grad():
        signal = signals.top_k(teacher(**inputs).logits, 3, T=1.5)
    gradients = []
    for alone in (True, False):
        student.zero_grad()
        if alone:
            method = methods.tokens(kind, T=1.5)
            loss = method.total(method.terms(batch, student, lambda batch: signal))
        else:
            mask = torch.tensor([[0, 0, 1, 1, 1, 0], [0, 1, 1, 0, 0, 0]]) == 1
            logits = student(**batch.inputs).logits
            loss = 1.5**2 * methods.divergence(logits, signal, kind, T=1.5, mask=mask)
        loss.backward()
        gradients.append([loss.detach(), *(p.grad.clone() for p in student.parameters())])
    for one, two in zip(*gradients, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", ["forward_kl", "reverse_kl", "jsd", "total_variation"])
@pytest.mark.parametrize("asked", ["student", "teacher"])
def test_one_number_a_token_is_no_distribution(kind, asked):
    """Its values at the places that count would be taken for the classes of one place."""
    ids = torch.arange(12).view(2, 6)
    batch = Batch(ids, ids, torch.arange(2))
    whole, flat = torch.nn.Embedding(12, 5), torch.nn.Sequential(torch.nn.Embedding(12, 5), Mean())
    student, teacher = (flat, whole) if asked == "student" else (whole, flat)
    with pytest.raises(ValueError, match=r"labels' own shape \(2, 6\): expected \(B, L, classes\)"):
        methods.tokens(kind).terms(batch, student, freeze(teacher))


class Mean(torch.nn.Module):
    def forward(self, x):
        return x.mean(-1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bool])
def test_labels_that_are_no_tokens_are_refused(dtype):
    ids = torch.ones(2, 6, dtype=torch.long)
    batch = Batch(ids, ids.to(dtype), torch.arange(2))
    with pytest.raises(ValueError, match=f"numbers of tokens, and the labels are {dtype}"):
        methods.tokens().counts(batch)


@pytest.mark.parametrize("side", ["right", "left"])
def test_padding_that_is_labelled_is_learned_by_nobody(side):
    """Labels are often a copy of the tokens: the first padding would be learned as the end."""
    student, teacher, method = llama(1, 1), freeze(llama(2, 2)), methods.tokens(alpha=0.5)
    tokens = torch.tensor([[4, 9, 2, 7, 0, 0], [3, 5, 6, 8, 1, 2]])
    mask = torch.tensor([[1, 1, 1, 1, 0, 0], [1, 1, 1, 1, 1, 1]])
    if side == "left":
        tokens, mask = tokens.flip(1), mask.flip(1)
    inputs = {"input_ids": tokens, "attention_mask": mask}
    copied, marked = (
        Batch(inputs, labels, torch.arange(2))
        for labels in (tokens, tokens.masked_fill(mask == 0, -100))
    )
    assert method.count(copied) == method.count(marked) == 8
    for name, value in method.terms(marked, student, teacher).items():
        torch.testing.assert_close(method.terms(copied, student, teacher)[name], value)

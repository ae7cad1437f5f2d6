"""A student's start: the right layers, everything around them, nothing half done or shared."""

import copy

import pytest
import torch
from torch import nn

from distill_lab.models import MLP, from_teacher

transformers = pytest.importorskip("transformers", reason="transformers is not installed")

SIZES = {"vocab_size": 30, "hidden_size": 8, "num_attention_heads": 2, "intermediate_size": 12}


def bert(layers: int, seed: int, *, classes: int = 3, **sizes: int) -> nn.Module:
    config = transformers.BertConfig(
        **{**SIZES, **sizes}, num_hidden_layers=layers, num_labels=classes
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return transformers.BertForSequenceClassification(config).eval()


def llama(layers: int, seed: int, *, tied: bool = False) -> nn.Module:
    config = transformers.LlamaConfig(
        **SIZES, num_key_value_heads=2, num_hidden_layers=layers, tie_word_embeddings=tied
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return transformers.LlamaForCausalLM(config).eval()


def distilbert(layers: int, seed: int) -> nn.Module:
    config = transformers.DistilBertConfig(
        vocab_size=30, dim=8, n_heads=2, hidden_dim=12, n_layers=layers
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return transformers.DistilBertModel(config).eval()


def mlp(layers: int, seed: int) -> nn.Module:
    return MLP(*[6] * (layers + 1), 4, seed=seed)


MAKERS = {
    "bert": (bert, "bert.encoder.layer"),
    "llama": (llama, "model.layers"),
    "distilbert": (distilbert, "transformer.layer"),
    "mlp": (mlp, "hidden"),
}


def equal(one: nn.Module, other: nn.Module) -> bool:
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize(("make", "path"), MAKERS.values(), ids=MAKERS)
def test_each_layer_is_the_one_that_was_named_and_the_rest_comes_by_name(make, path):
    teacher, student = make(4, 0), make(2, 1)
    assert from_teacher(student, teacher, layers=(1, 3)) is student
    mine, theirs = (model.get_submodule(path) for model in (student, teacher))
    assert equal(mine[0], theirs[1]) and equal(mine[1], theirs[3])
    around = [name for name in student.state_dict() if not name.startswith(path)]
    assert around or make is distilbert
    for name in around:
        assert torch.equal(student.state_dict()[name], teacher.state_dict()[name]), name


@pytest.mark.parametrize(("make", "path"), MAKERS.values(), ids=MAKERS)
def test_all_layers_give_the_teachers_answers(make, path):
    teacher, student = make(3, 0), make(3, 1)
    inputs = torch.rand(2, 6) if make is mlp else torch.arange(8).reshape(2, 4)
    answers = [from_teacher(student, teacher, layers=range(3))(inputs), teacher(inputs)]
    logits = [a if isinstance(a, torch.Tensor) else a[0] for a in answers]
    torch.testing.assert_close(*logits)


def test_the_start_is_a_copy_and_draws_nothing():
    teacher, student = bert(4, 0), bert(2, 1)
    before, generator = copy.deepcopy(teacher), torch.get_rng_state()
    from_teacher(student, teacher, layers=(0, 2))
    assert torch.equal(generator, torch.get_rng_state())
    with torch.no_grad():
        for parameter in student.parameters():
            parameter.add_(1)
    assert equal(teacher, before)
    assert all(parameter.requires_grad for parameter in student.parameters())


def test_a_mapping_leaves_the_other_layers_and_fresh_leaves_what_it_names():
    teacher, student = bert(4, 0, classes=7), bert(3, 1)
    untouched = copy.deepcopy(student)
    from_teacher(student, teacher, layers={2: 0}, fresh=["classifier"])
    mine, before, theirs = (m.bert.encoder.layer for m in (student, untouched, teacher))
    assert equal(mine[2], theirs[0]) and equal(mine[0], before[0]) and equal(mine[1], before[1])
    assert equal(student.classifier, untouched.classifier)
    assert equal(student.bert.embeddings, teacher.bert.embeddings)


def test_a_teacher_of_half_precision_gives_a_student_in_its_own():
    student = from_teacher(bert(2, 1), bert(4, 0).half(), layers=(0, 2))
    assert {p.dtype for p in student.parameters()} == {torch.float32}


def test_layers_keep_the_numbers_that_a_decoders_cache_goes_by():
    student = from_teacher(llama(2, 1), llama(4, 0), layers=(1, 3))
    assert [layer.self_attn.layer_idx for layer in student.model.layers] == [0, 1]


def test_tied_weights_come_from_a_tied_teacher_only():
    tied = from_teacher(llama(2, 1, tied=True), llama(4, 0, tied=True), layers=(0, 2))
    assert tied.lm_head.weight is tied.model.embed_tokens.weight
    with pytest.raises(ValueError, match=r"uses one tensor as .*embed_tokens.* and as lm_head"):
        from_teacher(llama(2, 1, tied=True), llama(4, 0), layers=(0, 2))
    from_teacher(llama(2, 1), llama(4, 0, tied=True), layers=(0, 2))  # two equal ones are fine


REFUSED = {
    "too few": ({"layers": (0,)}, ValueError, "has 2 layers and .* names 1"),
    "too many": ({"layers": (0, 1, 2)}, ValueError, "names 3"),
    "none": ({"layers": {}}, ValueError, "names 0"),
    "beyond": ({"layers": (0, 4)}, ValueError, r"the teacher has the layers 0 to 3, got \[4\]"),
    "from the end": ({"layers": (0, -1)}, ValueError, r"got \[-1\]: layers are numbered from 0"),
    "not the student's": ({"layers": {2: 0}}, ValueError, "the student has the layers 0 to 1"),
    "flags": ({"layers": (True, False)}, TypeError, "whole numbers"),
    "one name": ({"layers": (0, 1), "fresh": "bert"}, TypeError, r'write \["bert"\]'),
    "a typing error": ({"layers": (0, 1), "fresh": ["clasifier"]}, ValueError, "no such module"),
    "no stack there": ({"layers": (0, 1), "stack": "bert"}, ValueError, "no list of layers in the"),
}


@pytest.mark.parametrize(("options", "error", "words"), REFUSED.values(), ids=REFUSED)
def test_impossible_maps_are_refused(options, error, words):
    with pytest.raises(error, match=words):
        from_teacher(bert(2, 1), bert(4, 0), **options)


UNLIKE = {
    "width": (lambda: bert(2, 1, hidden_size=4), r"\(30, 4\) and the teacher's .* \(30, 8\)"),
    "words": (lambda: bert(2, 1, vocab_size=29), r"\(29, 8\)"),
    "classes": (lambda: bert(2, 1, classes=5), r"classifier.weight is \(5, 8\)"),
    "another kind": (lambda: llama(2, 1), "that both networks have, got 0"),
    "no stack": (lambda: nn.Linear(2, 2), r"the student has \[\]"),
    "no memory": (lambda: bert(2, 1).to("meta"), "on the meta device"),
}


@pytest.mark.parametrize(("make", "words"), UNLIKE.values(), ids=UNLIKE)
def test_unlike_networks_are_refused_and_the_student_stays(make, words):
    student = make()
    before = copy.deepcopy(student)
    with pytest.raises(ValueError, match=words):
        from_teacher(student, bert(4, 0), layers=(0, 2))
    if not next(student.parameters()).is_meta:
        assert equal(student, before)


def test_a_head_that_the_teacher_lacks_is_named():
    teacher, student = bert(4, 0).bert, nn.ModuleDict({"bert": bert(2, 1).bert})
    with pytest.raises(ValueError, match="networks have, got 0"):
        from_teacher(student, teacher, layers=(0, 2))
    from_teacher(student["bert"], teacher, layers=(0, 2))
    plain = nn.Sequential(nn.Linear(4, 4))
    with pytest.raises(ValueError, match=r"needs 0\.bias, which the teacher lacks: write fresh"):
        from_teacher(plain, nn.Sequential(nn.Linear(4, 4, bias=False)), layers=(0,))


def test_weights_in_common_are_refused():
    teacher, student = bert(4, 0), bert(2, 1)
    student.bert.encoder.layer[0] = teacher.bert.encoder.layer[0]  # as a slice of the list does
    for layers in ((0, 2), (1, 2)):
        with pytest.raises(ValueError, match="share the memory of"):
            from_teacher(student, teacher, layers=layers)


def test_two_stacks_have_to_be_told_apart():
    def two(layers: int) -> nn.Module:
        lists = {n: nn.ModuleList(nn.Linear(3, 3) for _ in range(layers)) for n in ("a", "b")}
        return nn.ModuleDict(lists)

    with pytest.raises(ValueError, match=r"have, got 2: the student has \['a', 'b'\]"):
        from_teacher(two(1), two(2), layers=(1,))
    student, teacher = two(2), two(2)
    from_teacher(student, teacher, layers=(1, 0), stack="b")
    assert equal(student["b"][0], teacher["b"][1]) and equal(student["a"], teacher["a"])

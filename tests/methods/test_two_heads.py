"""The class head learns labels, the distillation head from the teacher, and not crosswise."""

import pytest
import torch

from distill_lab import losses, methods
from distill_lab.data.batches import Batch
from distill_lab.models import MLP, VisionTransformer
from distill_lab.seeds import distill_seeds
from distill_lab.teachers import freeze
from distill_lab.training import distill

X = torch.randn(12, 1, 8, 8, generator=torch.Generator().manual_seed(0))
Y = torch.arange(12) % 10
BATCH = Batch(X, Y, torch.arange(12))
TEACHER = freeze(MLP(64, 10, seed=7))


def student(seed=0):
    return VisionTransformer(8, 4, width=16, distilled=True, seed=seed)


def test_hard_is_the_loss_of_the_paper():
    net, method = student(), methods.distillation_token(alpha=0.4)
    output = net(X)
    expected = losses.hard_distillation_loss(
        output.cls_logits,
        TEACHER(BATCH),
        Y,
        alpha=0.4,
        distillation_logits=output.distillation_logits,
    )
    torch.testing.assert_close(method.total(method.terms(BATCH, net, TEACHER)), expected)


def test_soft_is_kd_of_the_distillation_head_beside_the_labels_of_the_class_head():
    net, method = student(), methods.distillation_token(methods.kd(T=3.0, alpha=1.0), alpha=0.1)
    output, terms = net(X), method.terms(BATCH, net, TEACHER)
    soft = losses.kd_loss(output.distillation_logits, TEACHER(BATCH), T=3.0, alpha=1.0)
    hard = losses.cross_entropy(output.cls_logits, Y)
    torch.testing.assert_close(terms, {"kd": soft, "ce": hard})
    torch.testing.assert_close(method.total(terms), 0.1 * soft + 0.9 * hard)


@pytest.mark.parametrize("base", [None, methods.kd(alpha=1.0)], ids=["hard", "soft"])
def test_no_term_moves_the_other_head(base):
    net, method = student(), methods.distillation_token(base)
    terms = method.terms(BATCH, net, TEACHER)
    heads = {"ce": net.head, "taught": net.distillation_head}
    terms["taught"] = terms.pop("hard" if base is None else "kd")
    for name, term in terms.items():
        net.zero_grad()
        term.backward(retain_graph=True)
        moved = {
            head: bool(m.weight.grad is not None and m.weight.grad.any())
            for head, m in heads.items()
        }
        assert moved == {head: head == name for head in heads}
        assert net.embedding.weight.grad.any()  # the body learns from both


def test_the_student_runs_once_a_step():
    net = student()
    passes = []
    net.register_forward_hook(lambda *_: passes.append(1))
    methods.distillation_token().terms(BATCH, net, TEACHER)
    assert len(passes) == 1


def test_examples_without_a_label_still_learn_from_the_teacher():
    labels = Y.clone()
    labels[:6] = -100
    batch, net, method = Batch(X, labels, torch.arange(12)), student(), methods.distillation_token()
    assert method.counts(batch) == {"hard": 12, "ce": 6}
    terms = method.terms(batch, net, TEACHER)
    last = Batch(X[6:], Y[6:], torch.arange(6))
    torch.testing.assert_close(terms["ce"], method.terms(last, net, TEACHER)["ce"])


def test_it_trains_a_seed_at_a_time_and_many_at_once():
    net, method = student(3), methods.distillation_token()
    settings = {"method": method, "teacher": TEACHER, "epochs": 2, "batch_size": 6}
    history = distill(net, (X, Y), seed=3, progress=False, **settings)
    runs = distill_seeds(student, (X, Y), seeds=[3, 4], **settings)
    torch.testing.assert_close(runs.model(0)(X).logits, net(X).logits, atol=1e-4, rtol=1e-3)
    assert history.steps == 4 and set(runs.terms) == {"hard", "ce"}


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: methods.distillation_token(alpha=1.0), "alpha must lie"),
        (lambda: methods.distillation_token(methods.supervised()), "learns labels"),
        (lambda: methods.distillation_token(methods.kd(alpha=0.5)), r"give for example"),
        (
            lambda: methods.distillation_token().terms(BATCH, MLP(64, 10), TEACHER),
            r"returns Tensor .* distilled=True",
        ),
    ],
)
def test_what_cannot_be_divided_is_refused(build, words):
    with pytest.raises(ValueError, match=words):
        build()


def test_a_student_of_hugging_face_has_the_same_two_heads():
    transformers = pytest.importorskip("transformers", reason="needs transformers")
    config = transformers.DeiTConfig(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        image_size=8,
        patch_size=4,
        num_channels=1,
        num_labels=10,
    )
    net = transformers.DeiTForImageClassificationWithTeacher(config)
    assert set(methods.distillation_token().terms(BATCH, net, TEACHER)) == {"hard", "ce"}


class Pair(torch.nn.Module):
    """A pair of heads in training, and their mean elsewhere, as timm's distilled models."""

    def __init__(self, swapped=False):
        super().__init__()
        self.net = student()

    def forward(self, x):
        output = self.net(x)
        heads = output.cls_logits, output.distillation_logits
        return heads if self.training else (heads[0] + heads[1]) / 2


def test_a_pair_of_heads_is_the_class_head_and_the_distillation_head():
    method, net, pair = methods.distillation_token(), student(), Pair()
    expected = method.terms(BATCH, net, TEACHER)
    torch.testing.assert_close(method.terms(BATCH, pair.train(), TEACHER), expected)
    settings = {"teacher": TEACHER, "method": method, "epochs": 1, "progress": False}
    distill(net, (X, Y), **settings)
    distill(pair, (X, Y), **settings)
    torch.testing.assert_close(pair.net.state_dict(), net.state_dict(), rtol=0, atol=0)
    with pytest.raises(ValueError, match=r"returns Tensor and neither an output with cls_logits"):
        method.terms(BATCH, pair.eval(), TEACHER)

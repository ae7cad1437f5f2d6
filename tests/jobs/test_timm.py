"""Pictures with the real timm, where that can be imported; elsewhere a stand-in is asked.

It stands on a torchvision that has to fit one's torch, so it is no dependency of ours.
"""

import json
import shutil

import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import load_file, save_file
from torch import nn

from distill_lab import cli, methods
from distill_lab.data import InOrder
from distill_lab.data.datasets import PictureFolder
from distill_lab.evaluation import compare
from distill_lab.jobs.exporting import export
from distill_lab.jobs.job_file import read_job
from distill_lab.jobs.running import run_job
from distill_lab.jobs.setups.networks import Network, View, timm_view
from distill_lab.models import SmallCNN
from distill_lab.teachers import freeze
from distill_lab.training import distill
from tests.jobs import runs
from tests.jobs.test_image_classification import COLOURS, job_file, place, refused, run

try:
    import timm
except (ImportError, RuntimeError) as error:  # beside another torch, torchvision is no package
    pytest.skip(f"timm cannot be imported here: {error}", allow_module_level=True)

__all__ = ["place"]  # a fixture
NAMES = tuple(COLOURS)
SMALL = {"size": 32, "batch_size": 16, "epochs": 4, "lr": 3e-3}
MADE_FOR = 160  # pixels on a side, of timm's networks for tests


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A hub's cache without a network, into which weights are put by a network's name."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)

    def put(name, folder=None):
        torch.manual_seed(7)
        model = timm.create_model(name)
        facts = model.pretrained_cfg
        place = tmp_path / "hub" / f"models--{facts['hf_hub_id'].replace('/', '--')}"
        (place / "refs").mkdir(parents=True)
        (place / "refs/main").write_text("0" * 40)
        snapshot = place / "snapshots" / ("0" * 40)
        snapshot.mkdir(parents=True)
        save_file(model.state_dict(), snapshot / "model.safetensors")
        kept = ("input_size", "mean", "std", "fixed_input_size", "num_classes", "tag")
        own = {"architecture": name, "num_classes": 1000, "num_features": model.num_features}
        own["pretrained_cfg"] = {key: facts[key] for key in kept}
        (snapshot / "config.json").write_text(json.dumps(own))
        if folder is not None:
            shutil.copytree(snapshot, folder)
        return model.state_dict()

    return put


def taught_by(name, **more):
    return {"teacher": {"model": name, "finetune": {"epochs": 8}}, "method": "kd"} | SMALL | more


@pytest.mark.parametrize("name", ["test_resnet", "test_vit.r160_in1k", "test_convnext2"])
def test_the_weights_that_timm_has_are_those_that_a_teacher_starts_from(hub, name):
    kept = hub(name.partition(".")[0])
    network = Network({"name": f"timm:{name}"}, NAMES, MADE_FOR, pretrained=True)
    own = network.body.state_dict()
    assert own.keys() == kept.keys()
    other = {name.rpartition(".")[0] for name in own if not own[name].equal(kept[name])}
    assert len(other) == 1 and own[f"{other.pop()}.bias"].shape == (3,)  # the head alone
    facts = timm.data.resolve_model_data_config(network.body)
    assert timm_view(f"timm:{name}", None) == View(MADE_FOR, facts["mean"], facts["std"])


def test_timm_teaches_ours_and_ours_teaches_timm(place, hub):
    hub("test_efficientnet_ln")
    first = run(place, **taught_by("timm:test_efficientnet_ln"), student={"network": "mlp"})
    assert first.figures["teacher"]["accuracy"] > 80 and first.figures["student"]["accuracy"] > 80
    own = timm_view("timm:test_efficientnet_ln", 32)
    assert View.of(str(first.student), 32) == own != View(32)
    more = {"teacher": str(first.student), "method": "kd", "out": "second"} | SMALL
    second = run(place, **more, student={"network": "timm:test_vit"})
    assert second.figures["teacher"]["nll"] == pytest.approx(first.figures["student"]["nll"])
    assert second.figures["student"]["accuracy"] > 60


@pytest.mark.parametrize("name", ["timm:test_resnet", "timm:test_vit2", "timm:levit_128s"])
def test_a_student_is_measured_as_whoever_loads_it_finds_it(place, name):
    """By hand: its own size, mean and deviation, and the weights that were best."""
    more = {"epochs": 3, "keep": "best", "validate_every": 2, "batch_size": 24}
    outcome = run(place, **SMALL | more, student={"network": name})
    student = Network.from_pretrained(outcome.student).eval()
    pictures = PictureFolder(place / "held_out", size=32, scaled=True)
    with torch.no_grad():
        logits = torch.stack([student((p[None] - 0.5) / 0.5)[0] for p, _ in pictures])
    nll = nn.functional.cross_entropy(logits, pictures.labels)
    assert outcome.figures["student"]["nll"] == pytest.approx(float(nll), rel=1e-4)


@pytest.mark.parametrize("name", ["test_resnet", "test_vit3"])
def test_a_run_with_a_teacher_of_timm_goes_on_with_the_same_bits(place, hub, name):
    hub("test_resnet")
    more = taught_by("timm:test_resnet", student={"network": f"timm:{name}"}, checkpoint_every=2)
    more["teacher"]["finetune"]["epochs"] = 1
    at_once = run(place, **more, out="at_once")
    for last in (2, 5):
        run_job(read_job(job_file(place, **more, out="torn")), progress=runs.stop_at(last))
    run(place, **more, out="torn")
    assert runs.equal(runs.weights(place / "at_once"), runs.weights(place / "torn"))
    assert at_once.student.is_dir()


@pytest.mark.parametrize(
    "name",
    [
        *("resnet10t", "test_byobnet", "test_nfnet", "test_mambaout", "regnetx_002"),
        *("mobilenetv3_small_050", "ghostnet_050", "mobileone_s0", "test_maxvit", "test_coatnet"),
        *("deit_tiny_distilled_patch16_224", "coat_lite_tiny", "xcit_nano_12_p16_224"),
    ],
)
def test_networks_of_many_families_are_made_again_with_their_weights(tmp_path, name):
    recipe = {"name": f"timm:{name}"}
    network = Network(recipe, NAMES, 64, seed=1)
    pixels = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    assert network(pixels).shape == (2, 3)  # and its statistics move
    network.save_pretrained(tmp_path)
    again = Network.from_pretrained(tmp_path)
    with torch.no_grad():
        assert again.eval()(pixels).equal(network.eval()(pixels))
    assert Network.from_pretrained(tmp_path, ("a", "b")).eval()(pixels).shape == (2, 2)
    drawn = Network(recipe, NAMES, 64, seed=1).state_dict()
    assert runs.equal(drawn, Network(recipe, NAMES, 64, seed=1).state_dict())


@pytest.mark.parametrize(
    ("name", "size", "words"),
    [
        ("test_resnett", 32, "did you mean test_resnet"),
        ("test_resnet.nope", 32, "timm has test_resnet.r160_in1k"),
        ("jx_nest_tiny", 32, "is an old name, in place of which timm has nest_tiny"),
        ("hf_hub:timm/test_resnet.r160_in1k", 32, "as in timm/test_resnet.r160_in1k"),
        ("hiera_tiny_224", 40, "cannot see pictures of 40 pixels on a side"),
        ("ghostnetv2_100", 32, "cannot see pictures of 32 pixels on a side"),
        ("crossvit_tiny_240", 64, "choose another size; its own is 240"),
        ("efficientformer_l1", 64, "choose another size; its own is 224"),
        ("inception_v3", 32, "choose another size; its own is 299"),
    ],
)
def test_what_timm_cannot_make_is_refused_beforehand(place, capsys, hub, name, size, words):
    assert words in refused(place, capsys, student={"network": f"timm:{name}"}, size=size)
    assert words in refused(place, capsys, **taught_by(f"timm:{name}", size=size))


def test_weights_that_are_nowhere_are_missed_in_words(place, capsys, hub):
    assert "timm has no weights" in refused(place, capsys, student="timm:darknet17")
    file = job_file(place, **taught_by("timm:test_resnet"))
    assert cli.main(["distill", str(file), "--check"]) == 0
    assert cli.main(["distill", str(file)]) == 2
    assert "the weights of timm:test_resnet are not on this machine" in capsys.readouterr().err
    sizes = {"network": "timm:test_resnet", "width": 8}
    assert "does not take {'width': 8}" in refused(place, capsys, student=sizes)


def test_layers_and_lone_pictures_are_looked_at_beforehand(place, capsys, hub):
    """Also where timm alone knows the size, and in the shape that a network has at it."""
    hub("test_vit")
    more = taught_by("timm:test_vit", size=None, student={"network": "timm:test_vit", "depth": 2})
    match = {"layers": {"blocks.0": "blocks.1"}, "kind": "hint"}
    run(place, **more | {"epochs": 1, "batch_size": 48}, match=match)
    for own, kind, words in (
        ({"layers.0": "blocks.1"}, "hint", "the student has no layer 'layers.0'"),
        ({"patch_embed.proj": "blocks.1"}, "hint", "expected both (B, D)"),
        ({"blocks.0": "blocks.1"}, "attention", "attention is for maps"),
    ):
        match = {"layers": own, "kind": kind}
        assert words in refused(place, capsys, **more, match=match, out="other")
    lone = taught_by("timm:test_resnet", batch_size=47, student={"network": "timm:test_resnet"})
    assert "the student has batch statistics" in refused(place, capsys, **lone)
    lone["batch_size"], lone["teacher"]["finetune"]["batch_size"] = 24, 47
    assert "the teacher has batch statistics" in refused(place, capsys, **lone)


@pytest.mark.parametrize("where", ["folder", "timm/test_convnext.r160_in1k"])
def test_what_timm_put_on_the_hub_is_seen_as_its_config_says(place, hub, where):
    """By transformers, with timm's mean and deviation; in a folder, or by its name on the hub."""
    hub("test_convnext", place / "folder")
    own = timm_view("timm:test_convnext", None)
    outcome = run(place, **taught_by(where, size=None, epochs=1), student={"network": "mlp"})
    assert View.of(str(outcome.student), MADE_FOR) == own
    assert outcome.figures["teacher"]["accuracy"] > 80
    learned = run(place, **SMALL, student=where, out="learned", export=["torch-export"])
    assert View.of(str(learned.student), 32) == View(32, own.mean, own.std)
    assert (learned.student / "model.pt2").is_file()


@pytest.mark.slow  # torch.export traces a network for seconds
def test_students_of_timm_are_exported_with_the_same_answers(place):
    more = {"epochs": 1, "export": ["onnx", "int8"]}
    for name in ("test_resnet", "test_vit"):
        outcome = run(place, **SMALL | more, student={"network": f"timm:{name}"}, out=name)
        forms = json.loads((place / name / "report.json").read_text())["forms"]
        assert set(forms) == {"student", "onnx", "int8"} and outcome.student.is_dir()


@pytest.mark.slow
@pytest.mark.parametrize(("name", "form"), [("test_maxvit", "onnx"), ("poolformer_s12", "int8")])
def test_a_form_that_cannot_be_written_is_named_in_words(tmp_path, name, form):
    network = Network({"name": f"timm:{name}"}, NAMES, 64)
    network.save_pretrained(tmp_path)
    View(64).save_pretrained(tmp_path)
    learned = [{"pixel_values": torch.randn(4, 3, 64, 64)}]
    words = f"a {type(network.body).__name__} cannot be written as {form} .*: leave that form out"
    with pytest.raises(ValueError, match=words):
        export(tmp_path, form, learned=learned)
    assert not list(tmp_path.glob("*.onnx*"))


def colours(n, size=32):
    """Noise around three colours, with their numbers."""
    labels = torch.arange(n) % 3
    pixels = torch.randn(n, 3, size, size, generator=torch.Generator().manual_seed(0))
    return pixels + 2 * nn.functional.one_hot(labels, 3)[:, :, None, None], labels


def test_distill_takes_models_of_timm_as_plain_pytorch_does():
    data, settings = colours(32), {"epochs": 1, "batch_size": 8, "lr": 1e-3, "progress": False}
    teacher = freeze(timm.create_model("test_convnext", num_classes=3))
    torch.manual_seed(0)
    student, by_hand = (timm.create_model("test_vit", num_classes=3, img_size=32) for _ in range(2))
    by_hand.load_state_dict(student.state_dict())
    method = methods.kd(T=2.0, alpha=0.9)
    distill(student, data, teacher=teacher, method=method, sampler=InOrder(), **settings)
    optimizer = torch.optim.AdamW(by_hand.parameters(), lr=1e-3, weight_decay=0.0)
    for index in torch.arange(32).split(8):
        logits, answers = by_hand(data[0][index]), teacher.model(data[0][index])
        soft = nn.functional.kl_div(
            (logits / 2).log_softmax(-1), (answers / 2).softmax(-1), reduction="batchmean"
        )
        loss = 0.1 * nn.functional.cross_entropy(logits, data[1][index]) + 0.9 * 4 * soft
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    for one, other in zip(student.parameters(), by_hand.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)


def test_two_heads_of_timm_learn_apart_and_are_measured_as_one():
    data, settings = colours(24), {"epochs": 1, "batch_size": 8, "progress": False}
    student = timm.create_model("deit_tiny_distilled_patch16_224", num_classes=3, img_size=32)
    teacher = freeze(SmallCNN(4, classes=3, channels=3))
    with pytest.raises(ValueError, match="set_distilled_training"):
        distill(student, data, teacher=teacher, method=methods.distillation_token(), **settings)
    student.set_distilled_training(True)
    with pytest.raises(TypeError, match="tuple of 2"):
        distill(student, data, teacher=teacher, method=methods.kd(), **settings)
    distill(student, data, teacher=teacher, method=methods.distillation_token(), **settings)
    report = compare({"teacher": teacher, "student": student}, data, teacher="teacher", runs=2)
    with torch.no_grad():
        right = (student.eval()(data[0]).argmax(-1) == data[1]).double().mean()
    assert report["student"]["accuracy"] == pytest.approx(100 * float(right))


def test_a_network_of_features_alone_is_no_classifier():
    maps = timm.create_model("test_resnet", features_only=True)
    with pytest.raises(TypeError, match="returned a list of 5"):
        distill(maps, colours(8), method=methods.supervised(), progress=False)
    with pytest.raises(TypeError, match=r"logits as one tensor; got list.*read=lambda out"):
        compare({"maps": maps}, colours(8))
    head = nn.Linear(maps.feature_info.channels()[-1], 3)
    read = lambda out: head(out[-1].mean((-2, -1)))  # noqa: E731
    data, teacher = colours(8), freeze(maps, read=read)
    student = timm.create_model("test_resnet", num_classes=3)
    distill(student, data, teacher=teacher, method=methods.kd(), batch_size=4, progress=False)


def test_weights_beside_a_network_are_read_as_timm_reads_them(tmp_path, hub):
    """What a finished student leaves is a state that timm's own network takes."""
    network = Network({"name": "timm:test_resnet"}, NAMES, 32)
    network.save_pretrained(tmp_path)
    state = {
        k.removeprefix("body."): v for k, v in load_file(tmp_path / "model.safetensors").items()
    }
    plain = timm.create_model("test_resnet", num_classes=3)
    plain.load_state_dict(state)
    pixels = colours(4)[0]
    assert plain.eval()(pixels).equal(network.eval()(pixels))

"""Pictures in folders, from one job file: our networks, transformers' and timm's."""

import json
import shutil
import sys
import types

import numpy as np
import pytest
import torch
import transformers
from PIL import Image
from torch import nn
from transformers import (
    AutoConfig,
    AutoModelForImageClassification,
    ResNetConfig,
    ResNetForImageClassification,
    ViTConfig,
    ViTForImageClassification,
)

from distill_lab import cli
from distill_lab.data.datasets.pictures import PictureFolder
from distill_lab.jobs import exporting
from distill_lab.jobs.job_file import read_job
from distill_lab.jobs.running import run_job
from distill_lab.jobs.setups.image_classification import Pictures, labels_of, read_examples, seen_by
from distill_lab.jobs.setups.labels import Labels
from distill_lab.jobs.setups.networks import Network, View, seen_by_model
from tests.jobs import runs

COLOURS = {"blue": (0, 0, 200), "green": (0, 200, 0), "red": (200, 0, 0)}


def pictures(folder, n, seed):
    """Noisy pictures of 8 by 8 pixels, a folder for each colour."""
    draw = torch.Generator().manual_seed(seed)
    for name, colour in COLOURS.items():
        (folder / name).mkdir(parents=True)
        for number in range(n):
            noise = torch.randint(0, 56, (8, 8, 3), generator=draw) + torch.tensor(colour)
            Image.fromarray(noise.byte().numpy()).save(folder / name / f"{number}.png")


@pytest.fixture
def place(tmp_path):
    pictures(tmp_path / "train", 16, 0)
    pictures(tmp_path / "held_out", 5, 1)
    return tmp_path


def job_file(place, **more):
    given = {
        "kind": "image-classification",
        "train": "train",
        "validation": "held_out",
        "method": "supervised",
        "student": {"network": "small-cnn", "width": 4},
        "size": 8,
        "epochs": 10,
        "batch_size": 8,
        "lr": 1e-2,
        "out": "out",
    }
    return runs.job_file(place, given, **more)


def run(place, **more):
    return run_job(read_job(job_file(place, **more)), progress=False)


def test_our_networks_teach_each_other_from_folder_to_folder(place):
    first = run(place, out="teacher", student={"network": "mlp", "width": 32})
    assert first.figures["student"]["accuracy"] > 90
    outcome = run(place, teacher=str(first.student), method="kd")
    assert outcome.figures["teacher"]["accuracy"] > 90
    assert outcome.figures["student"]["accuracy"] > 90
    student = Network.from_pretrained(outcome.student).eval()
    assert student.names == ("blue", "green", "red")
    red = torch.tensor(COLOURS["red"]).view(1, 3, 1, 1).expand(1, 3, 8, 8) / 255
    assert student.names[int(student((red - 0.5) / 0.5).argmax())] == "red"


def test_a_vision_model_of_transformers_keeps_its_order_of_classes(place):
    names = {0: "red", 1: "blue", 2: "green"}
    config = ViTConfig(
        image_size=8,
        patch_size=4,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        id2label=names,
        label2id={name: i for i, name in names.items()},
        initializer_range=0.2,
    )
    torch.manual_seed(0)
    ViTForImageClassification(config).save_pretrained(place / "vit")
    more = {"size": None, "student": {"num_hidden_layers": 1}, "method": "kd"}
    teacher = {"model": "vit", "finetune": {"epochs": 10, "lr": 3e-3}}
    trained = run(place, teacher=teacher, lr=3e-3, **more)
    assert trained.figures["student"]["accuracy"] > 80
    student = AutoModelForImageClassification.from_pretrained(trained.student)
    assert student.config.num_hidden_layers == 1
    outcome = run(place, teacher="vit", out="again", epochs=1, **more)
    assert AutoModelForImageClassification.from_pretrained(outcome.student).config.id2label == names


def test_a_folder_of_another_class_is_named(place, capsys):
    (place / "held_out/red").rename(place / "held_out/reed")
    assert cli.main(["distill", str(job_file(place)), "--check"]) == 2
    assert "'reed' is none of the 3 classes: did you mean 'red'?" in capsys.readouterr().err


def test_labels_follow_the_folders_name_and_not_its_number(place):
    """In the held-out folder a class is missing: the others keep the number of their name."""
    for file in (place / "held_out/blue").iterdir():
        file.unlink()
    (place / "held_out/blue").rmdir()
    examples = read_examples(read_job(job_file(place)))
    labels = labels_of(examples.held_out, examples.names)
    assert labels.unique().tolist() == [1, 2]
    seen = Pictures(examples.held_out, labels, View(8))
    batch = seen.batch(torch.tensor([0, 9]))
    assert batch.labels.tolist() == [1, 2] and batch.inputs["pixel_values"].shape == (2, 3, 8, 8)


class Repeated(nn.Module):
    """Two paths to one layer, as CoaT's networks in timm have them."""

    def __init__(self, classes):
        super().__init__()
        self.first = self.second = nn.Linear(3 * 8 * 8, classes)

    def forward(self, pixels):
        assert pixels.shape[-1] == 8, "made for 8"
        return self.first(pixels.flatten(1)) + self.second(pixels.flatten(1))


class StandIn:
    """What a job asks of timm, where that cannot be imported; tests/jobs/test_timm.py asks it."""

    def __init__(self):
        self.offline = False
        self.models = types.SimpleNamespace(get_deprecated_models=lambda: {"old_tiny": "tiny"})

    def is_model(self, name):
        return name.partition(".")[0] in ("tiny", "old_tiny", "bare", "wide")

    def list_models(self):
        return ["tiny", "bare", "wide"]

    def list_pretrained(self, name):
        return [f"{name}.a1"]

    def get_pretrained_cfg(self, name):
        if name.endswith(".a2"):
            raise RuntimeError("Invalid pretrained tag (a2) for tiny.")
        sides = (16, 8) if name == "wide" else (8, 8)
        return (
            None
            if name == "old_tiny"
            else types.SimpleNamespace(
                input_size=(3, *sides),
                mean=(0.4, 0.4, 0.4),
                std=(0.2, 0.2, 0.2),
                fixed_input_size=True,
                has_weights=name != "bare",
            )
        )

    def create_model(self, name, *, pretrained, num_classes, img_size):
        if pretrained and self.offline:
            raise FileNotFoundError("no such file in the local cache.")
        return Repeated(num_classes)


def test_timm_by_name_and_in_words_where_it_is_missing(place, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    fine = {"teacher": {"model": "timm:tiny", "finetune": {"epochs": 8}}, "method": "kd"}
    for words in (fine, {"student": {"network": "timm:tiny"}}, {"student": "timm:tiny"}):
        assert "needs the package timm" in refused(place, capsys, **words)
    stand_in = StandIn()
    monkeypatch.setitem(sys.modules, "timm", stand_in)
    file = job_file(place, **fine)
    stand_in.offline = True
    assert cli.main(["distill", str(file)]) == 2
    assert "the weights of timm:tiny are not on this machine" in capsys.readouterr().err
    stand_in.offline = False
    outcome = run_job(read_job(file), progress=False)
    assert outcome.figures["teacher"]["accuracy"] > 80
    assert '"image_mean": [\n  0.4' in (outcome.student / "preprocessor_config.json").read_text()


@pytest.mark.parametrize("who", ["student", "teacher", "new"])
@pytest.mark.parametrize(
    ("name", "size", "words"),
    [
        ("tinny", 8, "no network 'timm:tinny' in timm: did you mean tiny?"),
        ("tiny.a2", 8, "Invalid pretrained tag (a2) for tiny. timm has tiny.a1"),
        ("old_tiny", 8, "timm:old_tiny is an old name, in place of which timm has tiny"),
        ("hf-hub:org/tiny.a1", 8, "is named by itself, as in org/tiny.a1"),
        ("org/tiny.a1", 8, "is named by itself, as in org/tiny.a1"),
        ("tiny", 12, "timm:tiny cannot see pictures of 12 pixels on a side (made for 8"),
        ("bare", 8, "timm has no weights for timm:bare"),
        ("wide", None, "timm:wide sees pictures of 16 x 8 pixels by itself"),
    ],
)
def test_what_timm_cannot_make_is_refused_beforehand(
    place, capsys, monkeypatch, who, name, size, words
):
    monkeypatch.setitem(sys.modules, "timm", StandIn())
    named = {"student": f"timm:{name}"}
    if who == "teacher":
        named = {"teacher": {"model": f"timm:{name}", "finetune": {"epochs": 1}}, "method": "kd"}
    if who == "new":
        named = {"student": {"network": f"timm:{name}"}}
        if name in ("bare", "wide"):  # without weights, and of 32 pixels where nothing says more
            return
    assert words in refused(place, capsys, **named, size=size)


def test_a_network_of_timm_starts_from_its_weights_or_anew(place, capsys, monkeypatch):
    """As a name it is the pretrained one, and as a network another; both are made again."""
    monkeypatch.setitem(sys.modules, "timm", StandIn())
    for student in ("timm:tiny", {"network": "timm:bare"}):
        file = job_file(place, student=student, epochs=1)
        shutil.rmtree(place / "out", ignore_errors=True)
        assert cli.main(["distill", str(file), "--check"]) == 0, capsys.readouterr().err
        outcome = run_job(read_job(file), progress=False)
        own = View.of(str(outcome.student), 8)
        assert own.mean[0] == (0.4 if student == "timm:tiny" else 0.5)
        again = Network.from_pretrained(outcome.student)
        again.body.second.weight.data.mul_(2)
        assert again.body.first.weight is again.body.second.weight
        other = Network.from_pretrained(outcome.student, ("a", "b"))  # another number of classes
        assert other(torch.zeros(1, 3, 8, 8)).shape == (1, 2)


def test_a_layer_of_timms_is_looked_for_at_the_size_that_it_sees(place, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", StandIn())
    teacher = {"model": "timm:tiny", "finetune": {"epochs": 1}}
    more = {"teacher": teacher, "method": "kd", "size": None, "student": {"network": "timm:tiny"}}
    match = {"layers": {"first": "first"}, "kind": "cosine"}
    assert cli.main(["distill", str(job_file(place, **more, match=match)), "--check"]) == 0
    match = {"layers": {"first": "third"}}
    assert "the teacher has no layer 'third'" in refused(place, capsys, **more, match=match)


def test_a_folder_of_timms_says_in_its_config_how_it_sees(tmp_path):
    """Such as transformers loads too: without a preprocessor_config.json."""

    def view(size=None, **facts):
        facts = {"input_size": [3, 16, 16], "mean": [0.4] * 3, "std": [0.2] * 3} | facts
        return seen_by_model(str(tmp_path), types.SimpleNamespace(pretrained_cfg=facts), size)

    assert view() == View(16, (0.4,) * 3, (0.2,) * 3)
    assert view(8).size == 8 and view(8, fixed_input_size=True).size == 16
    with pytest.raises(ValueError, match="sees pictures of"):
        view(input_size=[3, 16, 8])
    View(8).save_pretrained(tmp_path)  # a job's own word, where it learned
    assert view() == View(8)


def test_a_share_of_the_pictures_is_held_out_and_copies_stay_together(place):
    for file in sorted((place / "train/red").iterdir()):  # the same pictures under other names
        shutil.copy(file, file.with_name(f"again-{file.name}"))
    given = read_job(job_file(place, validation=None, held_out=0.25, validate_every=9, epochs=2))
    examples = read_examples(given)
    contents = [{file.read_bytes() for file in part.files} for part in
                (examples.train, examples.held_out)]  # fmt: skip
    assert not contents[0] & contents[1]
    assert len(examples.train) + len(examples.held_out) == 64 and 8 <= len(examples.held_out) <= 24
    outcome = run_job(given, progress=False)
    assert outcome.history.measured[0][0] == 9
    assert "training rows" not in outcome.text


def test_a_size_that_the_student_does_not_see_is_no_setting_of_it(place, capsys):
    """A vision transformer has the pictures of its own size, whatever a job says."""
    config = {"image_size": 8, "patch_size": 4, "num_hidden_layers": 1, "intermediate_size": 16}
    names = {"id2label": dict(enumerate(COLOURS)), "num_attention_heads": 2, "hidden_size": 8}
    ViTForImageClassification(ViTConfig(**config, **names)).save_pretrained(place / "vit")
    small = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    run(place, out="first", epochs=1)
    for given in (
        {"student": "vit"},
        {"student": small, "teacher": "vit", "method": "kd"},
        {"student": "first/student"},
    ):
        for size, code in ((16, 2), (8, 0), (None, 0)):
            file = job_file(place, **given, size=size)
            assert cli.main(["distill", str(file), "--check"]) == code, (given, size)
            words = "size = 16, and this student sees pictures of 8 pixels on a side"
            assert (words in capsys.readouterr().err) == (size == 16)
    file = job_file(place, teacher="vit", method="kd", size=16)  # a network has any
    assert cli.main(["distill", str(file), "--check"]) == 0


def refused(place, capsys, **more):
    """What --check and the run say alike of a job that cannot work."""
    errors = []
    for ending in (["--check"], []):
        assert cli.main(["distill", str(job_file(place, **more)), *ending]) == 2, (more, ending)
        errors.append(capsys.readouterr().err)
    return errors[0]


def vit(folder, names=tuple(COLOURS), **more):
    """A tiny vision transformer in a folder."""
    config = {"image_size": 8, "patch_size": 4, "num_hidden_layers": 1, "intermediate_size": 16}
    numbers = {"id2label": dict(enumerate(names)), "label2id": {n: i for i, n in enumerate(names)}}
    config |= {"num_attention_heads": 2, "hidden_size": 8} | numbers | more
    ViTForImageClassification(ViTConfig(**config)).save_pretrained(folder)


def resnet(folder):
    names = {
        "id2label": dict(enumerate(COLOURS)),
        "label2id": {n: i for i, n in enumerate(COLOURS)},
    }
    sizes = {"embedding_size": 4, "hidden_sizes": [4, 6], "depths": [1, 1], "layer_type": "basic"}
    ResNetForImageClassification(ResNetConfig(**sizes, **names)).save_pretrained(folder)


@pytest.mark.parametrize("names", [("red", "blue", "green"), ("up", "down")])
@pytest.mark.parametrize("who", ["student", "teacher"])
def test_a_network_that_knew_other_classes_learns_those_of_the_job(place, names, who):
    """Their order, and how many there are: the folder says what its numbers stand for."""
    (place / "old").mkdir()
    Network({"name": "small-cnn", "width": 4}, names, 8, seed=1).save_pretrained(place / "old")
    View(8).save_pretrained(place / "old")
    more = {"student": "old"}
    if who == "teacher":
        more = {"teacher": {"model": "old", "finetune": {"epochs": 10}}, "method": "kd"}
    assert cli.main(["distill", str(job_file(place, **more)), "--check"]) == 0
    outcome = run(place, **more)
    assert outcome.figures["student"]["accuracy"] > 90
    student = Network.from_pretrained(outcome.student).eval()
    assert student.names == ("blue", "green", "red")
    red = torch.tensor(COLOURS["red"]).view(1, 3, 1, 1).expand(1, 3, 8, 8) / 255
    assert student.names[int(student((red - 0.5) / 0.5).argmax())] == "red"


def test_card_and_report_say_what_a_job_of_pictures_has(place):
    """A card names no setting of other kinds, and of other forms nothing is held to a teacher."""
    vit(place / "vit")
    more = {"teacher": "vit", "method": "kd", "epochs": 1, "export": ["torch-export"]}
    outcome = run(place, **more)
    card = (outcome.student / "card.md").read_text()
    assert "- size: 8" in card and "- augment" not in card
    for name in ("max_length", "reads", "columns", "separator", "beta"):
        assert f"- {name}:" not in card
    before, _, forms = (place / "out/report.md").read_text().partition("## Other forms")
    assert "agreement with teacher" in before and "accuracy" in forms
    assert "not measured" not in forms


def test_a_network_keeps_its_weights_where_it_knows_as_many_classes(tmp_path):
    network = Network({"name": "mlp", "width": 4}, ("a", "b"), 4, seed=1)
    network.save_pretrained(tmp_path)
    renamed = Network.from_pretrained(tmp_path, ("b", "c"))
    assert renamed.names == ("b", "c") and Network.from_pretrained(tmp_path).names == ("a", "b")
    own, other = network.state_dict(), Network.from_pretrained(tmp_path, "abc").state_dict()
    assert all(own[name].equal(value) for name, value in renamed.state_dict().items())
    same = {name for name in own if own[name].equal(other[name])}
    assert own.keys() - same == {"body.head.weight", "body.head.bias"}


def test_a_resnet_is_a_model_of_pictures_though_it_names_no_size(place):
    resnet(place / "resnet")
    teacher = {"model": "resnet", "finetune": {"epochs": 10, "lr": 1e-2}}
    file = job_file(place, teacher=teacher, method="kd", out="taught")
    assert cli.main(["distill", str(file), "--check"]) == 0
    taught = run(place, teacher=teacher, method="kd", out="taught")
    assert taught.figures["teacher"]["accuracy"] > 80
    learned = run(place, student="resnet", export=["torch-export"])
    assert learned.figures["student"]["accuracy"] > 80
    assert (learned.student / "model.pt2").is_file()
    facts = json.loads((learned.student / "preprocessor_config.json").read_text())
    assert facts["size"] == {"height": 8, "width": 8}
    assert seen_by_model(str(learned.student), ResNetConfig(), 32).size == 8  # its own, from now on
    assert seen_by_model(str(place / "resnet"), ResNetConfig()).size == 224


@pytest.mark.parametrize("network", ["small-cnn", "mlp", "vit"])
def test_each_network_of_ours_is_exported_for_any_number_of_pictures(tmp_path, network):
    Network({"name": network}, ("a", "b"), 8).save_pretrained(tmp_path)
    View(8).save_pretrained(tmp_path)
    assert exporting.export(tmp_path, "torch-export").same == 100
    form = exporting.load_form(tmp_path, "torch-export")
    assert [len(form(pixel_values=torch.zeros(n, 3, 8, 8))) for n in (1, 3, 8)] == [1, 3, 8]


def test_models_that_see_no_squares_of_three_colours_are_refused_beforehand(place, capsys):
    vit(place / "grey", num_channels=1)
    vit(place / "wide", image_size=(8, 12))
    for name, words in (("grey", "1 channels"), ("wide", "[8, 12] pixels")):
        shape = {"hidden_size": 8, "num_attention_heads": 2}
        for more in (
            {"student": name},
            {"teacher": name, "method": "kd"},
            {"teacher": name, "method": "kd", "student": shape},
        ):
            assert f"{name} sees pictures of {words}" in refused(place, capsys, size=None, **more)


def test_a_networks_patches_are_of_pictures_as_large_as_the_teachers(place, capsys):
    vit(place / "ten", image_size=10, patch_size=5)
    patches = {"network": "vit", "patch": 5, "width": 8, "heads": 2, "depth": 1}
    more = {"teacher": "ten", "method": "kd", "size": None, "epochs": 1}
    match = {"layers": {"blocks.0": "vit.layernorm"}}
    for extra in ({}, {"match": match}):
        file = job_file(place, student=patches, **more, **extra)
        assert cli.main(["distill", str(file), "--check"]) == 0, capsys.readouterr().err
    run(place, student=patches, **more, match=match)
    assert "size=10, patch=16" in refused(
        place, capsys, student=patches | {"patch": 16}, **more, out="other"
    )
    words = "crop = 10 moves pictures of 10 pixels out of sight"
    assert words in refused(place, capsys, **more, augment={"crop": 10}, out="other")


def test_what_teaches_no_classifier_is_refused_beforehand(place, capsys):
    run(place, out="first", epochs=1)
    shape = {"student": {"hidden_size": 8}, "teacher": "first/student", "method": "kd"}
    assert "has no family that a student of other sizes" in refused(place, capsys, **shape)
    for name in ("red", "green"):
        for file in (place / "train" / name).iterdir():
            file.unlink()
    assert "all of a single class, 'blue'" in refused(place, capsys)
    listed = job_file(place, labels=["blue", "green", "red"])
    assert cli.main(["distill", str(listed), "--check"]) == 0


@pytest.mark.parametrize("who", ["student", "teacher"])
@pytest.mark.parametrize("kind", ["ours", "transformers"])
def test_weights_that_are_missing_or_cut_short_are_found_beforehand(place, capsys, who, kind):
    if kind == "ours":
        (place / "model").mkdir()
        Network({"name": "mlp"}, tuple(COLOURS), 8).save_pretrained(place / "model")
    else:
        vit(place / "model")
    more = {"student": "model"} if who == "student" else {"teacher": "model", "method": "kd"}
    weights = place / "model/model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-9])
    assert cli.main(["distill", str(job_file(place, **more)), "--check"]) == 2
    assert "it was cut short" in capsys.readouterr().err
    weights.unlink()
    assert cli.main(["distill", str(job_file(place, **more)), "--check"]) == 2
    assert "holds no model.safetensors" in capsys.readouterr().err


def test_batch_statistics_of_one_picture_are_refused_beforehand(place, capsys):
    resnet(place / "resnet")
    for more in (
        {"student": "resnet", "batch_size": 47},  # of 48
        {"student": "resnet", "batch_size": 6, "accumulate": 6},
        {"teacher": {"model": "resnet", "finetune": {"batch_size": 1}}, "method": "kd"},
    ):
        refusal = refused(place, capsys, **more)
        who = "teacher" if "teacher" in more else "student"
        assert f"leave one picture alone, and the {who} has batch statistics" in refusal
    for more in ({"batch_size": 47}, {"student": "resnet", "batch_size": 46}):
        assert cli.main(["distill", str(job_file(place, **more)), "--check"]) == 0


def test_pictures_made_anew_that_no_teacher_sees_may_be_of_another_size(place, capsys):
    vit(place / "vit")
    file = job_file(place, teacher="vit", size=12, augment={"flip": True}, epochs=1)
    assert cli.main(["distill", str(file), "--check"]) == 0, capsys.readouterr().err
    assert cli.main(["distill", str(file)]) == 0


def test_pixels_are_scaled_as_a_models_processor_says(tmp_path, monkeypatch):
    def view(**facts):
        (tmp_path / "preprocessor_config.json").write_text(json.dumps(facts))
        return View.of(str(tmp_path), 8)

    own = {"image_mean": [0.4] * 3, "image_std": [0.2] * 3}
    assert view(**own) == View(8, (0.4,) * 3, (0.2,) * 3)
    assert view(**own, do_normalize=False) == View(8, (0.0,) * 3, (1.0,) * 3)
    pixels = torch.tensor([0.0, 100.0, 255.0])
    for facts, expected in (
        ({"rescale_factor": 1 / 127.5}, (pixels / 127.5 - 0.4) / 0.2),
        ({"do_rescale": False}, (pixels - 0.4) / 0.2),
        ({"do_rescale": False, "do_normalize": False}, pixels),
    ):
        seen = view(**own, **facts)
        torch.testing.assert_close((pixels / 255 - seen.mean[0]) / seen.std[0], expected)

    def of_the_hub(name):
        assert name == "org/model"
        return own, {}

    monkeypatch.setattr(transformers.ImageProcessingMixin, "get_image_processor_dict", of_the_hub)
    assert View.of("org/model", 8) == View(8, (0.4,) * 3, (0.2,) * 3)


@pytest.mark.parametrize("given", [{}, {"do_normalize": True}, {"do_flip_channel_order": False}])
def test_colours_come_in_the_order_of_a_models_processor(tmp_path, given):
    """MobileViT sees blue first, and takes no mean off; what its student is saved with says so."""
    facts = {"image_processor_type": "MobileViTImageProcessor", "do_flip_channel_order": True}
    facts |= {"do_resize": False, "do_center_crop": False, "image_mean": [0.4] * 3} | given
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(facts))
    draw = np.random.default_rng(0)
    pixels = [draw.integers(0, 256, (8, 8, 3), dtype=np.uint8) for _ in range(4)]
    for i, each in enumerate(pixels):
        (tmp_path / f"pictures/{i % 2}").mkdir(parents=True, exist_ok=True)
        Image.fromarray(each).save(tmp_path / f"pictures/{i % 2}/{i}.png")
    own = transformers.AutoImageProcessor.from_pretrained(tmp_path)
    view = View.of(str(tmp_path), 8)
    folder = PictureFolder(tmp_path / "pictures", size=8)
    labels = Labels(("0", "1"))
    seen = seen_by(view, folder, labels).batch(torch.tensor([0, 2])).inputs["pixel_values"]
    expected = own([pixels[0], pixels[1]], return_tensors="pt")["pixel_values"]
    torch.testing.assert_close(seen, expected)
    view.save_pretrained(tmp_path)
    assert View.of(str(tmp_path), 8) == view
    saved = transformers.AutoImageProcessor.from_pretrained(tmp_path)
    torch.testing.assert_close(
        saved([pixels[0], pixels[1]], return_tensors="pt")["pixel_values"], expected
    )


@pytest.mark.parametrize("family", ["resnet", "regnet", "siglip"])
def test_a_model_of_pictures_need_not_say_their_size(place, family):
    """Networks of convolutions take any, and SigLIP says it of its eyes alone."""
    sizes = {"embedding_size": 4, "hidden_sizes": [4, 8], "depths": [1, 1]}
    if family == "regnet":
        sizes["groups_width"] = 4
    if family == "siglip":
        eyes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
        sizes = {
            "vision_config": eyes | {"intermediate_size": 16, "image_size": 8, "patch_size": 4}
        }
    config = AutoConfig.for_model(family, id2label=dict(enumerate(COLOURS)), **sizes)
    torch.manual_seed(0)
    AutoModelForImageClassification.from_config(config).save_pretrained(place / "mine")
    given = {"teacher": "mine", "student": "mine", "method": "kd", "epochs": 1}
    assert cli.main(["distill", str(job_file(place, **given)), "--check"]) == 0
    run(place, export=["torch-export"], **given)
    student = place / "out" / "student"
    assert seen_by_model(str(student), config).size == 8
    assert (student / "model.pt2").is_file()


def test_a_teacher_of_sigmoids_teaches_no_softmax(place, capsys):
    vit(place / "vit", problem_type="multi_label_classification")
    err = refused(place, capsys, teacher="vit", method="kd")
    assert "answers with a sigmoid for each class" in err and "kd on these data reads one" in err

"""Pictures in folders, from one job file: our networks, transformers' and timm's."""

import shutil
import sys
import types

import pytest
import torch
from PIL import Image
from torch import nn
from transformers import AutoModelForImageClassification, ViTConfig, ViTForImageClassification

from distill_lab import cli
from distill_lab.jobs.job_file import read_job
from distill_lab.jobs.running import run_job
from distill_lab.jobs.setups.image_classification import Pictures, labels_of, read_examples
from distill_lab.jobs.setups.networks import Network, View
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


def test_timm_by_name_and_in_words_where_it_is_missing(place, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    fine = {"teacher": {"model": "timm:tiny", "finetune": {"epochs": 8}}, "method": "kd"}
    for words in (fine, {"student": {"network": "timm:tiny"}}):
        for more in ([], ["--check"]):
            assert cli.main(["distill", str(job_file(place, **words)), *more]) == 2
            assert "needs the package timm" in capsys.readouterr().err

    def create_model(name, *, pretrained, num_classes, img_size):
        assert name == "tiny" and pretrained and img_size == 8
        if offline:
            raise FileNotFoundError("no such file in the local cache.")
        return nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, num_classes))

    facts = {"input_size": (3, 8, 8), "mean": (0.4, 0.4, 0.4), "std": (0.2, 0.2, 0.2)}
    stand_in = types.SimpleNamespace(
        create_model=create_model,
        is_model=lambda name: name == "tiny",
        list_models=lambda: ["tiny", "large"],
        get_pretrained_cfg=lambda name: types.SimpleNamespace(fixed_input_size=True),
        data=types.SimpleNamespace(resolve_model_data_config=lambda model: facts),
    )
    monkeypatch.setitem(sys.modules, "timm", stand_in)
    offline, file = True, job_file(place, **fine)
    assert cli.main(["distill", str(file)]) == 2
    assert "the weights of timm:tiny are not on this machine" in capsys.readouterr().err
    offline = False
    outcome = run_job(read_job(file), progress=False)
    assert outcome.figures["teacher"]["accuracy"] > 80
    teacher = {"model": "timm:tinny", "finetune": {"epochs": 8}}
    wrong = [{"student": {"network": "timm:tinny"}}, fine | {"teacher": teacher}]
    for words in wrong:
        for more in ([], ["--check"]):
            assert cli.main(["distill", str(job_file(place, **words)), *more]) == 2
            error = capsys.readouterr().err
            assert "no network 'timm:tinny' in timm: did you mean tiny?" in error
    assert '"image_mean": [\n  0.4' in (outcome.student / "preprocessor_config.json").read_text()


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

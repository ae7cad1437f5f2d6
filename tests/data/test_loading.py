"""Own folder, cache, download: what is found is checked, what is wrong is refused in words."""

import subprocess
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch

from distill_lab.data import datasets
from distill_lab.data.datasets import files

IMAGES = "train-images-idx3-ubyte.gz"


def write(folder: Path, contents: dict[str, bytes]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in contents.items():
        (folder / name).write_bytes(data)
    return folder


@pytest.fixture
def serve():
    """Serve a folder on the loopback; gives its address. A second call serves a second folder."""
    servers = []

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    def start(folder: Path) -> str:
        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}/"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def own(monkeypatch, tmp_path, published) -> Path:
    folder = write(tmp_path / "my data" / "mnist", published)
    monkeypatch.setenv("DISTILL_LAB_DATA", str(tmp_path / "my data"))
    return folder


def test_the_users_own_folder_comes_first(own, empty_machine):
    loaded = datasets.load("mnist", mirrors=[])
    assert loaded.source == str(own)
    assert loaded.images.shape == (6, 1, 2, 2) and loaded.images.dtype == torch.float32
    assert loaded.labels.tolist() == [7, 8, 7, 3, 1, 9] and loaded.labels.dtype == torch.int64
    assert loaded.images[-1].flatten().tolist() == pytest.approx([x / 255 for x in range(252, 256)])
    assert len(loaded.train) == 4 and loaded.test.labels.tolist() == [1, 9]
    assert not empty_machine.exists()


def test_the_cache_comes_second(published, empty_machine):
    write(empty_machine, published)
    assert datasets.load("mnist", download=False).source == str(empty_machine)


def test_a_file_missing_from_the_own_folder_is_taken_from_the_cache(own, published, empty_machine):
    (own / IMAGES).unlink()
    write(empty_machine, published)
    assert datasets.load("mnist", mirrors=[]).source == f"{empty_machine} and {own}"


def test_a_missing_data_set_names_the_three_ways(published, empty_machine):
    with pytest.raises(FileNotFoundError) as caught:
        datasets.load("mnist", download=False)
    sentence = str(caught.value)
    assert "set DISTILL_LAB_DATA to a folder with mnist/train-images" in sentence
    assert str(empty_machine) in sentence
    assert "go online and call datasets.load('mnist')" in sentence
    assert "it is not set now" in sentence


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda data: data[:-3], "is cut short: [0-9]+ of [0-9]+ bytes"),
        (lambda data: b"", "is cut short: 0 of"),
        (lambda data: data[:-1] + b"\x00" + b"\x00", "is not the published file: sha256"),
        (lambda data: bytes([data[0] ^ 1]) + data[1:], "is not the published file: sha256"),
    ],
)
def test_a_wrong_file_of_the_users_own_is_refused_and_left_alone(own, published, spoil, sentence):
    spoilt = spoil(published[IMAGES])
    (own / IMAGES).write_bytes(spoilt)
    with pytest.raises(ValueError, match=sentence) as caught:
        datasets.load("mnist")
    assert str(own / IMAGES) in str(caught.value) and "replace it" in str(caught.value)
    assert (own / IMAGES).read_bytes() == spoilt


def test_a_wrong_file_in_the_cache_is_said_and_fetched_again(
    published, empty_machine, serve, tmp_path
):
    write(empty_machine, published | {IMAGES: published[IMAGES][:-5]})
    home = serve(write(tmp_path / "home", published))
    with pytest.warns(UserWarning, match=r"cut short.*fetched again"):
        loaded = datasets.load("mnist", mirrors=[home])
    assert len(loaded) == 6
    assert (empty_machine / IMAGES).read_bytes() == published[IMAGES]


def test_a_wrong_file_in_the_cache_is_refused_when_nothing_may_be_fetched(published, empty_machine):
    write(empty_machine, published | {IMAGES: published[IMAGES][:-5]})
    with pytest.raises(ValueError, match=r"cut short.*download=True"):
        datasets.load("mnist", download=False)


def test_a_download_goes_past_bad_mirrors_and_is_kept(published, empty_machine, serve, tmp_path):
    gone = serve(write(tmp_path / "gone", {}))
    bad = serve(write(tmp_path / "bad", {name: data + b"?" for name, data in published.items()}))
    good = serve(write(tmp_path / "good", published))
    seen = []
    loaded = datasets.load(
        "mnist", mirrors=[gone, bad, good], progress=lambda *step: seen.append(step)
    )
    assert len(loaded) == 6
    sizes = {name: len(data) for name, data in published.items()}
    assert {name: done for name, done, total in seen} == sizes
    assert all(done <= total == sizes[name] for name, done, total in seen)
    assert sorted(path.name for path in empty_machine.iterdir()) == sorted(published)
    assert datasets.load("mnist", download=False).source == str(empty_machine)


def test_a_bad_download_leaves_nothing_behind(published, empty_machine, serve, tmp_path):
    bad = serve(write(tmp_path / "bad", {IMAGES: published[IMAGES][:-1] + b"?"}))
    cut = serve(write(tmp_path / "cut", {IMAGES: published[IMAGES][:9]}))
    with pytest.raises(FileNotFoundError) as caught:
        datasets.load("mnist", mirrors=[bad, cut])
    assert f"{bad}{IMAGES} is not the published file" in str(caught.value)
    assert f"{cut}{IMAGES} is cut short: 9 of" in str(caught.value)
    assert not empty_machine.exists() or not list(empty_machine.iterdir())


def test_offline_is_said(published):
    with pytest.raises(FileNotFoundError, match=r"not downloaded.*127.0.0.1:9/"):
        datasets.load("mnist", mirrors=["http://127.0.0.1:9/"])


def test_a_cut_in_the_middle_of_keeping_leaves_no_half_file(
    published, empty_machine, serve, tmp_path, monkeypatch
):
    home = serve(write(tmp_path / "home", published))

    def interrupted(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(files.os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        datasets.load("mnist", mirrors=[home])
    assert list(empty_machine.iterdir()) == []


def test_a_cache_that_cannot_be_written_names_the_variable(published, serve, tmp_path, monkeypatch):
    home = serve(write(tmp_path / "home", published))
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("DISTILL_LAB_CACHE", str(tmp_path / "file"))
    with pytest.raises(OSError, match="Set DISTILL_LAB_CACHE to a folder you can write to"):
        datasets.load("mnist", mirrors=[home])


def test_images_and_labels_must_agree(published, monkeypatch, empty_machine):
    train_images, train_labels, test_images, _ = files.PINNED["mnist"].files
    four_for_two = files.PinnedDataset((train_images, train_labels, test_images, train_labels), ())
    monkeypatch.setitem(files.PINNED, "mnist", four_for_two)
    write(empty_machine, published)
    with pytest.raises(ValueError, match=r"one label an image; got images of shape.*8 labels"):
        datasets.load("mnist")


@pytest.mark.parametrize(
    ("platform", "variables", "expected"),
    [
        ("linux", {"DISTILL_LAB_CACHE": "/a"}, "/a"),
        ("linux", {"XDG_CACHE_HOME": "/x"}, "/x/distill-lab"),
        ("linux", {}, "~/.cache/distill-lab"),
        ("darwin", {}, "~/Library/Caches/distill-lab"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/distill-lab"),
    ],
)
def test_the_cache_is_where_the_platform_keeps_caches(monkeypatch, platform, variables, expected):
    for name in ("DISTILL_LAB_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(files.sys, "platform", platform)
    assert datasets.cache_dir() == Path(expected).expanduser()


def test_status_says_what_is_found_missing_and_damaged(own):
    digits, mnist, fashion, *_ = datasets.status()
    assert (digits.name, digits.available, digits.remedy) == ("digits", True, "")
    assert (mnist.available, mnist.detail) == (True, f"in {own}")
    assert not fashion.available and "DISTILL_LAB_DATA" in fashion.remedy
    (own / IMAGES).write_bytes(b"?")
    damaged = datasets.status()[1]
    assert not damaged.available and "damaged" in damaged.detail and IMAGES in damaged.remedy


def test_digits_are_the_1797_real_images():
    digits = datasets.load("digits")
    assert digits.images.shape == (1797, 1, 8, 8) and digits.images.dtype == torch.float32
    assert digits.images.min() == 0 and digits.images.max() == 1
    assert digits.labels[:10].tolist() == list(range(10)) and digits.classes[3] == "3"
    with pytest.raises(AttributeError, match=r"no official.*split"):
        digits.test  # noqa: B018


@pytest.mark.slow
def test_digits_are_those_that_scikit_learn_loads_itself_without_importing_it():
    code = (
        "import sys, torch, distill_lab.data.datasets as d; digits = d.load('digits'); "
        "assert not [m for m in ('sklearn', 'pandas') if m in sys.modules]; "
        "from sklearn.datasets import load_digits; images, labels = load_digits(return_X_y=True); "
        "assert torch.equal(digits.images.flatten(1), torch.tensor(images).float() / 16); "
        "assert digits.labels.tolist() == labels.tolist()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.slow
def test_digits_are_found_where_scikit_learn_keeps_them_elsewhere(monkeypatch):
    expected = datasets.load("digits")
    monkeypatch.setattr(datasets.Path, "is_file", lambda _: False)
    digits = datasets.load("digits")
    assert torch.equal(digits.images, expected.images) and digits.labels.equal(expected.labels)


def test_digits_without_scikit_learn_say_what_to_install(monkeypatch):
    monkeypatch.setattr(datasets.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ImportError, match="pip install scikit-learn"):
        datasets.load("digits")


def test_an_unknown_name_lists_the_known():
    with pytest.raises(
        ValueError,
        match="one of digits, mnist, fashion_mnist, banking77, tinyshakespeare; got 'cifar10'",
    ):
        datasets.load("cifar10")


@pytest.mark.slow
def test_importing_has_no_side_effects():
    code = (
        "import sys, distill_lab.data.datasets as d; "
        "assert not [m for m in ('sklearn', 'matplotlib', 'IPython') if m in sys.modules]; "
        "import pathlib; assert not d.cache_dir().exists()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)

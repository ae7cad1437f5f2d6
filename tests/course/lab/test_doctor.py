"""The doctor tells the truth: a real run here, and each thing that can be wrong."""

import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from distill_lab.course.lab import doctor
from distill_lab.course.lab.doctor import Finding
from distill_lab.data import datasets
from distill_lab.teachers.text import network

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_a_real_run_finds_every_thing_the_course_needs(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "distill_lab.cli", "doctor"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    names = set(re.findall(r"^[✓✗–] (\S+(?: \S+)?)", done.stdout, re.MULTILINE))
    for line in ("python", "torch", "jupyterlab", "memory", "cache", "browser", "data: digits"):
        assert any(name.startswith(line) for name in names), f"no line about {line}"
    assert "could not be checked" not in done.stdout


def test_something_essential_wrong_exits_1_with_its_remedy(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    version = metadata.version
    monkeypatch.setattr(
        doctor.metadata, "version", lambda name: "8.1.9" if name == "ipywidgets" else version(name)
    )
    assert doctor.main() == 1
    output = capsys.readouterr().out
    assert re.search(r"✗ ipywidgets +8\.1\.9, needs >=8\.1,!=8\.1\.9", output)
    assert "make env" in output and "1 to mend first" in output


def test_something_optional_missing_exits_0(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "find_browser", lambda: None)
    assert doctor.main() == 0
    assert re.search(r"– browser +no Chromium", capsys.readouterr().out)


def test_a_check_that_breaks_is_a_finding_not_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> list[datasets.Status]:
        raise OSError("the disk is on fire")

    monkeypatch.setattr(datasets, "status", broken)
    (finding,) = (f for f in doctor.examine() if f.name == "datasets")
    assert not finding.ok and finding.essential and "on fire" in finding.detail


def test_a_cache_that_cannot_be_written_is_essential(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.touch()
    monkeypatch.setenv("DISTILL_LAB_CACHE", str(in_the_way))
    (finding,) = doctor.check_cache()
    assert not finding.ok and finding.essential and "DISTILL_LAB_CACHE" in finding.remedy
    assert in_the_way.read_bytes() == b""


def test_the_cache_check_leaves_nothing_behind(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DISTILL_LAB_CACHE", str(tmp_path))
    (finding,) = doctor.check_cache()
    assert finding.ok and list(tmp_path.iterdir()) == []


def test_missing_digits_are_essential_and_missing_mnist_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gone = [datasets.Status(name, False, "gone", "fetch it") for name in ("digits", "mnist")]
    monkeypatch.setattr(datasets, "status", lambda: gone)
    assert [f.essential for f in doctor.check_datasets()] == [True, False]


def test_ranges_come_from_the_installed_package_where_there_is_no_checkout(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    lines = ["torch>=2.6", "papermill>=2.6; extra == 'lab'", "pytest>=8; extra == 'test'"]
    monkeypatch.setattr(doctor, "CHECKOUT", tmp_path)
    monkeypatch.setattr(doctor.metadata, "requires", lambda name: lines)
    assert doctor.requirements() == lines[:2]
    assert doctor.check_package("papermill>=99; extra == 'lab'").detail.endswith(", needs >=99")


def test_the_browser_named_by_the_user_comes_first(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    mine = tmp_path / "my browser"
    mine.write_text("#!/bin/sh\n")
    mine.chmod(0o755)
    monkeypatch.setenv("DISTILL_LAB_BROWSER", str(mine))
    assert doctor.find_browser() == str(mine)
    monkeypatch.setenv("DISTILL_LAB_BROWSER", str(tmp_path / "none"))
    assert doctor.find_browser() is None


def test_a_terminal_without_ticks_gets_words() -> None:
    text = doctor.report([Finding("GPU", False, "none", "go on")], plain=True)
    assert text.encode("ascii") and text.startswith("NO GPU  none\n") and "-> go on" in text


@pytest.mark.parametrize(
    ("name", "value", "ok", "words"),
    [
        ("SSL_CERT_FILE", "/gone/ca.pem", False, "SSL_CERT_FILE names /gone/ca.pem"),
        ("HTTP_PROXY", "http://me:canary@proxy:8080", True, "servers are asked through it"),
        ("all_proxy", "socks5://proxy:1080", True, "this machine directly"),
        ("HTTPS_PROXY", "gopher://me:canary@proxy", False, "HTTPS_PROXY holds no address"),
    ],
)
def test_what_the_environment_says_of_the_network_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, ok: bool, words: str
) -> None:
    for other in (*network.CERTIFICATES, "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(other, raising=False)
        monkeypatch.delenv(other.lower(), raising=False)
    monkeypatch.setenv(name, value)
    (finding,) = doctor.check_network()
    assert finding.ok == ok and words in finding.detail and "canary" not in finding.detail
    assert ok or finding.remedy


@pytest.mark.parametrize(("name", "named"), [("random.py", True), ("my_notes.py", False)])
def test_a_file_here_that_hides_a_module_is_named(
    name: str, named: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(doctor, "CHECKOUT", tmp_path / "elsewhere")
    lines = [finding for finding in doctor.check_names() if name in finding.detail]
    assert bool(lines) == named and all(line.remedy == "rename it" for line in lines)

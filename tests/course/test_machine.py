"""The processor's name is the one the system shows, and never empty; cores are those given."""

from pathlib import Path

import pytest

from distill_lab.course import machine


def test_linux_says_it_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "Path", lambda _: tmp_path / "cpuinfo")
    lines = "processor\t: 0\nmodel name\t: Fast 7: 3 GHz\n\nprocessor\t: 1\nmodel name\t: Other\n"
    (tmp_path / "cpuinfo").write_text(lines, encoding="utf-8")
    assert machine.processor() == "Fast 7: 3 GHz"


@pytest.mark.parametrize("lines", [None, "processor\t: 0\nBogoMIPS\t: 50\n"])
def test_without_it_the_platform_or_the_architecture_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: str | None
) -> None:
    monkeypatch.setattr(machine, "Path", lambda _: tmp_path / "cpuinfo")
    if lines is not None:
        (tmp_path / "cpuinfo").write_text(lines, encoding="utf-8")
    monkeypatch.setattr(machine.platform, "machine", lambda: "aarch64")
    for platform_says, name in (("arm", "arm"), ("", "aarch64")):
        monkeypatch.setattr(machine.platform, "processor", lambda said=platform_says: said)
        assert machine.processor() == name


def test_cores_are_those_given_and_no_more_than_lent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(machine.CORES, raising=False)
    monkeypatch.setattr(machine.os, "sched_getaffinity", lambda _: {0, 1, 2}, raising=False)
    assert machine.cores() == 3
    for lent, cores in (("1", 1), ("2", 2), ("9", 3)):
        monkeypatch.setenv(machine.CORES, lent)
        assert machine.cores() == cores
    monkeypatch.delenv(machine.CORES)
    monkeypatch.delattr(machine.os, "sched_getaffinity")
    monkeypatch.setattr(machine.os, "cpu_count", lambda: None)
    assert machine.cores() == 1


@pytest.mark.parametrize("lent", ["0", "-1", "two", ""])
def test_cores_lent_in_another_form_are_refused(lent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(machine.CORES, lent)
    with pytest.raises(ValueError, match=f"DISTILL_LAB_CORES must be .* it is '{lent}'"):
        machine.cores()

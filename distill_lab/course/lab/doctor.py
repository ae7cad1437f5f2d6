"""`distill-lab doctor`: what this machine has and lacks for the course, and how to mend it.

Every check is a small function that returns a list of `Finding`s; none raises. Only what the
lessons cannot do without is essential.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import sys
import tempfile
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from distill_lab.course import machine

CHECKOUT = Path(__file__).resolve().parents[3]
INSTALL = "in a checkout: make env; elsewhere: pip install --upgrade 'distill-lab[lab]'"
BROWSERS = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
    "msedge",
)
BROWSER_APPS = (
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    r"C:\Program Files\Google\Chrome\Application\chrome.exe",
    r"C:\Program Files (x86)\Microsoft\Edge\Application\msedge.exe",
)


@dataclass(frozen=True)
class Finding:
    """One line of the report; `remedy` is shown when it is not ok."""

    name: str
    ok: bool
    detail: str
    remedy: str = ""
    essential: bool = True


def main() -> int:
    """Print every finding; return 1 if something essential is wrong, else 0."""
    findings = examine()
    print(report(findings, plain=not _can_print("✓✗–")))
    return int(any(f.essential and not f.ok for f in findings))


def examine() -> list[Finding]:
    """All findings, in the order a person would look for them."""
    checks: Sequence[Callable[[], list[Finding]]] = (
        check_python,
        check_packages,
        check_machine,
        check_gpu,
        check_cache,
        check_browser,
        check_own_copy,
        check_names,
        check_network,
        check_datasets,
    )
    findings: list[Finding] = []
    for check in checks:
        try:
            findings += check()
        except Exception as error:  # a doctor that falls ill itself helps nobody
            name = check.__name__.removeprefix("check_")
            detail = f"could not be checked ({type(error).__name__}: {error})"
            findings.append(Finding(name, False, detail, INSTALL))
    return findings


def report(findings: Sequence[Finding], *, plain: bool = False) -> str:
    """The findings as text: a tick, a cross where it is essential, a dash where it is not.

    >>> gpu = Finding("GPU", False, "none", "go on", essential=False)
    >>> print(report([Finding("python", True, "3.12.1"), gpu]))
    ✓ python  3.12.1
    – GPU     none
              → go on
    Everything the lessons need is here.
    """
    tick, cross, dash, arrow = ("ok", "NO", "--", "->") if plain else ("✓", "✗", "–", "→")
    width = max((len(f.name) for f in findings), default=0)
    lines = []
    for f in findings:
        mark = tick if f.ok else cross if f.essential else dash
        lines.append(f"{mark} {f.name:<{width}}  {f.detail}".rstrip())
        if not f.ok and f.remedy:
            lines.append(f"{' ' * len(mark)} {'':<{width}}  {arrow} {f.remedy}")
    wrong = sum(f.essential and not f.ok for f in findings)
    lines.append(f"{wrong} to mend first." if wrong else "Everything the lessons need is here.")
    return "\n".join(lines)


def check_python() -> list[Finding]:
    """Check Python's version."""
    ok = sys.version_info >= (3, 11)
    where = f"{platform.python_version()} in {sys.prefix}"
    return [Finding("python", ok, where, "install Python 3.11 or newer, then: make env")]


def check_packages() -> list[Finding]:
    """Every direct dependency of the engine and the course, against its range."""
    return [check_package(text) for text in requirements()]


def check_package(requirement: str) -> Finding:
    """Whether the package that `requirement` names is installed, in its range.

    >>> check_package("a-package-nobody-has>=1").detail
    'missing, needs >=1'
    """
    name = re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0]
    wanted = requirement[len(name) :].split(";")[0].strip()
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        return Finding(name, False, f"missing, needs {wanted}", INSTALL)
    from packaging.requirements import Requirement

    fits = Requirement(requirement).specifier.contains(version, prereleases=True)
    return Finding(name, fits, version if fits else f"{version}, needs {wanted}", INSTALL)


def requirements() -> list[str]:
    """What the engine and the course need, as pyproject.toml (or the installed package) says."""
    pyproject = CHECKOUT / "pyproject.toml"
    if pyproject.is_file():
        project = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]
        return [*project["dependencies"], *project["optional-dependencies"]["lab"]]
    declared = metadata.requires("distill-lab") or []
    return [line for line in declared if "extra" not in line or re.search(r"extra == .lab", line)]


def check_machine() -> list[Finding]:
    """Show cores, memory and free disk."""
    import psutil
    import torch

    memory = psutil.virtual_memory()
    disk = shutil.disk_usage(Path.cwd())
    gib = 2**30
    try:
        cores, wrong = f"{machine.cores()} cores", ""
    except ValueError as error:
        cores, wrong = str(error), f"unset {machine.CORES}"
    return [
        Finding(
            "threads",
            not wrong,
            f"{cores}; torch would use {torch.get_num_threads()} threads, lessons use 1 an arm",
            wrong,
        ),
        Finding(
            "memory",
            memory.available > 2 * gib,
            f"{memory.available / gib:.1f} of {memory.total / gib:.1f} GiB free",
            "close other programs, and run lessons one at a time: distill-lab run --jobs 1",
            essential=False,
        ),
        Finding(
            "disk",
            disk.free > gib,
            f"{disk.free / gib:.1f} GiB free here",
            "free 1 GiB; `make clean` removes what the course has written",
            essential=False,
        ),
    ]


def check_gpu() -> list[Finding]:
    """Show the GPU, if torch sees one."""
    import torch

    if torch.cuda.is_available():
        return [Finding("GPU", True, torch.cuda.get_device_name())]
    if torch.backends.mps.is_available():
        return [Finding("GPU", True, "Apple MPS; the lessons' figures are measured on the CPU")]
    remedy = "nothing to do: every lesson runs on the CPU"
    return [Finding("GPU", False, "none", remedy, essential=False)]


def check_cache() -> list[Finding]:
    """Whether data sets can be kept: a file is really written, and removed again."""
    from distill_lab.data.datasets import cache_dir

    folder = cache_dir()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder):
            return [Finding("cache", True, f"writable: {folder}")]
    except OSError as error:
        remedy = "make that folder writable, or name another one in DISTILL_LAB_CACHE"
        return [Finding("cache", False, f"not writable: {folder} ({error.strerror})", remedy)]


def find_browser() -> str | None:
    """The Chromium-like browser to drive: $DISTILL_LAB_BROWSER, else the first found here."""
    named = os.environ.get("DISTILL_LAB_BROWSER")
    for candidate in (named,) if named else (*BROWSERS, *BROWSER_APPS):
        if path := shutil.which(candidate):
            return path
    return None


def check_browser() -> list[Finding]:
    """Look for a Chromium that tests and screenshots can drive."""
    path = find_browser()
    detail = path or "no Chromium or Chrome found; only tests and benchmarks drive one"
    remedy = "install Chromium, or name one in DISTILL_LAB_BROWSER (any browser shows the lessons)"
    return [Finding("browser", path is not None, detail, remedy, essential=False)]


def check_own_copy() -> list[Finding]:
    """Look for the reader's own copy of the lessons and its journal."""
    from distill_lab.course import journal
    from distill_lab.course.lab import own_copy

    folder = CHECKOUT / own_copy.FOLDER
    if not (folder / journal.COPY).is_file():
        return [Finding("own copy", False, "not made yet", "distill-lab lab", essential=False)]
    log = journal.read(folder / journal.NAME)
    findings = [Finding("own copy", True, f"{folder}, {len(log.events)} lines in its journal")]
    if log.torn:
        detail = f"{log.torn} lines were cut short and are left out; all others are read"
        findings.append(Finding("journal", True, detail))
    return findings


def check_names() -> list[Finding]:
    """Look for files, here and in the own copy, that hide a module by their name."""
    from distill_lab.course.lab import own_copy
    from distill_lab.course.shadows import WORDS, files_in_the_way

    folders = dict.fromkeys([Path.cwd(), CHECKOUT / own_copy.FOLDER])
    return [
        Finding(
            "names", False, f"{', '.join(names)} in {folder} {WORDS.split(':')[0]}", "rename it"
        )
        for folder in folders
        if folder.is_dir() and (names := files_in_the_way(folder))
    ]


def check_network() -> list[Finding]:
    """Look at what the environment says of certificates and proxies."""
    from distill_lab.teachers.text import network

    findings = []
    for name in (*network.CERTIFICATES, "SSL_CERT_DIR"):
        if (value := os.environ.get(name)) and not Path(value).exists():
            detail = f"{name} names {value}, which does not exist: https fails"
            findings.append(Finding("network", False, detail, f"unset {name}", essential=False))
    names = [f"{kind}_proxy" for kind in ("http", "https", "all")]
    for name in (*names, *map(str.upper, names)):
        if value := os.environ.get(name):
            try:
                network.read_proxy(name, value)
            except ValueError as error:
                remedy = "unset it, or mend it"
                findings.append(Finding("network", False, str(error), remedy, essential=False))
            else:
                detail = f"{name} is set: servers are asked through it, this machine directly"
                findings.append(Finding("network", True, detail))
    return findings


def check_datasets() -> list[Finding]:
    """Look for the data sets."""
    from distill_lab.data import datasets

    return [
        Finding(f"data: {s.name}", s.available, s.detail, s.remedy, essential=s.name == "digits")
        for s in datasets.status()
    ]


def _can_print(text: str) -> bool:
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True

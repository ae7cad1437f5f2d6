"""pyproject.toml, the lock, environment.yml and what the engine imports never drift apart."""

import ast
import importlib
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import distill_lab

ROOT = Path(__file__).resolve().parents[1]
PYPROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
SETTINGS = tomllib.loads(PYPROJECT)
PROJECT = SETTINGS["project"]
EXTRAS = PROJECT["optional-dependencies"]
CORE = [Requirement(line) for line in PROJECT["dependencies"]]
GROUPS = SETTINGS["dependency-groups"]
EXTRA = [Requirement(line) for lines in EXTRAS.values() for line in lines]
DIRECT = CORE + EXTRA + [Requirement(line) for lines in GROUPS.values() for line in lines]
LOCK_LINES = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
PINS = [Requirement(line) for line in LOCK_LINES if not line.startswith("#")]
SYSTEMS = [  # as a marker sees them
    {"sys_platform": "linux", "os_name": "posix", "platform_machine": "x86_64"},
    {"sys_platform": "darwin", "os_name": "posix", "platform_machine": "arm64"},
    {"sys_platform": "win32", "os_name": "nt", "platform_machine": "AMD64"},
]

# Import names that differ from the package's.
DISTRIBUTION = {
    "yaml": "pyyaml",
    "sklearn": "scikit-learn",
    "IPython": "ipython",
    "bs4": "beautifulsoup4",
    "fontTools": "fonttools",
    "rouge_score": "rouge-score",
    "PIL": "pillow",
    "huggingface_hub": "huggingface-hub",
}


def locked(system: dict[str, str] | None = None) -> dict[str, Version]:
    """What the lock installs on a system (this one), with Python 3.11."""
    here = {**(system or SYSTEMS[0]), "python_version": "3.11", "python_full_version": "3.11.7"}
    pins = [pin for pin in PINS if pin.marker is None or pin.marker.evaluate(here)]
    versions = {canonicalize_name(pin.name): Version(str(pin.specifier)[2:]) for pin in pins}
    assert len(versions) == len(pins), "a package is pinned twice"
    return versions


def test_the_lock_holds_exact_pins_and_markers_only() -> None:
    shape = re.compile(r"[a-z0-9.-]+==[0-9][A-Za-z0-9.]*( ; [^#@\\/]+)?")  # no URL, tag or hash
    lines = [line for line in LOCK_LINES if not line.startswith("#")]
    assert [line for line in lines if not shape.fullmatch(line)] == []


def test_the_lock_is_for_every_system() -> None:
    linux, mac, windows = map(locked, SYSTEMS)
    assert "pywinpty" in windows and "pywinpty" not in linux
    assert "pexpect" in mac and "pexpect" not in windows
    assert not [name for name in linux if name.startswith(("nvidia-", "cuda-", "triton"))]


@pytest.mark.parametrize("need", DIRECT, ids=lambda need: need.name)
def test_every_direct_dependency_is_locked_inside_its_range(need: Requirement) -> None:
    version = locked().get(canonicalize_name(need.name))
    assert version is not None, f"{need.name} is not in requirements.lock: make lock"
    assert version in need.specifier, f"{need} but the lock has {version}: make lock"


def test_torch_is_exactly_the_version_the_figures_were_measured_with() -> None:
    assert str(locked()["torch"]) == "2.13.0"
    assert re.search(r"^TORCH\s*\?=\s*2\.13\.0$", (ROOT / "Makefile").read_text(), re.MULTILINE)


def test_the_blank_ipywidgets_is_excluded() -> None:
    (need,) = (need for need in DIRECT if need.name == "ipywidgets")
    assert Version("8.1.9") not in need.specifier
    assert Version("8.1.8") in need.specifier


def test_every_direct_dependency_gives_its_reason_beside_it() -> None:
    for need in DIRECT:
        line = re.search(rf'^\s*"{re.escape(need.name)}[><=!][^"]*",(.*)$', PYPROJECT, re.MULTILINE)
        assert line is not None, f"{need.name} does not stand on a line of its own"
        assert re.match(r"\s+# \S.{10,}", line[1]), f"{need.name} has no reason beside it"


def test_the_core_install_is_the_engine_alone() -> None:
    known = {"torch", "numpy", "scipy", "safetensors", "tqdm", "accelerate", "filelock"}
    assert {need.name for need in CORE} == known


def test_environment_yml_is_thin_and_agrees_with_pyproject() -> None:
    text = (ROOT / "environment.yml").read_text(encoding="utf-8")
    lines = [line.strip() for line in text.splitlines() if not line.lstrip().startswith("#")]
    assert lines == [
        "name: distill-lab",
        "channels:",
        "- conda-forge",
        "dependencies:",
        f"- python{PROJECT['requires-python']}",
        "- pip",
        "- pip:",
        "- -e .[lab]",
    ]
    assert "lab" in EXTRAS


def test_what_only_developers_need_is_in_no_extra() -> None:
    """An index would offer it to everybody: linters, browsers, 90 MB of a model's weights."""
    of_users = {need.name for need in CORE + EXTRA}
    assert of_users.isdisjoint(
        Requirement(line).name for lines in GROUPS.values() for line in lines
    )
    assert "test" not in EXTRAS and set(GROUPS) == {"dev", "models"}


def test_the_licence_is_the_whole_apache_text() -> None:
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert PROJECT["license"] == "Apache-2.0"
    assert "Version 2.0, January 2004" in text and "END OF TERMS AND CONDITIONS" in text


def engine_files() -> list[Path]:
    package = Path(distill_lab.__file__).parent
    files = sorted(package.rglob("*.py"))
    return [file for file in files if "course" not in file.relative_to(package).parts]


def imported(file: Path, *, at_import: bool) -> set[str]:
    """Full names of the modules a file imports: anywhere, or only while it is being imported."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    lazy = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        or (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    ]
    later = {inner for outer in lazy for inner in ast.walk(outer)} if at_import else set()
    names = set()
    for node in set(ast.walk(tree)) - later:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@pytest.mark.parametrize("file", engine_files(), ids=lambda file: file.stem)
def test_the_engine_needs_only_the_core_install(file: Path) -> None:
    """Else `pip install distill-lab` alone would break on import."""
    roots = {name.split(".")[0] for name in imported(file, at_import=True)}
    foreign = roots - set(sys.stdlib_module_names) - {"distill_lab"} - {need.name for need in CORE}
    assert foreign == set()


def test_the_command_line_is_the_door_to_the_course_and_opens_it_late() -> None:
    cli = Path(distill_lab.__file__).with_name("cli.py")
    assert any("distill_lab.course" in name for name in imported(cli, at_import=False))
    assert not any("distill_lab.course" in name for name in imported(cli, at_import=True))


def test_everything_the_package_imports_is_a_declared_dependency() -> None:
    """A package that happens to come with another one may be gone tomorrow.

    timm is asked for by a job's `timm:name` alone, and needs a torchvision that fits the torch at
    hand: whoever wants it installs it, and a sentence says so to everybody else.
    """
    known = (
        {"timm"} | {need.name for need in DIRECT} | set(sys.stdlib_module_names) | {"distill_lab"}
    )
    for file in Path(distill_lab.__file__).parent.rglob("*.py"):
        roots = {name.split(".")[0] for name in imported(file, at_import=False)}
        undeclared = {DISTRIBUTION.get(name, name) for name in roots} - known
        assert undeclared == set(), f"{file.name} imports {undeclared}"


def test_reading_the_version_needs_no_torch() -> None:
    code = "import distill_lab, distill_lab.cli, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=60).returncode == 0


def make(*words: str) -> str:
    done = subprocess.run(
        ["make", *words], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout


def test_make_alone_lists_every_command() -> None:
    listed = re.findall(r"^  make ([\w-]+) +\S", make(), re.MULTILINE)
    assert set(listed) >= {"course", "lab", "check", "test", "test-all", "bench", "env", "lint"}


def test_the_environment_is_made_again_exactly_when_what_it_is_made_from_changes(
    tmp_path: Path,
) -> None:
    """On a copy whose folder has a space, with a stand-in for Python's installer."""
    folder = tmp_path / "a folder with space"
    folder.mkdir()
    for name in ("Makefile", "pyproject.toml", "requirements.lock"):
        (folder / name).write_bytes((ROOT / name).read_bytes())
    python = folder / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\necho "$@" >> calls\n[ ! -e broken ] || [ "$2" != pip ]\n')
    python.chmod(0o755)
    calls = folder / "calls"

    def installs() -> int:
        calls.unlink(missing_ok=True)
        words = ["make", "-C", str(folder), "env", f"PYTHON={sys.executable}"]
        subprocess.run(words, capture_output=True, timeout=60)
        return calls.read_text().count("pip install") if calls.exists() else 0

    (folder / "broken").touch()
    assert installs() == 1  # the first of two fails, so the second is not tried
    (folder / "broken").unlink()
    assert installs() == 2  # and the failed one has left no stamp
    assert installs() == 0
    (folder / "requirements.lock").write_text("tqdm==4.70.1\n")
    assert installs() == 2
    assert installs() == 0


def test_an_old_python_is_refused_in_words(tmp_path: Path) -> None:
    """With nothing newer on the path."""
    old = tmp_path / "python3"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo "Python 3.9.1"; exit 1\n')
    old.chmod(0o755)
    for name in ("Makefile", "pyproject.toml", "requirements.lock"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    for name in ("python3.13", "python3.12", "python3.11"):
        (tmp_path / name).write_text("#!/bin/sh\nexit 1\n")
        (tmp_path / name).chmod(0o755)
    done = subprocess.run(
        ["make", "-C", str(tmp_path), "env", f"PYTHON={old}"],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode != 0
    assert "needs Python 3.11 or newer" in done.stdout and "Python 3.9.1" in done.stdout
    assert not list(tmp_path.glob(".venv/ready-*"))


@pytest.mark.parametrize("file", sorted((ROOT / "benchmarks").glob("*.py")), ids=lambda f: f.stem)
def test_what_a_benchmark_imports_of_ours_is_there(file):
    """No test runs them, and most need peers that are not installed."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("distill_lab"):
            module = importlib.import_module(node.module)
            for alias in node.names:
                if not hasattr(module, alias.name):
                    importlib.import_module(f"{node.module}.{alias.name}")

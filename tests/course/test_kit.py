"""The package is nobody's own: what one lesson alone uses lies in that lesson's folder."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

ROOT = Path(__file__).resolve().parents[2]


def name_of(file: Path) -> str:
    """The dotted name of a module of the package."""
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(source: str) -> set[str]:
    """Every module, or name in a module, that this source imports."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def cells(notebook: Path) -> str:
    """The code of a notebook."""
    code = (c for c in json.loads(notebook.read_text("utf-8"))["cells"] if c["cell_type"] == "code")
    lines = "\n".join("".join(cell["source"]) for cell in code).splitlines()
    return "\n".join("" if line.lstrip().startswith("%") else line for line in lines)


def sources() -> Iterator[tuple[str, str]]:
    """Who uses the package, and with which source: modules, lessons, benchmarks, documents."""
    for file in (ROOT / "distill_lab").rglob("*.py"):
        yield name_of(file), file.read_text(encoding="utf-8")
    for file in (ROOT / "notebooks").glob("*.ipynb"):
        yield f"lesson_{file.name[:2]}", cells(file)
    for file in (ROOT / "notebooks").glob("lesson_*/*.py"):
        if not file.name.startswith("test_"):
            yield file.parent.name, file.read_text(encoding="utf-8")
    for file in [*(ROOT / "benchmarks").rglob("*.py"), *(ROOT / "docs").glob("*.py")]:
        yield file.name, file.read_text(encoding="utf-8")
    for name in ("README.md", "CONTRIBUTING.md", "TROUBLESHOOTING.md"):
        blocks = re.findall(r"```python\n(.*?)```", (ROOT / name).read_text("utf-8"), re.DOTALL)
        yield name, "\n".join(map(dedent, blocks))


def users() -> dict[str, set[str]]:
    """Who imports each module of the package, beside the module itself."""
    modules = {name_of(file): set() for file in (ROOT / "distill_lab").rglob("*.py")}
    for user, source in sources():
        for name in imported(source) & modules.keys() - {user}:
            modules[name].add(user)
    return modules


def of_one_lesson(modules: dict[str, set[str]]) -> set[str]:
    return {
        name
        for name, by in modules.items()
        if len(by) == 1 and next(iter(by)).startswith("lesson_")
    }


def test_no_module_of_the_package_is_one_lessons_own() -> None:
    modules = users()
    assert len(modules["distill_lab.course.figures.plots"]) > 5, "the count must see lessons"
    assert of_one_lesson(modules) == set()


def test_a_module_of_one_lesson_would_be_seen() -> None:
    modules = {"a": {"lesson_11"}, "b": {"lesson_11", "lesson_12"}, "c": {"a"}, "d": set()}
    assert of_one_lesson(modules) == {"a"}
    assert imported("from distill_lab.course import plots, svg\nimport torch.nn as nn") == {
        "distill_lab.course",
        "distill_lab.course.plots",
        "distill_lab.course.svg",
        "torch.nn",
    }

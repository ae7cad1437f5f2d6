"""A mutant: one known mistake put back into the package, and the test that has to notice it."""

import shutil
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "distill_lab"


class DoesNotApplyError(Exception):
    """The source has moved on: the text to change is missing, or there more than once."""


@dataclass(frozen=True)
class Mutant:
    """One mistake, as the few words of source that make it."""

    id: str
    mistake: str  # in one sentence, what is wrong
    seen: str  # where it was met; empty where no sighting is on record
    file: str  # in distill_lab/
    before: str  # the right source, there exactly once
    after: str
    test: str  # the test that must fail, as pytest names it, below tests/
    measure: str = ""  # a function of numbers.py: what the mistake does to a figure

    def mutated(self, package: Path = PACKAGE) -> str:
        """The file's source with the mistake in it."""
        source = (package / self.file).read_text(encoding="utf-8")
        if (times := source.count(self.before)) != 1:
            raise DoesNotApplyError(
                f"the mutant {self.id} does not apply: its `before` was found {times} times in "
                f"{self.file}, expected once. Bring it up to date with the source."
            )
        return source.replace(self.before, self.after)


def copy_of_the_project(folder: Path) -> Path:
    """The package and its tests as they are now, where a mutant may be put in."""
    ignore = shutil.ignore_patterns("__pycache__", "*.pyc")
    for name in ("distill_lab", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=ignore)
    shutil.copy(ROOT / "conftest.py", folder)
    # settings of our own: no plugin is loaded but those the tests need, so a run starts at once
    (folder / "pytest.ini").write_text("[pytest]\naddopts = --import-mode=importlib\n")
    return folder


def put_in(mutant: Mutant, clean: Path, folder: Path) -> Path:
    """A second copy, compiled files and all, with one mistake."""
    shutil.copytree(clean, folder)
    target = folder / "distill_lab" / mutant.file
    target.write_text(mutant.mutated(folder / "distill_lab"), encoding="utf-8")
    for compiled in (target.parent / "__pycache__").glob(f"{target.stem}.*.pyc"):
        compiled.unlink()  # of the same second and size it would be taken for the new one
    return folder

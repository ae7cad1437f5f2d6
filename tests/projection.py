"""What `make test` and `make course` would take with thirty lessons, from their last runs.

    python -m tests.projection [--lessons 30] [--workers 2]

Reads the seconds of every test in build/test.xml and of every lesson in build/course/claims.json.
What belongs to a lesson (its run, its shape, its solutions, its own tests) grows with their number;
the rest, and the time before the first and after the last test, stay as they are.
"""

import argparse
import json
import os
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LESSON = re.compile(r"notebooks\.lesson_(\d\d)|\[(\d\d)_[a-z]")


@dataclass(frozen=True)
class Measured:
    """Seconds of work on `workers` cores that took `wall` seconds in all, part by part."""

    wall: float
    shared: float
    lessons: dict[str, float]
    workers: int

    def at(self, count: int) -> float:
        """The wall seconds with this many lessons, each as long as those there are.

        >>> Measured(wall=70, shared=60, lessons={"11": 20, "12": 40}, workers=2).at(30)
        490.0
        """
        own = sum(self.lessons.values())
        around = self.wall - (self.shared + own) / self.workers
        each = own / len(self.lessons) if self.lessons else 0.0
        return around + (self.shared + each * count) / self.workers


def of_tests(xml: Path, workers: int) -> Measured:
    """What a run of the tests took, from pytest's JUnit report."""
    (suite,) = ElementTree.parse(xml).getroot().iter("testsuite")
    shared, lessons = 0.0, dict[str, float]()
    for case in suite.iter("testcase"):
        seconds = float(case.get("time", 0))
        if match := LESSON.search(f"{case.get('classname')}::{case.get('name')}"):
            number = match[1] or match[2]
            lessons[number] = lessons.get(number, 0.0) + seconds
        else:
            shared += seconds
    return Measured(float(suite.get("time", 0)), shared, lessons, workers)


def of_course(ledger: Path, workers: int) -> Measured:
    """What a run of the course took, from its ledger of claims."""
    entries = json.loads(ledger.read_text(encoding="utf-8"))["lessons"].values()
    lessons = {str(entry["number"]): float(entry["seconds"]) for entry in entries}
    return Measured(sum(lessons.values()) / workers, 0.0, lessons, workers)


def main() -> None:
    """Print the projections of what has been run here."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lessons", type=int, default=30)
    parser.add_argument("--workers", type=int, default=min(4, os.cpu_count() or 1))
    parser.add_argument("--tests", type=Path, default=ROOT / "build/test.xml")
    parser.add_argument("--course", type=Path, default=ROOT / "build/course/claims.json")
    chosen = parser.parse_args()
    sources = (("tests", chosen.tests, of_tests), ("course", chosen.course, of_course))
    for name, file, read in sources:
        if not file.is_file():
            print(f"{name:<7} not run here yet")
            continue
        run = read(file, chosen.workers)
        own = sum(run.lessons.values())
        print(
            f"{name:<7} {run.wall / 60:4.1f} min measured on {run.workers} cores:"
            f" {len(run.lessons)} lessons {own:.0f} s, shared {run.shared:.0f} s of work"
            f" -> {run.at(chosen.lessons) / 60:4.1f} min with {chosen.lessons} lessons"
        )


if __name__ == "__main__":
    main()

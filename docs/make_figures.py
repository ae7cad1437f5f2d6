"""Make the README's pictures and refresh its course table.

    python docs/make_figures.py              # the figure and the table
    python docs/make_figures.py figure       # docs/few_labels.svg: 20 paired seeds, about a minute
    python docs/make_figures.py table        # titles and minutes from the lessons, figures of a run
    python docs/make_figures.py screenshot   # docs/explorer.png: JupyterLab in your own Chromium

The table takes its measured figures from build/course/claims.json, so run `make course` before it.
"""
# ruff: noqa: T201 (a script for a person to read)

import argparse
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
README = ROOT / "README.md"
BEGIN, END = "<!-- course table: docs/make_figures.py table -->", "<!-- end of course table -->"
HEAD = "| lesson | afterwards you can, among other things | minutes | one finding, as measured |"
SEEDS, STEPS, T, ALPHA = range(20), 600, 4.0, 0.9  # as lesson 00


# --- the table ---------------------------------------------------------------------------------


def course_table(ledger: dict[str, Any]) -> str:
    """The course as a Markdown table: one row a notebook, claims as this ledger has them."""
    from distill_lab.course.lessons import all_lessons

    rows = [HEAD, "| --- | --- | --- | --- |"]
    for lesson in all_lessons(ROOT):
        can_do = lesson.can_do[0].rstrip(".")
        link = f"[{lesson.number} · {lesson.title}](notebooks/{lesson.path.name})"
        claim = claim_cell(lesson.main_claim, ledger)
        rows.append(f"| {link} | {can_do} | {lesson.minutes} | {claim} |")
    return "\n".join(rows)


def claim_cell(id: str | None, ledger: dict[str, Any]) -> str:
    """One claim of a lesson in a line: what was found, the figures, the verdict."""
    from distill_lab.course.wording import wins

    claim = next((c for c in ledger.get("claims", []) if c["id"] == id), None)
    if claim is None:
        return "not measured yet"
    seeds = f" ({agree})" if (agree := wins(claim)) else ""
    figures = f"{claim['finding']}: {claim['ours']}{seeds}"
    return f"{figures}. *{claim['verdict'].capitalize()}.*".replace("|", r"\|")


def write_table() -> None:
    """Put the table between its two marks in the README, and leave the rest alone."""
    path = ROOT / "build" / "course" / "claims.json"
    ledger = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    if not ledger:
        print("No build/course/claims.json: run `make course` for the measured figures.")
    before = README.read_text(encoding="utf-8")
    head, rest = before.split(BEGIN)
    _, tail = rest.split(END)
    write(README, f"{head}{BEGIN}\n{course_table(ledger)}\n{END}{tail}".encode())


# --- the figure --------------------------------------------------------------------------------


def write_figure() -> None:
    """Lesson 00 in one picture: what a label says, what the teacher says, what that is worth."""
    import torch

    from distill_lab.course.figures import plots

    torch.set_num_threads(1)
    results = experiment()
    with plots.style():
        figure, (label, soft, seeds) = plots.new_figure(9.6, 3.1, columns=3)
        draw_label(label, results)
        draw_soft_target(soft, results)
        draw_seeds(seeds, results)
    write(DOCS / "few_labels.svg", plots.to_svg(figure, "Few labels and a teacher").encode())


def experiment() -> dict[str, Any]:
    """Lesson 00's experiment on twenty seeds, and the picture its teacher doubts most."""
    from distill_lab import methods
    from distill_lab.data import datasets
    from distill_lab.evaluation.statistics import paired_interval
    from distill_lab.losses import soften
    from distill_lab.models import MLP
    from distill_lab.seeds import distill_seeds

    train, test = datasets.load("digits").split(train=1000, seeds=SEEDS)
    few = train.take(50)
    teachers = distill_seeds(
        lambda seed: MLP(64, 256, 256, 10, dropout=0.3, seed=seed + 1000),
        train,
        seeds=SEEDS,
        epochs=20,
        batch_size=50,
    )

    def students(method: Any, teacher: Any = None) -> Any:
        return distill_seeds(
            lambda seed: MLP(64, 32, 32, 10, seed=seed),
            few,
            seeds=SEEDS,
            teacher=teacher,
            method=method,
            epochs=STEPS,
            batch_size=50,
        ).accuracy(test)

    logits = teachers.logits(few.inputs)[0]
    doubt = logits.softmax(-1).topk(2).values[:, 1].argmax()
    hard, distilled = students(methods.supervised()), students(methods.kd(T, ALPHA), teachers)
    return {
        "image": few.at(0).inputs[doubt, 0],
        "label": int(few.at(0).labels[doubt]),
        "soft": soften(logits[doubt], T).numpy(),
        "hard": hard,
        "distilled": distilled,
        "teacher": float(teachers.accuracy(test).mean()),
        "gain": paired_interval(distilled, hard),
    }


def draw_label(axes: Any, results: dict[str, Any]) -> None:
    axes.imshow(results["image"], cmap="gray_r", vmin=0, vmax=1)
    axes.set_xlim(-1.2, 8.2)  # white around it, so that it does not shout
    axes.set_ylim(8.2, -1.2)
    axes.set_title(f"A label says: {results['label']}.")
    axes.set_axis_off()


def draw_soft_target(axes: Any, results: dict[str, Any]) -> None:
    from distill_lab.course.figures import plots

    classes = range(len(results["soft"]))
    bars = axes.barh(classes, results["soft"], color=plots.TEACHER["color"])
    axes.bar_label(bars, fmt="%.2f", fontsize=8, padding=3)
    axes.set_yticks(classes)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.25 * max(results["soft"]))
    axes.grid(visible=False)
    axes.set_xlabel(f"teacher's softened probability, T = {T:g}")
    axes.set_title("A teacher says more.")


def draw_seeds(axes: Any, results: dict[str, Any]) -> None:
    from distill_lab.course.figures import plots, svg

    for pair in zip(results["hard"].tolist(), results["distilled"].tolist(), strict=True):
        axes.plot([0, 1], pair, color=svg.RULE, linewidth=1)
    for x, name, look in ((0, "hard", plots.HARD), (1, "distilled", plots.STUDENT)):
        points = {**look, "linestyle": "", "markersize": 4}
        axes.plot([x] * len(SEEDS), results[name], **points)
        align, shift = (("right", -0.08), ("left", 0.08))[x]
        axes.text(
            x + shift,
            float(results[name].mean()),
            f"{float(results[name].mean()):.1f} %",
            ha=align,
            va="center",
        )
    axes.axhline(results["teacher"], color=plots.TEACHER["color"], linewidth=1.5)
    axes.text(
        0.5,
        results["teacher"] - 0.7,
        f"teacher {results['teacher']:.1f} %",
        ha="center",
        va="top",
        fontsize=9,
    )
    axes.set_xticks([0, 1], ["50 labels alone", "with soft targets"])
    axes.set_xlim(-0.5, 1.5)
    axes.set_ylabel("student's test accuracy, %")
    gain = results["gain"]
    axes.set_title(f"{gain.mean:+.1f} points, {gain.wins} of {gain.n} seeds")


# --- the screenshot ----------------------------------------------------------------------------


def write_screenshot() -> None:
    """JupyterLab with the training of lesson 12 after a few presses of the arrow keys."""
    from distill_lab.course.lab import browser, jupyter

    wanted = ROOT / "notebooks" / "12_temperature.ipynb"
    lesson = wanted if wanted.is_file() else ROOT / "notebooks" / "00_start_here.ipynb"
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    with tempfile.TemporaryDirectory(prefix="distill-lab-docs-") as folder:
        shutil.copy(lesson, folder)
        for name in ("data", "distill_lab"):  # what a lesson may look for beside it
            if (ROOT / name).is_dir():
                (Path(folder) / name).symlink_to(ROOT / name)
        with jupyter.serve(Path(folder)) as server, browser.chromium() as chromium:
            page = browser.open_notebook(chromium, server, lesson.name)
            page.set_viewport_size({"width": 1180, "height": 820})
            browser.run_all(page, seconds=300)
            if results := browser.errors(page):
                raise RuntimeError(f"{lesson.name} shows an error: {results[0][:300]}")
            browser.tab_to(page, most=900)  # the picture
            for _ in range(2):  # the temperature, the step
                page.keyboard.press("Tab")
                browser.tab_to(page)
            for _ in range(5):
                page.keyboard.press("ArrowRight")
            page.wait_for_timeout(500)
            page.evaluate(
                "document.activeElement.closest('.jp-Cell').scrollIntoView({block: 'center'})"
            )
            page.wait_for_timeout(500)
            write(DOCS / "explorer.png", page.screenshot())


# --- all together ------------------------------------------------------------------------------


def write(path: Path, content: bytes) -> None:
    """Write the file whole or not at all."""
    unfinished = path.with_suffix(".tmp")
    unfinished.write_bytes(content)
    os.replace(unfinished, path)
    print(f"{path.relative_to(ROOT)}: {len(content) / 1000:.0f} kB")


PARTS = {"figure": write_figure, "table": write_table, "screenshot": write_screenshot}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Make the README's pictures and its table.")
    parser.add_argument("parts", nargs="*", help=f"{', '.join(PARTS)} (default: figure, table)")
    parts = parser.parse_args(arguments).parts or ["figure", "table"]
    if unknown := [part for part in parts if part not in PARTS]:
        parser.error(f"expected {', '.join(PARTS)}; got {', '.join(unknown)}")
    for part in parts:
        PARTS[part]()
    return 0


if __name__ == "__main__":
    sys.exit(main())

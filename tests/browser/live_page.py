"""What a test does to a lesson's page in a browser: no kernel, no network, a keyboard."""

import contextlib
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_PLACE = """root => {
  const box = root.getBoundingClientRect();
  return [box.left, box.top + scrollY, box.width, box.height].map(Math.round);
}"""


@contextlib.contextmanager
def opened(path: Path, chromium: Any, **context: Any) -> Iterator[tuple[Any, list[str]]]:
    """The page at `path`, with nothing stored before, and what its console has complained of."""
    trouble: list[str] = []
    with chromium.new_context(**context) as own:
        page = own.new_page()
        page.on("pageerror", lambda error: trouble.append(str(error)))
        page.on("console", lambda m: trouble.append(m.text) if m.type == "error" else None)
        page.goto(path.as_uri())
        yield page, trouble


def state(explorer: Any) -> tuple[str, str, str]:
    """The picture's markup, the values as text and the call of one live picture."""
    return (
        explorer.locator(".picture").inner_html(),
        explorer.locator(".dl-values").inner_text(),
        explorer.locator(".dl-call").inner_text(),
    )


def press(page: Any, explorer: Any, key: str) -> None:
    """Press a key and wait until the call says something else."""
    before = explorer.locator(".dl-call").inner_text()
    page.keyboard.press(key)
    page.wait_for_function(
        "([e, before]) => e.querySelector('.dl-call').innerText !== before",
        arg=[explorer.element_handle(), before],
    )


def faults(page: Any, explorer: Any) -> list[str]:
    """Move every control of a live picture by keyboard; what did not answer, in words."""
    wrong: list[str] = []
    place = explorer.evaluate(_PLACE)
    ranges = explorer.locator("input[type=range]")
    for i in range(ranges.count()):
        handle, seen = ranges.nth(i), []
        name = handle.get_attribute("aria-label")
        most = int(handle.get_attribute("max"))
        handle.focus()
        for key, at in (("Home", 0), ("ArrowRight", 1), ("End", most), ("ArrowLeft", most - 1)):
            page.keyboard.press(key)
            page.wait_for_timeout(50)  # the first change waits for the pictures
            text = handle.get_attribute("aria-valuetext")
            _, values, call = state(explorer)
            seen.append(call)
            if handle.input_value() != str(at) or f"{name} = {text}" not in values:
                wrong.append(f"{name} after {key}: {handle.input_value()}, {text!r}, {values!r}")
        if len(set(seen)) < min(3, most + 1):
            wrong.append(f"{name} does not change the call: {seen}")
    groups = explorer.get_by_role("radiogroup")
    for i in range(groups.count()):
        buttons, before = groups.nth(i).get_by_role("radio"), state(explorer)[2]
        groups.nth(i).locator("input:checked").focus()
        page.keyboard.press("ArrowRight")
        page.wait_for_timeout(50)
        if buttons.count() > 1 and state(explorer)[2] == before:
            wrong.append(
                f"{groups.nth(i).get_attribute('aria-label')} does not answer an arrow key"
            )
    if explorer.locator(".picture").inner_html().strip() == "":
        wrong.append("the picture is empty")
    if explorer.locator('[role="alert"]').count():
        wrong.append(explorer.locator('[role="alert"]').first.inner_text())
    if (moved := explorer.evaluate(_PLACE)) != place:
        wrong.append(f"its place moved from {place} to {moved}")
    return wrong


def median_ms(explorer: Any) -> float:
    """The median time of a change, over the values of every control."""
    times: list[float] = []
    controls = explorer.locator("input")
    for i in range(controls.count()):
        control = controls.nth(i)
        times += control.evaluate(
            """(control) => {
              const picture = control.closest('.explore').querySelector('.picture');
              const radio = control.type === 'radio', times = [];
              const values = radio ? Array(5).fill(control.value)
                : Array.from({length: 40}, (_, k) => k % (+control.max + 1));
              for (const value of values) {
                const before = performance.now();
                control.value = value;
                control.dispatchEvent(new Event(radio ? 'change' : 'input'));
                picture.getBoundingClientRect();
                times.push(performance.now() - before);
              }
              return times;
            }"""
        )
    return statistics.median(times)

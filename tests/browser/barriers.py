"""What bars the way on a page: text too faint on what is really painted behind it, and axe's list.

The contrast is measured as the eye meets it: the colour of each text, SVG text included, against
whatever lies under it at that place, down to the page, in both themes. axe would ask that about
HTML only, and take three quarters of its time for it: its own rule of contrast is switched off.
"""

import contextlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from distill_lab.course.lab import browser

# What lies where is asked once for both themes, since that costs most: asked again only for texts
# in whose place anything has come, gone, moved or grown.
_CONTRAST = """(again) => {
  const boxes = new Map();
  for (const el of document.body.querySelectorAll('*')) {
    const {left, top, width, height} = el.getBoundingClientRect();
    if (width && height) boxes.set(el, [left + scrollX, top + scrollY, width, height]);
  }
  const before = again ? window.measuredBefore : {boxes, stacks: new Map()};
  const {stacks} = before, changed = [];
  for (const [el, box] of boxes) {
    const old = before.boxes.get(el);
    if (!old) changed.push(box);
    else if (old.some((v, i) => Math.abs(v - box[i]) > 0.01)) changed.push(box, old);
  }
  for (const [el, box] of before.boxes) if (!boxes.has(el)) changed.push(box);
  window.measuredBefore = {boxes, stacks};
  const touched = (r) => changed.some(([x, y, w, h]) => r.left + scrollX < x + w
    && x < r.right + scrollX && r.top + scrollY < y + h && y < r.bottom + scrollY);
  const parse = (css) => {
    const m = (css || '').match(/rgba?\\(([^)]*)\\)/);
    if (!m) return null;
    const [r, g, b, a = 1] = m[1].split(/[ ,/]+/).filter(Boolean).map(Number);
    return {rgb: [r, g, b], a};
  };
  const channel = (v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const light = (c) => 0.2126 * channel(c[0]) + 0.7152 * channel(c[1]) + 0.0722 * channel(c[2]);
  const over = (top, a, under) => top.map((v, i) => a * v + (1 - a) * under[i]);
  const opacities = new Map();
  const faded = (el) => {
    if (!el) return 1;
    if (!opacities.has(el)) {
      opacities.set(el, Number(getComputedStyle(el).opacity) * faded(el.parentElement));
    }
    return opacities.get(el);
  };
  const seen = new Map();  // one element lies under many texts
  const painted = (el) => {  // the colour an element lays over what is under it
    if (!seen.has(el)) seen.set(el, paint_of(el));
    return seen.get(el);
  };
  const paint_of = (el) => {
    const style = getComputedStyle(el);
    if (el instanceof SVGElement && el.tagName !== 'svg') {
      const fill = style.fill !== 'none';
      const paint = parse(fill ? style.fill : style.stroke);
      return paint && {...paint, a: paint.a * Number(fill ? style.fillOpacity : 1) * faded(el)};
    }
    const back = parse(style.backgroundColor);
    return back && {...back, a: back.a * faded(el)};
  };
  const faults = [], dark = matchMedia('(prefers-color-scheme: dark)').matches;
  const canvas = dark ? [18, 18, 18] : [255, 255, 255];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let checked = 0;
  for (let node; (node = walker.nextNode());) {
    const el = node.parentElement, text = node.data.trim();
    if (!text || el.closest('title, script, style, .unseen, .skip, [hidden]')) continue;
    if (!el.checkVisibility({visibilityProperty: true})) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    const measured = () => [...range.getClientRects()].find((r) => r.width > 1 && r.height > 1);
    let box = measured();
    if (!box) continue;
    const known = again && stacks.has(node) && !touched(box);
    if (!known && (box.top < 0 || box.bottom > innerHeight)) {  // a window further on
      scrollBy({top: box.top - 40, behavior: 'instant'});
      box = measured();
    }
    if (!known && (box.right > innerWidth - 20 || box.left < 0)) {
      el.scrollIntoView({block: 'nearest', inline: 'center'});
      box = measured();
    }
    const style = getComputedStyle(el), svg = el instanceof SVGElement;
    const ink = parse(svg ? style.fill : style.color);
    if (!ink) continue;
    const size = parseFloat(style.fontSize) * (svg ? el.getScreenCTM().a : 1);
    const big = size >= 24 || (size >= 18.6 && Number(style.fontWeight) >= 600);
    let worst = Infinity, behind = null;
    if (!known) {
      const y = box.top + box.height / 2;
      stacks.set(node, [0.1, 0.5, 0.9].map(
        (part) => document.elementsFromPoint(box.left + part * box.width, y)));
    }
    for (const stack of stacks.get(node)) {
      const at = stack.indexOf(el);
      if (at < 0) continue;
      const layers = [];
      let picture = false;
      for (const under of stack.slice(svg ? at + 1 : at)) {
        if (under.tagName === 'IMG') { picture = true; break; }
        const layer = painted(under);
        if (layer && layer.a > 0) layers.push(layer);
        if (layer && layer.a >= 0.999) break;
      }
      if (picture) continue;
      const back = layers.reverse().reduce((under, l) => over(l.rgb, l.a, under), canvas);
      const front = over(ink.rgb, ink.a * faded(el), back);
      const [a, b] = [light(front), light(back)].sort((x, y) => y - x);
      const ratio = (a + 0.05) / (b + 0.05);
      if (ratio < worst) { worst = ratio; behind = back.map(Math.round); }
    }
    if (worst < Infinity) checked += 1;
    if (worst < (big ? 3 : 4.5) - 0.005) {
      const place = el.closest('[aria-label]')?.getAttribute('aria-label') ?? '';
      faults.push(`${worst.toFixed(2)} to 1: "${text.slice(0, 40)}" in rgb(${ink.rgb}) `
        + `on rgb(${behind}), in ${place.slice(0, 60)}`);
    }
  }
  return [checked, [...new Set(faults)]];
}"""

_AXE = "{resultTypes: ['violations'], rules: {'color-contrast': {enabled: false}}}"


def contrast(page: Any, *, again: bool = False) -> tuple[int, list[str]]:
    """How many texts of a page were measured, and those too faint on what lies behind them.

    With `again` it was measured before, in its other theme.
    """
    page.evaluate("scrollTo(0, 0)")
    checked, faults = page.evaluate(_CONTRAST, again)
    return int(checked), [str(fault) for fault in faults]


def barriers(page: Any) -> list[str]:
    """What axe finds on a page that is serious or critical, in words."""
    import axe_playwright_python

    script = Path(axe_playwright_python.__file__).with_name("axe.min.js")
    page.evaluate(script.read_text(encoding="utf-8"))
    result = page.evaluate(f"axe.run(document, {_AXE})")
    return [
        f"{found['id']} ({found['impact']}): {found['help']}; {node['html'][:120]}"
        for found in result["violations"]
        if found["impact"] in ("serious", "critical") or found["id"] == "heading-order"
        for node in found["nodes"]
    ]


def faults_of(chromium: Any, address: str) -> list[str]:
    """All that bars the way on one page, everything unfolded, in both themes."""
    page = chromium.new_page(color_scheme="light", viewport={"width": 1280, "height": 900})
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(f"script: {error}"))
    page.goto(address)
    page.evaluate("for (const box of document.querySelectorAll('details')) box.open = true")
    faults += [f"light: {fault}" for fault in contrast(page)[1] + barriers(page)]
    page.emulate_media(color_scheme="dark")  # what else bars the way is the same in both
    faults += [f"dark: {fault}" for fault in contrast(page, again=True)[1]]
    page.close()
    return faults


@contextlib.contextmanager
def in_another_process(root: Path) -> Iterator[Callable[[Path], list[str]]]:
    """All that bars the way on the page in a file, found by a browser that is started once.

    In a process of its own: beside Playwright no other event loop can run.
    """
    command = [sys.executable, "-m", "tests.browser.barriers"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=root, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdin is not None and process.stdout is not None

        def faults(page: Path) -> list[str]:
            print(page.resolve().as_uri(), file=process.stdin, flush=True)
            return list(json.loads(process.stdout.readline()))

        yield faults
        process.stdin.close()


if __name__ == "__main__":
    with browser.chromium() as started:
        for line in sys.stdin:
            print(json.dumps(faults_of(started, line.strip())), flush=True)

// What a page of the course does by itself. Without it, everything can still be read.
(() => {
  const root = document.documentElement;
  const kept = (name, value) => {
    try {
      if (value === undefined) return JSON.parse(localStorage.getItem("distill-lab." + name));
      localStorage.setItem("distill-lab." + name, JSON.stringify(value));
    } catch { /* a browser that keeps nothing */ }
    return value ?? null;
  };
  // In the first frame, so before anything is drawn: one that reads sooner finds in a file's page,
  // now and then, an empty storage (Chromium), and finds it empty until it is left.
  requestAnimationFrame(() => { if (kept("theme")) root.dataset.theme = kept("theme"); });
  const dark = () => root.dataset.theme
    ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;

  function themes() {
    const button = document.querySelector(".theme");
    if (!button) return;
    const name = () => { button.textContent = dark() ? "Light" : "Dark"; };
    button.hidden = false;
    button.addEventListener("click", () => {
      root.dataset.theme = kept("theme", dark() ? "light" : "dark");
      name();
    });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", name);
    name();
  }

  // The contents: open where they stand beside the text, and where in them the reader is.
  function contents() {
    const list = document.querySelector(".contents details");
    if (!list) return;
    const wide = matchMedia("(min-width: 78rem)");
    const fit = () => { list.open = wide.matches; };
    wide.addEventListener("change", fit);
    fit();
    const links = [...list.querySelectorAll("a")];
    const headings = links.map((link) => document.getElementById(link.hash.slice(1)
      && decodeURIComponent(link.hash.slice(1))));
    const name = document.body.dataset.lesson;
    let now = -1, waiting = false;
    const spy = () => {
      waiting = false;
      let last = -1;
      headings.forEach((h, i) => { if (h && h.getBoundingClientRect().top < innerHeight / 3) last = i; });
      if (last === now) return;
      links.forEach((link, i) => (i === last
        ? link.setAttribute("aria-current", "location") : link.removeAttribute("aria-current")));
      if (now >= 0 || last > 0) kept("place", { lesson: name, hash: last < 0 ? "" : links[last].hash });
      now = last;
      if (last >= 0 && wide.matches) {
        const box = list.parentElement, link = links[last];
        box.scrollTop = link.offsetTop - box.clientHeight / 2;
      }
    };
    addEventListener("scroll", () => {
      if (!waiting) { waiting = true; requestAnimationFrame(spy); }
    }, { passive: true });
    requestAnimationFrame(spy);
    list.addEventListener("click", (event) => {
      if (event.target.closest("a") && !wide.matches) list.open = false;
    });
  }

  // What the reader has done: kept in this browser, and in the journal when the page was made.
  function done() {
    const journal = (document.querySelector("[data-done]")?.dataset.done ?? "").split(" ");
    const has = () => ({ ...Object.fromEntries(journal.filter(Boolean).map((n) => [n, true])), ...kept("done") });
    const here = document.body.dataset.lesson;
    const button = document.querySelector(".finish");
    const show = () => {
      const all = has();
      for (const mark of document.querySelectorAll("main [data-lesson]")) {
        mark.classList.toggle("did", Boolean(all[mark.dataset.lesson]));
      }
      const mark = document.querySelector("article .done");
      if (mark) { mark.hidden = !all[here]; mark.textContent = " · ✓ you have done this"; }
      if (button) {
        button.hidden = false;
        button.setAttribute("aria-pressed", String(Boolean(all[here])));
        button.textContent = all[here] ? "✓ Done. Press to take it back" : "I have done this lesson";
      }
      const count = document.querySelector(".count");
      const number = document.querySelectorAll(".card.did").length;
      if (count) count.textContent = number ? `You have done ${number} of ${count.dataset.of}. ` : "";
    };
    // where the reader was; after a lesson that is done, the next that has a page and is not done
    const again = () => {
      document.querySelector(".again")?.remove();
      const place = kept("place"), go = document.querySelector(".start a");
      const cards = [...document.querySelectorAll(".card")];
      const last = cards.findIndex((card) => place && card.dataset.lesson === place.lesson);
      const next = last < 0 ? null : cards.slice(last)
        .find((card) => card.querySelector("h3 a") && !card.classList.contains("did"));
      if (!go || !next) return;
      const link = next.querySelector("h3 a");
      go.insertAdjacentHTML("afterend", ' <a class="again"></a>');
      Object.assign(document.querySelector(".again"), {
        href: link.getAttribute("href") + (next === cards[last] ? place.hash : ""),
        textContent: "Go on with " + link.textContent.split(":")[0],
      });
    };
    button?.addEventListener("click", () => { kept("done", { ...has(), [here]: !has()[here] }); show(); });
    if (journal.some(Boolean)) kept("done", has());  // the pages of the lessons have no journal
    show();
    again();
    addEventListener("storage", () => { show(); again(); });  // written in another tab
  }

  // What scrolls in a box of its own can be reached by keyboard.
  function boxes() {
    for (const box of document.querySelectorAll("pre, .output, .formula, .scroll, .contents")) {
      const scrolls = box.scrollWidth > box.clientWidth + 1 || (box.scrollHeight > box.clientHeight + 1
        && /auto|scroll/.test(getComputedStyle(box).overflowY));
      if (scrolls && !box.hasAttribute("tabindex")) box.tabIndex = 0;
      else if (!scrolls && box.getAttribute("tabindex") === "0") box.removeAttribute("tabindex");
    }
  }

  // On paper every answer is open.
  function paper() {
    let closed = [];
    addEventListener("beforeprint", () => {
      closed = [...document.querySelectorAll("details:not([open])")];
      for (const box of closed) box.open = true;
    });
    addEventListener("afterprint", () => { for (const box of closed) box.open = false; });
  }

  document.addEventListener("DOMContentLoaded", () => {
    requestAnimationFrame(() => { themes(); done(); });
    contents(); paper(); boxes();
    addEventListener("resize", boxes);
    addEventListener("load", boxes);
    document.addEventListener("toggle", boxes, true);
  });
})();

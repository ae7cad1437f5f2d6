// What stays alive on a page without a kernel: live pictures, predictions, questions, drawings.
(() => {
"use strict";
const LESSON = "distill-lab/" + location.pathname.split("/").pop() + "/";
const SEP = ", ";

function make(tag, about = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(about)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

async function unpacked(base64) {
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text());
}

// ---- live pictures: the controls choose one of the stored states
function explorer(root, number) {
  const stored = JSON.parse(root.querySelector("script").textContent);
  const at = stored.controls.map((control) => control.start);
  const picture = root.querySelector(".picture");
  const words = root.querySelector(".dl-values"), call = root.querySelector(".dl-call");
  let states = null, coming = null;
  const load = () => (coming ??= unpacked(stored.states).then((ready) => (states = ready)));

  const { controls } = stored;
  const inWords = (text) => controls.map((c, k) => `${c.label} = ${text(c.texts, k)}`).join(SEP);
  const inCode = (text) =>
    `${stored.name}(${controls.map((c, k) => `${c.name}=${text(c.code, k)}`).join(SEP)})`;
  const chosen = (texts, k) => texts[at[k]];
  const longest = (texts) => texts.reduce((a, b) => (b.length > a.length ? b : a));

  function show() {
    const index = at.reduce((sum, i, k) => sum * controls[k].texts.length + i, 0);
    picture.innerHTML = states.states[index].map((part) => states.parts[part]).join("");
    words.textContent = inWords(chosen);
    call.textContent = inCode(chosen);
  }
  function turn(k, i) {
    at[k] = i;
    if (states) show();
    else load().then(show, (error) => {
      picture.replaceChildren(make("p", { role: "alert" }, `The pictures cannot be read: ${error}`));
    });
  }
  steady(words, inWords(longest));
  steady(call.closest(".call"), inCode(longest));
  const row = controls.map((control, k) => control.kind === "choice"
    ? buttons(control, (i) => turn(k, i), `x${number}-${k}`)
    : slider(control, (i) => turn(k, i), `x${number}-${k}`));
  root.querySelector(".widget")?.remove();
  root.prepend(make("div", { class: "controls" }, ...row));
  (window.requestIdleCallback ?? setTimeout)(load);
}

// Room for the longest text of a line, so that nothing below it moves when it changes.
function steady(line, longest) {
  const room = line.cloneNode(true);
  room.className = "room";
  room.setAttribute("aria-hidden", "true");
  room.querySelector("code")?.removeAttribute("class");
  (room.querySelector("code") ?? room).textContent = longest;
  const cell = make("div", { class: "steady" });
  line.replaceWith(cell);
  cell.append(line, room);
}

function slider({ label, texts, start }, turn, id) {
  const value = make("span", { class: "value", "aria-hidden": "true" }, texts[start]);
  const few = texts.length <= 25;
  const input = make("input", {
    type: "range", min: 0, max: texts.length - 1, step: 1, value: start, "aria-label": label,
    "aria-valuetext": texts[start], list: few ? `${id}-ticks` : undefined,
    oninput: () => {
      const text = texts[input.valueAsNumber];
      value.textContent = text;
      input.setAttribute("aria-valuetext", text);
      turn(input.valueAsNumber);
    },
  });
  const ticks = few && make("datalist", { id: `${id}-ticks` },
    ...texts.map((_, i) => make("option", { value: i })));
  const width = Math.max(...texts.map((text) => text.length));
  value.style.minWidth = `${width}ch`;
  return make("label", { class: "slider" }, make("span", {}, label), input, value, ...(few ? [ticks] : []));
}

function buttons({ label, texts, start }, turn, id) {
  const row = texts.map((text, i) => {
    const input = make("input", { type: "radio", name: id, value: i, onchange: () => turn(i) });
    input.checked = i === start;
    return make("label", {}, input, make("span", {}, text));
  });
  return make("div", { class: "choice", role: "radiogroup", "aria-label": label },
    make("span", { "aria-hidden": "true" }, label), ...row);
}

// ---- predictions: what gives the answer away is folded until one is chosen
const memory = {
  get(id) { try { return localStorage.getItem(LESSON + id); } catch { return null; } },
  set(id, text) { try { localStorage.setItem(LESSON + id, text); } catch { /* then not kept */ } },
  drop(id) { try { localStorage.removeItem(LESSON + id); } catch { /* was not kept */ } },
};
const predictions = new Map();
const folded = () => document.querySelectorAll("[data-fold]");
const SHOWN = ""; // instead of a choice: shown without one

function refold() {
  for (const node of folded()) {
    node.hidden = node.dataset.fold.split("\n").some((id) => predictions.get(id)?.choice === null);
  }
}

function prediction(root) {
  const id = root.dataset.id, options = JSON.parse(root.dataset.options);
  const outcome = [...document.querySelectorAll(".outcome")].find((node) => node.dataset.id === id);
  const status = make("p", { role: "status", class: "after" });
  const row = options.map((option) =>
    make("button", { type: "button", "aria-pressed": "false", onclick: () => choose(option) }, option));
  const again = make("button", { type: "button", class: "quiet", onclick: forget }, "answer again");
  const gate = make("p", { class: "gate" }, "What follows gives the answer away. Choose first, or ",
    make("button", { type: "button", class: "quiet", onclick: () => choose(SHOWN) }, "show it anyway"),
    " (", make("button", { type: "button", class: "quiet", onclick: () =>
      predictions.forEach((other) => other.choice === null && other.choose(SHOWN)) },
    "show all on this page"), ").");
  const verdict = outcome && make("b", { class: "verdict" });
  const chosen = outcome && make("span");
  outcome?.prepend(verdict, chosen);
  const mine = { choice: memory.get(id), choose };
  if (mine.choice && !options.includes(mine.choice)) mine.choice = null; // of an older question
  predictions.set(id, mine);

  function choose(text) {
    if (mine.choice) return; // the first answer counts
    mine.choice = text;
    memory.set(id, text);
    draw();
    refold();
  }
  function forget() {
    mine.choice = null;
    memory.drop(id);
    draw();
    refold();
    row[0].focus();
  }
  function draw() {
    const { choice } = mine;
    row.forEach((button, i) => {
      button.setAttribute("aria-pressed", String(options[i] === choice));
      button.toggleAttribute("data-settled", !!choice);
    });
    gate.hidden = choice !== null || !outcome;
    status.replaceChildren(...(choice ? [`You predicted: ${choice}. `] : []));
    if (choice !== null) {
      if (outcome) status.append(make("a", { href: `#${outcome.id}` }, "To the outcome"), " · ");
      status.append(again);
    }
    if (!outcome) return;
    const right = choice === outcome.dataset.answer;
    verdict.textContent = choice ? (right ? "✓ as predicted. " : "! a surprise. ") : "";
    chosen.textContent = choice ? `You predicted: ${choice}; ` : "";
    outcome.dataset.verdict = choice ? (right ? "right" : "surprise") : "";
  }
  root.querySelector(".options").before( // which stay for paper
    make("div", { class: "row", role: "group", "aria-label": "Your prediction" }, ...row));
  root.append(status, gate);
  draw();
}

// ---- questions of earlier lessons: answered at once
function question(root) {
  const { options, answer } = JSON.parse(root.dataset.question);
  const why = root.querySelector("details"), status = make("p", { role: "status" });
  const row = options.map((option, i) => make("button", {
    type: "button", "aria-pressed": "false", onclick: () => {
      row.forEach((other, k) => other.setAttribute("aria-pressed", String(k === i)));
      const right = option === answer;
      root.dataset.verdict = right ? "right" : "surprise";
      const reason = why.querySelector(".why")?.textContent ?? "";
      status.textContent = `${right ? "✓ right." : `✗ not so. The answer is: ${answer}.`} ${reason}`;
    },
  }, option));
  root.querySelector(".options").before(
    make("div", { class: "row", role: "group", "aria-label": "Your answer" }, ...row));
  why.hidden = true;
  root.append(status);
}

if (typeof DecompressionStream === "function") {
  document.querySelectorAll(".explore").forEach(explorer);
}
document.querySelectorAll(".recall").forEach(question);
// A link into what is folded opens it, also one from another page.
function unfold() {
  const fold = document.getElementById(decodeURIComponent(location.hash.slice(1)))?.closest("[data-fold]");
  if (fold?.hidden) fold.dataset.fold.split("\n").forEach((id) => predictions.get(id)?.choose(SHOWN));
}
addEventListener("hashchange", unfold);
requestAnimationFrame(() => { // what was answered is read as `page.js` reads it: not before a frame
  document.querySelectorAll(".predict").forEach(prediction);
  refold();
  unfold();
});
})();

// Draw a digit: the teacher and a student that never saw one of the digits answer in the page.
const SIDE = 8, DIGITS = 10, ROLES = { teacher: "#d55e00", student: "#0072b2" };

/** The logits of one picture: `layers` holds weight and bias of each layer in turn. */
export function forward(layers, x) {
  for (let i = 0; i < layers.length; i += 2) {
    const [weight, bias] = [layers[i], layers[i + 1]];
    const [out, size] = weight.shape.slice(-2);
    const next = new Array(out);
    for (let row = 0; row < out; row++) {
      let sum = bias[row];
      for (let j = 0; j < size; j++) sum += weight[row * size + j] * x[j];
      next[row] = i + 2 < layers.length ? Math.max(0, sum) : sum;
    }
    x = next;
  }
  return x;
}

export function soften(logits, T) {
  const most = Math.max(...logits);
  const raised = logits.map((z) => Math.exp((z - most) / T));
  const sum = raised.reduce((a, b) => a + b, 0);
  return raised.map((value) => value / sum);
}

/** The layers of student number `i`, of which all are stacked along the first axis. */
export function student(stacked, i) {
  return stacked.map((all) => {
    const shape = all.shape.slice(1), size = shape.reduce((a, b) => a * b, 1);
    return Object.assign(all.subarray(i * size, (i + 1) * size), { shape });
  });
}

function element(kind, parent, attributes = {}, text = "") {
  const made = document.createElement(kind);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.textContent = text;
  parent.append(made);
  return made;
}

function bars(parent, role) {
  const box = element("div", parent, { style: "flex:1 1 11rem;min-width:0" });
  const head = element("p", box, { style: "margin:0 0 .2rem;font-weight:600" });
  const row = element("div", box, { "aria-hidden": "true", style:
    "display:flex;gap:3px;align-items:flex-end;height:104px;border-bottom:1px solid #666" });
  const all = [], labels = element("div", box, { "aria-hidden": "true", style: "display:flex;gap:3px" });
  for (let digit = 0; digit < DIGITS; digit++) {
    all.push(element("div", row, { style: `flex:1;background:${ROLES[role]};height:0` }));
    element("span", labels, { style: "flex:1;text-align:center;font-size:12px" }, `${digit}`);
  }
  return (title, p, missing) => {
    head.textContent = title;
    p.forEach((value, digit) => {
      all[digit].style.height = `${100 * value}px`;
      labels.children[digit].style.fontWeight = digit === missing ? "700" : "400";
    });
  };
}

export function mount(root, data) {
  const picture = new Float32Array(SIDE * SIDE);
  let cursor = 27, painting = null;
  const panel = element("div", root, { style: "background:#fff;color:#1b1b1b;border:1px solid #bbb;"
    + "border-radius:6px;padding:.8rem;font:15px/1.45 system-ui,sans-serif" });
  const controls = element("div", panel, { style: "display:flex;flex-wrap:wrap;gap:.5rem 1.2rem" });
  const menu = (label, first) => {
    const wrap = element("label", controls, {}, `${label} `);
    const select = element("select", wrap, { "aria-label": label });
    if (first) element("option", select, { value: "" }, first);
    for (let d = 0; d < DIGITS; d++) element("option", select, { value: d }, `${d}`);
    return select;
  };
  const load = menu("start from a"), missing = menu("the student never saw a");
  load.value = missing.value = "3";
  const warm = element("label", controls, {}, "T ");
  const slider = element("input", warm, { type: "range", min: 1, max: 20, step: 1, "aria-label": "T" });
  slider.value = 4;
  const clear = element("button", controls, { type: "button" }, "clear");
  const both = element("div", panel, { style: "display:flex;flex-wrap:wrap;gap:1rem;margin-top:.8rem" });
  const grid = element("div", both, { tabindex: 0, role: "application", style:
    "display:grid;grid-template-columns:repeat(8,26px);width:208px;height:208px;touch-action:none;"
    + "outline-offset:3px;border:1px solid #666;cursor:crosshair", "aria-label":
    "Picture of 8 by 8 cells. Arrow keys move the cursor, Space paints or clears a cell." });
  for (let i = 0; i < picture.length; i++) element("div", grid, { style: "height:26px" });
  const shows = { teacher: bars(both, "teacher"), student: bars(both, "student") };
  const values = element("p", panel, { class: "dl-values", role: "status", style: "margin:.6rem 0 0" });
  const call = element("code", panel, { class: "dl-call", style: "font-size:13px" });

  const draw = () => {
    [...grid.children].forEach((cell, i) => {
      const grey = Math.round(255 * (1 - picture[i]));
      cell.style.background = `rgb(${grey},${grey},${grey})`;
      cell.style.boxShadow = i === cursor ? "inset 0 0 0 2px #d55e00" : "inset 0 0 0 .5px #ccc";
    });
    const T = Number(slider.value), out = Number(missing.value), words = [];
    const nets = { teacher: data.teacher, student: student(data.students, out) };
    for (const [role, net] of Object.entries(nets)) {
      const p = soften(forward(net, picture), T), best = p.indexOf(Math.max(...p));
      const name = role === "teacher" ? "teacher" : `student that never saw a ${out}`;
      const text = `${name}: ${best} (${(100 * p[best]).toFixed(0)}\u00a0%)`;
      shows[role](text, p, out);
      words.push(`${text}, ${out} gets ${(100 * p[out]).toFixed(1)}\u00a0%`);
    }
    values.textContent = `T = ${T}. ${words.join("; ")}.`;
    call.textContent = `soften(students.model(${out})(picture), T=${T})`;
  };
  const start = () => {
    picture.set(data.pictures.subarray(64 * load.value, 64 * load.value + 64));
    draw();
  };
  const paint = (event) => {
    const box = grid.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top]
      .map((at) => Math.floor((SIDE * at) / box.width));
    if (x < 0 || y < 0 || x >= SIDE || y >= SIDE) return;
    cursor = y * SIDE + x;
    picture[cursor] = painting;
    draw();
  };
  grid.onpointerdown = (event) => {
    const cell = [...grid.children].indexOf(event.target);
    painting = cell >= 0 && picture[cell] > 0.5 ? 0 : 1;
    grid.setPointerCapture(event.pointerId);
    paint(event);
  };
  grid.onpointermove = (event) => painting !== null && paint(event);
  grid.onpointerup = grid.onpointercancel = () => { painting = null; };
  grid.onkeydown = (event) => {
    const [x, y] = [cursor % SIDE, Math.floor(cursor / SIDE)];
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (step) {
      const to = [x + step[0], y + step[1]].map((at) => Math.min(SIDE - 1, Math.max(0, at)));
      cursor = to[1] * SIDE + to[0];
    } else if (event.key === " ") picture[cursor] = picture[cursor] > 0.5 ? 0 : 1;
    else return;
    event.preventDefault();
    event.stopPropagation();
    draw();
  };
  load.onchange = start;
  missing.onchange = slider.oninput = draw;
  clear.onclick = () => { picture.fill(0); draw(); };
  start();
}

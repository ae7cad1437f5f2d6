// Points to drag: a teacher's and a student's, their distance matrices, and what five losses see.
const ROLES = { teacher: "#d55e00", student: "#0072b2" }, NAMES = "ABCDE", REACH = 2, BOX = 150;
const sum = (values) => values.reduce((a, b) => a + b, 0);
const mean = (values) => sum(values) / values.length;
const dot = (a, b) => sum(a.map((x, i) => x * b[i]));
const unit = (a) => { const n = Math.hypot(...a); return n > 0 ? a.map((x) => x / n) : a.map(() => 0); };
const minus = (a, b) => a.map((x, i) => x - b[i]);
const huber = (x) => (Math.abs(x) < 1 ? x * x / 2 : Math.abs(x) - 0.5);
const table = (points, f) => points.map((a) => points.map((b) => f(a, b)));
const gap = (s, t, f) => mean(s.flatMap((row, i) => row.map((x, j) => f(x - t[i][j]))));
const square = (x) => x * x;

/** Distances over the mean of the positive ones. */
export function relative(points) {
  const apart = table(points, (a, b) => Math.hypot(...minus(a, b)));
  const positive = apart.flat().filter((d) => d > 0);
  return apart.map((row) => row.map((d) => (positive.length ? d / mean(positive) : 0)));
}
const cosines = (points) => table(points.map(unit), dot);
const angles = (points) => {
  const longest = Math.max(...table(points, (a, b) => Math.hypot(...minus(a, b))).flat());
  return points.flatMap((middle) => {
    const ways = points.map((p) => {
      const way = minus(p, middle);
      return Math.hypot(...way) > 1e-6 * longest ? unit(way) : way.map(() => 0);
    });
    return table(ways, dot);
  });
};
const kernel = (points, gamma = 0.4) => cosines(points).map((row) =>
  row.map((c) => Math.exp(-2 * gamma) * (1 + 2 * gamma * c + square(2 * gamma * c) / 2)));
const neighbours = (points, eps = 1e-7) => cosines(points).map((row) => {
  const near = row.map((c) => Math.max(0, (c + 1) / 2) + eps);
  return near.map((x) => x / sum(near));
});

/** The package's five losses on the relations of points, each (student, teacher) -> number. */
export const LOSSES = {
  "RKD distance": (s, t) => gap(relative(s), relative(t), huber),
  "RKD angle": (s, t) => gap(angles(s), angles(t), huber),
  SP: (s, t) => gap(table(s, dot).map(unit), table(t, dot).map(unit), square),
  CC: (s, t) => gap(kernel(s), kernel(t), square),
  PKT: (s, t) => {
    const [q, p] = [neighbours(s), neighbours(t)];
    return mean(p.map((row, i) => sum(row.map((x, j) => x * Math.log(x / q[i][j])))));
  },
};
const CALLS = { "RKD distance": "rkd_distance_loss", "RKD angle": "rkd_angle_loss",
  SP: "similarity_preserving_loss", CC: "correlation_congruence_loss", PKT: "pkt_loss" };
const inside = (x) => Math.max(-REACH, Math.min(REACH, x));

/** Steps down the gradient of one loss; each is shortened until the loss falls. */
export function descend(student, teacher, loss, steps = 50) {
  let points = student.map((p) => [...p]), length = 0.2;
  for (let step = 0; step < steps; step++) {
    const before = loss(points, teacher), h = 1e-4;
    const slope = points.map((p, i) => p.map((x, k) => {
      const at = (y) => loss(points.map((q, j) => (j === i ? q.map((z, m) => (m === k ? y : z)) : q)), teacher);
      return (at(x + h) - at(x - h)) / (2 * h);
    }));
    const size = Math.hypot(...slope.flat());
    if (!(size > 1e-9)) break;
    while (length > 1e-6) {
      const next = points.map((p, i) => p.map((x, k) => inside(x - (length * slope[i][k]) / size)));
      if (loss(next, teacher) < before) { points = next; length *= 1.5; break; }
      length /= 2;
    }
  }
  return points;
}

function element(kind, parent, attributes = {}, text = "") {
  const ours = ["svg", "g", "circle", "rect", "text", "line"].includes(kind);
  const made = ours ? document.createElementNS("http://www.w3.org/2000/svg", kind) : document.createElement(kind);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.textContent = text;
  parent.append(made);
  return made;
}
const rows = (flat) => NAMES.split("").map((_, i) => [flat[2 * i], flat[2 * i + 1]]);
const px = (x) => BOX / 2 + (x * (BOX / 2 - 10)) / REACH;

export function mount(root, data) {
  const start = { teacher: rows(data.teacher), student: rows(data.student) };
  const points = structuredClone(start), chosen = { teacher: 0, student: 0 };
  const panel = element("div", root, { style: "background:#fff;color:#1b1b1b;border:1px solid #bbb;"
    + "border-radius:6px;padding:.7rem;font:15px/1.45 system-ui,sans-serif;max-width:520px" });
  const grid = element("div", panel, { style: "display:grid;grid-template-columns:1fr 1fr;gap:.4rem .8rem" });
  const sides = {};
  for (const role of ["teacher", "student"]) {
    const box = element("div", grid, { style: "min-width:0" });
    element("p", box, { style: `margin:0;font-weight:600;border-left:5px solid ${ROLES[role]};padding-left:6px` },
      role === "teacher" ? "Teacher's points" : "Student's points");
    const plane = element("svg", box, { viewBox: `0 0 ${BOX} ${BOX}`, tabindex: 0, role: "application",
      style: "width:100%;border:1px solid #888;touch-action:none;cursor:grab;outline-offset:2px",
      "aria-label": `The ${role}'s five points. A to E choose a point, the arrow keys move it.` });
    const matrix = element("svg", box, { viewBox: `0 0 ${BOX} ${BOX}`, style: "width:100%", role: "img" });
    sides[role] = { plane, matrix };
  }
  const bar = element("div", panel, { style: "display:flex;flex-wrap:wrap;gap:.4rem .6rem;margin:.6rem 0 .2rem" });
  const list = element("p", panel, { class: "dl-values", role: "status", style: "margin:.3rem 0;min-height:4.4em" });
  const call = element("code", panel, { class: "dl-call", style: "font-size:13px" });
  const wrap = element("label", bar, {}, "loss ");
  const menu = element("select", wrap, { "aria-label": "loss" });
  for (const name of Object.keys(LOSSES)) element("option", menu, { value: name }, name);

  const draw = () => {
    const apart = { teacher: relative(points.teacher), student: relative(points.student) };
    for (const [role, { plane, matrix }] of Object.entries(sides)) {
      plane.replaceChildren();
      for (const way of ["x", "y"]) {
        const line = { x1: 0, x2: BOX, y1: BOX / 2, y2: BOX / 2 };
        element("line", plane, way === "x" ? { ...line, stroke: "#ccc" }
          : { y1: 0, y2: BOX, x1: BOX / 2, x2: BOX / 2, stroke: "#ccc" });
      }
      points[role].forEach(([x, y], i) => {
        const at = { cx: px(x), cy: px(-y) };
        const now = i === chosen[role];
        element("circle", plane, { ...at, r: 9, fill: now ? ROLES[role] : "#fff", stroke: ROLES[role], "stroke-width": 2 });
        element("text", plane, { x: at.cx, y: at.cy + 4, "text-anchor": "middle", "font-size": 12,
          fill: now ? "#fff" : "#1b1b1b", "font-weight": 600 }, NAMES[i]);
      });
      matrix.replaceChildren();
      const cell = (BOX - 16) / NAMES.length;
      [...NAMES].forEach((name, i) => {
        const middle = 16 + cell * (i + 0.5);
        element("text", matrix, { x: middle, y: 12, "text-anchor": "middle", "font-size": 12, fill: "#1b1b1b" }, name);
        element("text", matrix, { x: 7, y: middle + 4, "text-anchor": "middle", "font-size": 12, fill: "#1b1b1b" }, name);
        apart[role][i].forEach((d, j) => {
          const grey = Math.round(255 - 95 * Math.min(1, d / 2.2));
          const off = role === "student" && Math.abs(d - apart.teacher[i][j]) >= 0.1;
          element("rect", matrix, { x: 16 + cell * j + 1, y: 16 + cell * i + 1, width: cell - 2, height: cell - 2,
            fill: `rgb(${grey},${grey},${grey})`, stroke: off ? "#a8005c" : "none", "stroke-width": 2 });
          element("text", matrix, { x: 16 + cell * (j + 0.5), y: 20 + cell * (i + 0.5), "text-anchor": "middle",
            "font-size": 11, fill: "#1b1b1b" }, d.toFixed(2));
        });
      });
      matrix.setAttribute("aria-label", `Relative distances of the ${role}'s points: `
        + [...NAMES].flatMap((a, i) => [...NAMES].slice(i + 1).map((b, k) =>
          `${a}${b} ${apart[role][i][i + 1 + k].toFixed(2)}`)).join(", "));
    }
    const values = Object.entries(LOSSES).map(([name, f]) => `${name} ${f(points.student, points.teacher).toFixed(4)}`);
    const off = apart.student.flatMap((row, i) => row.slice(i + 1).filter((d, k) =>
      Math.abs(d - apart.teacher[i][i + 1 + k]) >= 0.1)).length;
    list.textContent = `${values.join(" · ")}. Pairs that differ by 0.1 or more: ${off} of 10.`;
    call.textContent = `losses.${CALLS[menu.value]}(student, teacher)`;
  };
  const change = (f) => () => { points.student = f(points.student).map((p) => p.map(inside)); draw(); };
  const button = (name, f) => { element("button", bar, { type: "button" }, name).onclick = f; };
  button("50 steps down", change((s) => descend(s, points.teacher, LOSSES[menu.value])));
  button("rotate", change((s) => s.map(([x, y]) => [0.8 * x - 0.6 * y, 0.6 * x + 0.8 * y])));
  button("mirror", change((s) => s.map(([x, y]) => [-x, y])));
  button("halve", change((s) => s.map(([x, y]) => [x / 2, y / 2])));
  button("shift", change((s) => s.map(([x, y]) => [x + 0.3, y + 0.3])));
  button("copy the teacher", () => { points.student = structuredClone(points.teacher); draw(); });
  button("reset", () => { Object.assign(points, structuredClone(start)); draw(); });
  menu.onchange = draw;
  for (const [role, { plane }] of Object.entries(sides)) {
    const move = (x, y) => { points[role][chosen[role]] = [inside(x), inside(y)]; draw(); };
    const place = (event) => {
      const box = plane.getBoundingClientRect(), scale = REACH / (BOX / 2 - 10);
      return [((event.clientX - box.left) / box.width * BOX - BOX / 2) * scale,
        -((event.clientY - box.top) / box.height * BOX - BOX / 2) * scale];
    };
    let dragged = false;
    plane.onpointerdown = (event) => {
      const [x, y] = place(event), far = points[role].map((p) => Math.hypot(p[0] - x, p[1] - y));
      chosen[role] = far.indexOf(Math.min(...far));
      dragged = true;
      plane.setPointerCapture(event.pointerId);
      draw();
    };
    plane.onpointermove = (event) => dragged && move(...place(event));
    plane.onpointerup = plane.onpointercancel = () => { dragged = false; };
    plane.onkeydown = (event) => {
      const named = NAMES.indexOf(event.key.toUpperCase()), [x, y] = points[role][chosen[role]];
      const step = { ArrowLeft: [-0.1, 0], ArrowRight: [0.1, 0], ArrowUp: [0, 0.1], ArrowDown: [0, -0.1] }[event.key];
      if (step) move(x + step[0], y + step[1]);
      else if (event.key.length === 1 && named >= 0 && !event.ctrlKey && !event.metaKey) { chosen[role] = named; draw(); }
      else return;
      event.preventDefault();
      event.stopPropagation();
    };
  }
  draw();
}

// Gives life to figures that a lesson's own script draws: each holds its script and its data.
(() => {
const KINDS = {
  f4: Float32Array, u1: Uint8Array, i1: Int8Array, i2: Int16Array, i4: Int32Array,
};
const bytesOf = (base64) => Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));

function revived(name, value) {
  if (!value?.__array__) return value;
  return Object.assign(new KINDS[value.__array__](bytesOf(value.base64).buffer), { shape: value.shape });
}

async function live(figure) {
  const [still, root] = figure.querySelectorAll(":scope > .still, :scope > .root");
  const name = figure.dataset.script;
  const fail = (error) => {
    const line = document.createElement("p");
    line.setAttribute("role", "alert");
    line.textContent = `${name} stopped: ${error?.message ?? error}. Below is a still picture.`;
    root.replaceChildren(line);
    still.style.display = "";
    figure.prepend(root);
  };
  try {
    const packed = new Blob([bytesOf(figure.querySelector("script").textContent)]);
    const stream = packed.stream().pipeThrough(new DecompressionStream("gzip"));
    const { code, data } = JSON.parse(await new Response(stream).text(), revived);
    const url = URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
    const mine = (error, place) => String(place ?? "").includes(url) && fail(error);
    addEventListener("error", (event) => mine(event.error ?? event.message, event.filename));
    addEventListener("unhandledrejection", ({ reason }) => mine(reason, reason?.stack));
    const { mount } = await import(url);
    await mount(root, data);
    if (!root.querySelector('[role="alert"]')) still.style.display = "none";
  } catch (error) {
    fail(error);
  }
}

for (const figure of document.querySelectorAll("figure.scripted:not([data-live])")) {
  figure.dataset.live = "";
  live(figure);
}
})();

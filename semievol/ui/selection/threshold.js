// Histogram of a confidence measure with a threshold that is dragged or moved by arrow keys.
// data: {edges, agreed, disputed, lines: [{part, value}], largest, movable, label, words}
const SVG = "http://www.w3.org/2000/svg";
const WIDE = 640, HIGH = 250, LEFT = 46, RIGHT = 14, TOP = 26, BOTTOM = 38;
const held = new WeakMap(); // what is being dragged, per place on the page

function make(name, attributes, parent, text) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  parent.appendChild(element);
  return element;
}

export default function ({ data, parentElement, setStateValue }) {
  const root = parentElement.querySelector(".sv-threshold");
  if (!data) return;
  const state = held.get(root) || { dragging: false, pending: false, timer: 0 };
  held.set(root, state);
  if (state.dragging || state.pending) return; // the server's answer must not move a line that is being dragged
  const focused = root.contains(document.activeElement);

  // Most candidates are very confident: the axis runs with the square root, its numbers are the true values.
  const reach = Math.sqrt(Math.max(data.largest, 1e-9));
  const x = (value) => LEFT + ((WIDE - LEFT - RIGHT) * Math.sqrt(Math.max(0, Math.min(value, data.largest)))) / reach;
  const back = (at) => Math.pow(((at - LEFT) / (WIDE - LEFT - RIGHT)) * reach, 2);
  const totals = data.agreed.map((count, i) => count + data.disputed[i]);
  const most = Math.max(1, ...totals);
  const y = (count) => HIGH - BOTTOM - ((HIGH - TOP - BOTTOM) * count) / most;

  root.replaceChildren();
  const svg = make("svg", { viewBox: `0 0 ${WIDE} ${HIGH}`, role: "img", "aria-label": data.label, class: "sv-svg" }, root);
  for (const part of [0.5, 1]) {
    const level = y(most * part);
    make("line", { x1: LEFT, x2: WIDE - RIGHT, y1: level, y2: level, class: "sv-grid" }, svg);
    make("text", { x: LEFT - 8, y: level + 4, class: "sv-tick", "text-anchor": "end" }, svg, Math.round(most * part));
  }
  const bars = [];
  totals.forEach((total, i) => {
    const from = x(data.edges[i]), to = x(data.edges[i + 1]);
    const width = Math.max(1, to - from - 1);
    const middle = (data.edges[i] + data.edges[i + 1]) / 2;
    const agreed = make("rect", { x: from, width, y: y(data.agreed[i]), height: HIGH - BOTTOM - y(data.agreed[i]), rx: 1 }, svg);
    const disputed = make("rect", { x: from, width, y: y(total), height: y(data.agreed[i]) - y(total), rx: 1 }, svg);
    bars.push({ agreed, disputed, middle });
  });
  make("line", { x1: LEFT, x2: WIDE - RIGHT, y1: HIGH - BOTTOM, y2: HIGH - BOTTOM, class: "sv-axis" }, svg);
  for (const share of [0, 0.25, 0.5, 0.75, 1]) {
    const value = back(LEFT + (WIDE - LEFT - RIGHT) * share);
    make("text", { x: x(value), y: HIGH - BOTTOM + 16, class: "sv-tick", "text-anchor": share === 1 ? "end" : "middle" }, svg, value.toFixed(value < 0.1 ? 3 : 2));
  }
  make("text", { x: WIDE - RIGHT, y: HIGH - 4, class: "sv-tick", "text-anchor": "end" }, svg, data.words);

  const line = data.lines.find((one) => one.part !== "disputed");
  const colour = (value) => bars.forEach((bar) => {
    const kept = value !== null && bar.middle <= value;
    bar.agreed.setAttribute("class", kept ? "sv-agreed" : "sv-agreed sv-out");
    bar.disputed.setAttribute("class", kept ? "sv-disputed" : "sv-disputed sv-out");
  });
  colour(line ? line.value : null);
  for (const other of data.lines.filter((one) => one.part === "disputed")) {
    make("line", { x1: x(other.value), x2: x(other.value), y1: TOP, y2: HIGH - BOTTOM, class: "sv-cut sv-second" }, svg);
    make("text", { x: x(other.value) + 5, y: TOP + 24, class: "sv-tick" }, svg, "disputed");
  }
  if (!line && !data.movable) return;

  let value = line ? line.value : 0;
  const group = make("g", { class: data.movable ? "sv-handle" : "" }, svg);
  const hit = make("rect", { y: TOP - 18, width: 26, height: HIGH - TOP - BOTTOM + 18, fill: "transparent" }, group);
  const cut = make("line", { y1: TOP - 4, y2: HIGH - BOTTOM, class: "sv-cut" }, group);
  const knob = make("circle", { cy: TOP - 8, r: 7, class: "sv-knob" }, group);
  const number = make("text", { y: TOP - 4, class: "sv-cutvalue" }, group);
  function place() {
    const at = x(value);
    hit.setAttribute("x", at - 13);
    cut.setAttribute("x1", at); cut.setAttribute("x2", at);
    knob.setAttribute("cx", at);
    const left = at > WIDE - 90;
    number.setAttribute("x", left ? at - 13 : at + 13);
    number.setAttribute("text-anchor", left ? "end" : "start");
    number.textContent = value.toFixed(3);
    group.setAttribute("aria-valuenow", value.toFixed(4));
    group.setAttribute("aria-valuetext", value.toFixed(3));
    colour(value);
  }
  place();
  if (!data.movable) return;
  group.setAttribute("role", "slider");
  group.setAttribute("tabindex", "0");
  group.setAttribute("aria-label", "Threshold");
  group.setAttribute("aria-valuemin", "0");
  group.setAttribute("aria-valuemax", String(data.largest));

  const tell = () => {
    clearTimeout(state.timer);
    state.pending = true;
    state.timer = setTimeout(() => {
      state.pending = false;
      setStateValue("threshold", Number(value.toPrecision(6)));
    }, 60);
  };
  const move = (next) => { value = Math.max(0, Math.min(data.largest, next)); place(); tell(); };
  const at = (event) => {
    const box = svg.getBoundingClientRect();
    return back(((event.clientX - box.left) / box.width) * WIDE);
  };
  svg.onpointerdown = (event) => {
    state.dragging = true;
    svg.setPointerCapture(event.pointerId);
    move(at(event));
    group.focus({ preventScroll: true });
  };
  svg.onpointermove = (event) => { if (state.dragging) move(at(event)); };
  svg.onpointerup = svg.onpointercancel = () => { state.dragging = false; tell(); };
  group.onkeydown = (event) => {
    const step = event.shiftKey ? 24 : 6;
    const moves = { ArrowLeft: -step, ArrowDown: -step, ArrowRight: step, ArrowUp: step };
    if (event.key in moves) move(back(Math.max(LEFT, x(value) + moves[event.key])));
    else if (event.key === "Home") move(0);
    else if (event.key === "End") move(data.largest);
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  if (focused) group.focus({ preventScroll: true });
}

// Histogram of a confidence measure with a threshold that is dragged or moved by arrow keys.
// data: {edges, agreed, disputed, agreed_kept, disputed_kept, decided, lines: [{part, value}], largest, movable, label,
// words, probability: whether exp(-value) is one}
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

// Left out is pale, disputed is hatched: the same classes in the bars and in the legend.
function hatch(svg) {
  const pattern = make("pattern", { id: "sv-hatch", width: 5, height: 5, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" }, make("defs", {}, svg));
  make("rect", { width: 5, height: 5, class: "sv-ground" }, pattern);
  make("rect", { width: 1.6, height: 5, class: "sv-stripe" }, pattern);
}

// Returns, for kept and for left out, the entries of agreed and of disputed candidates.
function legend(root, movable) {
  const row = document.createElement("div");
  row.className = "sv-legend sv-own";
  const entries = [["sv-agreed", "agreed, kept"], ["sv-disputed", "disputed, kept"], ["sv-agreed sv-out", "agreed, left out"], ["sv-disputed sv-out", "disputed, left out"]];
  const shown = entries.map(([look, words]) => {
    const entry = document.createElement("span");
    const box = make("svg", { width: 12, height: 12, class: "sv-svg", "aria-hidden": "true" }, entry);
    make("rect", { width: 12, height: 12, rx: 2, class: look }, box);
    entry.append(words);
    return row.appendChild(entry);
  });
  if (movable) {
    const hint = document.createElement("span");
    hint.className = "sv-hint";
    hint.textContent = "drag the line, or focus it and use the arrow keys";
    row.appendChild(hint);
  }
  root.appendChild(row);
  return [shown.slice(0, 2), shown.slice(2)];
}

export default function render(given) {
  const { data, parentElement, setStateValue } = given;
  const root = parentElement.querySelector(".sv-threshold");
  if (!data) return;
  const state = held.get(root) || { dragging: false, pending: false, timer: 0, sent: null, answer: null };
  held.set(root, state);
  // The server's answer must not move a line that is being dragged; it waits until the line rests.
  state.answer = state.dragging || state.pending ? given : null;
  if (state.answer) return;
  const focused = root.contains(document.activeElement);

  // Most candidates are very confident: the axis runs with the square root, its numbers are the true values.
  const reach = Math.sqrt(Math.max(data.largest, 1e-9));
  const x = (value) => LEFT + ((WIDE - LEFT - RIGHT) * Math.sqrt(Math.max(0, Math.min(value, data.largest)))) / reach;
  const back = (at) => Math.pow(((at - LEFT) / (WIDE - LEFT - RIGHT)) * reach, 2);
  const totals = data.agreed.map((count, i) => count + data.disputed[i]);
  const most = Math.max(1, ...totals);
  const high = (count) => ((HIGH - TOP - BOTTOM) * count) / most;
  const base = HIGH - BOTTOM;

  root.replaceChildren();
  const svg = make("svg", { viewBox: `0 0 ${WIDE} ${HIGH}`, role: "group", "aria-label": data.label, class: "sv-svg" }, root);
  hatch(svg);
  for (const count of new Set([Math.round(most / 2), most])) {
    make("line", { x1: LEFT, x2: WIDE - RIGHT, y1: base - high(count), y2: base - high(count), class: "sv-grid" }, svg);
    make("text", { x: LEFT - 8, y: base - high(count) + 4, class: "sv-tick", "text-anchor": "end" }, svg, count.toLocaleString("en"));
  }
  const bars = make("g", {}, svg);
  make("line", { x1: LEFT, x2: WIDE - RIGHT, y1: base, y2: base, class: "sv-axis" }, svg);
  for (const share of [0, 0.25, 0.5, 0.75, 1]) {
    const value = share === 1 ? data.largest : Number((share * share * data.largest).toPrecision(1));
    const text = data.probability ? `${(100 * Math.exp(-value)).toFixed(0)} %` : Number(value.toPrecision(2)).toString();
    make("text", { x: x(value), y: base + 16, class: "sv-tick", "text-anchor": share === 1 ? "end" : "middle" }, svg, text);
  }
  make("text", { x: LEFT, y: HIGH - 4, class: "sv-tick" }, svg, "← more confident");
  make("text", { x: (LEFT + WIDE - RIGHT) / 2, y: HIGH - 4, class: "sv-tick", "text-anchor": "middle" }, svg, data.words);
  make("text", { x: WIDE - RIGHT, y: HIGH - 4, class: "sv-tick", "text-anchor": "end" }, svg, "less confident →");
  const entries = legend(root, data.movable);

  const main = data.lines.find((one) => one.part !== "disputed");
  const second = data.lines.find((one) => one.part === "disputed");
  // Which candidates are kept while the line is moved: told by the server for where it was; between, by its place.
  const keptOf = (kind, i, moved) => {
    const own = kind === "disputed" && (main?.part === "agreed" || second); // the line that is moved is not theirs
    if (moved === null || own) return data[`${kind}_kept`][i];
    const from = data.edges[i], to = data.edges[i + 1];
    return data[kind][i] * Math.max(0, Math.min(1, (moved - from) / (to - from || 1)));
  };
  const draw = (moved) => {
    bars.replaceChildren();
    for (const entry of entries.flat()) entry.hidden = true; // until there is such a bar
    const cuts = [moved ?? main?.value, second?.value].filter((one) => one !== undefined);
    totals.forEach((total, i) => {
      const from = x(data.edges[i]), to = Math.max(x(data.edges[i + 1]) - 1, x(data.edges[i]) + 1);
      const cut = cuts.map(x).find((at) => at > from && at < to);
      const kept = ["agreed", "disputed"].map((kind) => keptOf(kind, i, moved));
      const out = ["agreed", "disputed"].map((kind, n) => data[kind][i] - kept[n]);
      const group = make("g", {}, bars);
      const decided = data.decided[i] ? `; ${data.decided[i].toLocaleString("en")} decided by experts` : "";
      const of = Math.round(kept[0] + kept[1]).toLocaleString("en");
      make("title", {}, group, `${total.toLocaleString("en")} candidates, ${of} kept by the policy${decided}`);
      let level = base;
      const stack = (counts, left, right, look) => counts.forEach((count, n) => {
        if (!count) return;
        entries[look ? 1 : 0][n].hidden = false;
        level -= high(count);
        const kind = n ? "sv-disputed" : "sv-agreed";
        make("rect", { x: left, width: right - left, y: level, height: high(count), class: kind + look }, group);
      });
      stack(kept, from, cut ?? to, "");
      if (cut !== undefined) level = base; // a bin with the line inside is two parts, side by side
      stack(out, cut ?? from, to, " sv-out");
    });
  };
  draw(null);
  if (second) {
    make("line", { x1: x(second.value), x2: x(second.value), y1: TOP, y2: base, class: "sv-cut sv-second" }, svg);
    make("text", { x: x(second.value) + 5, y: TOP + 24, class: "sv-tick" }, svg, "disputed");
  }
  if (!main && !data.movable) return;

  let value = main ? main.value : 0;
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
    const left = at > WIDE - 190;
    number.setAttribute("x", left ? at - 13 : at + 13);
    number.setAttribute("text-anchor", left ? "end" : "start");
    number.textContent = data.probability ? `${(100 * Math.exp(-value)).toFixed(1)} % (NLL ${value.toFixed(3)})` : value.toFixed(3);
    group.setAttribute("aria-valuenow", value.toFixed(4));
    group.setAttribute("aria-valuetext", number.textContent);
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
      if (state.answer && !state.dragging && state.sent === value) render(state.answer);
      else setStateValue("threshold", Number((state.sent = value).toPrecision(6)));
    }, 60);
  };
  const move = (next) => { value = Math.max(0, Math.min(data.largest, next)); place(); draw(value); tell(); };
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

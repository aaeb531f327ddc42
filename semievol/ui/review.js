// One candidate at a time. Keys are heard here and put in a numbered queue, so that none is lost while the page works.
// data: {items: [{id, nodes, choices}], seq, serial, paused, finished}; state `keys`: [{seq, id, act, pick}]
const kept = new WeakMap();
const ACTS = { a: "accept", r: "reject", s: "skip", ArrowRight: "skip", u: "undo", e: "edit" };

export default function ({ data, parentElement, setStateValue }) {
  const root = parentElement.querySelector(".sv-review");
  if (!data) return;
  let state = kept.get(root);
  if (!state || state.serial !== data.serial) {
    state = { serial: data.serial, seq: data.seq || 0, queue: [], judged: [], timer: 0 };
    kept.set(root, state);
  }
  state.items = data.items;
  state.paused = data.paused;
  state.queue = state.queue.filter((one) => one.seq > (data.seq || 0));
  const waiting = new Set(state.queue.filter((one) => one.act !== "undo").map((one) => one.id));
  state.shown = () => state.items.filter((item) => !waiting.has(item.id));
  state.show = () => {
    const item = state.shown()[0];
    const card = item ? item.nodes.map(paint) : [paint({ t: "p", c: "note", x: data.finished })];
    const waits = state.queue.length;
    const words = waits ? `saving ${waits}` : "all saved";
    card.push(paint({ t: "div", c: waits ? "state" : "state saved", x: words }));
    root.replaceChildren(...card);
    root.dataset.record = item ? item.id : "";
  };
  state.show();

  const send = () => {
    clearTimeout(state.timer);
    state.timer = setTimeout(() => setStateValue("keys", state.queue.map((one) => ({ ...one }))), 60);
  };
  const listen = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    if (state.paused || document.querySelector("[role=dialog]")) return;
    const at = event.composedPath()[0];
    if (at.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(at.tagName) || at.getAttribute?.("role") === "slider") return;
    const act = ACTS[event.key] || (/^[1-9]$/.test(event.key) ? "choose" : null);
    if (!act) return;
    const item = state.shown()[0];
    if (act !== "undo" && !item) return;
    if (act === "choose" && Number(event.key) > item.choices) return;
    event.preventDefault();
    state.seq += 1;
    const entry = { seq: state.seq, id: item ? item.id : "", act, pick: act === "choose" ? Number(event.key) - 1 : -1 };
    state.queue.push(entry);
    if (act !== "undo" && act !== "edit") waiting.add(entry.id);
    state.show();
    send();
  };
  document.addEventListener("keydown", listen);
  state.stop?.();
  state.stop = () => document.removeEventListener("keydown", listen);
  return () => {
    state.stop?.();
    state.stop = undefined;
    clearTimeout(state.timer);
    if (state.queue.length) setStateValue("keys", state.queue.map((one) => ({ ...one })));
  };
}

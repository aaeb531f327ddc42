// Shows one candidate at a time. Key presses are put into a numbered queue here, so that none is lost while the page
// works. See desk.py for the Python side.
// data: {items: [{id, slot, nodes, choices, last}], acts, place, by, seq, failures, reviewer, paused, more, settles,
//   finished}
// state `keys`: [{by, who, seq, id, slot, act, pick, last, turn}]. An entry stays in the queue until `data.seq` has
// reached its number, which means that it is stored. After a failure the queue is sent again. `turn` changes with every
// message, so that no two messages are equal.
const kept = new Map(); // place -> state; survives a redraw of the element and a restart of the dashboard
const PAGE = `${Date.now().toString(36)}${Math.random().toString(36).slice(2)}`; // names this page, which numbers its keys
const WAIT = "Loading the next records.";
// In milliseconds:
const SOON = 60; // quick presses within this time become one message
const SETTLED = 1200; // without a press, after which the rest of the page is redrawn
const AGAIN = 3000; // until what could not be saved is sent again
const UNHEARD = 15000; // without an answer (longer than a write may wait), after which the whole page is requested
const ACTS = {
  a: "accept", r: "reject", s: "skip", ArrowRight: "skip", u: "undo", e: "edit", n: "note", 0: "ambiguous",
};
const STAYS = new Set(["undo", "edit", "note"]); // after these the record stays on the screen

// The highest number of this page that is stored; 0 in a new session, which does not know this page.
const stored_of = (data, state) => (data.by === state.by ? data.seq : 0);

// Whether the focused element needs the key itself: for text, a slider, or a group of radio buttons.
const takes_keys = (at, key) =>
  at.isContentEditable ||
  /^(INPUT|TEXTAREA|SELECT)$/.test(at.tagName) ||
  at.getAttribute?.("role") === "slider" ||
  (key.startsWith("Arrow") && at.closest?.("[role=radiogroup]"));

const act_of = (key) => ACTS[key.length === 1 ? key.toLowerCase() : key] || (/^[1-9]$/.test(key) ? "choose" : null);

export default function ({ data, parentElement, setStateValue }) {
  const root = parentElement.querySelector(".sv-review");
  if (!data) return;
  let state = kept.get(data.place);
  if (!state) {
    const by = `${PAGE}-${data.place}`;
    state = { by, seq: 0, stored: 0, failures: data.failures, queue: [], turn: 0, told: 0, timer: 0, settled: 0 };
    kept.set(data.place, state);
  }
  if (state.typing && stored_of(data, state) >= state.typing && !data.paused) state.typing = 0;
  state.items = data.items;
  state.paused = data.paused;
  const stored = stored_of(data, state);
  state.queue = state.queue.filter((one) => one.seq > stored);
  const failed = data.failures !== state.failures;
  const forgotten = data.by !== state.by && state.queue.length > 0 && state.told === state.turn;
  const moved = stored !== state.stored;
  const replaced = state.root !== root;
  state.root = root;
  state.held = state.queue.length > 0 && (failed || (state.held && !moved));
  state.failures = data.failures;
  state.stored = stored;
  const waiting = new Set(state.queue.filter((one) => !STAYS.has(one.act)).map((one) => one.slot));
  state.shown = () => state.items.filter((item) => !waiting.has(item.slot ?? item.id));
  state.show = () => {
    const item = state.shown()[0];
    const card = item ? item.nodes.map(paint) : [paint({ t: "p", c: "note", x: data.more ? WAIT : data.finished })];
    const waits = state.queue.length;
    const words = !waits ? "all saved" : state.held ? `not saved yet: ${waits}, trying again` : `saving ${waits}`;
    card.push(paint({ t: "div", c: waits ? "state" : "state saved", x: words }));
    root.replaceChildren(...card);
    root.dataset.record = item ? item.id : "";
  };
  state.show();

  const tell = () => {
    state.told = state.turn;
    clearTimeout(state.unheard);
    state.unheard = setTimeout(() => {
      if (!root.isConnected || !state.queue.length) return;
      dispatchEvent(new Event("semievol-unheard")); // see awake.py: redraws the whole page
      send(AGAIN);
    }, UNHEARD);
    setStateValue("keys", state.queue.map((one) => ({ ...one, turn: state.turn })));
  };
  const send = (delay) => {
    state.turn += 1;
    clearTimeout(state.timer);
    state.timer = setTimeout(tell, delay);
  };
  if ((failed || replaced || forgotten) && state.queue.length) send(AGAIN);
  clearTimeout(state.rest);
  if (data.settles && !state.queue.length && state.seq > state.settled) {
    state.rest = setTimeout(() => setStateValue("settled", (state.settled = state.seq)), SETTLED);
  }
  const listen = (event) => {
    if (!root.isConnected) return document.removeEventListener("keydown", listen);
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    if (state.paused || state.typing || document.querySelector("[role=dialog]")) return;
    if (takes_keys(event.composedPath()[0], event.key)) return;
    const act = act_of(event.key);
    if (!act || !data.acts.includes(act)) return;
    const item = state.shown()[0];
    if (act !== "undo" && !item) return;
    if (act === "choose" && Number(event.key) > item.choices) return;
    event.preventDefault();
    const place = root.getBoundingClientRect();
    const unseen = place.bottom < 0 || place.top > window.innerHeight - 80;
    if (unseen) root.scrollIntoView({ block: "center" });
    clearTimeout(state.rest);
    state.seq += 1;
    const about = item ? { id: item.id, slot: item.slot ?? item.id, last: item.last } : { id: "", slot: "", last: 0 };
    const entry = { by: state.by, who: data.reviewer, seq: state.seq, act, pick: -1, ...about };
    if (act === "choose") entry.pick = Number(event.key) - 1;
    state.queue.push(entry);
    if (act === "edit" || act === "note") state.typing = state.seq; // the next keys belong to the form
    if (!STAYS.has(act)) waiting.add(entry.slot);
    state.show();
    send(SOON);
  };
  document.addEventListener("keydown", listen);
  state.stop?.();
  state.stop = () => document.removeEventListener("keydown", listen);
  return () => {
    document.removeEventListener("keydown", listen);
    clearTimeout(state.rest);
    if (state.root !== root || state.told === state.turn) return;
    clearTimeout(state.timer);
    tell();
  };
}

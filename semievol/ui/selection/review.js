// Shows one candidate at a time. Key presses are put into a numbered queue here, so that none is lost while the page
// works. See desk.py for the Python side.
// data: {items: [{id, slot, nodes, choices, shown, last}], acts, place, by, seq, failures, reviewer, session, form, named,
//   more, settles, finished, comes (changes where the review was asked for, so that it comes into view)}
// state `keys`: [{by, who, seq, id, slot, act, pick, shown, last, turn}]. An entry stays in the queue until `data.seq` has
// reached its number, which means that it is stored. After a failure the queue is sent again. `turn` changes with every
// message, so that no two messages are equal. state `tab`: this tab, once for each session.
const kept = new Map(); // place -> state; survives a redraw of the element and a restart of the dashboard
const PAGE = `${TAB}.${Date.now().toString(36)}${Math.random().toString(36).slice(2)}`; // this page numbers its keys
const WAIT = "Loading the next records.";
const OUTSIDE = "The record was not on the screen, so that key did nothing. Here it is.";
const EARLY = "The record had only just appeared, so that key did nothing. Look, then press again.";
// In milliseconds:
const SOON = 60; // quick presses within this time become one message
const SETTLED = 1200; // without a press, after which the rest of the page is redrawn
const AGAIN = 3000; // until what could not be saved is sent again
const UNHEARD = 15000; // without an answer (longer than a write may wait), after which the whole page is requested
const RESTING = 300; // before the address names the record: browsers allow few changes of it in a second
const OPENING = 10000; // until the field for an answer or a note must be there
const ACTS = {
  a: "accept", r: "reject", s: "skip", ArrowRight: "skip", u: "undo", e: "edit", n: "note", 0: "ambiguous",
};
const STAYS = new Set(["undo", "edit", "note"]); // after these the record stays on the screen
const STREAMLITS = new Set(["r", "c"]); // which run the page again, or clear its cache

// The highest number of this page that is stored; 0 in a new session, which does not know this page.
const stored_of = (data, state) => (data.by === state.by ? data.seq : 0);

const writes = (at) => at.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(at.tagName);

// Whether the focused element needs the key itself: for text, a slider, or a group of radio buttons.
const takes_keys = (at, key) =>
  writes(at) ||
  at.getAttribute?.("role") === "slider" ||
  (key.startsWith("Arrow") && at.closest?.("[role=radiogroup]"));

const act_of = (key) => ACTS[key.length === 1 ? key.toLowerCase() : key] ?? (/^[1-9]$/.test(key) ? "choose" : null);

// Puts the record on the screen into the address, so that the address can be sent to a colleague. Not as a new step of
// the browser's history: "back" leads to the page before.
function name_in_address(id) {
  const address = new URL(location.href);
  if ((address.searchParams.get("record") ?? "") === id) return;
  if (id) address.searchParams.set("record", id);
  else address.searchParams.delete("record");
  history.replaceState(history.state, "", address);
}

// Escape leaves the field of a note, as "Keep the note" does: what is typed stays.
function put_down(field) {
  field.blur(); // so that Streamlit takes what was typed
  document.querySelector(".st-key-note_keep button")?.click();
}

// Until the field of a form is there and has the focus, what is typed for it is gathered here.
const gathers = {
  gather(state, event) {
    if (event.key.length === 1) state.typed += event.key;
    else if (event.key === "Backspace") state.typed = state.typed.slice(0, -1);
    else return;
    event.preventDefault();
  },
  hand_over(state, form, until = performance.now() + OPENING) {
    if (state.form !== form) return;
    const field = document.querySelector(`.st-key-${form} input:not([type=hidden])`);
    if (field) {
      field.focus();
      if (state.typed) document.execCommand("insertText", false, state.typed); // as if it was typed there
    }
    if (field || !state.gathering || performance.now() > until) {
      [state.gathering, state.typed] = [false, ""];
    } else requestAnimationFrame(() => gathers.hand_over(state, form, until));
  },
};

export default function ({ data, parentElement, setStateValue }) {
  const root = parentElement.querySelector(".sv-review");
  if (!data) return;
  let state = kept.get(data.place);
  if (!state) {
    const by = `${PAGE}-${data.place}`;
    state = { by, seq: 0, stored: 0, failures: data.failures, queue: [], turn: 0, told: 0, timer: 0, settled: 0 };
    state = { ...state, attention: new Attention(), said: "", typed: "", held: false, down: new Set() };
    kept.set(data.place, state);
  }
  const { attention } = state;
  if (state.typing && stored_of(data, state) >= state.typing && !data.form) state.typing = 0;
  if (!state.typing && !data.form) state.gathering = false;
  const opened = data.form && data.form !== state.form;
  state.form = data.form;
  if (opened) {
    state.gathering = true;
    gathers.hand_over(state, data.form);
  }
  state.items = data.items;
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
  state.show = (own = false) => {
    const item = state.shown()[0];
    const card = item ? item.nodes.map(paint) : [paint({ t: "p", c: "note", x: data.more ? WAIT : data.finished })];
    const waits = state.queue.length;
    const words = !waits ? "all saved" : state.held ? `not saved yet: ${waits}, trying again` : `saving ${waits}`;
    const lines = [paint({ t: "span", c: waits ? "state" : "state saved", x: words })];
    if (state.said) lines.push(paint({ t: "span", c: "said", x: state.said }));
    const line = paint({ t: "div", c: "states" });
    line.append(...lines);
    root.replaceChildren(...card, line);
    let_keys_scroll(root);
    root.dataset.record = item ? item.id : "";
    attention.show(item ? (item.slot ?? item.id) : "", own);
    root.dataset.taken = state.seq; // how many keys were taken on this page
    clearTimeout(state.naming);
    if (data.named) state.naming = setTimeout(() => root.isConnected && name_in_address(root.dataset.record), RESTING);
  };
  attention.watch(root);
  state.show();
  if (data.comes && data.comes !== state.came) {
    state.came = data.comes;
    into_view(root);
  }
  if (moved && !state.queue.length) attention.awaited = 0; // all that was asked for is there
  if (state.introduced !== data.session) setStateValue("tab", { tab: TAB, session: (state.introduced = data.session) });

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
  const refuse = (form) => {
    const seen = on_screen(root);
    state.said = seen ? EARLY : OUTSIDE;
    if (form) state.refused = performance.now(); // the text that follows does nothing either
    state.show();
    if (!seen) into_view(root);
  };
  const take = (act, key) => {
    const item = state.shown()[0];
    if (act !== "undo" && !item) return;
    if (act === "choose" && Number(key) > item.choices) return;
    const form = act === "edit" || act === "note";
    const text = performance.now() - (state.refused ?? -Infinity) < MOMENT;
    if (text || (form ? !on_screen(root) : !attention.ready)) return refuse(form || text); // a form decides nothing yet
    clearTimeout(state.rest);
    state.said = "";
    state.seq += 1;
    const { id = "", slot = id, shown = null, last = 0 } = item ?? {};
    const entry = { by: state.by, who: data.reviewer, seq: state.seq, act, pick: -1, id, slot, shown, last };
    if (act === "choose") entry.pick = Number(key) - 1;
    state.queue.push(entry);
    if (form) [state.typing, state.gathering, state.typed] = [state.seq, true, ""]; // the next keys belong to the form
    if (act === "undo") attention.awaited += 1;
    if (!STAYS.has(act)) waiting.add(entry.slot);
    state.show(true);
    send(SOON);
  };
  const listen = (event) => {
    if (!root.isConnected) return state.stop();
    const at = event.composedPath()[0];
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (STREAMLITS.has(event.key.toLowerCase()) && !writes(at)) event.stopPropagation();
    // A held key decides once: it must be up before it acts again, also where the system does not mark repetitions.
    const again = event.repeat || state.down.has(event.code);
    state.down.add(event.code);
    if (again && event.key === "Enter" && at.closest?.(".st-key-review_buttons")) event.preventDefault();
    if (document.querySelector("[role=dialog]")) return;
    if (event.key === "Escape" && data.form && at.closest?.(`.st-key-${data.form}`)) return put_down(at);
    if (takes_keys(at, event.key)) return;
    if (state.gathering) return gathers.gather(state, event);
    const act = act_of(event.key);
    if (again || data.form || state.typing || !act || !data.acts.includes(act)) return;
    event.preventDefault();
    take(act, event.key);
  };
  const click = (event) => {
    if (!event.target.closest?.(".st-key-review_buttons button")) return;
    if (event.detail > 1 && performance.now() - attention.appeared < MOMENT) {
      event.preventDefault(); // a double click: its second half is not meant for the next record
      event.stopPropagation();
    } else attention.awaited += 1;
  };
  const lift = (event) => state.down.delete(event.code);
  const blur = () => state.down.clear();
  state.stop?.();
  document.addEventListener("keydown", listen, true); // before Streamlit's own listener
  document.addEventListener("keyup", lift, true);
  document.addEventListener("click", click, true);
  addEventListener("blur", blur);
  const stop = () => {
    document.removeEventListener("keydown", listen, true);
    document.removeEventListener("keyup", lift, true);
    document.removeEventListener("click", click, true);
    removeEventListener("blur", blur);
  };
  state.stop = stop;
  return () => {
    stop();
    attention.leave(root);
    clearTimeout(state.rest);
    if (state.root !== root || state.told === state.turn) return;
    clearTimeout(state.timer);
    tell();
  };
}

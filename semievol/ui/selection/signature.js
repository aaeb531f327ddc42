// Keeps in this browser what the next session needs. data: {name, session, marks, seen}, see signature.py. A new session
// receives what is kept, once, as state `kept`: {name, marks, seen, session}; the name only if it has none yet.
const PLACE = "semievol-reviewer", VISITS = "semievol-visits";
const SESSIONS = 20;
let told = null;

const visits = () => {
  try {
    return JSON.parse(localStorage.getItem(VISITS)) ?? {};
  } catch {
    return {};
  }
};

export default function ({ data, setStateValue }) {
  if (!data) return;
  try {
    const name = localStorage.getItem(PLACE), { marks = [], seen = {} } = visits();
    if (data.name) localStorage.setItem(PLACE, data.name);
    else if (data.name !== null) localStorage.removeItem(PLACE);
    if (told !== data.session) {
      told = data.session;
      if (name || marks.length) setStateValue("kept", { name, marks, seen, session: data.session });
    }
    const known = [...new Set([...data.marks, ...marks])].slice(0, SESSIONS);
    if (known.length || data.name) localStorage.setItem(VISITS, JSON.stringify({ marks: known, seen: { ...seen, ...data.seen } }));
  } catch {
    // The browser allows no storage: the name lasts as long as the session.
  }
}

// Keeps the reviewer's name in this browser for the next session. data: {name, session}. A session that has no name yet
// sends null and receives the kept one, once, as state `kept`: {name, session}.
const PLACE = "semievol-reviewer";
let told = null;

export default function ({ data, setStateValue }) {
  if (!data) return;
  try {
    if (data.name) localStorage.setItem(PLACE, data.name);
    else if (data.name !== null) localStorage.removeItem(PLACE);
    else if (told !== data.session && localStorage.getItem(PLACE)) {
      told = data.session;
      setStateValue("kept", { name: localStorage.getItem(PLACE), session: data.session });
    }
  } catch {
    // The browser allows no storage: the name lasts as long as the session.
  }
}

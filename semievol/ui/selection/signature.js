// The reviewer's name, kept in this browser for the next session. data: {name, session}; a session that was never told
// a name says null, and is told the kept one, once. state `kept`: {name, session}.
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
    // a browser that keeps nothing: the name lasts as long as the session
  }
}

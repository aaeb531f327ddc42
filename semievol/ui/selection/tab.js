// Names this browser tab. A reload keeps the name; a second or duplicated tab has another, as the name is stored only
// while the page is left.
const TAB = (globalThis.semievolTab ??= (() => {
  const PLACE = "semievol-tab";
  const made = `${Date.now().toString(36)}${Math.random().toString(36).slice(2, 12)}`;
  try {
    const name = sessionStorage.getItem(PLACE) ?? made;
    sessionStorage.removeItem(PLACE);
    addEventListener("pagehide", () => sessionStorage.setItem(PLACE, name));
    addEventListener("pageshow", () => sessionStorage.removeItem(PLACE));
    return name;
  } catch {
    return made; // the browser allows no storage: a reload gets a new name
  }
})());

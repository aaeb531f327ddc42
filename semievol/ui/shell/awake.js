// Redraws the whole page when a fragment that got no answer dispatches `semievol-unheard`, and when the theme changes,
// since figures and colours of our own are made for one theme. See awake.py.
let stop = null;

export default function ({ setStateValue }) {
  stop?.();
  const wake = () => setStateValue("woken", Date.now());
  const app = document.querySelector("[data-testid=stApp]");
  const ground = () => getComputedStyle(app).backgroundColor;
  let drawn = ground();
  const look = () => {
    if (ground() === drawn) return;
    drawn = ground();
    wake();
  };
  const themes = new MutationObserver(look);
  themes.observe(app, { attributes: true, attributeFilter: ["class"] });
  addEventListener("semievol-unheard", wake);
  return (stop = () => {
    themes.disconnect();
    removeEventListener("semievol-unheard", wake);
  });
}

// Redraws the whole page when a fragment that got no answer dispatches `semievol-unheard`. See awake.py.
let stop = null;

export default function ({ setStateValue }) {
  stop?.();
  const wake = () => setStateValue("woken", Date.now());
  addEventListener("semievol-unheard", wake);
  return (stop = () => removeEventListener("semievol-unheard", wake));
}

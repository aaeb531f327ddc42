// A part of the page that gets no answer asks here for the whole page to be drawn.
let stop = null;

export default function ({ setStateValue }) {
  stop?.();
  const wake = () => setStateValue("woken", Date.now());
  addEventListener("semievol-unheard", wake);
  return (stop = () => removeEventListener("semievol-unheard", wake));
}

// Whether the reviewer can have seen the card: it is on the screen, and has been there for a moment. Knows nothing of
// what keys do.
const MOMENT = 400; // milliseconds
const PART = 0.6; // how much of what the card holds (or of the window, if that is taller) must be on the screen

const on_screen = (card) => {
  const { top, ...box } = card.getBoundingClientRect();
  const bottom = card.lastElementChild?.getBoundingClientRect().bottom ?? box.bottom; // the card may end in empty space
  const height = bottom - top;
  const inside = Math.min(bottom, innerHeight) - Math.max(top, 0);
  const begins = height > innerHeight || top > -height / 10; // question and answer stand at its top
  return !document.hidden && height > 0 && begins && inside >= PART * Math.min(height, innerHeight);
};

const into_view = (card) => {
  const tall = card.getBoundingClientRect().height > innerHeight;
  card.scrollIntoView({ block: tall ? "start" : "center" });
};

class Attention {
  from = Infinity; // since page load, in milliseconds; from then on keys may act
  shown = ""; // what the card shows
  appeared = 0; // since when it shows that
  awaited = 0; // records that the reviewer has asked for (by Undo, or by a button) and that are still to come
  card = null;
  left = 0; // since when it is away

  // Watches this element, also after it was drawn anew in its place.
  watch(card) {
    if (card === this.card) return;
    if (this.left && performance.now() - this.left > MOMENT) this.from = Infinity; // the reviewer was on another page
    this.left = 0;
    this.observer?.disconnect();
    this.card = card;
    this.observer = new IntersectionObserver(() => this.look(), { threshold: [...Array(21).keys()].map((n) => n / 20) });
    this.observer.observe(card);
    this.turned ??= () => this.look();
    document.addEventListener("visibilitychange", this.turned);
  }

  leave(card) {
    if (card !== this.card) return;
    this.observer.disconnect();
    document.removeEventListener("visibilitychange", this.turned);
    this.left = performance.now();
    this.card = null;
  }

  look() {
    if (!this.card?.isConnected) return; // it is being drawn anew, in the same place
    if (!on_screen(this.card)) this.from = Infinity;
    else if (this.from === Infinity) this.from = performance.now() + MOMENT;
    this.mark();
  }

  // The card shows another record; own: the reviewer's key has put it there. One that follows the reviewer's own decision
  // may be decided at once: who reviews many records types at a pace of their own, and no press may be lost. What comes
  // by itself (another order, a colleague's decision, an undo in another window) may be under a key that was meant for
  // the record before, so it needs a moment.
  show(name, own = false) {
    if (name === this.shown) return;
    if (this.shown && !own && !this.awaited) this.pause();
    if (!own && this.awaited) this.awaited -= 1;
    this.shown = name;
    this.appeared = performance.now();
    this.mark();
  }

  // Starts the moment again.
  pause() {
    if (this.from !== Infinity) this.from = performance.now() + MOMENT;
    this.mark();
  }

  get ready() {
    return this.card !== null && on_screen(this.card) && performance.now() >= this.from;
  }

  mark() {
    clearTimeout(this.timer);
    if (!this.card) return;
    this.card.dataset.ready = this.ready ? "yes" : "";
    const wait = this.from - performance.now();
    if (wait > 0 && wait !== Infinity) this.timer = setTimeout(() => this.mark(), wait + 1);
  }
}

// Draws a tree of plain nodes. Text only ever goes through textContent, so whatever a data set holds stays text.
const TAGS = new Set(["div", "span", "p", "b", "ol", "ul", "li", "mark", "small", "h4", "details", "summary", "pre"]);

function paint(node) {
  const element = document.createElement(TAGS.has(node.t) ? node.t : "div");
  if (node.c) element.className = node.c.split(" ").map((name) => "sv-" + name).join(" ");
  if (node.x !== undefined && node.x !== null) element.textContent = node.x;
  if (node.w !== undefined) element.style.width = Math.max(0, Math.min(100, node.w)) + "%";
  if (node.l) {
    element.setAttribute("role", "img"); // without a role a label is not read
    element.setAttribute("aria-label", node.l);
  }
  if (node.h) element.title = node.h;
  if (node.d) element.dir = "auto";
  if (node.o) element.open = true;
  for (const child of node.k || []) element.appendChild(paint(child));
  return element;
}

// What is too long for its place scrolls; so that keys can scroll it, too, it can have the focus.
function let_keys_scroll(root) {
  requestAnimationFrame(() => {
    for (const part of root.querySelectorAll(".sv-fold, .sv-probs")) {
      if (part.scrollHeight > part.clientHeight + 1 && getComputedStyle(part).overflowY === "auto") part.tabIndex = 0;
    }
  });
}

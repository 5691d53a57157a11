// Elements, made without any HTML of strangers: every text becomes a text node.

const SVG = "http://www.w3.org/2000/svg";

function filled(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

export function h(name, attributes, ...children) {
  return filled(document.createElement(name), attributes, children);
}

export function svg(name, attributes, ...children) {
  return filled(document.createElementNS(SVG, name), attributes, children);
}

export function show(place, ...children) {
  place.replaceChildren(...children.flat(Infinity).filter(Boolean));
}

export function table(caption, heads, rows, { hidden = false } = {}) {
  return h(
    "div", { class: "scroll", tabindex: 0, role: "group", "aria-label": caption },
    h(
      "table", {},
      h("caption", { class: hidden ? "quiet" : null }, caption),
      h("thead", {}, h("tr", {}, heads.map((head) => h("th", { scope: "col", class: head.number ? "number" : null }, head.text ?? head)))),
      h("tbody", {}, rows),
    ),
  );
}

export function badge(text, tone = "plain") {
  return h("span", { class: `badge ${tone}` }, text);
}

export function notice(text, tone = "plain") {
  return h("p", { class: `notice ${tone}`, role: tone === "bad" ? "alert" : null }, text);
}

// Small charts as SVG, each with its numbers as text.

import { h, svg, table } from "./dom.js";
import { lengthOf, millis } from "./format.js";

const NARROW = 460; // of a plot in a column
const LABEL = 84; // of a day's name
// Of a plot as wide as the page: drawn in about the pixels that it has, so that its text can be read on a phone.
const wide = () => (matchMedia("(max-width: 40rem)").matches ? 360 : 900);

const title = (text) => svg("title", {}, text);

// When each side spoke, and what happened meanwhile.
export function timeline(story) {
  const length = story.length;
  const width = wide();
  const x = (ms) => 70 + (ms / length) * (width - 80);
  const lanes = { caller: 14, agent: 48 };
  const step = tickStep(length, (width - 80) / 48);
  const ticks = [];
  for (let at = 0; at <= length; at += step) {
    ticks.push(svg("line", { class: "grid", x1: x(at), x2: x(at), y1: 8, y2: 104 }), svg("text", { class: "axis", x: x(at), y: 120, "text-anchor": "middle" }, lengthOf(at)));
  }
  const bars = story.spans.map((span) =>
    svg(
      "rect", { class: `span ${span.who}${span.cut ? " cut" : ""}`, x: x(span.from), y: lanes[span.who], width: Math.max(2, x(span.to) - x(span.from)), height: 24, rx: 4 },
      title(`${span.who === "caller" ? "Caller" : "Agent"}: ${lengthOf(span.from)} to ${lengthOf(span.to)}${span.cut ? ", cut off" : ""}`),
    ),
  );
  const marks = story.marks.map((mark) =>
    svg("g", { class: `mark ${mark.kind}` }, svg("line", { x1: x(mark.at), x2: x(mark.at), y1: 8, y2: 84 }), svg("circle", { cx: x(mark.at), cy: 90, r: 5 }), title(`${mark.text}: ${lengthOf(mark.at)}`)),
  );
  return svg(
    "svg", { class: "plot wide", viewBox: `0 0 ${width} 128`, role: "img", "aria-label": "When caller and agent spoke" },
    ticks,
    svg("text", { class: "lane", x: 0, y: 31 }, "Caller"),
    svg("text", { class: "lane", x: 0, y: 65 }, "Agent"),
    bars, marks,
  );
}

function tickStep(length, most) {
  const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600].map((seconds) => seconds * 1000);
  return steps.find((step) => length / step <= Math.min(8, most)) ?? 7_200_000;
}

// How long the caller waited for each answer, and for what.
export function latencies(turns) {
  const most = Math.max(500, ...turns.map((turn) => turn.total));
  const names = [...new Set(turns.flatMap((turn) => turn.parts.map((part) => part.name)))];
  const height = 180;
  const y = (ms) => 14 + (1 - ms / most) * (height - 40);
  const slot = (NARROW - 70) / turns.length;
  const width = Math.min(48, Math.max(2, slot * 0.7));
  const bars = turns.map((turn, index) => {
    const left = 64 + slot * index + (slot - width) / 2;
    let below = 0;
    return turn.parts.map((part) => {
      const top = below + part.ms;
      const bar = svg("rect", { class: `stage s${names.indexOf(part.name) % 6}`, x: left, width, y: y(top), height: Math.max(0, y(below) - y(top)) }, title(`Turn ${index + 1}, ${words(part.name)}: ${millis(part.ms)}`));
      below = top;
      return bar;
    });
  });
  const every = Math.ceil(turns.length / 10);
  const labels = turns.map((_, index) => index % every === 0 && svg("text", { class: "axis", x: 64 + slot * (index + 0.5), y: height - 8, "text-anchor": "middle" }, String(index + 1)));
  const lines = [0, 0.5, 1].map((part) => [svg("line", { class: "grid", x1: 60, x2: NARROW, y1: y(most * part), y2: y(most * part) }), svg("text", { class: "axis", x: 54, y: y(most * part) + 4, "text-anchor": "end" }, millis(most * part))]);
  const rows = turns.map((turn, index) => h("tr", {}, h("td", {}, String(index + 1)), h("td", { class: "number" }, millis(turn.total)), names.length > 1 && names.map((name) => h("td", { class: "number" }, millis(turn.parts.find((part) => part.name === name)?.ms)))));
  const heads = ["Turn", { text: "In all", number: true }, ...(names.length > 1 ? names.map((name) => ({ text: words(name), number: true })) : [])];
  return [
    svg("svg", { class: "plot", viewBox: `0 0 ${NARROW} ${height}`, role: "img", "aria-label": "How long the caller waited for each answer" }, lines, bars, labels),
    names.length > 1 && h("ul", { class: "legend" }, names.map((name, index) => h("li", { class: `s${index % 6}` }, words(name)))),
    h("details", {}, h("summary", {}, "As a table"), table("Waiting times by turn", heads, rows, { hidden: true })),
  ];
}

const words = (name) => name.replaceAll("_", " ");

// One bar for each of several days.
export function days(label, items, format = String) {
  const most = Math.max(1e-9, ...items.map((item) => item.value ?? 0));
  const height = 150;
  const all = wide();
  const slot = (all - 20) / items.length;
  const width = Math.min(64, Math.max(1, slot * 0.7));
  const every = Math.ceil(LABEL / slot);
  const texts = items.map((item) => (item.value > 0 ? format(item.value) : ""));
  const fits = Math.max(...texts.map((text) => text.length)) * 7 < slot;
  const bars = items.map((item, index) => {
    const tall = ((item.value ?? 0) / most) * (height - 48);
    const left = 10 + slot * index + (slot - width) / 2;
    const lower = ((item.part ?? 0) / most) * (height - 48);
    return [
      svg("rect", { class: "day", x: left, width, y: height - 26 - tall, height: tall, rx: 3 }, title(`${item.name}: ${format(item.value)}`)),
      lower > 0 && svg("rect", { class: "day failed", x: left, width, y: height - 26 - lower, height: lower, rx: 3 }, title(`${item.name}: ${item.part} failed`)),
      fits && texts[index] && svg("text", { class: "axis", x: left + width / 2, y: height - 32 - tall, "text-anchor": "middle" }, texts[index]),
      index % every === 0 && svg("text", { class: "axis", x: left + width / 2, y: height - 8, "text-anchor": "middle" }, item.name),
    ];
  });
  return svg("svg", { class: "plot wide", viewBox: `0 0 ${all} ${height}`, role: "img", "aria-label": label }, svg("line", { class: "grid", x1: 10, x2: all - 10, y1: height - 26, y2: height - 26 }), bars);
}

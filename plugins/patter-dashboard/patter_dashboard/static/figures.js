// Figures of many calls: by day, by number, by the reason of their end.

import { badge, h, notice, show, table } from "./dom.js";
import { get } from "./api.js";
import { costs, dayOf, millis, numberOf, reasonOf } from "./format.js";
import { days as dayPlot } from "./plots.js";

const RANGES = [[1, "Today"], [7, "7 days"], [30, "30 days"], [90, "90 days"]];

export async function figuresPage(main, signal) {
  const place = h("div", { "aria-live": "polite" });
  const select = h("select", { name: "days" }, RANGES.map(([days, text]) => h("option", { value: days, selected: days === 7 }, text)));
  const draw = async () => {
    const offset = -new Date().getTimezoneOffset();
    drawFigures(place, await get(`figures?days=${select.value}&offset=${offset}`, signal));
  };
  select.addEventListener("change", () => draw().catch((error) => show(place, notice(error.message, "bad"))));
  show(main, h("div", { class: "title-row" }, h("h1", {}, "Figures"), h("label", { class: "field inline" }, h("span", {}, "Time"), select)), place);
  await draw();
}

function drawFigures(place, figures) {
  const { days, total, numbers, reasons } = figures;
  const fact = (name, value) => h("div", { class: "fact" }, h("dt", {}, name), h("dd", {}, value));
  const share = total.calls ? `${((100 * total.failed) / total.calls).toFixed(1)} %` : "–";
  const panel = (title, ...content) => h("section", { class: "panel" }, h("h2", {}, title), content);
  const items = (value, part) => days.map((day) => ({ name: dayOf(day.date), value: value(day), part: part?.(day) }));
  const latency = (day) => day.reply?.p50_ms ?? 0;
  show(
    place,
    figures.complete ? null : notice("There are more calls than are counted here: these are the latest.", "warn"),
    h("section", { class: "facts", "aria-label": "In all" }, h("dl", {}, fact("Calls", String(total.calls)), fact("Minutes", total.minutes.toFixed(1)), fact("Failed", share), fact("Answered after, median", millis(total.answer?.p50_ms)), fact("Reply, median", millis(total.reply?.p50_ms)), fact("Reply, 95 of 100", millis(total.reply?.p95_ms)), fact("Cost", costs(total.costs, total.unpriced)))),
    panel("Calls a day", dayPlot("Calls a day, and those that failed", items((day) => day.calls, (day) => day.failed)), h("p", { class: "legend-line" }, h("span", { class: "dot day" }), "All ", h("span", { class: "dot failed" }), "Failed")),
    panel("Median reply a day", dayPlot("Median time to the agent's reply, by day", items(latency), millis)),
    h(
      "div", { class: "columns" },
      panel("By number", table("By number", ["Number", { text: "Calls", number: true }, { text: "Failed", number: true }, { text: "Minutes", number: true }, { text: "Cost", number: true }], numbers.map((line) => h("tr", {}, h("td", {}, numberOf(line.number || "–")), h("td", { class: "number" }, String(line.calls)), h("td", { class: "number" }, String(line.failed)), h("td", { class: "number" }, line.minutes.toFixed(1)), h("td", { class: "number" }, costs(line.costs, line.unpriced)))), { hidden: true })),
      panel("How calls ended", table("How calls ended", ["End", { text: "Calls", number: true }], Object.entries(reasons).map(([reason, count]) => h("tr", {}, h("td", {}, badge(...reasonOf(reason))), h("td", { class: "number" }, String(count)))), { hidden: true })),
    ),
    h(
      "details", { class: "panel" }, h("summary", {}, "Each day as a table"),
      table("Each day", ["Day", { text: "Calls", number: true }, { text: "Outbound", number: true }, { text: "Failed", number: true }, { text: "Minutes", number: true }, { text: "Answered after", number: true }, { text: "Reply", number: true }, { text: "Cost", number: true }], days.map((day) => h("tr", {}, h("td", {}, dayOf(day.date)), [day.calls, day.outbound, day.failed, day.minutes.toFixed(1), millis(day.answer?.p50_ms), millis(day.reply?.p50_ms), costs(day.costs, day.unpriced)].map((value) => h("td", { class: "number" }, String(value))))), { hidden: true }),
    ),
  );
}

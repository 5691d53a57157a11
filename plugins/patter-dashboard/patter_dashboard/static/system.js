// How the worker is, and what is installed.

import { badge, h, show, table } from "./dom.js";
import { get } from "./api.js";

export async function systemPage(main, signal) {
  const place = h("div", {});
  show(
    main,
    h("div", { class: "title-row" }, h("h1", {}, "System"), h("button", { type: "button", class: "quiet-button", onclick: leave }, "Sign out")),
    place,
  );
  const draw = async () => drawSystem(place, await get("system", signal));
  await draw();
  const again = setInterval(() => draw().catch(() => {}), 5000);
  signal.addEventListener("abort", () => clearInterval(again));
}

async function leave() {
  await fetch("../-/logout", { method: "POST" }).catch(() => {});
  location.reload();
}

function drawSystem(place, system) {
  const { health } = system;
  const fact = (name, value) => h("div", { class: "fact" }, h("dt", {}, name), h("dd", {}, value));
  const state = health.draining ? ["Stopping", "warn"] : health.ready ? ["Takes calls", "good"] : ["Takes no more calls", "bad"];
  const { redaction } = system;
  show(
    place,
    h("section", { class: "facts", "aria-label": "Worker" }, h("dl", {}, fact("This worker", badge(...state)), fact("Calls", `${health.calls} of ${health.calls_limit}`), fact("Workers", health.several_workers ? "several" : "one"), fact("Carriers", system.carriers.join(", ") || "–"), fact("Agents", system.agents.join(", ") || "–"), fact("Past calls", system.has_archive ? "kept by a sink" : "in memory only"), fact("Call store", system.store || "none"))),
    h("section", { class: "panel" }, h("h2", {}, "What is shown"), h("p", {}, `Phone numbers: ${{ call: "those of the call are masked", all: "all are masked", none: "shown" }[redaction.numbers] ?? redaction.numbers}. Transcripts: ${redaction.transcripts ? "removed" : "shown"}. ${system.unmasked ? "You see live calls unmasked." : ""}`), h("p", { class: "soft" }, system.user ? `Signed in as ${system.user}.` : "Signed in by a link or a password.")),
    h("section", { class: "panel" }, h("h2", {}, "Sinks"), health.sinks.length ? table("Sinks", ["Sink", "State", { text: "Written", number: true }, { text: "Waiting", number: true }, { text: "Not delivered yet", number: true }, { text: "Dropped", number: true }, { text: "Failures", number: true }], health.sinks.map((sink) => h("tr", {}, h("td", {}, sink.sink), h("td", {}, badge(sink.open ? "Fails" : "Works", sink.open ? "bad" : "good")), [sink.written, sink.waiting, sink.held, sink.dropped, sink.failures].map((value) => h("td", { class: "number" }, String(value))))), { hidden: true }) : h("p", { class: "empty" }, "No sink is configured.")),
    h("section", { class: "panel" }, h("h2", {}, "Plugins"), table("Plugins", ["Plugin", "Version", "Offers", "State"], system.plugins.map((plugin) => h("tr", {}, h("td", {}, plugin.distribution || plugin.name), h("td", {}, plugin.version || "–"), h("td", {}, plugin.offers.join(", ") || "–"), h("td", {}, badge(plugin.problem ? "Not joined" : "Joined", plugin.problem ? "bad" : "good"), plugin.problem && h("p", { class: "soft" }, plugin.problem)))), { hidden: true })),
  );
}

// The list: live calls above, past calls below, with filters and further pages.

import { badge, h, notice, show, table } from "./dom.js";
import { follow, get } from "./api.js";
import { costsOf, isoTime, lengthOf, momentOf, nameOf, ours, reasonNames, reasonOf, wholeTime } from "./format.js";

const REFRESH = 700; // ms between two looks at the live calls, however much happens

export async function callsPage(main, signal) {
  const live = h("section", { "aria-labelledby": "live-title" });
  const list = h("div", { class: "calls", "aria-live": "off" });
  const filters = filterForm(() => reload());
  show(
    main,
    h("h1", {}, "Calls"),
    live,
    h("section", { "aria-labelledby": "past-title" }, h("h2", { id: "past-title" }, "Past calls"), filters.form, list),
  );

  let shown = [];
  let liveIds = new Set();
  let hasMore = false;
  let lasting = true;

  function drawList() {
    const past = shown.filter((call) => !liveIds.has(call.call_id));
    show(
      list,
      lasting ? null : notice("Only the latest calls of this worker are kept, in memory. With the sink “sqlite”, all calls stay."),
      past.length ? callTable(past) : h("p", { class: "empty" }, filters.isEmpty() ? "No call has ended yet." : "No call matches."),
      hasMore ? h("button", { type: "button", class: "more", onclick: () => more() }, "Older calls") : null,
    );
  }

  async function reload() {
    const page = await get(`calls?${filters.query()}`, signal);
    filters.fill(page);
    [shown, hasMore, lasting] = [page.calls, page.has_more, page.lasting];
    drawList();
  }

  async function more() {
    const page = await get(`calls?${filters.query({ before: shown.at(-1).started, before_id: shown.at(-1).call_id })}`, signal);
    filters.fill(page);
    shown = shown.concat(page.calls);
    hasMore = page.has_more;
    const position = scrollY;
    drawList();
    scrollTo(0, position);
    list.querySelector("button.more")?.focus({ preventScroll: true });
  }

  async function refreshLive() {
    const now = await get("live", signal);
    const before = liveIds.size;
    const gone = [...liveIds].some((id) => !now.calls.some((call) => call.call_id === id));
    liveIds = new Set(now.calls.map((call) => call.call_id));
    drawLive(live, now.calls);
    if (gone || before === 0) await reload();
    else drawList();
    return now;
  }

  const { position } = await refreshLive();
  if (!shown.length) await reload();
  let timer = null;
  const soon = () => {
    timer ??= setTimeout(() => {
      timer = null;
      refreshLive().catch(() => {});
    }, REFRESH);
  };
  const ticking = setInterval(() => tick(live), 1000);
  signal.addEventListener("abort", () => [clearTimeout(timer), clearInterval(ticking)]);
  const TOLD = new Set(["call_announced", "call_answered", "call_progressed", "call_ended", "call_moved", "media_started"]);
  follow({ after: position, signal, onItem: (item) => TOLD.has(item.kind) && soon(), onLost: soon });
}

function drawLive(place, calls) {
  show(
    place,
    h("h2", { id: "live-title" }, "Live now ", badge(String(calls.length), calls.length ? "good" : "plain")),
    calls.length
      ? h("ul", { class: "cards" }, calls.map(liveCard))
      : h("p", { class: "empty" }, "No call is live. A new one appears here by itself."),
  );
  tick(place);
}

function liveCard(call) {
  const words = { dialling: "Dialling", ringing: "Ringing", answered: "Talking" };
  return h(
    "li", { class: "card live" },
    h(
      "a", { href: `#/call/${encodeURIComponent(call.call_id)}` },
      h("strong", {}, nameOf(call)),
      h("span", { class: "soft" }, `${call.direction === "outbound" ? "called from" : "to"} ${ours(call)}`),
    ),
    h(
      "p", { class: "row" },
      badge(words[call.status] ?? (call.here ? "Live" : "On another worker"), call.status === "answered" ? "good" : "plain"),
      h("span", { class: "soft" }, call.agent),
      h("time", { class: "timer", "data-started": call.started }, ""),
    ),
  );
}

function tick(place) {
  for (const timer of place.querySelectorAll("[data-started]")) {
    timer.textContent = lengthOf(Date.now() - Number(timer.dataset.started) * 1000);
  }
}

function callTable(calls) {
  const heads = ["Began", "Other side", "Our number", "Agent", "Carrier", { text: "Length", number: true }, "End", { text: "Cost", number: true }];
  const rows = calls.map((call) => {
    const [text, tone] = reasonOf(call.reason);
    return h(
      "tr", {},
      h("td", {}, h("a", { href: `#/call/${encodeURIComponent(call.call_id)}` }, h("time", { datetime: isoTime(call.started), title: wholeTime(call.started) }, momentOf(call.started)))),
      h("td", {}, h("span", { class: "direction", "aria-hidden": "true" }, call.direction === "outbound" ? "↗ " : "↙ "), h("span", { class: "quiet" }, call.direction === "outbound" ? "called: " : "from: "), nameOf(call)),
      h("td", {}, ours(call)),
      h("td", {}, call.agent || "–"),
      h("td", {}, call.carrier || "–"),
      h("td", { class: "number" }, call.ended ? lengthOf(call.duration_ms) : "–"),
      h("td", {}, badge(text, tone)),
      h("td", { class: "number" }, costsOf(call)),
    );
  });
  return table("Past calls, the latest first", heads, rows, { hidden: true });
}

function filterForm(changed) {
  const field = (label, control, width = "") => h("label", { class: `field ${width}` }, h("span", {}, label), control);
  const options = (all, items) => [h("option", { value: "" }, all), items.map((item) => h("option", { value: item.value ?? item }, item.text ?? item))];
  const text = h("input", { type: "search", name: "text", placeholder: "Words that were said", maxlength: 200 });
  const number = h("input", { type: "search", name: "number", placeholder: "Part of it", maxlength: 40, inputmode: "tel" });
  const agent = h("select", { name: "agent" }, options("All", []));
  const carrier = h("select", { name: "carrier" }, options("All", []));
  const direction = h("select", { name: "direction" }, options("Both", [{ value: "inbound", text: "Inbound" }, { value: "outbound", text: "Outbound" }]));
  const reason = h("select", { name: "reason" }, options("All", reasonNames));
  const since = h("input", { type: "date", name: "since" });
  const controls = [text, number, since, agent, carrier, direction, reason];
  const form = h(
    "form", { class: "filters", role: "search", "aria-label": "Past calls" },
    field("Transcript", text, "wide"), field("Number", number), field("Since", since), field("Agent", agent),
    field("Carrier", carrier), field("Direction", direction), field("End", reason),
    h("button", { type: "reset", class: "quiet-button" }, "Clear"),
  );
  let timer = null;
  const soon = (wait) => {
    clearTimeout(timer);
    timer = setTimeout(() => changed().catch(() => {}), wait);
  };
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", (event) => soon(event.target.type === "search" ? 300 : 0));
  form.addEventListener("reset", () => soon(0));

  return {
    form,
    isEmpty: () => controls.every((control) => !control.value),
    query: (more = {}) => {
      const query = new URLSearchParams(more);
      for (const control of controls) {
        if (!control.value) continue;
        query.set(control.name, control === since ? new Date(`${since.value}T00:00`).getTime() / 1000 : control.value);
      }
      return query;
    },
    fill: (page) => {
      for (const [select, names] of [[agent, page.agents], [carrier, page.carriers]]) {
        const there = new Set([...select.options].map((option) => option.value));
        select.append(...names.filter((name) => !there.has(name)).map((name) => h("option", { value: name }, name)));
      }
    },
  };
}

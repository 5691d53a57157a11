// One call: what is known of it, what was said and heard, its times, its audio, its costs, its errors, each event.

import { badge, h, notice, show, table } from "./dom.js";
import { follow, get } from "./api.js";
import { actionsFor } from "./actions.js";
import { player } from "./audio.js";
import { isoTime, lengthOf, millis, money, nameOf, offsetOf, ours, reasonOf, remedyOf, timeOf, wholeTime } from "./format.js";
import { latencies, timeline } from "./plots.js";
import { Story, wordsOf } from "./story.js";

const EVENTS_SHOWN = 500; // a call of hours has thousands
const CHANGES = new Set(["call_ended", "call_moved", "media_started"]); // what can be done with the call, and where it is

export async function callPage(main, id, signal) {
  const call = await get(`calls/${encodeURIComponent(id)}`, signal);
  const story = new Story();
  for (const record of call.records) story.add(record);

  const head = h("div", { class: "call-head" });
  const actions = h("div", {});
  const facts = h("section", { class: "facts", "aria-label": "Facts" });
  const faults = h("div", {});
  const transcript = h("section", { class: "panel", "aria-labelledby": "transcript-title" });
  const log = h("div", { class: "transcript", role: "log", "aria-live": "polite", "aria-label": "Transcript", tabindex: 0 });
  const recording = h("div", {});
  const times = h("section", { class: "panel", "aria-labelledby": "times-title" });
  const waits = h("section", { class: "panel", "aria-labelledby": "waits-title" });
  const bills = h("section", { class: "panel", "aria-labelledby": "bills-title" });
  const events = h("section", { class: "panel", "aria-labelledby": "events-title" });
  show(
    main,
    h("p", { class: "crumbs" }, h("a", { href: "#/" }, "← All calls")),
    head, actions, facts, faults, times,
    h("div", { class: "columns" }, transcript, h("div", {}, waits, bills)),
    events,
  );

  const players = [];
  function playFrom(ms) {
    players.at(-1)?.seek(ms - story.audioBegan);
  }

  function drawRecordings(count) {
    players.length = 0;
    for (let number = 0; number < count; number += 1) {
      players.push(player(id, number, signal, (ms) => markLine(log, ms + story.audioBegan)));
    }
    show(recording, players.map(({ place }) => place));
  }

  function draw() {
    story.isLive = call.is_live;
    drawHead(head, story, call);
    drawFacts(facts, story);
    drawFaults(faults, story);
    show(times, h("h2", { id: "times-title" }, "Timeline"), timeline(story), timelineLegend(story));
    drawLines(log, story, { play: players.length ? playFrom : null, isLive: call.is_live });
    drawWaits(waits, story);
    drawBills(bills, story);
    drawEvents(events, story);
    drawActions();
  }

  // Only when what can be done changes: someone may be typing there.
  let possible = "";
  function drawActions() {
    const now = call.is_live && call.actions ? (call.is_here ? "all" : "some") : "";
    if (now === possible) return;
    possible = now;
    show(actions, now ? actionsFor(id, call.is_here) : null);
  }

  if (call.recordings && !call.is_live) drawRecordings(call.recordings);
  show(transcript, h("h2", { id: "transcript-title" }, "Transcript"), recording, log);
  draw();

  async function again() {
    const now = await get(`calls/${encodeURIComponent(id)}`, signal);
    let isNew = now.is_live !== call.is_live || now.is_here !== call.is_here;
    for (const record of now.records) isNew = story.add(record) || isNew;
    Object.assign(call, now);
    if (!call.is_live && call.recordings !== players.length) drawRecordings(call.recordings);
    if (isNew) draw();
  }

  let timer = null;
  const soon = (wait) => {
    timer ??= setTimeout(() => {
      timer = null;
      again().catch(() => {});
    }, wait);
  };
  const ticking = setInterval(() => call.is_live && drawClock(head, story), 1000);
  signal.addEventListener("abort", () => [clearTimeout(timer), clearInterval(ticking)]);
  let drawing = null;
  follow({
    call: id,
    after: call.position,
    signal,
    onLost: () => soon(0),
    onItem: (record) => {
      if (!story.add(record)) return;
      if (CHANGES.has(record.event.type)) soon(500);
      drawing ??= setTimeout(() => {
        drawing = null;
        if (!signal.aborted) draw();
      }, 100);
    },
  });
}

function timelineLegend(story) {
  const kinds = new Set(story.marks.map((mark) => mark.kind));
  const dots = [["interruption", "interruption", "Barge-in"], ["tool_call", "tool", "Tool"], ["dtmf_received", "key", "Key"], ["error", "error", "Error"]];
  const shown = dots.filter(([kind]) => kinds.has(kind));
  return shown.length > 0 && h("p", { class: "legend-line" }, shown.map(([, dot, text]) => [h("span", { class: `dot ${dot}` }), text]));
}

function drawHead(place, story, call) {
  const announced = story.announced;
  const leg = announced?.leg;
  const [text, tone] = story.ended ? reasonOf(story.ended.reason) : call.is_live ? ["Live", "good"] : reasonOf("");
  show(
    place,
    h("h1", {}, leg ? nameOf(leg) : "Call"),
    badge(text, tone),
    h("time", { class: "timer", id: "clock" }, ""),
    h("p", { class: "soft" }, leg ? `${leg.direction === "outbound" ? "Called from" : "Called"} ${ours(leg)} by ${leg.carrier} · agent ${announced.agent} · ` : "", h("time", { datetime: isoTime(story.started) }, wholeTime(story.started))),
  );
  if (call.is_live) drawClock(place, story);
}

function drawClock(place, story) {
  const clock = place.querySelector("#clock");
  if (clock) clock.textContent = lengthOf(Date.now() - story.started * 1000);
}

function drawFacts(place, story) {
  show(place, h("dl", {}, story.facts.map(([name, value]) => h("div", { class: "fact" }, h("dt", {}, name), h("dd", {}, value)))));
}

function drawFaults(place, story) {
  const remedy = remedyOf(story.ended?.reason ?? "");
  const faults = story.faults;
  show(
    place,
    (remedy || faults.length > 0) &&
      h(
        "section", { class: "panel bad", "aria-labelledby": "faults-title" },
        h("h2", { id: "faults-title" }, "What went wrong"),
        remedy && h("p", {}, h("strong", {}, "What to do: "), remedy),
        story.ended?.detail && h("p", {}, story.ended.detail),
        h("ul", {}, faults.map(({ event, elapsed_ms: at }) => h("li", {}, h("time", {}, offsetOf(at)), " ", wordsOf(event).text))),
      ),
  );
}

function drawLines(log, story, { play, isLive }) {
  const lines = story.transcript;
  const names = { caller: "Caller", agent: "Agent", tool: "Tool" };
  const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  const made = lines.map((line) =>
    h(
      "div", { class: `line ${line.who}`, "data-at": line.at },
      h("p", { class: "who" }, names[line.who], " ", play ? h("button", { type: "button", class: "at", onclick: () => play(line.at), "aria-label": `Play from ${offsetOf(line.at)}` }, offsetOf(line.at)) : h("time", { class: "at" }, offsetOf(line.at))),
      h("p", { class: "said" }, line.text, line.unheard && h("s", { class: "unheard", title: "Not heard: the agent was cut off" }, line.unheard), line.cut && h("span", { class: "quiet" }, " (cut off; what is struck out was not heard)")),
    ),
  );
  // What stands is left as it is, so that only new lines are read out.
  made.forEach((line, index) => {
    const old = log.children[index];
    if (!old) log.append(line);
    else if (old.textContent !== line.textContent || (old.querySelector("button") === null) !== (line.querySelector("button") === null)) old.replaceWith(line);
  });
  while (log.children.length > Math.max(made.length, 0)) log.lastElementChild.remove();
  if (!made.length) log.append(h("p", { class: "empty" }, isLive ? "Nothing was said yet." : "Nothing was said."));
  if (isLive && atEnd) log.scrollTop = log.scrollHeight;
}

function markLine(log, ms) {
  let current = null;
  for (const line of log.querySelectorAll("[data-at]")) {
    line.classList.remove("now");
    if (Number(line.dataset.at) <= ms) current = line;
  }
  current?.classList.add("now");
}

function drawWaits(place, story) {
  const turns = story.turns;
  show(place, h("h2", { id: "waits-title" }, "How long the caller waited"), turns.length ? latencies(turns) : h("p", { class: "empty" }, "The engine has reported no turn."));
}

function drawBills(place, story) {
  const price = ({ cost }) => (cost ? money(cost) : "no price known");
  const rows = story.bills.map((bill) => h("tr", {}, h("td", {}, bill.what, h("span", { class: "detail" }, bill.of)), h("td", { class: "number" }, price(bill))));
  show(place, h("h2", { id: "bills-title" }, "Costs"), rows.length ? table("Costs", ["What", { text: "Cost", number: true }], rows, { hidden: true }) : h("p", { class: "empty" }, "Nothing was billed, or no prices are known."));
}

function drawEvents(place, story) {
  const raw = place.querySelector("details")?.open ?? false;
  const hidden = Math.max(0, story.records.length - EVENTS_SHOWN);
  const items = story.records.slice(hidden).map(({ event, elapsed_ms: at, time }) => {
    const { text, loud } = wordsOf(event);
    return h("li", { class: loud ? "loud" : null }, h("time", { title: timeOf(time) }, offsetOf(at)), h("span", {}, text));
  });
  const list = place.querySelector("ol.events");
  const scroll = list?.scrollTop ?? 0;
  const json = () => story.records.map((record) => JSON.stringify(record, null, 1)).join("\n");
  const pre = h("pre", { tabindex: 0, "aria-label": "Raw events" }, raw ? json() : "");
  const details = h("details", { open: raw, ontoggle: () => (pre.textContent = details.open ? json() : "") }, h("summary", {}, `Raw events (${story.records.length})`), pre);
  const made = h("ol", { class: "events", tabindex: 0, "aria-label": "Events" }, items);
  show(place, h("h2", { id: "events-title" }, "Events"), hidden > 0 && h("p", { class: "soft" }, `The first ${hidden} are in the raw events only.`), made, details);
  made.scrollTop = scroll;
}

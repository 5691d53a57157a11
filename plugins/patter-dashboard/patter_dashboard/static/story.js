// What the records of a call tell: its facts, what was said and heard, its turns, and each event in words.

import { costs, lengthOf, millis, money } from "./format.js";

export class Story {
  constructor() {
    this.records = [];
    this.seen = new Set();
    this.isLive = false;
  }

  add(record) {
    const key = `${record.trace}/${record.sequence}`;
    if (this.seen.has(key)) return false;
    this.seen.add(key);
    this.records.push(record);
    return true;
  }

  all(type) {
    return this.records.filter((record) => record.event.type === type);
  }

  last(type) {
    return this.all(type).at(-1)?.event ?? null;
  }

  get announced() {
    return this.all("call_announced")[0]?.event ?? null;
  }

  get ended() {
    return this.all("call_ended")[0]?.event ?? null;
  }

  get metrics() {
    return this.ended?.metrics ?? this.last("metrics_reported")?.metrics ?? null;
  }

  get started() {
    const first = this.records[0];
    return first.time - first.elapsed_ms / 1000;
  }

  get audioBegan() {
    return this.all("media_started")[0]?.elapsed_ms ?? 0;
  }

  get length() {
    const now = this.isLive ? Date.now() - this.started * 1000 : 1;
    return this.records.reduce((longest, record) => Math.max(longest, record.elapsed_ms), now);
  }

  // What both sides said, from when they began to say it; of the agent, what was heard and what was not.
  get transcript() {
    const lines = [];
    const speeches = [];
    let latest = null; // what the caller says now, or said last, as long as no line tells it
    for (const { event, elapsed_ms: at } of this.records) {
      if (event.type === "speech_started") {
        latest = { at, at_ms: event.at_ms };
        speeches.push(latest);
      } else if (event.type === "transcript_input") {
        const speech = typeof event.started_ms === "number" ? speeches.findLast((one) => one.at_ms <= event.started_ms) : latest;
        lines.push({ who: "caller", at: speech?.at ?? at, text: event.text, unheard: "" });
        latest = null;
      } else if (event.type === "transcript_output") {
        lines.push({ who: "agent", at, text: event.text, unheard: "", turn: event.turn, item: event.item });
      } else if (event.type === "transcript_correction") {
        const same = (line) => line.who === "agent" && line.turn === event.turn && line.item === event.item;
        const line = lines.findLast(same);
        const original = event.original || line?.text || "";
        const heard = { text: event.text, unheard: original.startsWith(event.text) ? original.slice(event.text.length) : "" };
        if (line) Object.assign(line, heard, { cut: true });
        else lines.push({ who: "agent", at, turn: event.turn, item: event.item, cut: true, ...heard });
      } else if (event.type === "tool_call") {
        lines.push({ who: "tool", at, text: `${event.name} ${event.arguments}`, unheard: "" });
      }
    }
    return lines;
  }

  // When each side spoke, in ms since the call arrived.
  get spans() {
    const spans = [];
    let caller = null;
    const agents = new Map();
    for (const { event, elapsed_ms: at } of this.records) {
      if (event.type === "speech_started") caller ??= at;
      else if (event.type === "speech_stopped" && caller !== null) {
        spans.push({ who: "caller", from: caller, to: at });
        caller = null;
      } else if (event.type === "response_start") agents.set(event.turn, at);
      else if (event.type === "response_heard" && agents.has(event.turn)) {
        spans.push({ who: "agent", from: agents.get(event.turn), to: at, cut: event.interrupted });
        agents.delete(event.turn);
      }
    }
    if (this.isLive && caller !== null) spans.push({ who: "caller", from: caller, to: this.length });
    for (const from of agents.values()) spans.push({ who: "agent", from, to: this.length });
    return spans;
  }

  get marks() {
    const kinds = { interruption: "Barge-in", tool_call: "Tool", dtmf_received: "Key", error: "Error", media_trouble: "Audio" };
    return this.records
      .filter(({ event }) => Object.hasOwn(kinds, event.type))
      .map(({ event, elapsed_ms: at }) => ({ at, kind: event.type, text: kinds[event.type] }));
  }

  // The agent's answers, with the parts of the time that the caller waited for each.
  get turns() {
    const timed = this.all("turn_timings").map(({ event }) => event.stages_ms);
    if (timed.length) {
      return timed.map((stages) => {
        const ordered = Object.entries(stages).sort((a, b) => a[1] - b[1]);
        let before = 0;
        const parts = ordered.map(([name, at]) => {
          const part = { name, ms: Math.max(0, at - before) };
          before = Math.max(before, at);
          return part;
        });
        return { total: before, parts };
      });
    }
    const metrics = this.metrics;
    const spoken = metrics?.speech_reply_ms ?? [];
    const values = spoken.length ? spoken : (metrics?.reply_ms ?? []);
    return values.map((ms) => ({ total: ms, parts: [{ name: "reply", ms }] }));
  }

  // Its figures, as [name, value]: of a live call, those that its events tell by now.
  get facts() {
    const metrics = this.metrics;
    const reply = metrics?.speech_reply ?? metrics?.reply;
    const waits = this.turns.map((turn) => turn.total).sort((a, b) => a - b);
    const facts = [
      ["Length", this.ended ? lengthOf(this.ended.duration_ms) : ""],
      ["Answered after", millis(metrics?.answer_ms ?? this.last("call_answered")?.answer_ms)],
      ["First audio", millis(metrics?.first_audio_ms)],
      ["Reply, median", millis(reply?.p50_ms ?? waits[Math.floor(waits.length / 2)])],
      ["Reply, slowest", millis(reply?.longest_ms ?? waits.at(-1))],
      ["Turns", String(metrics?.turns ?? this.all("response_start").length)],
      ["Interruptions", String(metrics?.interruptions ?? this.all("interruption").length)],
      ["Cost", this.total],
    ];
    return facts.filter(([, value]) => value && value !== "–");
  }

  get faults() {
    return this.records.filter(({ event }) => ["error", "media_trouble"].includes(event.type) || (event.type === "transfer_done" && !event.ok));
  }

  get bills() {
    const metrics = this.metrics;
    const lines = [];
    const priced = this.last("call_priced");
    if (priced) lines.push({ what: "Carrier", of: "as it charges", cost: priced.cost });
    else if (metrics?.carrier_bill) lines.push({ what: "Carrier", of: `${metrics.carrier_bill.minutes} min, list prices of ${metrics.carrier_bill.as_of}`, cost: metrics.carrier_bill.cost });
    else if (metrics?.duration_ms > 0 && this.announced) lines.push({ what: "Carrier", of: "no list prices", cost: null, part: this.announced.leg.carrier });
    for (const bill of metrics?.engine_bills ?? []) {
      lines.push({ what: `${bill.part} · ${modelOf(bill)}`, of: amountsOf(bill), cost: bill.cost, part: `${bill.vendor} ${bill.part}` });
    }
    return lines;
  }

  get total() {
    const unpriced = new Set(this.bills.filter(({ cost }) => !cost).map(({ part }) => part));
    return costs(this.bills.map(({ cost }) => cost).filter(Boolean), [...unpriced].sort().join(", "));
  }
}

const modelOf = ({ vendor, model }) => (model ? `${vendor} ${model}` : vendor);
const amountsOf = ({ amounts }) => Object.entries(amounts).map(([unit, amount]) => `${Math.round(amount * 10) / 10} ${unit.replaceAll("_", " ")}`).join(", ");

const UNANSWERED = new Set(["busy", "no_answer", "canceled", "dial_failed"]);

const WORDS = {
  call_announced: (event) => `The call ${event.leg.direction === "outbound" ? "was dialled" : "arrived"} at ${event.leg.carrier}, for the agent ${event.agent}`,
  call_answered: (event) => `Answered after ${millis(event.answer_ms)}`,
  call_progressed: (event) => `The carrier reports: ${event.progress.replaceAll("_", " ")}`,
  machine_detected: (event) => `Answered by ${event.answered_by.replaceAll("_", " ")}`,
  recording_changed: (event) => `The carrier's recording: ${event.recording.status}`,
  recording_started: (event) => `The sink ${event.by} records`,
  notice_played: (event) => `The notice was ${event.interrupted ? "talked over" : "heard"}, from the ${event.by}`,
  media_started: (event) => `Audio is here: ${event.format.encoding} at ${event.format.sample_rate} Hz`,
  media_paused: (event) => (event.held ? "On hold" : "The carrier's audio broke off"),
  media_trouble: (event) => `Audio: ${event.problem}`,
  conversation_started: (event) => `The engine ${event.engine} is ready, after ${millis(event.connect_ms)}`,
  dtmf_received: (event) => `The caller pressed ${event.digit}`,
  speech_started: () => "The caller speaks",
  speech_stopped: () => "The caller is silent",
  transcript_input: (event) => `Caller: ${event.text}`,
  transcript_output: (event) => `Agent: ${event.text}`,
  transcript_correction: (event) => `Heard of it: ${event.text || "nothing"}`,
  response_start: () => "The agent begins to speak",
  response_done: () => "The agent's turn is complete",
  response_heard: (event) => `Heard ${lengthOf(event.heard_ms)} of ${lengthOf(event.sent_ms)}${event.interrupted ? ", then cut off" : ""}`,
  interruption: () => "The caller interrupts",
  tool_call: (event) => `Tool ${event.name} ${event.arguments}`,
  tool_result: (event) => `Tool ${event.name} ${event.failed ? "failed" : "returned"}: ${event.result}`,
  transfer_started: (event) => `Transfer to ${event.to}`,
  transfer_done: (event) => `The carrier ${event.ok ? "took" : "refused"} the transfer${event.detail ? `: ${event.detail}` : ""}`,
  fallback_used: (event) => (event.ok ? `Fallback: the carrier ${[event.say && `says “${event.say}”`, event.to ? "transfers the caller" : "hangs up"].filter(Boolean).join(" and ")}` : `The fallback failed: ${event.detail}`),
  guardrail_acted: (event) => `Guardrail ${event.guardrail}: ${event.decision} (${event.side})`,
  turn_timings: (event) => `First audio after ${millis(event.stages_ms.first_audio)}`,
  usage: (event) => `Used of ${modelOf(event)}: ${amountsOf(event)}`,
  metrics_reported: () => "Metrics",
  error: (event) => `Error: ${event.message}${event.code ? ` (${event.code})` : ""}`,
  call_moved: () => "Another worker has the call",
  call_priced: (event) => `The carrier charges ${money(event.cost)}`,
  call_ended: (event) => `The call ended: ${event.reason.replaceAll("_", " ")}${UNANSWERED.has(event.reason) ? "" : `, by ${event.by}`}${event.detail ? `. ${event.detail}` : ""}`,
};

const LOUD = new Set(["error", "fallback_used", "media_trouble", "interruption", "call_ended"]);

export function wordsOf(event) {
  const words = Object.hasOwn(WORDS, event.type) ? WORDS[event.type] : null;
  let text = event.type.replaceAll("_", " ");
  try {
    text = words?.(event) ?? text;
  } catch {
    // an event of another version: its name must do
  }
  return { text, loud: LOUD.has(event.type) };
}

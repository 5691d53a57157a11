// Times, amounts and the words for what happened.

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const moment = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit" });
const whole = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const weekday = new Intl.DateTimeFormat(undefined, { weekday: "short", day: "numeric", month: "short", timeZone: "UTC" });

// A stored time may be none, which is 0: the formatters and toISOString throw what the pages cannot show.
const isTime = (seconds) => seconds > 0 && Number.isFinite(new Date(seconds * 1000).getTime());
const shown = (format) => (seconds) => (isTime(seconds) ? format.format(seconds * 1000) : `no time: ${seconds}`);

export const timeOf = shown(clock);
export const momentOf = shown(moment);
export const wholeTime = shown(whole);
export const isoTime = (seconds) => (isTime(seconds) ? new Date(seconds * 1000).toISOString() : "");
export const dayOf = (date) => weekday.format(new Date(`${date}T00:00:00Z`));

export function lengthOf(ms) {
  const seconds = Math.max(0, Math.round(ms / 1000));
  const minutes = Math.floor(seconds / 60);
  const rest = String(seconds % 60).padStart(2, "0");
  if (minutes < 60) return `${minutes}:${rest}`;
  return `${Math.floor(minutes / 60)}:${String(minutes % 60).padStart(2, "0")}:${rest}`;
}

export function offsetOf(ms) {
  const seconds = ms / 1000;
  const minutes = Math.floor(seconds / 60);
  return `${minutes}:${(seconds - minutes * 60).toFixed(1).padStart(4, "0")}`;
}

export function millis(ms) {
  if (ms === null || ms === undefined) return "–";
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(2)} s`;
}

// Below 1 with four decimals, or more up to the first digit, as the commands show it.
export function money({ amount, currency, estimated }) {
  const value = Number(amount);
  if (!Number.isFinite(value)) return `${amount} ${currency}`;
  const first = -Number(value.toExponential().split("e")[1]);
  return `${estimated ? "about " : ""}${value.toFixed(value > 0 && value < 1 ? Math.min(100, Math.max(4, first)) : 2)} ${currency}`;
}

// What costs come to, by currency: with an estimate among them, about so much. With what has no known price, such
// as "acme llm, plivo", it is at least so much.
export function costs(all, unpriced = "") {
  const sums = new Map();
  for (const { amount, currency, estimated } of all ?? []) {
    const before = sums.get(currency);
    sums.set(currency, { amount: (before?.amount ?? 0) + Number(amount), currency, estimated: (before?.estimated ?? false) || estimated });
  }
  const text = [...sums.values()].map((sum) => money(unpriced ? { ...sum, estimated: false } : sum)).join(" + ");
  if (!unpriced) return text || "–";
  return text ? `at least ${text} (${unpriced}: no price known)` : `${unpriced}: no price known`;
}

// The costs of a call of the archive, whose texts are such as "0.01 USD + 0.02 EUR". What is missing is as in CallRow.missing.
export function costsOf(call) {
  const read = (text, estimated) => text.split(" + ").filter(Boolean).map((part) => {
    const [amount, currency] = part.split(" ");
    return { amount, currency, estimated };
  });
  const carrier = call.cost ? read(call.cost, false) : read(call.estimated_cost, true);
  const missing = [...call.unpriced.split(", "), call.duration_ms > 0 && !carrier.length ? call.carrier : ""];
  return costs([...read(call.engine_cost, true), ...carrier], missing.filter(Boolean).sort().join(", "));
}

const REASONS = {
  caller_hung_up: ["Caller hung up", "plain"],
  agent_hung_up: ["Agent hung up", "plain"],
  host_hung_up: ["Ended by us", "plain"],
  engine_failed: ["Engine failed", "bad"],
  engine_slow: ["Engine too slow", "bad"],
  no_media: ["No audio came", "bad"],
  media_lost: ["Audio was lost", "bad"],
  media_unusable: ["Audio unusable", "bad"],
  busy: ["Busy", "warn"],
  no_answer: ["No answer", "warn"],
  canceled: ["Cancelled", "warn"],
  dial_failed: ["Could not be dialled", "bad"],
  moved: ["Moved", "plain"],
  transferred: ["Transferred", "good"],
  voicemail: ["Voicemail", "plain"],
  too_long: ["Reached its longest time", "warn"],
  crashed: ["Crashed", "bad"],
};

export const reasonNames = Object.entries(REASONS).map(([value, [text]]) => ({ value, text }));
export const reasonOf = (reason) => (Object.hasOwn(REASONS, reason) ? REASONS[reason] : [reason || "No end known", "warn"]);

const REMEDIES = {
  engine_failed: "See the errors below, and the vendor's status page. A fallback keeps callers from being cut off: Patter.agent(fallback=…).",
  engine_slow: "The engine's session did not open in time. Check the network, or raise Deadlines.engine_connect.",
  no_media: "The carrier took the call but did not bring its audio. Check that the public address takes WebSockets: patter doctor.",
  media_lost: "The carrier's audio broke off and did not come back. Check the proxy or tunnel in front of the server.",
  media_unusable: "The carrier streams a format that Patter cannot read. Check the number's stream settings.",
  dial_failed: "The carrier did not connect the call. Check the number, and what the account may call.",
  too_long: "The call reached Deadlines.longest_call.",
  crashed: "A fault in Patter or in a plugin ended the call. The server's log has the traceback.",
};

export const remedyOf = (reason) => (Object.hasOwn(REMEDIES, reason) ? REMEDIES[reason] : "");

// A masked number has two digits left: the rest is told by few dots, however long it was.
export const numberOf = (number) => number.replace(/\*{3,}/g, "••••\u00a0");
export const nameOf = (call) => numberOf((call.direction === "outbound" ? call.to_number : call.from_number) || "Withheld");
export const ours = (call) => numberOf((call.direction === "outbound" ? call.from_number : call.to_number) || "–");

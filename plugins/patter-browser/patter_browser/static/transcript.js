// What is said, as the server tells it: server-sent events, which the browser asks for again by itself.
//
// {kind: "caller" | "agent", key, text}     a line, or more of the line of that key
// {kind: "heard", key, text}                what was heard of the agent's line of that key, which was interrupted
// {kind: "cut", key}                        the agent's turn of that key was interrupted
// {kind: "note", text}                      anything else, in words
// {kind: "end", text}                       the last one

const NAMES = { caller: "You", agent: "Agent" };
const LAST_WORDS_MS = 3000; // after the end of the call

export class Transcript {
  constructor(list, empty) {
    this.list = list;
    this.empty = empty;
    this.lines = new Map();
    this.source = null;
    this.call = "";
    this.last = ""; // the id of the last event that was read
  }

  clear() {
    this.close();
    this.call = this.last = "";
    this.lines.clear();
    this.list.replaceChildren();
    this.empty.hidden = false;
  }

  // Shows what is said in a call, from its start.
  follow(call) {
    if (call === this.call) {
      return; // its media socket was joined again: the events go on
    }
    this.call = call;
    this.open();
  }

  open() {
    const query = new URLSearchParams({ call: this.call, after: this.last });
    this.source = new EventSource(`events?${query}`);
    this.source.addEventListener("message", (event) => {
      this.last = event.lastEventId;
      this.take(JSON.parse(event.data));
    });
  }

  // The network has changed: the connection may be dead without knowing.
  networkChanged() {
    if (this.source !== null) {
      this.close();
      this.open();
    }
  }

  endSoon() {
    const call = this.call;
    setTimeout(() => call === this.call && this.close(), LAST_WORDS_MS);
  }

  close() {
    this.source?.close();
    this.source = null;
  }

  take(said) {
    if (said.kind === "end") {
      this.add("note", said.text);
      this.close();
    } else if (said.kind === "heard") {
      this.correct(said);
    } else if (said.kind === "cut") {
      this.lineOf(said.key)?.classList.add("cut");
    } else {
      this.say(said);
    }
  }

  say({ kind, key, text }) {
    const line = key ? this.lines.get(`${kind} ${key}`) : undefined;
    if (line !== undefined) {
      line.lastChild.textContent = text;
      return;
    }
    const added = this.add(kind, text);
    this.lines.set(`${kind} ${key ?? ""}`, added);
    this.lines.set(`${kind} latest`, added);
  }

  correct({ key, text }) {
    const line = this.lineOf(key);
    if (line !== undefined) {
      line.lastChild.textContent = text || "(not heard)";
      line.classList.add("cut");
    }
  }

  // The agent's line of a turn, or of an item in it; the latest where engines name no turns.
  lineOf(key) {
    const names = [...this.lines.keys()].filter((name) => key && `${name} `.startsWith(`agent ${key} `));
    return this.lines.get(names.pop() ?? "agent latest");
  }

  add(kind, text) {
    const log = this.list.parentElement;
    const isAtEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
    const line = document.createElement("li");
    line.className = kind;
    if (kind in NAMES) {
      const who = document.createElement("span");
      who.className = "who";
      who.textContent = NAMES[kind];
      line.append(who);
    }
    const words = document.createElement("span");
    words.textContent = text; // whatever it is, it is text
    line.append(words);
    this.list.append(line);
    this.empty.hidden = true;
    if (isAtEnd) {
      log.scrollTop = log.scrollHeight;
    }
    return line;
  }
}

// One call: it is asked for, has a media socket, and is joined again where that socket breaks.

import { Problem, Sound } from "./audio.js";

const SUBPROTOCOL = "patter-phone-1";
const REJOIN_SECONDS = 20; // for the network and the server to come back
const PAUSES = [0, 300, 1000, 2000]; // ms between tries; the last one is repeated
const ASK_TIMEOUT = 8000; // ms
const OPEN_TIMEOUT = 8000; // ms
const MOST_UNSENT = 0.5; // seconds of the microphone that may wait in the socket

const REASONS = {
  busy: ["The line is busy.", "All agents are talking, or the server is about to stop. Call again in a moment."],
  rejected: ["The call was not taken.", "No agent answers this page. See the server’s log."],
};

// Events: "state" (detail: calling, live, rejoining, over), "problem" (detail: a Problem, after which it is over)
export class Call extends EventTarget {
  constructor(sound, rate) {
    super();
    this.sound = sound;
    this.rate = rate;
    this.state = "idle";
    this.socket = null;
    this.answer = null;
    this.unsent = 0; // frames of the microphone that were dropped, as the network was too slow
    this.rejoins = 0;
    this.isOwed = false; // it was hung up while the server could not be told
    this.pause = null;
    sound.addEventListener("frame", (event) => this.sendFrame(event.detail));
    sound.addEventListener("mark", (event) => this.send({ type: "mark", name: event.detail }));
  }

  get isOver() {
    return this.state === "over";
  }

  // Returns once the call is live. Raises a Problem if it does not come about.
  async start(to) {
    this.become("calling");
    try {
      this.take(await this.ask("call", { to_number: to }));
      if (!this.isOver || this.isOwed) {
        await this.connect();
      }
    } catch (error) {
      const wasWanted = !this.isOver;
      this.become("over");
      if (wasWanted) {
        throw error;
      }
    }
  }

  hangUp() {
    this.isOwed = this.state === "calling" || this.state === "rejoining";
    this.send({ type: "hangup" });
    this.end();
  }

  press(digit) {
    this.send({ type: "key", digit });
  }

  // The network has changed: the socket may be dead without knowing. Its "close" event waits for the answer of the
  // server, which may never come, so the socket is given up at once.
  networkChanged(isThere) {
    const socket = this.socket;
    if (!isThere && socket !== null) {
      socket.close();
      this.lost(socket);
    }
    this.pause?.();
  }

  become(state) {
    if (this.state !== state && !this.isOver) {
      this.state = state;
      this.dispatchEvent(new CustomEvent("state", { detail: state }));
    }
  }

  end() {
    this.become("over");
    this.pause?.();
    if (!this.isOwed) {
      this.socket?.close(1000);
    }
  }

  // --- the server ---------------------------------------------------------------------------------------------------

  async ask(path, body) {
    const request = {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(ASK_TIMEOUT),
    };
    let response;
    try {
      response = await fetch(path, request);
    } catch {
      throw new Problem("The server does not answer.", "It may have stopped, or the network is gone.");
    }
    if (response.status === 401 || response.status === 403) {
      throw new Problem("The server does not know this browser any more.", "Open the link that it prints when it starts.");
    }
    if (response.status === 503) {
      throw new Problem("The server is about to stop.", "Call again in a moment.");
    }
    if (!response.ok) {
      throw new Problem(`The server answers with an error (${response.status}).`, "See its log.");
    }
    return await response.json();
  }

  take(answer) {
    if (answer.reason) {
      throw new Problem(...(REASONS[answer.reason] ?? ["The call was not taken."]));
    }
    if (answer.rate !== this.rate) {
      throw new Problem("The server speaks another rate than this page was told.", "Reload the page.");
    }
    this.answer = answer;
  }

  // --- the media socket ---------------------------------------------------------------------------------------------

  connect() {
    const url = new URL(this.answer.media_url);
    url.host = location.host; // as this browser reaches it, whatever is in between
    url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(url, [SUBPROTOCOL]);
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => socket.close(), OPEN_TIMEOUT);
      socket.addEventListener("open", () => {
        clearTimeout(timer);
        this.send({ type: "hello", call_id: this.answer.call_id, rate: this.rate });
        if (this.isOwed) {
          this.isOwed = false;
          this.hangUp();
        }
        this.become("live");
        resolve();
      });
      socket.addEventListener("message", (event) => this.receive(event.data));
      socket.addEventListener("close", () => {
        clearTimeout(timer);
        reject(new Problem("The connection for the audio could not be opened.", "Call again."));
        this.lost(socket);
      });
    });
  }

  receive(message) {
    if (message instanceof ArrayBuffer) {
      this.sound.play(message);
      return;
    }
    const said = JSON.parse(message);
    if (said.type === "mark") {
      this.sound.mark(said.name);
    } else if (said.type === "clear") {
      this.sound.clear();
    } else if (said.type === "hangup") {
      this.end();
    }
  }

  send(message) {
    if (this.socket?.readyState === WebSocket.OPEN) {
      this.socket.send(JSON.stringify(message));
    }
  }

  sendFrame(frame) {
    if (this.state !== "live" || this.socket?.readyState !== WebSocket.OPEN) {
      return;
    }
    if (this.socket.bufferedAmount > MOST_UNSENT * this.rate * 2) {
      this.unsent += 1;
      return;
    }
    this.socket.send(frame);
  }

  // A socket is gone. If nobody hung up, the call is joined again; and if they hung up meanwhile, for the server to know.
  lost(socket) {
    if (this.socket !== socket) {
      return;
    }
    this.socket = null;
    if (this.state === "live") {
      this.sound.clear(); // for the server, what was not played by now is not heard
      this.rejoin();
    }
  }

  async rejoin() {
    this.become("rejoining");
    const until = performance.now() + 1000 * REJOIN_SECONDS;
    for (let round = 0; (!this.isOver || this.isOwed) && performance.now() < until; round++) {
      await this.wait(PAUSES[Math.min(round, PAUSES.length - 1)]);
      if (await this.tryToRejoin()) {
        return;
      }
    }
    if (!this.isOver) {
      this.fail(new Problem("The connection is lost.", "The server has stopped, or the network is gone. Call again."));
    }
  }

  async tryToRejoin() {
    if (this.isOver && !this.isOwed) {
      return true;
    }
    try {
      const answer = await this.ask("lost", { call_id: this.answer.call_id, stream_url: this.answer.stream_url });
      if (answer.reason || (this.isOver && !this.isOwed)) {
        this.end();
        return true;
      }
      this.take(answer);
      await this.connect();
      this.rejoins += 1;
      return true;
    } catch {
      return false;
    }
  }

  fail(problem) {
    this.dispatchEvent(new CustomEvent("problem", { detail: problem }));
    this.end();
  }

  wait(ms) {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.pause = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

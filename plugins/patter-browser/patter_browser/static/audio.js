// Microphone and loudspeaker: an audio context for each. That of the loudspeaker runs at the wire's rate; that of the
// microphone runs at its own, since Firefox takes no other, and its worklet resamples.

export class Problem extends Error {
  // What is wrong, and what to do about it, for the person at the page.
  constructor(text, remedy = "") {
    super(text);
    this.remedy = remedy;
  }
}

const MICROPHONE_PROBLEMS = {
  NotAllowedError: ["The microphone was not allowed.", "Allow it for this page, beside the address in your browser, and call again."],
  NotFoundError: ["There is no microphone.", "Connect one, and call again."],
  NotReadableError: ["The microphone is in use by another program, or does not work.", "Close what uses it, and call again."],
  OverconstrainedError: ["The microphone that was chosen is gone.", "Choose another one under “Sound”."],
};

const LONGEST_LATENCY = 0.5; // seconds; Bluetooth has up to 0.3

export function requireSecureContext() {
  if (!window.isSecureContext || navigator.mediaDevices === undefined) {
    throw new Problem(
      "Browsers give the microphone only to pages that are safe from listeners, and this address is not.",
      "Open the page by https, through a tunnel, or on the server itself by http://localhost.",
    );
  }
}

export class Sound extends EventTarget {
  // Events: "frame" (detail: ArrayBuffer), "mark" (detail: name), "heard" (detail: level of the microphone),
  // "played" (detail: report of the speaker), "lost" (the microphone is gone)
  constructor(rate) {
    super();
    this.rate = rate;
    this.isOpen = false;
    this.isClosed = false;
  }

  // Asks for the microphone; to be called from a click.
  async open({ cleans, device, output }) {
    requireSecureContext();
    this.playback = new AudioContext({ sampleRate: this.rate, latencyHint: "interactive" });
    this.capture = new AudioContext({ latencyHint: "interactive" });
    try {
      await Promise.all([this.playback.resume(), this.capture.resume()]);
      this.stream = await this.askForMicrophone(cleans, device);
      await Promise.all([
        this.playback.audioWorklet.addModule("static/speaker.js"),
        this.capture.audioWorklet.addModule("static/microphone.js"),
      ]);
      await this.useOutput(output);
      if (this.isClosed) {
        throw new Problem("The call was given up."); // while the microphone was asked for
      }
      this.connect();
    } catch (error) {
      this.close();
      throw error;
    }
  }

  async askForMicrophone(cleans, device) {
    const audio = { channelCount: 1, echoCancellation: cleans, noiseSuppression: cleans, autoGainControl: cleans };
    if (device) {
      audio.deviceId = { exact: device };
    }
    try {
      return await navigator.mediaDevices.getUserMedia({ audio });
    } catch (error) {
      const [text, remedy] = MICROPHONE_PROBLEMS[error.name] ?? ["The microphone cannot be used.", "Reload the page, and call again."];
      throw new Problem(text, remedy);
    }
  }

  connect() {
    this.microphone = new AudioWorkletNode(this.capture, "patter-microphone", {
      numberOfOutputs: 0,
      channelCount: 1,
      channelCountMode: "explicit",
      processorOptions: { rate: this.rate },
    });
    this.microphone.port.onmessage = ({ data }) => {
      if (data.frame !== undefined) {
        this.tell("frame", data.frame);
      } else {
        this.tell("heard", data.level);
      }
    };
    this.capture.createMediaStreamSource(this.stream).connect(this.microphone);
    this.speaker = new AudioWorkletNode(this.playback, "patter-speaker", { numberOfInputs: 0, outputChannelCount: [1] });
    this.speaker.port.onmessage = ({ data }) => {
      if (data.mark !== undefined) {
        this.tell("mark", data.mark);
      } else {
        this.tellLatency();
        this.tell("played", data);
      }
    };
    this.tellLatency();
    this.speaker.connect(this.playback.destination);
    for (const track of this.stream.getAudioTracks()) {
      track.addEventListener("ended", () => this.tell("lost"));
    }
    for (const context of [this.playback, this.capture]) {
      context.addEventListener("statechange", () => this.resume(context));
    }
    this.isOpen = true;
  }

  // The system has stopped it, for a call of its own or to save power.
  resume(context) {
    if (this.isOpen && context.state !== "running" && context.state !== "closed") {
      context.resume().catch(() => {}); // it is refused until that is over, which is told, too
    }
  }

  async useOutput(device) {
    if (device && this.playback.setSinkId !== undefined) {
      try {
        await this.playback.setSinkId(device);
      } catch {
        // It is gone: the usual one plays.
      }
    }
  }

  // How far the ear is behind the worklet: browsers know it only once they play, and it changes with the output.
  tellLatency() {
    const latency = (this.playback.baseLatency || 0) + (this.playback.outputLatency || 0);
    this.speaker.port.postMessage({ latency: Math.min(latency, LONGEST_LATENCY) });
  }

  tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }

  mute(muted) {
    this.microphone.port.postMessage({ muted });
  }

  play(audio) {
    this.speaker.port.postMessage(audio, [audio]);
  }

  mark(name) {
    this.speaker.port.postMessage({ mark: name });
  }

  clear() {
    this.speaker.port.postMessage({ clear: true });
  }

  close() {
    this.isOpen = false;
    this.isClosed = true;
    for (const track of this.stream?.getTracks() ?? []) {
      track.stop(); // or the browser goes on to show that it listens
    }
    for (const context of [this.playback, this.capture]) {
      if (context !== undefined && context.state !== "closed") {
        context.close();
      }
    }
  }
}

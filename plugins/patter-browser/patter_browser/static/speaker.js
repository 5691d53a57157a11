// The loudspeaker's worklet: a jitter buffer with marks. Its context runs at the wire's rate.
//
// in:   ArrayBuffer              16-bit samples
//       {mark}                   to be reported once all audio before it was played
//       {clear: true}            drop what was not played, within one quantum of 128 samples
//       {latency}                seconds from here to the ear: a mark is reported that much later
// out:  {mark}                   reached, or dropped by a clear
//       {level, playing, bufferedMs, playedMs, underruns, dropped}    about ten times a second
//
// It begins to play once FILL_SECONDS are there, or a mark, which says that no more may follow, or once the first audio
// has waited for that long. It fills again when it runs dry. That is an underrun unless a mark was last.

const FILL_SECONDS = 0.06;
const LONGEST_SECONDS = 90; // the server sends at most 60 ahead
const FADE_SECONDS = 0.005;
const LEVEL_SECONDS = 0.1;

class Speaker extends AudioWorkletProcessor {
  constructor() {
    super();
    this.queue = []; // Int16Array, or the name of a mark
    this.offset = 0; // in the first of them
    this.buffered = 0; // samples
    this.playing = false;
    this.marks = 0; // in the queue
    this.latency = 0; // samples
    this.reached = []; // marks whose audio was given to the output, and when the ear will have had it
    this.waits = 0; // samples of time since the first audio came into the empty buffer
    this.played = 0;
    this.underruns = 0;
    this.dropped = 0;
    this.endedByMark = true;
    this.fading = null; // what is left of the audio that a clear dropped
    this.peak = 0;
    this.levelAt = 0;
    this.port.onmessage = (event) => this.receive(event.data);
  }

  receive(message) {
    if (message instanceof ArrayBuffer) {
      this.append(new Int16Array(message));
    } else if (message.mark !== undefined) {
      this.queue.push(message.mark);
      this.marks += 1;
      if (this.buffered === 0) {
        this.reach();
      }
    } else if (message.clear) {
      this.clear();
    } else {
      this.latency = Math.round(message.latency * sampleRate);
    }
  }

  append(samples) {
    if (samples.length === 0) {
      return;
    }
    if (this.buffered + samples.length > LONGEST_SECONDS * sampleRate) {
      this.dropped += samples.length;
      return;
    }
    this.queue.push(samples);
    this.buffered += samples.length;
  }

  clear() {
    const names = this.queue.filter((item) => typeof item === "string");
    const rest = new Int16Array(Math.min(this.playing ? this.buffered : 0, Math.round(FADE_SECONDS * sampleRate)));
    this.take(rest);
    this.fading = rest.length > 0 ? rest : null;
    this.queue = [];
    this.offset = this.buffered = this.marks = this.waits = 0;
    this.playing = false;
    this.endedByMark = true;
    for (const mark of [...this.reached.map((one) => one.mark), ...names]) {
      this.port.postMessage({ mark });
    }
    this.reached = [];
  }

  // Takes samples off the queue into `output`; gives how many there were. Marks on the way are left out.
  take(output) {
    let filled = 0;
    for (const item of this.queue) {
      if (filled === output.length) {
        break;
      }
      if (typeof item !== "string") {
        const from = filled === 0 ? this.offset : 0;
        const part = item.subarray(from, from + output.length - filled);
        output.set(part, filled);
        filled += part.length;
      }
    }
    return filled;
  }

  process(_inputs, outputs) {
    const output = outputs[0][0];
    if (this.fading !== null) {
      this.fade(output);
    } else {
      this.play(output);
    }
    while (this.reached.length > 0 && currentFrame >= this.reached[0].at) {
      this.port.postMessage({ mark: this.reached.shift().mark });
    }
    this.measure(output);
    return true;
  }

  fade(output) {
    const rest = this.fading;
    for (let at = 0; at < rest.length && at < output.length; at++) {
      output[at] = (rest[at] / 32768) * (1 - at / rest.length);
    }
    this.fading = null;
  }

  play(output) {
    if (!this.playing) {
      this.waits = this.buffered > 0 ? this.waits + output.length : 0;
      const fill = FILL_SECONDS * sampleRate;
      if (this.buffered === 0 || (this.buffered < fill && this.marks === 0 && this.waits < fill)) {
        return;
      }
      this.playing = true;
    }
    let filled = 0;
    while (filled < output.length && this.buffered > 0) {
      const item = this.queue[0];
      if (typeof item === "string") {
        this.reach();
        continue;
      }
      const count = Math.min(output.length - filled, item.length - this.offset);
      for (let at = 0; at < count; at++) {
        output[filled + at] = item[this.offset + at] / 32768;
      }
      filled += count;
      this.offset += count;
      this.buffered -= count;
      this.played += count;
      this.endedByMark = false;
      if (this.offset === item.length) {
        this.queue.shift();
        this.offset = 0;
      }
    }
    this.reach();
    if (this.buffered === 0) {
      this.underruns += this.endedByMark ? 0 : 1;
      this.playing = false;
      this.waits = 0;
    }
  }

  // Takes the marks that are next off the queue: they are reported once the ear is there.
  reach() {
    while (typeof this.queue[0] === "string") {
      this.reached.push({ mark: this.queue.shift(), at: currentFrame + this.latency });
      this.marks -= 1;
      this.endedByMark = true;
    }
  }

  measure(output) {
    let sum = 0;
    for (const sample of output) {
      sum += sample * sample;
    }
    this.peak = Math.max(this.peak, Math.sqrt(sum / output.length));
    if (currentTime < this.levelAt) {
      return;
    }
    this.port.postMessage({
      level: this.peak,
      playing: this.playing,
      bufferedMs: (1000 * this.buffered) / sampleRate,
      playedMs: (1000 * this.played) / sampleRate,
      underruns: this.underruns,
      dropped: this.dropped,
    });
    this.levelAt = currentTime + LEVEL_SECONDS;
    this.peak = 0;
  }
}

registerProcessor("patter-speaker", Speaker);

// The microphone's worklet: brings what it hears to the wire's rate, and posts frames of 20 ms of 16-bit samples.
//
// in:   {muted}                  silence is sent instead, so that the stream goes on
// out:  {frame: ArrayBuffer}     20 ms, transferred
//       {level}                  0 to 1, about ten times a second: the loudest of what was heard, muted or not

const FRAME_SECONDS = 0.02;
const LEVEL_SECONDS = 0.1;
const LOBES = 12; // of the sinc on each side

function greatestDivisor(a, b) {
  return b === 0 ? a : greatestDivisor(b, a % b);
}

// A rational resampler: a windowed sinc in as many phases as the ratio of the rates has.
class Resampler {
  constructor(from, to) {
    const divisor = greatestDivisor(from, to);
    this.phases = to / divisor;
    this.step = from / divisor;
    const cutoff = Math.min(1, to / from) * 0.94; // of half the input's rate
    this.half = Math.ceil(LOBES / cutoff);
    this.kernels = [];
    for (let phase = 0; phase < this.phases; phase++) {
      this.kernels.push(this.kernel(cutoff, phase / this.phases));
    }
    this.past = new Float32Array(2 * this.half); // the input that is still needed
    this.position = 0; // of the next output, in phases, from the first sample whose kernel is complete
  }

  kernel(cutoff, shift) {
    const size = 2 * this.half + 1;
    const taps = new Float32Array(size);
    let sum = 0;
    for (let tap = 0; tap < size; tap++) {
      const x = tap - this.half - shift;
      const window = 0.42 + 0.5 * Math.cos((Math.PI * x) / (this.half + 1)) + 0.08 * Math.cos((2 * Math.PI * x) / (this.half + 1));
      const angle = Math.PI * cutoff * x;
      taps[tap] = (angle === 0 ? 1 : Math.sin(angle) / angle) * window;
      sum += taps[tap];
    }
    return taps.map((value) => value / sum);
  }

  // Calls `take` with each sample of output.
  push(input, take) {
    const all = new Float32Array(this.past.length + input.length);
    all.set(this.past);
    all.set(input, this.past.length);
    const size = 2 * this.half + 1;
    let start = Math.floor(this.position / this.phases);
    while (start + size <= all.length) {
      const taps = this.kernels[this.position % this.phases];
      let sum = 0;
      for (let tap = 0; tap < size; tap++) {
        sum += taps[tap] * all[start + tap];
      }
      take(sum);
      this.position += this.step;
      start = Math.floor(this.position / this.phases);
    }
    const used = Math.max(0, Math.min(start, all.length - 2 * this.half));
    this.position -= used * this.phases;
    this.past = all.slice(used);
  }
}

class Microphone extends AudioWorkletProcessor {
  constructor(options) {
    super();
    const rate = options.processorOptions.rate;
    this.size = Math.round(rate * FRAME_SECONDS);
    this.frame = new Int16Array(this.size);
    this.filled = 0;
    this.muted = false;
    this.peak = 0;
    this.levelAt = 0;
    this.resampler = rate === sampleRate ? null : new Resampler(sampleRate, rate);
    this.take = (sample) => this.add(sample);
    this.port.onmessage = (event) => {
      this.muted = event.data.muted;
    };
  }

  process(inputs) {
    const input = inputs[0][0];
    if (input === undefined) {
      return true; // no microphone is connected, or not any more
    }
    this.measure(input);
    if (this.resampler === null) {
      input.forEach(this.take);
    } else {
      this.resampler.push(input, this.take);
    }
    return true;
  }

  add(sample) {
    const value = this.muted ? 0 : Math.round(sample * 32768);
    this.frame[this.filled++] = Math.max(-32768, Math.min(32767, value));
    if (this.filled === this.size) {
      const frame = this.frame.buffer;
      this.port.postMessage({ frame }, [frame]);
      this.frame = new Int16Array(this.size);
      this.filled = 0;
    }
  }

  measure(input) {
    let sum = 0;
    for (const sample of input) {
      sum += sample * sample;
    }
    this.peak = Math.max(this.peak, Math.sqrt(sum / input.length));
    if (currentTime >= this.levelAt) {
      this.port.postMessage({ level: this.peak });
      this.levelAt = currentTime + LEVEL_SECONDS;
      this.peak = 0;
    }
  }
}

registerProcessor("patter-microphone", Microphone);

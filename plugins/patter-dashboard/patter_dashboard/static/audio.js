// A recording: the player, and the wave of both sides, which shows where it is and takes clicks.

import { h, notice } from "./dom.js";
import { get } from "./api.js";
import { lengthOf } from "./format.js";

const HEIGHT = 96;

export function player(callId, number, signal, onTime) {
  const path = `calls/${encodeURIComponent(callId)}/recordings/${number}`;
  const audio = h("audio", { controls: true, preload: "metadata", src: `./api/${path}` });
  const canvas = h("canvas", { class: "wave", height: HEIGHT, role: "img", "aria-label": "The wave of the recording: the caller above, the agent below" });
  const place = h("div", { class: "recording" }, canvas, audio, h("p", { class: "legend-line" }, h("span", { class: "dot caller" }), "Caller ", h("span", { class: "dot agent" }), "Agent"));
  let peaks = null;

  function draw() {
    if (peaks === null) return;
    const scale = devicePixelRatio || 1;
    const width = canvas.clientWidth || 600;
    canvas.width = width * scale;
    canvas.height = HEIGHT * scale;
    const pen = canvas.getContext("2d");
    pen.scale(scale, scale);
    const colours = getComputedStyle(canvas);
    const played = (audio.currentTime / peaks.seconds) * width;
    const count = peaks.caller.length;
    const loudest = Math.max(0.05, ...peaks.caller, ...peaks.agent); // calls are often soft
    for (const [values, middle, name] of [[peaks.caller, HEIGHT * 0.25, "--caller"], [peaks.agent, HEIGHT * 0.75, "--agent"]]) {
      pen.fillStyle = colours.getPropertyValue(name);
      for (let x = 0; x < width; x += 2) {
        const from = Math.floor((x / width) * count);
        const to = Math.max(from + 1, Math.floor(((x + 2) / width) * count));
        const tall = Math.max(0.5, (Math.max(...values.slice(from, to)) / loudest) * HEIGHT * 0.24);
        pen.globalAlpha = x <= played ? 1 : 0.45;
        pen.fillRect(x, middle - tall, 1.5, tall * 2);
      }
    }
    pen.globalAlpha = 1;
    pen.fillStyle = colours.getPropertyValue("--text");
    pen.fillRect(Math.min(width - 2, played), 0, 2, HEIGHT);
  }

  function moved() {
    draw();
    onTime(audio.currentTime * 1000);
  }

  audio.addEventListener("timeupdate", moved);
  audio.addEventListener("seeked", moved);
  canvas.addEventListener("click", (event) => {
    if (peaks === null) return;
    audio.currentTime = (event.offsetX / canvas.clientWidth) * peaks.seconds;
  });
  const sized = new ResizeObserver(draw);
  sized.observe(canvas);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw, { signal });
  signal.addEventListener("abort", () => {
    sized.disconnect();
    audio.pause();
    audio.removeAttribute("src");
    audio.load();
  });
  get(`${path}/peaks`, signal)
    .then((found) => {
      peaks = found;
      canvas.title = lengthOf(found.seconds * 1000);
      draw();
    })
    .catch((error) => !signal.aborted && canvas.replaceWith(notice(error.message)));

  return {
    place,
    seek: (ms) => {
      audio.currentTime = Math.max(0, ms / 1000);
      audio.play().catch(() => {});
    },
  };
}

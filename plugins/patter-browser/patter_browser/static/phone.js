// The page: what the person does, and what they see. The call is in call.js, its sound in audio.js.

import { Problem, Sound, requireSecureContext } from "./audio.js";
import { Call } from "./call.js";
import { Transcript } from "./transcript.js";

const $ = (id) => document.getElementById(id);
const page = $("phone");
const SAYS = { idle: "Ready", calling: "Calling …", live: "Connected", rejoining: "Connecting again …", over: "Call ended" };
const LETTERS = ["", "ABC", "DEF", "GHI", "JKL", "MNO", "PQRS", "TUV", "WXYZ", "", "+", ""];
const KEYS = "123456789*0#";
const LOCK = "patter-phone"; // one call in all tabs of a browser
const TAIL_MS = 300; // that a room echoes after the agent, for loudspeakers

const transcript = new Transcript($("lines"), $("empty"));
const target = new URLSearchParams(location.search).get("to") ?? "";
let call = null;
let sound = null;
let attempt = 0; // to call: an earlier one is given up
let release = () => {};
let muted = false;
let agentSpeaks = false;
let tail = 0;
let startedAt = 0;
let keptFigures = {};

// --- the call --------------------------------------------------------------------------------------------------------

async function start() {
  const mine = ++attempt;
  hideProblem();
  show("calling");
  transcript.clear();
  try {
    requireSecureContext();
    await lockOut(mine);
    const { rate } = await settings();
    if (mine !== attempt) {
      return;
    }
    const opened = (sound = new Sound(rate));
    listenTo(opened);
    await opened.open(chosen());
    listDevices();
    call = new Call(opened, rate);
    listenToCall(call);
    await call.start(target);
  } catch (error) {
    if (mine === attempt) {
      showProblem(error);
      finish("idle");
    }
  }
}

function hangUp() {
  attempt += 1;
  if (call !== null) {
    call.hangUp();
  } else if (page.dataset.state === "calling") {
    finish("idle"); // the microphone is still asked for
  }
}

function networkChanged(isThere) {
  transcript.networkChanged();
  call?.networkChanged(isThere);
}

async function settings() {
  let response;
  try {
    response = await fetch("settings");
  } catch {
    throw new Problem("The server does not answer.", "It may have stopped. Start it, and reload the page.");
  }
  if (!response.ok) {
    throw new Problem("The server does not know this browser any more.", "Open the link that it prints when it starts.");
  }
  return await response.json();
}

// Two tabs that hear one room would answer each other.
function lockOut(mine) {
  return new Promise((resolve, reject) => {
    navigator.locks.request(LOCK, { ifAvailable: true }, (lock) => {
      if (lock === null) {
        reject(new Problem("Another tab of this browser is in a call.", "End that call first."));
        return undefined;
      }
      resolve();
      return mine === attempt ? new Promise((done) => (release = done)) : undefined;
    });
  });
}

function listenTo(source) {
  source.addEventListener("heard", ({ detail }) => meter("your-level", muted ? 0 : detail));
  source.addEventListener("played", ({ detail }) => showPlayed(detail));
  source.addEventListener("lost", () => {
    showProblem(new Problem("The microphone is gone.", "Connect it again, and call again."));
    hangUp();
  });
}

function listenToCall(one) {
  one.addEventListener("state", ({ detail }) => {
    if (detail === "over") {
      finish("over");
    } else {
      show(detail);
    }
    if (detail === "live") {
      transcript.follow(one.answer.call);
    }
  });
  one.addEventListener("problem", ({ detail }) => showProblem(detail));
}

// The call is over, or did not come about.
function finish(state) {
  sound?.close();
  sound = call = null;
  release();
  release = () => {};
  muted = agentSpeaks = false;
  $("mute").setAttribute("aria-pressed", "false");
  meter("your-level", 0);
  meter("agent-level", 0);
  transcript.endSoon();
  show(state);
}

// --- what is seen ----------------------------------------------------------------------------------------------------

function show(state) {
  const isOn = state === "calling" || state === "live" || state === "rejoining";
  if (state === "live" && page.dataset.state === "calling") {
    startedAt = performance.now();
    $("pressed").value = "";
  }
  page.dataset.state = state;
  $("status").textContent = SAYS[state];
  $("call").classList.toggle("ends", isOn);
  $("call-label").textContent = isOn ? "Hang up" : "Call";
  $("mute").disabled = $("pad").disabled = state !== "live";
  for (const id of ["microphone", "output", "cleans"]) {
    $(id).disabled = isOn;
  }
  if (!isOn) {
    showPad(false);
  }
}

function showProblem(error) {
  const isOurs = error instanceof Problem;
  if (!isOurs) {
    console.warn(error);
  }
  $("problem").hidden = false;
  $("problem-text").textContent = isOurs ? error.message : "Something went wrong in this page.";
  $("problem-remedy").textContent = isOurs ? error.remedy : "Reload it, and call again.";
}

function hideProblem() {
  $("problem").hidden = true;
}

// A level as ears take it: 0 at -60 dB, 1 at full scale.
function loudness(level) {
  return level <= 0.001 ? 0 : Math.min(1, 1 + Math.log10(level) / 3);
}

function meter(id, level) {
  const shown = loudness(level).toFixed(2);
  $(id).style.setProperty("--level", shown);
  $(id).setAttribute("aria-valuenow", String(Math.round(100 * shown)));
  if (id === "agent-level") {
    $("ring").style.setProperty("--level", shown);
  }
}

function showPlayed(report) {
  meter("agent-level", report.level);
  keptFigures = report;
  agentIs(report.playing);
}

function agentIs(speaking) {
  if (speaking) {
    tail = performance.now() + TAIL_MS;
  }
  const speaks = speaking || performance.now() < tail;
  if (speaks !== agentSpeaks) {
    agentSpeaks = speaks;
    applyMute();
  }
}

function applyMute() {
  sound?.isOpen && sound.mute(muted || (agentSpeaks && $("half-duplex").checked));
}

function tick() {
  if (page.dataset.state !== "live" && page.dataset.state !== "rejoining") {
    return;
  }
  const seconds = Math.floor((performance.now() - startedAt) / 1000);
  const two = (value) => String(value).padStart(2, "0");
  $("clock").textContent = `${two(Math.floor(seconds / 60))}:${two(seconds % 60)}`;
  const { bufferedMs = 0, underruns = 0, dropped = 0 } = keptFigures;
  const lost = call.unsent > 0 ? ` · ${call.unsent} frames not sent` : "";
  const rejoins = call.rejoins > 0 ? ` · connected again: ${call.rejoins}` : "";
  const cut = dropped > 0 ? " · the buffer was full" : "";
  $("figures").textContent = `${(bufferedMs / 1000).toFixed(1)} s waiting · ${underruns} gaps${lost}${rejoins}${cut}`;
}

// --- what the person does --------------------------------------------------------------------------------------------

function press(digit) {
  if (call?.state === "live") {
    call.press(digit);
    $("pressed").value += digit;
  }
}

function toggleMute() {
  if (call?.state === "live") {
    muted = !muted;
    $("mute").setAttribute("aria-pressed", String(muted));
    applyMute();
  }
}

function showPad(open) {
  $("keys").hidden = !open;
  $("pad").setAttribute("aria-expanded", String(open));
}

function chosen() {
  return { cleans: $("cleans").checked, device: $("microphone").value, output: $("output").value };
}

async function listDevices() {
  const devices = (await navigator.mediaDevices?.enumerateDevices()) ?? [];
  for (const [id, kind] of [["microphone", "audioinput"], ["output", "audiooutput"]]) {
    const select = $(id);
    const before = select.value;
    const named = devices.filter((one) => one.kind === kind && one.label && one.deviceId !== "default");
    select.replaceChildren(new Option("System default", ""), ...named.map((one) => new Option(one.label, one.deviceId)));
    select.value = named.some((one) => one.deviceId === before) ? before : "";
  }
}

// Settings survive a reload; browsers that keep nothing go without.
function remember(id) {
  const box = $(id);
  try {
    box.checked = JSON.parse(localStorage.getItem(`patter-${id}`) ?? String(box.checked));
  } catch {
    return;
  }
  box.addEventListener("change", () => localStorage.setItem(`patter-${id}`, JSON.stringify(box.checked)));
}

function makeKeys() {
  $("grid").replaceChildren(
    ...[...KEYS].map((digit, place) => {
      const button = document.createElement("button");
      button.type = "button";
      const letters = document.createElement("small");
      letters.setAttribute("aria-hidden", "true"); // nobody presses them to spell
      letters.textContent = LETTERS[place];
      button.append(digit, letters);
      button.addEventListener("click", () => press(digit));
      return button;
    }),
  );
}

function keyPressed(event) {
  const isTyping = event.target instanceof HTMLSelectElement || event.target instanceof HTMLInputElement;
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || isTyping) {
    return;
  }
  if (KEYS.includes(event.key)) {
    press(event.key);
  } else if (event.key.toLowerCase() === "m") {
    toggleMute();
  }
}

remember("half-duplex");
remember("cleans");
makeKeys();
listDevices();
if (target) {
  $("target").hidden = false;
  $("target").textContent = `Calls ${target}`;
}
$("output-line").hidden = !("setSinkId" in AudioContext.prototype);
$("call").addEventListener("click", () => (["idle", "over"].includes(page.dataset.state) ? start() : hangUp()));
$("mute").addEventListener("click", toggleMute);
$("pad").addEventListener("click", () => showPad($("keys").hidden));
$("half-duplex").addEventListener("change", applyMute);
addEventListener("keydown", keyPressed);
addEventListener("pagehide", hangUp);
addEventListener("online", () => networkChanged(true));
addEventListener("offline", () => networkChanged(false));
navigator.mediaDevices?.addEventListener("devicechange", listDevices);
setInterval(tick, 500);
try {
  requireSecureContext();
  $("call").disabled = false; // before, a press would be lost
} catch (error) {
  showProblem(error);
}

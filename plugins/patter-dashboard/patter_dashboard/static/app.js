// The frame: which page is shown, by the fragment of the address.

import { show, notice } from "./dom.js";
import { callsPage } from "./calls.js";
import { callPage } from "./call.js";
import { figuresPage } from "./figures.js";
import { systemPage } from "./system.js";

const main = document.getElementById("main");
const links = document.querySelectorAll("#nav a");
let leaving = new AbortController();

function pageOf(path) {
  const [first, id] = path.split("/");
  if (first === "call" && id) return ["Call", (signal) => callPage(main, decodeURIComponent(id), signal)];
  if (first === "figures") return ["Figures", (signal) => figuresPage(main, signal)];
  if (first === "system") return ["System", (signal) => systemPage(main, signal)];
  return ["Calls", (signal) => callsPage(main, signal)];
}

async function route(event) {
  const path = location.hash.replace(/^#\/?/, "").split("?")[0];
  leaving.abort();
  leaving = new AbortController();
  const { signal } = leaving;
  const [title, page] = pageOf(path);
  document.title = `${title} · Patter`;
  for (const link of links) {
    const here = link.getAttribute("href").slice(2);
    const isCurrent = here === path || (here === "" && path.startsWith("call/"));
    if (isCurrent) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  try {
    await page(signal);
  } catch (error) {
    if (error.name !== "AbortError" && !signal.aborted) show(main, notice(error.message, "bad"));
  }
  if (event && !signal.aborted) main.focus({ preventScroll: true });
}

document.getElementById("skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});
addEventListener("hashchange", route);
route();

// What the server is asked, and its feed, which goes on where it was after a break.

export class Failure extends Error {}

async function answered(request) {
  let answer;
  try {
    answer = await request;
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Failure("The server does not answer.");
  }
  if (answer.status === 401) {
    location.reload();
    throw new Failure("Sign in again.");
  }
  const said = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Failure(said.error || `The server answered with status ${answer.status}.`);
  return said;
}

export const get = (path, signal) => answered(fetch(`./api/${path}`, { signal, headers: { accept: "application/json" } }));

export const post = (path, body = {}) =>
  answered(
    fetch(`./api/${path}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    }),
  );

const linkState = document.getElementById("link-state");

function tellLink(isUp) {
  linkState.textContent = isUp ? "Live" : "Reconnecting…";
  linkState.dataset.up = isUp;
}

// Calls onItem for each event. onLost tells that some were missed: what is shown must be asked for again.
export function follow({ call = "", after = "", onItem, onLost, signal }) {
  let source = null;
  let last = after;
  let timer = null;

  function open() {
    const query = new URLSearchParams();
    if (call) query.set("call", call);
    if (last) query.set("after", last);
    source = new EventSource(`./api/feed?${query}`);
    source.onopen = () => tellLink(true);
    source.onmessage = (event) => {
      last = event.lastEventId;
      onItem(JSON.parse(event.data));
    };
    source.addEventListener("lost", () => onLost());
    source.onerror = restart;
  }

  function restart() {
    if (document.hidden) return;
    tellLink(false);
    close();
    timer = setTimeout(open, 1000);
  }

  function close() {
    source?.close();
    source = null;
    clearTimeout(timer);
  }

  function onVisibility() {
    if (document.hidden) close();
    else if (source === null) open();
  }

  document.addEventListener("visibilitychange", onVisibility, { signal });
  for (const change of ["offline", "online"]) addEventListener(change, restart, { signal }); // it may be dead without knowing
  signal.addEventListener("abort", () => {
    close();
    linkState.textContent = "";
  });
  if (!document.hidden) open();
}

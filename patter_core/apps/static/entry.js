// Lets the browser in: by the token in the fragment of the address, which no server and no log sees, or by a password.

const root = document.documentElement.dataset.root;
const status = document.getElementById("status");

async function enter(proof) {
  let answer;
  try {
    answer = await fetch(`${root}/-/session`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(proof),
    });
  } catch {
    status.textContent = "The server does not answer.";
    return;
  }
  if (answer.ok) {
    location.reload();
    return;
  }
  const said = await answer.json().catch(() => ({}));
  status.textContent = said.error || "That did not work.";
}

function enterByLink() {
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  if (token === null) return;
  history.replaceState(null, "", location.pathname + location.search);
  enter({ token });
}

addEventListener("hashchange", enterByLink); // the link was opened in a tab that shows this page
enterByLink();

const form = document.getElementById("password-form");
form?.addEventListener("submit", (event) => {
  event.preventDefault();
  enter({ password: document.getElementById("password").value });
});

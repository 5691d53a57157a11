// What can be done with a live call.

import { h, notice, show } from "./dom.js";
import { post } from "./api.js";

export function actionsFor(id, isHere) {
  const said = h("div", { role: "status" });
  const path = `calls/${encodeURIComponent(id)}`;

  async function act(button, request, done) {
    button.disabled = true;
    show(said);
    try {
      await request();
      show(said, notice(done, "good"));
    } catch (error) {
      show(said, notice(error.message, "bad"));
    }
    button.disabled = false;
  }

  const sure = h(
    "dialog", { "aria-labelledby": "sure-title" },
    h("h2", { id: "sure-title" }, "Hang up?"),
    h("p", {}, "The caller is cut off once they have heard what is on its way."),
    h("form", { method: "dialog", class: "row" }, h("button", { value: "no" }, "Keep the call"), h("button", { value: "yes", class: "danger" }, "Hang up")),
  );
  const hangUp = h("button", { type: "button", class: "danger", onclick: () => sure.showModal() }, "Hang up");
  sure.addEventListener("close", () => sure.returnValue === "yes" && act(hangUp, () => post(`${path}/hang_up`), "The call is ended."));

  function line(label, name, attributes, text, request, done) {
    const input = h("input", { name, required: true, maxlength: 2000, ...attributes });
    const button = h("button", { type: "submit" }, text);
    const form = h("form", { class: "action" }, h("label", { class: "field" }, h("span", {}, label), input), button);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      act(button, () => request(input.value).then(() => form.reset()), done);
    });
    return form;
  }

  return h(
    "section", { class: "panel actions", "aria-label": "Actions" },
    line("Transfer to", "to", { type: "text", inputmode: "tel", placeholder: "+15550001234 or sip:…", autocomplete: "off" }, "Transfer", (to) => post(`${path}/transfer`, { to }), "The carrier took the transfer."),
    isHere
      ? line("Tell the agent", "context", { type: "text", placeholder: "What the agent should know", autocomplete: "off" }, "Tell", (text) => post(`${path}/context`, { text }), "The agent knows.")
      : h("p", { class: "soft" }, "Another worker has this call: its agent can be told nothing from here."),
    hangUp, sure, said,
  );
}

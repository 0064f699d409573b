// Right or wrong: a person's word on the answer that is shown.
import { byId, offers, tell } from "./dom.js";
import { post } from "./net.js";

const buttons = [byId("right"), byId("wrong")];
let available = offers("feedback");
let judged = "";

function press(chosen) {
  for (const button of buttons) button.setAttribute("aria-pressed", String(button === chosen));
}

// Offers the buttons for a result; empty: for none.
export function ask(id) {
  judged = id;
  press(null);
  tell("thanks", "");
  byId("judge").hidden = !available || !id;
}

async function send(button) {
  const id = judged;
  press(button);
  try {
    const { label, text_kept: kept } = await post("api/feedback", { id, verdict: button.value });
    if (id === judged) tell("thanks", `Noted as ${label}. ${kept ? "Your text is kept with it." : "Your text is not kept."}`);
  } catch (error) {
    if (id !== judged) return;
    press(null);
    tell("thanks", error instanceof TypeError ? "Not noted: the server can’t be reached." : `Not noted. ${error.message}`);
    if (error.status === 404 && error.code === "not_found") {
      available = false;
      byId("judge").hidden = true;
    }
  }
}

for (const button of buttons) button.addEventListener("click", () => send(button));

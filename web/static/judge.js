// Right or wrong: a person's word on the answer that is shown.
import { byId, tell } from "./dom.js";
import { post } from "./net.js";

const buttons = [byId("right"), byId("wrong")];
let judged = null;

function press(chosen) {
  for (const button of buttons) button.setAttribute("aria-pressed", String(button === chosen));
}

// Offers the buttons for a result; null: for none.
export function ask(result) {
  judged = result;
  press(null);
  tell("thanks", "");
  byId("judge").hidden = !result;
}

async function send(button) {
  const result = judged;
  // What it said too: the server may have forgotten the result by now, or be another replica.
  const { id, input, sentiment, model } = result;
  press(button);
  try {
    const { label, text_kept: kept } = await post("api/feedback", { id, input, verdict: button.value, sentiment, model });
    if (result === judged) tell("thanks", `Noted as ${label}. ${kept ? "Your text is kept with it." : "Your text is not kept."}`);
  } catch (error) {
    if (result !== judged) return;
    press(null);
    tell("thanks", error instanceof TypeError ? "Not noted: the server can’t be reached." : `Not noted. ${error.message}`);
  }
}

for (const button of buttons) button.addEventListener("click", () => send(button));

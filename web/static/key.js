// The API key of who sends, where nobody sends without one: kept for this tab, sent with every POST.
import { byId, tell } from "./dom.js";

const STORE = "sentiment-api-key";
// What a header can carry, which is all that a key can be made of.
const SENDABLE = /^[!-~]*$/;

const field = byId("key");
const hint = byId("key-note").textContent;

function say(words, wrong) {
  tell("key-note", words);
  byId("key-note").dataset.state = wrong ? "error" : "";
  field.setAttribute("aria-invalid", String(wrong));
}

function keep() {
  say(hint, false);
  try {
    sessionStorage.setItem(STORE, field.value.trim());
  } catch {
    // Storage that is full or forbidden only means that a reload forgets.
  }
}

// The header of a request; a key that no header can carry is sent as none.
export function header() {
  const key = field.value.trim();
  return key && SENDABLE.test(key) ? { Authorization: `Bearer ${key}` } : {};
}

// The server wants a key, or another one: says so at the field, and returns the sentence.
export function refused() {
  const words = field.value.trim()
    ? "This API key is none of those that may send: correct it and send again."
    : "Sending needs an API key: give it at the top of the page and send again.";
  byId("key-form").hidden = false;
  say(words, true);
  field.focus();
  return words;
}

function recall() {
  try {
    return sessionStorage.getItem(STORE) ?? "";
  } catch {
    return "";
  }
}

field.value = recall();
field.addEventListener("input", keep);
byId("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  byId("text").focus();
});

// Sends a text and shows its result in place. What people write is only ever text content.
import { own, start } from "./feed.js";

// As long as a person waits; the server answers the moment that the result is there.
const WAIT_S = 10;

const form = document.getElementById("form");
const text = document.getElementById("text");
const send = document.getElementById("send");
const answer = document.getElementById("answer");

function note(state, words) {
  answer.dataset.state = state;
  document.getElementById("answer-note").textContent = words;
}

async function call(path, options) {
  const response = await fetch(path, options);
  const body = await response.json().catch(() => ({}));
  if (!response.ok) {
    throw new Error(body.error?.message || `The server answered with ${response.status}.`);
  }
  return body;
}

function show(result, words, seconds) {
  const share = Math.round(result.confidence * 100);
  const positive = result.sentiment === "positive";
  answer.dataset.state = result.sentiment;
  answer.querySelector(".mark").textContent = positive ? "▲" : "▼";
  document.getElementById("verdict").textContent = positive ? "Positive" : "Negative";
  document.getElementById("share").textContent = `${share} % sure`;
  const meter = document.getElementById("meter");
  meter.setAttribute("aria-valuenow", share);
  document.getElementById("fill").style.width = `${share}%`;
  document.getElementById("echo").textContent = words;
  document.getElementById("details").textContent =
    `${result.model.name} v${result.model.version} · partition ${result.input.partition},` +
    ` offset ${result.input.offset} · ${Math.round(seconds * 1000)} ms through Kafka and back`;
}

async function classify() {
  const words = text.value;
  if (!words.trim()) {
    note("error", "Write something first: an empty text has no sentiment.");
    text.focus();
    return;
  }
  send.disabled = true;
  note("waiting", "On its way through Kafka …");
  const began = performance.now();
  try {
    const id = crypto.randomUUID?.() ?? `${Date.now()}-${Math.random().toString(16).slice(2)}`;
    own.set(id, words);
    await call("api/events", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ id, text: words.toWellFormed?.() ?? words }),
    });
    const result = await call(`api/results/${encodeURIComponent(id)}?wait=${WAIT_S}`);
    show(result, words, (performance.now() - began) / 1000);
  } catch (error) {
    const away = error instanceof TypeError;
    note("error", away ? "The server can't be reached. Try again in a moment." : error.message);
  } finally {
    send.disabled = false;
  }
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  classify();
});
text.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    classify();
  }
});
for (const chip of document.querySelectorAll(".chip")) {
  chip.addEventListener("click", () => {
    text.value = chip.textContent;
    classify();
  });
}
start();

// Sends a text and shows its result in place. What people write is only ever text content.
import * as feed from "./feed.js";

// As long as a person waits; the server answers the moment that the result is there.
const WAIT_S = 10;

const byId = (id) => document.getElementById(id);
const text = byId("text");
const send = byId("send");
const answer = byId("answer");
// The id of the text whose answer is shown or waited for.
let current = "";

function note(state, words) {
  answer.dataset.state = state;
  byId("verdict").hidden = true;
  byId("note").hidden = false;
  byId("note").textContent = words;
}

function show(result, words, milliseconds) {
  const positive = result.sentiment === "positive";
  answer.dataset.state = result.sentiment;
  byId("mark").textContent = positive ? "▲" : "▼";
  byId("word").textContent = positive ? "Positive" : "Negative";
  byId("share").textContent = feed.percent(result.confidence);
  byId("meter").value = result.confidence;
  byId("meter").ariaValueText = feed.percent(result.confidence);
  byId("echo").textContent = words;
  byId("details").textContent = [
    ...(milliseconds === undefined ? [] : [`${Math.round(milliseconds)} ms through Kafka and back`]),
    `${result.model.name} v${result.model.version}`,
  ].join(" · ");
  byId("note").hidden = true;
  byId("verdict").hidden = false;
}

async function call(path, options) {
  const response = await fetch(path, options);
  const body = await response.json().catch(() => ({}));
  if (response.ok) return body;
  const message = body.error?.message ?? `The server answered with ${response.status}.`;
  throw Object.assign(new Error(message), { code: body.error?.code });
}

// crypto.randomUUID exists on secure origins only, and a page in a cluster may be plain HTTP.
function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function explain(error, sent) {
  if (error instanceof TypeError) return "The server can’t be reached. Nothing was lost: try again in a moment.";
  if (sent) return "Sent, but no result yet. It is safe on the topic, and shown here when it comes.";
  if (error.code === "kafka_unavailable") return "Not sent: Kafka is away. Your text stays in the box; try again when it is back.";
  return `Not sent. ${error.message}`;
}

async function classify() {
  const words = text.value.toWellFormed?.() ?? text.value;
  if (!words.trim()) {
    note("error", "Write something first: an empty text has no sentiment.");
    text.focus();
    return;
  }
  const id = newId();
  const began = performance.now();
  let sent = false;
  current = id;
  send.disabled = true;
  note("waiting", "On its way through Kafka …");
  feed.remember(id, words);
  try {
    await call("api/events", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ id, text: words }),
    });
    sent = true;
    const result = await call(`api/results/${id}?wait=${WAIT_S}`);
    if (current === id) show(result, words, performance.now() - began);
    feed.add([result]);
  } catch (error) {
    const final = sent && !["no_result", "kafka_unavailable"].includes(error.code) && !(error instanceof TypeError);
    if (current === id) note(sent && !final ? "waiting" : "error", final ? error.message : explain(error, sent));
  } finally {
    send.disabled = false;
  }
}

byId("form").addEventListener("submit", (event) => {
  event.preventDefault();
  if (!send.disabled) classify();
});
text.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) byId("form").requestSubmit(send.disabled ? null : send);
});
for (const chip of document.querySelectorAll(".chip")) {
  chip.addEventListener("click", () => {
    if (send.disabled) return;
    text.value = chip.textContent;
    classify();
  });
}

// A result that came too late for its request still finds its place.
feed.start((result, words) => {
  if (result.id === current && answer.dataset.state === "waiting" && !send.disabled) show(result, words);
});

// Sends a text and shows its result in place.
import { byId, duration, percent, tell } from "./dom.js";
import * as explain from "./explain.js";
import * as feed from "./feed.js";
import * as judge from "./judge.js";
import { call, newId, post } from "./net.js";
import { remember } from "./own.js";

// As long as a person waits; the server answers the moment that the result is there.
const WAIT_S = 10;

const text = byId("text");
const send = byId("send");
const answer = byId("answer");
// The id of the text whose answer is shown or waited for.
let current = "";
// Where its result is, once it is sent.
let path = "";

function note(state, words) {
  answer.dataset.state = state;
  byId("verdict").hidden = true;
  byId("note").hidden = false;
  tell("note", words);
  tell("said", words);
  judge.ask(null);
}

function show(result, words, milliseconds) {
  const positive = result.sentiment === "positive";
  const share = percent(result.confidence);
  answer.dataset.state = result.sentiment;
  byId("mark").textContent = positive ? "▲" : "▼";
  byId("word").textContent = positive ? "Positive" : "Negative";
  byId("share").textContent = share;
  byId("meter").value = result.confidence;
  byId("meter").ariaValueText = share;
  tell("said", `${positive ? "Positive" : "Negative"}, ${share} confident.`);
  explain.show(words, result.explanation);
  byId("details").replaceChildren([
    ...(milliseconds === undefined ? [] : [`${duration(milliseconds)} through Kafka and back`]),
    `${result.model.name} v${result.model.version}`,
  ].join(" · "), ...(result.canary ? [" ", feed.challenger()] : []));
  judge.ask(result);
  byId("note").hidden = true;
  byId("verdict").hidden = false;
  // A long text scrolls in its box, which the keyboard has to reach.
  const echo = byId("echo");
  echo.scrollTop = 0;
  echo.toggleAttribute("tabindex", echo.scrollHeight > echo.clientHeight);
  if (echo.hasAttribute("tabindex")) echo.tabIndex = 0;
}

function apology(error, sent) {
  if (error instanceof TypeError) return "The server can’t be reached. Nothing was lost: try again in a moment.";
  if (sent) return "Sent, but no result yet. It is safe on the topic, and shown here when it comes.";
  if (error.code === "kafka_unavailable") return "Not sent: Kafka is away. Your text stays in the box; try again when it is back.";
  // One text is no list, and its number says nothing.
  const reason = error.message.replace(/^Event 0: /, "");
  if (error.code === "too_large") return `Not sent: the text is too long. It has ${reason.replace(/\.$/, "")}. Shorten it and try again.`;
  if (error.status === 413) return `Not sent: the text is far too long. ${reason} Shorten it and try again.`;
  return `Not sent. ${reason}`;
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
  path = "";
  send.disabled = true;
  note("waiting", "On its way through Kafka …");
  remember(id, words);
  try {
    const { events: [{ input }], token } = await post("api/events", { id, text: words, explain: true });
    sent = true;
    remember(id, words, input);
    path = `api/results/${id}?${new URLSearchParams({ partition: input.partition, offset: input.offset, token })}`;
    const result = await call(`${path}&wait=${WAIT_S}`);
    if (current === id) show(result, words, performance.now() - began);
    feed.add([result]);
  } catch (error) {
    const final = sent && !["no_result", "kafka_unavailable"].includes(error.code) && !(error instanceof TypeError);
    if (current === id) note(sent && !final ? "waiting" : "error", final ? error.message : apology(error, sent));
  } finally {
    send.disabled = false;
  }
}

// A result that came too late for its request still finds its place.
export async function late(result, words) {
  const waiting = () => result.id === current && answer.dataset.state === "waiting" && !send.disabled;
  if (words === undefined || !waiting()) return;
  // The feed has no explanations: they are the sender's alone.
  const explained = path ? await call(path).catch(() => result) : result;
  if (waiting()) show(explained, words);
}

export function start() {
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
}

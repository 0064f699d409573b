// The live feed: everybody's results as they come, by server-sent events.

// A screen or two; older lines have scrolled out of anybody's interest.
const MOST_LINES = 40;
// A list that moves all the time can't be read: it moves at most this often.
const PACE_MS = 500;
// The texts of a long session; the oldest go first.
const MOST_OWN = 200;
const MOST_SOURCES = 30;
const STORE = "sentiment-own-texts";

const byId = (id) => document.getElementById(id);
const list = byId("feed");
const lines = new Map();
const sources = new Set();
// Texts that this tab sent, by id: results carry none, and nobody else's are known here.
const own = new Map(recall());
const state = { sentiment: "", source: "", paused: false, waiting: [], stream: null };
let onOwn = () => {};

function recall() {
  try {
    return JSON.parse(sessionStorage.getItem(STORE) ?? "[]");
  } catch {
    return [];
  }
}

export function remember(id, words) {
  own.set(id, words);
  if (own.size > MOST_OWN) own.delete(own.keys().next().value);
  try {
    sessionStorage.setItem(STORE, JSON.stringify([...own]));
  } catch {
    // Storage that is full or forbidden only means that a reload forgets.
  }
}

// Rounded down, since only certainty is 100 %.
export function percent(share) {
  return `${(Math.floor(share * 1000) / 10).toFixed(1)} %`;
}

function part(tag, name, words) {
  const element = document.createElement(tag);
  element.className = name;
  element.textContent = words;
  return element;
}

function line(result) {
  const item = document.createElement("li");
  const positive = result.sentiment === "positive";
  item.className = "item";
  item.dataset.sentiment = result.sentiment;
  item.dataset.id = result.id;
  const verdict = part("span", "item-word", positive ? "Positive" : "Negative");
  const mark = part("span", "mark", positive ? "▲" : "▼");
  mark.setAttribute("aria-hidden", "true");
  verdict.prepend(mark);
  const meter = part("meter", "meter", "");
  meter.value = result.confidence;
  meter.setAttribute("aria-hidden", "true");
  const about = part("span", "item-about", "");
  if (result.source) about.append(part("bdi", "tag", result.source));
  const words = own.get(result.id);
  if (words !== undefined) {
    item.dataset.mine = "true";
    about.append(part("span", "tag you", "you"), part("bdi", "foreign item-text", words));
  }
  const time = part("time", "item-time", new Date(result.processed_at).toLocaleTimeString());
  time.dateTime = result.processed_at;
  const id = part("bdi", "item-id", result.id.length > 10 ? `${result.id.slice(0, 8)}…` : result.id);
  id.title = result.id;
  item.append(verdict, meter, part("span", "item-share", percent(result.confidence)), about,
    part("span", "item-model", `v${result.model.version}`), id, time);
  return item;
}

function place({ input }) {
  return `${input.topic}-${input.partition}-${input.offset}`;
}

function matches(result) {
  return (!state.sentiment || result.sentiment === state.sentiment)
    && (!state.source || result.source === state.source);
}

// Takes results, oldest first; those that are listed already, or filtered out, change nothing.
export function add(results) {
  const wanted = results.filter(matches);
  if (state.paused) {
    state.waiting = [...state.waiting, ...wanted].slice(-MOST_LINES);
    tellPause();
    return;
  }
  for (const result of wanted) {
    if (lines.has(place(result))) continue;
    const item = line(result);
    lines.set(place(result), item);
    list.prepend(item);
    if (result.source) suggest(result.source);
  }
  for (const [key, item] of lines) {
    if (lines.size <= MOST_LINES) break;
    lines.delete(key);
    item.remove();
  }
  byId("empty").hidden = lines.size > 0;
}

function suggest(source) {
  if (sources.has(source) || sources.size >= MOST_SOURCES) return;
  sources.add(source);
  const option = document.createElement("option");
  option.value = source;
  byId("sources").append(option);
}

function tellPause() {
  const button = byId("pause");
  button.setAttribute("aria-pressed", String(state.paused));
  const count = state.waiting.length >= MOST_LINES ? `${MOST_LINES}+` : state.waiting.length;
  button.textContent = !state.paused ? "Pause" : count ? `Resume (${count} new)` : "Resume";
}

function tell(name, words, banner) {
  byId("status").dataset.state = name;
  // Only a change is news for a screen reader.
  if (byId("status-text").textContent !== words) byId("status-text").textContent = words;
  if (byId("banner").textContent !== banner) byId("banner").textContent = banner;
  byId("banner").hidden = !banner;
}

function showStatus(status) {
  if (status.connected) {
    tell("connected", "Kafka connected", "");
  } else {
    tell("away", "Reconnecting to Kafka …",
      "Kafka is away. Nothing can be sent or received; this page goes on by itself when it is back.");
  }
  byId("model").textContent = status.model ? `${status.model.name} v${status.model.version}` : "";
  const rate = Math.round(status.results_per_second);
  byId("rate").textContent = [
    ...(rate ? [`${rate.toLocaleString()} ${rate === 1 ? "result" : "results"}/s`] : []),
    ...(status.skipped ? [`a sample: ${status.skipped.toLocaleString()} more in the last second`] : []),
  ].join(" · ");
}

function open() {
  state.stream?.close();
  const filter = new URLSearchParams({ sentiment: state.sentiment, source: state.source });
  const stream = new EventSource(`api/stream?${filter}`);
  let fresh = [];
  const pace = setInterval(() => {
    if (stream !== state.stream) clearInterval(pace);
    else if (fresh.length) add(fresh);
    fresh = [];
  }, PACE_MS);
  stream.addEventListener("result", ({ data }) => {
    const result = JSON.parse(data);
    fresh.push(result);
    if (own.has(result.id)) onOwn(result, own.get(result.id));
  });
  stream.addEventListener("status", ({ data }) => showStatus(JSON.parse(data)));
  stream.addEventListener("error", () => {
    if (stream !== state.stream) return;
    tell("away", "Reconnecting …", "The server of this page doesn’t answer. Trying again …");
    // The browser tries again by itself, except where the server's answer was no stream.
    if (stream.readyState === EventSource.CLOSED) setTimeout(() => stream === state.stream && open(), 2000);
  });
  state.stream = stream;
}

function choose(change) {
  Object.assign(state, change, { waiting: [] });
  tellPause();
  lines.clear();
  list.replaceChildren();
  byId("empty").hidden = false;
  byId("empty").textContent = state.sentiment || state.source
    ? "Nothing that matches yet. Results appear here as they come."
    : "Nothing yet. Results appear here as they come.";
  open();
}

export function start(tellOwn) {
  onOwn = tellOwn;
  for (const radio of document.querySelectorAll("[name=sentiment]")) {
    radio.addEventListener("change", () => choose({ sentiment: radio.value }));
  }
  let typing = 0;
  byId("source").addEventListener("input", ({ target }) => {
    clearTimeout(typing);
    // A filter is a new stream: wait until the word is written.
    typing = setTimeout(() => choose({ source: target.value.trim() }), 300);
  });
  byId("pause").addEventListener("click", () => {
    state.paused = !state.paused;
    const waiting = state.waiting;
    state.waiting = [];
    tellPause();
    add(waiting);
  });
  open();
}

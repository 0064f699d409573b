// The live feed: everybody's results as they come, by server-sent events.

// Texts that this browser sent, by id: results carry none, and nobody else's are known here.
export const own = new Map();

// What fits a screen; older ones have scrolled out of anybody's interest.
const MOST_SHOWN = 14;
const MOST_OWN = 200;
// A list that changes faster than this can't be read: the newest of each while are shown.
const PACE_MS = 500;
const MOST_PER_PACE = 3;

const list = document.getElementById("feed");
const state = { sentiment: "", source: "", paused: false, line: null, waiting: [] };

function part(name, words) {
  const element = document.createElement("span");
  element.className = name;
  element.textContent = words;
  return element;
}

function add(result) {
  const item = document.createElement("li");
  const mine = own.get(result.id);
  item.className = "item";
  item.dataset.sentiment = result.sentiment;
  item.dataset.id = result.id;
  item.dataset.mine = String(mine !== undefined);
  const main = part("item-main", mine ?? `${result.source ?? "no source"} · ${result.id}`);
  main.dir = "auto";
  const mark = part("item-mark", result.sentiment === "positive" ? "▲" : "▼");
  mark.setAttribute("aria-label", result.sentiment);
  mark.setAttribute("role", "img");
  item.append(
    mark,
    main,
    part("item-share", `${Math.round(result.confidence * 100)} %`),
    part("item-time", new Date(result.processed_at).toLocaleTimeString()),
  );
  list.prepend(item);
  while (list.children.length > MOST_SHOWN) list.lastChild.remove();
  while (own.size > MOST_OWN) own.delete(own.keys().next().value);
  document.getElementById("feed-note").hidden = true;
}

function tell(name, words) {
  document.getElementById("status").dataset.state = name;
  document.getElementById("status-text").textContent = words;
}

function show(status) {
  if (status.kafka === "connected") {
    const model = status.model ? ` · model ${status.model.name} v${status.model.version}` : "";
    tell("connected", `Kafka connected${model}`);
  } else {
    tell("away", "Kafka is away. This page goes on by itself when it is back.");
  }
  const skipped = status.skipped ? ` · ${status.skipped} not shown` : "";
  document.getElementById("rate").textContent = `${status.results_per_second} results/s${skipped}`;
}

function open() {
  state.line?.close();
  const choice = new URLSearchParams({ sentiment: state.sentiment, source: state.source });
  state.line = new EventSource(`api/stream?${choice}`);
  state.line.addEventListener("result", (event) => {
    if (!state.paused) state.waiting.push(JSON.parse(event.data));
  });
  state.line.addEventListener("status", (event) => show(JSON.parse(event.data)));
  // The browser tries again by itself; only what it gave up on is opened anew.
  state.line.addEventListener("error", () => {
    tell("away", "The server is away. Trying again …");
    if (state.line.readyState === EventSource.CLOSED) setTimeout(open, 2000);
  });
}

function flush() {
  const others = state.waiting.filter((result) => !own.has(result.id)).slice(-MOST_PER_PACE);
  const shown = state.waiting.filter((result) => own.has(result.id) || others.includes(result));
  state.waiting = [];
  shown.forEach(add);
}

function choose() {
  state.waiting = [];
  list.replaceChildren();
  document.getElementById("feed-note").hidden = false;
  open();
}

export function start() {
  const segments = [...document.querySelectorAll("[data-sentiment][aria-pressed]")];
  for (const segment of segments) {
    segment.addEventListener("click", () => {
      state.sentiment = segment.dataset.sentiment;
      for (const other of segments) other.setAttribute("aria-pressed", String(other === segment));
      choose();
    });
  }
  let typing = 0;
  document.getElementById("source").addEventListener("input", (event) => {
    clearTimeout(typing);
    // A filter is a new line to the server: wait until the word is written.
    typing = setTimeout(() => {
      state.source = event.target.value.trim();
      choose();
    }, 300);
  });
  const pause = document.getElementById("pause");
  pause.addEventListener("click", () => {
    state.paused = !state.paused;
    pause.setAttribute("aria-pressed", String(state.paused));
    pause.textContent = state.paused ? "Go on" : "Pause";
  });
  setInterval(flush, PACE_MS);
  open();
}

// The live feed: everybody's results as a list, newest first.
import { byId, clock, part, percent, sign } from "./dom.js";
import { isSet, matches, suggest } from "./filters.js";
import * as own from "./own.js";

// A screen or two; older lines have scrolled out of anybody's interest.
const MOST_LINES = 40;
// What a change of the filters can bring back: a minute of a busy stream.
const MOST_SEEN = 600;
// A line shows the beginning of a text; more would only weigh on the browser.
const MOST_CHARACTERS = 300;

const list = byId("feed");
// By the event's place on its topic, since ids may repeat: results, and the lines that show them.
const seen = new Map();
const lines = new Map();
const state = { paused: false, waiting: [] };

const place = ({ input }) => own.place(input);

export const challenger = () => part("span", "tag challenger", "challenger");

function line(result) {
  const item = part("li", "item");
  const positive = result.sentiment === "positive";
  item.dataset.sentiment = result.sentiment;
  item.dataset.id = result.id;
  const verdict = part("span", "item-word", positive ? "Positive" : "Negative");
  verdict.prepend(sign(positive));
  const meter = part("meter", "meter");
  meter.value = result.confidence;
  meter.setAttribute("aria-hidden", "true");
  const about = part("span", "item-about");
  if (result.source) about.append(part("bdi", "tag", result.source));
  const words = own.textOf(result);
  if (words !== undefined) {
    item.dataset.mine = "true";
    const text = words.length > MOST_CHARACTERS ? `${Array.from(words.slice(0, MOST_CHARACTERS * 2)).slice(0, MOST_CHARACTERS).join("")}…` : words;
    about.append(part("span", "tag you", "you"), part("bdi", "foreign item-text", text));
  }
  const model = part("span", "item-model", `v${result.model.version}`);
  if (result.canary) model.prepend(challenger(), " ");
  const id = part("bdi", "item-id", result.id.length > 10 ? `${result.id.slice(0, 8)}…` : result.id);
  id.title = result.id;
  const time = part("time", "item-time", clock(result.processed_at));
  time.dateTime = result.processed_at;
  item.append(verdict, meter, part("span", "item-share", percent(result.confidence)), about, model, id, time);
  return item;
}

// Makes the list what it should be, and touches only the lines that change.
export function refresh() {
  const wanted = [...seen.values()].filter(matches)
    .sort((a, b) => Date.parse(b.processed_at) - Date.parse(a.processed_at)).slice(0, MOST_LINES);
  const keys = new Set(wanted.map(place));
  for (const [key, item] of lines) {
    if (keys.has(key)) continue;
    item.remove();
    lines.delete(key);
  }
  let next = list.firstElementChild;
  for (const result of wanted) {
    const key = place(result);
    const item = lines.get(key) ?? line(result);
    lines.set(key, item);
    if (item === next) next = next.nextElementSibling;
    else list.insertBefore(item, next);
  }
  byId("empty").hidden = wanted.length > 0;
  byId("empty").textContent = isSet()
    ? "Nothing that matches yet. Results appear here as they come."
    : "Nothing yet. Results appear here as they come.";
}

// Takes results; those that are known already change nothing.
export function add(results) {
  if (state.paused) {
    const known = new Set(state.waiting.map(place));
    const fresh = results.filter((result) => !known.has(place(result)) && !seen.has(place(result)));
    state.waiting = [...state.waiting, ...fresh].slice(-MOST_LINES);
    tellPause();
    return;
  }
  for (const result of results) {
    seen.set(place(result), result);
    suggest(result.source);
  }
  // One's own texts stay, so that they can be found again.
  for (const [key, result] of seen) {
    if (seen.size <= MOST_SEEN) break;
    if (own.textOf(result) === undefined) seen.delete(key);
  }
  refresh();
}

export function tellPause() {
  const count = state.waiting.filter(matches).length;
  const shown = count >= MOST_LINES ? `${MOST_LINES}+` : count;
  byId("pause").setAttribute("aria-pressed", String(state.paused));
  byId("pause").textContent = !state.paused ? "Pause" : count ? `Resume (${shown} new)` : "Resume";
}

export function start() {
  byId("pause").addEventListener("click", () => {
    state.paused = !state.paused;
    const waiting = state.waiting;
    state.waiting = [];
    tellPause();
    add(waiting);
  });
}

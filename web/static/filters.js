// Which results the live feed lists.
import { byId, part } from "./dom.js";
import { textOf } from "./own.js";

const MOST_SOURCES = 30;
// A filter follows when the word is written, not with each character.
const TYPING_MS = 300;

export const filter = { sentiment: "", source: "", least: 0, most: 1, words: "" };
const sources = new Set();

export const isSet = () => Boolean(filter.sentiment || filter.source || filter.words || filter.least || filter.most < 1);

// Results carry no text: words find this tab's own texts, and the ids of everybody's.
function mentions(result) {
  return result.id.toLowerCase().includes(filter.words)
    || (textOf(result) ?? "").toLowerCase().includes(filter.words);
}

export function matches(result) {
  return (!filter.sentiment || result.sentiment === filter.sentiment)
    && (!filter.source || result.source === filter.source)
    && result.confidence >= filter.least && result.confidence <= filter.most
    && (!filter.words || mentions(result));
}

export function suggest(source) {
  if (!source || sources.has(source) || sources.size >= MOST_SOURCES) return;
  sources.add(source);
  const option = part("option");
  option.value = source;
  byId("sources").append(option);
}

function typed(id, then) {
  let typing = 0;
  byId(id).addEventListener("input", ({ target }) => {
    clearTimeout(typing);
    typing = setTimeout(() => then(target.value.trim()), TYPING_MS);
  });
}

// `changed(true)`: the server has to choose anew, for what it leaves out may match now.
export function start(changed) {
  for (const radio of document.querySelectorAll("[name=sentiment]")) {
    radio.addEventListener("change", () => {
      filter.sentiment = radio.value;
      changed(true);
    });
  }
  typed("source", (source) => {
    filter.source = source;
    changed(true);
  });
  typed("words", (words) => {
    filter.words = words.toLowerCase();
    changed(false);
  });
  byId("confidence").addEventListener("change", ({ target }) => {
    [filter.least, filter.most] = target.value.split("-").map(Number);
    changed(false);
  });
}

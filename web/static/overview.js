// How the stream is: figures, chart, and the models with when each was first seen.
import * as chart from "./chart.js";
import { byId, clock, counted, duration, part, tell } from "./dom.js";
import { challenger } from "./feed.js";
import * as series from "./series.js";

// The trends publish once a second; a bar is ten seconds wide.
const ASK_MS = 3000;
// The champion, its challenger, and the one before.
const MOST_MODELS = 3;

const opened = Date.now();
let models = [];

const share = (positive, all) => (all ? `${Math.round((positive / all) * 100)} %` : "–");

function row({ name, version, since, canary }) {
  const item = part("tr");
  const head = part("th");
  head.scope = "row";
  head.append(part("bdi", "", `${name} v${version}`));
  if (canary) head.append(" ", challenger());
  const came = part("time", "", clock(since));
  came.dateTime = since;
  came.title = new Date(since).toLocaleString();
  const cell = part("td");
  cell.append(came);
  const counts = series.ofModel(version);
  item.append(head, cell);
  if (series.hasTrends()) {
    item.append(part("td", "number", counts ? counts.events.toLocaleString() : "–"),
      part("td", "number", counts ? share(counts.positive, counts.events) : "–"));
  }
  return item;
}

function showModels() {
  const table = byId("models");
  for (const head of table.querySelectorAll("thead .number")) head.hidden = !series.hasTrends();
  // The champion first, whichever came last.
  const shown = [...models].sort((a, b) => a.canary - b.canary || Date.parse(b.since) - Date.parse(a.since)).slice(0, MOST_MODELS);
  table.tBodies[0].replaceChildren(...shown.map(row));
  table.hidden = shown.length === 0;
}

function show() {
  const sums = { positive: 0, negative: 0, dead: 0 };
  for (const slot of series.timeline()) for (const name of Object.keys(sums)) sums[name] += slot[name];
  const all = sums.positive + sums.negative;
  tell("figure-positive", share(sums.positive, all));
  tell("figure-dead", sums.dead.toLocaleString());
  byId("figure-dead").classList.toggle("warn", sums.dead > 0);
  const since = series.hasTrends() || Date.now() - opened > series.SLOTS * series.SLOT_S * 1000
    ? "in ten minutes" : `since this page was opened at ${clock(opened)}`;
  chart.show(`${counted(all, "result")} ${since}`);
  showModels();
}

// Takes a status of the live feed; once a second.
export function status(news) {
  series.count(news);
  models = news.models;
  tell("figure-rate", news.results_per_second.toLocaleString(undefined, { maximumFractionDigits: news.results_per_second < 10 ? 1 : 0 }));
  tell("figure-latency", news.latency_ms === null ? "–" : duration(news.latency_ms));
  tell("figure-lag", news.connected && news.lag !== null ? counted(news.lag, "event") : "–");
  if (series.hasTrends()) showModels();
  else show();
}

// The server is away: what it said last is no news any more.
export function lost() {
  for (const name of ["rate", "latency", "lag"]) tell(`figure-${name}`, "–");
}

export function start() {
  chart.start();
  const ask = async () => {
    if (!document.hidden) {
      await series.ask();
      show();
    }
    setTimeout(ask, ASK_MS);
  };
  ask();
}

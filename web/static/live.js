// The connection: results and status by server-sent events, over every break.
import { byId, counted, tell } from "./dom.js";
import { filter } from "./filters.js";

// A list that moves all the time can't be read: it moves at most this often.
const PACE_MS = 500;
// The browser gives up where the server's answer was no stream, as while it starts.
const RETRY_MS = 2000;

let stream = null;
let handlers = null;

function tellState(name, words, banner) {
  byId("status").dataset.state = name;
  tell("status-text", words);
  tell("banner", banner);
  byId("banner").hidden = !banner;
}

function showStatus(status) {
  if (status.connected) {
    tellState("connected", "Kafka connected", "");
  } else {
    tellState("away", "Reconnecting to Kafka …",
      "Kafka is away. Nothing can be sent or received; this page goes on by itself when it is back.");
  }
  // Two models may answer in turn: the champion stands for both.
  const champion = status.models.findLast(({ canary }) => !canary) ?? status.model;
  tell("model", champion ? `${champion.name} v${champion.version}` : "");
  tell("rate", status.skipped ? `a sample: ${counted(status.skipped, "more", "more")} in the last second` : "");
  handlers.status(status);
}

// Opens the stream, in place of the one before.
export function open() {
  stream?.close();
  const chosen = new URLSearchParams({ sentiment: filter.sentiment, source: filter.source });
  const opened = new EventSource(`api/stream?${chosen}`);
  let fresh = [];
  const pace = setInterval(() => {
    if (opened !== stream) clearInterval(pace);
    else if (fresh.length) handlers.results(fresh);
    fresh = [];
  }, PACE_MS);
  opened.addEventListener("result", ({ data }) => fresh.push(JSON.parse(data)));
  opened.addEventListener("status", ({ data }) => showStatus(JSON.parse(data)));
  opened.addEventListener("error", () => {
    if (opened !== stream) return;
    tellState("away", "Reconnecting …", "The server of this page doesn’t answer. Trying again …");
    handlers.lost();
    if (opened.readyState === EventSource.CLOSED) setTimeout(() => opened === stream && open(), RETRY_MS);
  });
  stream = opened;
}

// `results` is given a list, `status` each status, `lost` is called when the server is away.
export function start(given) {
  handlers = given;
  open();
}

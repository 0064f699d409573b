// Many lines at once, pasted or from a file; their progress, and their results as a file.
import { byId, counted, part, tell } from "./dom.js";
import { call } from "./net.js";

// As often as a person looks at a bar that grows.
const LOOK_MS = 700;
const MOST_REFUSED = 50;
const TYPES = { csv: "text/csv", txt: "text/plain", jsonl: "application/jsonl", ndjson: "application/jsonl" };
const STORE = "sentiment-batch";

const form = byId("batch-form");
const lines = byId("lines");
const file = byId("file");
// The batch that is shown; an older one's answers come too late.
let current = "";

// By the file's name, else by how the text begins.
function typeOf(name, text) {
  const known = TYPES[name.toLowerCase().split(".").pop()];
  if (known) return known;
  const [first] = text.trimStart().split(/\r?\n/, 1);
  if (first.startsWith("{")) return TYPES.jsonl;
  return /(^|,)\s*"?text"?\s*(,|$)/i.test(first) ? TYPES.csv : TYPES.txt;
}

function say(words, failed = false) {
  byId("batch-state").hidden = false;
  byId("batch-state").dataset.state = failed ? "error" : "";
  tell("batch-text", words);
}

function showRefused(refused) {
  byId("refused").hidden = refused.length === 0;
  byId("refused-count").textContent = `${counted(refused.length, "line")} refused`;
  byId("refused-lines").replaceChildren(...refused.slice(0, MOST_REFUSED).map(({ line, reason }) => part("li", "foreign", `Line ${line}: ${reason}`)));
}

function show(batch) {
  const dead = batch.dead_letters ?? 0;
  const bar = byId("batch-progress");
  bar.max = Math.max(batch.lines, 1);
  bar.value = batch.done ? bar.max : Math.min((batch.answered ?? 0) + dead + batch.refused.length, bar.max);
  bar.hidden = false;
  say([
    `${batch.done ? "Done: " : ""}${(batch.answered ?? 0).toLocaleString()} of ${counted(batch.lines, "line")} answered`,
    `▲ ${(batch.positive ?? 0).toLocaleString()} positive`, `▼ ${(batch.negative ?? 0).toLocaleString()} negative`,
    ...(dead ? [counted(dead, "dead letter")] : []),
  ].join(" · "));
  showRefused(batch.refused);
  for (const format of ["csv", "jsonl"]) byId(`download-${format}`).href = `api/batches/${encodeURIComponent(batch.id)}/results?format=${format}`;
  byId("downloads").hidden = !batch.done;
}

// Follows a batch to its end, over a server that is away for a while.
async function follow(id) {
  current = id;
  while (current === id) {
    try {
      const batch = await call(`api/batches/${encodeURIComponent(id)}`);
      if (current !== id) return;
      show(batch);
      if (batch.done) return;
    } catch (error) {
      if (error.status === 404) {
        sessionStorage.removeItem(STORE);
        say("The server no longer knows this batch; its texts were sent, and their results are on the topic.", true);
        return;
      }
      say("The server can’t be reached. Trying again …");
    }
    await new Promise((done) => setTimeout(done, LOOK_MS));
  }
}

async function send() {
  const given = file.files[0] ?? new Blob([lines.value.toWellFormed?.() ?? lines.value]);
  const most = Number(form.dataset.bytes);
  byId("downloads").hidden = true;
  byId("batch-progress").hidden = true;
  showRefused([]);
  if (!file.files[0] && !lines.value.trim()) return say("Paste some lines or choose a file first.", true);
  if (given.size > most) return say(`Not sent: ${given.size.toLocaleString()} bytes, more than the ${most.toLocaleString()} that one batch may have. Send it in parts.`, true);
  byId("batch-progress").hidden = false;
  byId("batch-progress").removeAttribute("value");
  say("Sending …");
  byId("batch-send").disabled = true;
  try {
    const type = typeOf(file.files[0]?.name ?? "", await given.slice(0, 4096).text());
    const batch = await call("api/batches", { method: "POST", headers: { "Content-Type": type }, body: given });
    sessionStorage.setItem(STORE, batch.id);
    show(batch);
    follow(batch.id);
  } catch (error) {
    byId("batch-progress").hidden = true;
    say(error instanceof TypeError ? "Not sent: the server can’t be reached. Try again in a moment." : `Not sent. ${error.message}`, true);
  } finally {
    byId("batch-send").disabled = false;
  }
}

function choose() {
  const name = file.files[0]?.name;
  byId("file-name").textContent = name ?? "Choose a file …";
  lines.disabled = Boolean(name);
  byId("file-remove").hidden = !name;
}

export function start() {
  if (byId("batch").hidden) return;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    send();
  });
  file.addEventListener("change", choose);
  byId("file-remove").addEventListener("click", () => {
    file.value = "";
    choose();
    file.focus();
  });
  byId("batch").addEventListener("dragover", (event) => event.preventDefault());
  byId("batch").addEventListener("drop", (event) => {
    if (!event.dataTransfer.files.length) return;
    event.preventDefault();
    file.files = event.dataTransfer.files;
    choose();
  });
  const unfinished = sessionStorage.getItem(STORE);
  if (unfinished) follow(unfinished);
}

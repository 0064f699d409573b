// Many lines at once, pasted or from a file; their progress, and their results as a file.
import { byId, counted, part, tell } from "./dom.js";
import { call, upload } from "./net.js";

// Between two questions how far it is.
const ASK_MS = 700;
const TYPES = {
  csv: "text/csv", tsv: "text/tab-separated-values", txt: "text/plain", jsonl: "application/jsonl", ndjson: "application/jsonl",
};
const STORE = "sentiment-batch";

const form = byId("batch-form");
const lines = byId("lines");
const file = byId("file");
// The batch that is shown; an older one's answers come too late.
let current = "";

// By the file's name, else by how the text begins.
function typeOf(name, text) {
  const known = TYPES[name.toLowerCase().replace(/\.gz$/, "").split(".").pop()];
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

// The first lines are listed; there may be more of them than that.
function showRefused(count, first) {
  byId("refused").hidden = count === 0;
  byId("refused-count").textContent = `${counted(count, "line")} refused`;
  const listed = first.map(({ line, message }) => part("li", "foreign", `Line ${line}: ${message}`));
  const more = count - first.length;
  byId("refused-lines").replaceChildren(...listed, ...(more ? [part("li", "fine", `And ${counted(more, "more", "more")}; the results name all.`)] : []));
}

function show(batch) {
  const { lines: all, answered, dead_letters: dead, refused } = batch;
  const done = batch.state === "done";
  const bar = byId("batch-progress");
  bar.max = all;
  bar.value = answered + dead + refused;
  bar.hidden = false;
  say([
    `${done ? "Done: " : ""}${answered.toLocaleString()} of ${counted(all, "line")} answered`,
    `▲ ${batch.positive.toLocaleString()} positive`, `▼ ${batch.negative.toLocaleString()} negative`,
    ...(dead ? [counted(dead, "dead letter")] : []),
  ].join(" · "));
  showRefused(refused, batch.refused_lines);
  for (const format of ["csv", "jsonl"]) byId(`download-${format}`).href = `api/batches/${encodeURIComponent(batch.id)}/results?format=${format}`;
  byId("downloads").hidden = !done;
}

// Follows a batch to its end, over a server that is away for a while.
async function follow(id) {
  current = id;
  while (current === id) {
    try {
      const batch = await call(`api/batches/${encodeURIComponent(id)}`);
      if (current !== id) return;
      show(batch);
      if (batch.state === "done") return;
    } catch (error) {
      if (error.status === 404) {
        sessionStorage.removeItem(STORE);
        say("The server no longer knows this batch; its texts were sent, and their results are on the topic.", true);
        return;
      }
      say("The server can’t be reached. Trying again …");
    }
    await new Promise((done) => setTimeout(done, ASK_MS));
  }
}

async function send() {
  const given = file.files[0] ?? new Blob([lines.value.toWellFormed?.() ?? lines.value]);
  const most = Number(form.dataset.bytes);
  byId("downloads").hidden = true;
  byId("batch-progress").hidden = true;
  showRefused(0, []);
  if (!file.files[0] && !lines.value.trim()) return say("Paste some lines or choose a file first.", true);
  if (given.size > most) return say(`Not sent: ${given.size.toLocaleString()} bytes, more than the ${most.toLocaleString()} that one batch may have. Send it in parts.`, true);
  byId("batch-progress").hidden = false;
  byId("batch-progress").removeAttribute("value");
  say("Sending …");
  byId("batch-send").disabled = true;
  try {
    const type = typeOf(file.files[0]?.name ?? "", await given.slice(0, 4096).text());
    const batch = await upload("api/batches", type, given);
    sessionStorage.setItem(STORE, batch.id);
    show(batch);
    follow(batch.id);
  } catch (error) {
    byId("batch-progress").hidden = true;
    const refused = error.refused_lines ?? [];
    showRefused(refused.length, refused);
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

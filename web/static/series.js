// The last ten minutes in slots of ten seconds: from the trends, or counted here where there are none.

// The shortest window of the trends, and as many as their page keeps for a chart.
export const SLOT_S = 10;
export const SLOTS = 60;
// After a longer silence what came meanwhile belongs to no slot that we know.
const GAP_S = 5;

const slots = new Map();
const models = new Map();
// The server says whether it has trends: asking for what isn't there would only fail.
let available = "trends" in document.body.dataset;
// The server's clock, by which its windows are, may differ from ours.
let skewMs = 0;
let last = null;

export const hasTrends = () => available;

const currentSlot = () => Math.floor((Date.now() + skewMs) / 1000 / SLOT_S) * SLOT_S;

// All slots, oldest first; the last one is still being filled.
export function timeline() {
  const end = currentSlot();
  return Array.from({ length: SLOTS }, (_, number) => {
    const start = end - (SLOTS - 1 - number) * SLOT_S;
    return { start, at: start * 1000 - skewMs, ...(slots.get(start) ?? { positive: 0, negative: 0, dead: 0 }) };
  });
}

// Results and positive ones by model version; only the trends know.
export const ofModel = (version) => models.get(version);

function drop() {
  const oldest = currentSlot() - SLOTS * SLOT_S;
  for (const start of slots.keys()) if (start < oldest) slots.delete(start);
}

// Adds what a status says more than the one before.
export function count(status) {
  const now = { positive: status.positive, negative: status.negative, dead: status.dead_letters, at: Date.now() };
  const before = last;
  last = now;
  // A server that started anew counts from nothing.
  const known = before && now.at - before.at < GAP_S * 1000
    && ["positive", "negative", "dead"].every((name) => now[name] >= before[name]);
  if (available || !known) return;
  const start = currentSlot();
  const slot = slots.get(start) ?? { positive: 0, negative: 0, dead: 0 };
  for (const name of ["positive", "negative", "dead"]) slot[name] += now[name] - before[name];
  slots.set(start, slot);
  drop();
}

function take({ trends }) {
  slots.clear();
  models.clear();
  for (const trend of trends) {
    const { events, positive, dead_letters: dead } = trend.total;
    slots.set(trend.start, { positive, negative: events - positive, dead });
    for (const [version, counts] of Object.entries(trend.models)) {
      const sum = models.get(version) ?? { events: 0, positive: 0 };
      models.set(version, { events: sum.events + counts.events, positive: sum.positive + counts.positive });
    }
  }
}

// Asks the trends; a server that doesn't answer now is asked again, one that has none is not.
export async function ask() {
  if (!available) return;
  try {
    const response = await fetch(`api/trends?window=${SLOT_S}&seconds=${SLOT_S * SLOTS}`);
    if (response.status === 404) available = false;
    if (!response.ok) return;
    const told = Date.parse(response.headers.get("Date") ?? "");
    if (told) skewMs = told - Date.now();
    take(await response.json());
  } catch {
    // The live feed tells that the server is away.
  }
}

// Throughput and sentiment as bars: positive ones up from the line, negative ones down.
import { byId, clock, counted, part, shape } from "./dom.js";
import { SLOTS, SLOT_S, timeline } from "./series.js";

// For the labels of the axes, in pixels.
const LEFT = 40;
const BOTTOM = 20;
const TOP = 6;
const SLOTS_PER_MINUTE = 60 / SLOT_S;

const svg = byId("bars");
const scrub = byId("scrub");
let shown = [];
let chosen = null;
let summary = "";

// The next number above that a person reads easily.
function round(number) {
  if (number <= 0) return 0;
  const unit = 10 ** Math.floor(Math.log10(number));
  return [1, 2, 3, 5, 10].find((step) => step * unit >= number) * unit;
}

function words(slot) {
  const rate = ((slot.positive + slot.negative) / SLOT_S).toLocaleString(undefined, { maximumFractionDigits: 1 });
  return [clock(slot.at), `▲ ${slot.positive.toLocaleString()} positive`, `▼ ${slot.negative.toLocaleString()} negative`,
    `${rate}/s`, ...(slot.dead ? [counted(slot.dead, "dead letter")] : [])].join(" · ");
}

function label(x, y, text, anchor = "end") {
  const element = shape("text", { x, y, "text-anchor": anchor, class: "axis" });
  element.textContent = text;
  return element;
}

function axes({ width, height, zero, scale }, up, down) {
  const parts = [shape("line", { x1: LEFT, x2: width, y1: zero, y2: zero, class: "zero" })];
  for (const [value, y] of [[up, zero - up * scale], [down, zero + down * scale]]) {
    if (!value) continue;
    parts.push(shape("line", { x1: LEFT, x2: width, y1: y, y2: y, class: "grid" }));
    const rate = (value / SLOT_S).toLocaleString(undefined, { notation: "compact", maximumSignificantDigits: 2 });
    parts.push(label(LEFT - 6, y + 4, `${rate}/s`));
  }
  parts.push(label(LEFT - 6, zero + 4, "0"));
  for (const [share, text, anchor] of [[0, "−10 min", "start"], [0.5, "−5 min", "middle"], [1, "now", "end"]]) {
    parts.push(label(LEFT + (width - LEFT) * share, height - 4, text, anchor));
  }
  return parts;
}

function draw() {
  const { clientWidth: width, clientHeight: height } = svg;
  if (!width || !shown.length) return;
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  // At least one a second, so that a quiet stream looks quiet.
  const up = Math.max(round(Math.max(...shown.map(({ positive }) => positive))), SLOT_S);
  const down = Math.max(round(Math.max(...shown.map(({ negative }) => negative))), SLOT_S);
  const scale = (height - BOTTOM - 2 * TOP) / (up + down);
  const zero = TOP + up * scale;
  const step = (width - LEFT) / SLOTS;
  const bars = shown.flatMap((slot, number) => {
    const at = { x: LEFT + number * step, width: Math.max(step - 1, 1) };
    const open = number === SLOTS - 1 ? " open" : "";
    const bar = (kind, count, y) => shape("rect", { ...at, y, height: count * scale, class: `${kind}${open}` });
    return [
      ...(number === chosen ? [shape("rect", { ...at, y: 0, height: height - BOTTOM, class: "chosen" })] : []),
      ...(slot.positive ? [bar("up", slot.positive, zero - slot.positive * scale)] : []),
      ...(slot.negative ? [bar("down", slot.negative, zero)] : []),
      ...(slot.dead ? [shape("circle", { cx: at.x + at.width / 2, cy: height - BOTTOM - 3, r: 2.5, class: "dead" })] : []),
    ];
  });
  svg.replaceChildren(...axes({ width, height, zero, scale }, up, down), ...bars);
}

function tabulate() {
  const rows = [];
  for (let begin = 0; begin < SLOTS; begin += SLOTS_PER_MINUTE) {
    const minute = shown.slice(begin, begin + SLOTS_PER_MINUTE);
    const row = part("tr");
    const head = part("th", "", clock(minute[0].at));
    head.scope = "row";
    row.append(head, ...["positive", "negative", "dead"].map((name) =>
      part("td", "", minute.reduce((sum, slot) => sum + slot[name], 0).toLocaleString())));
    rows.push(row);
  }
  byId("table").tBodies[0].replaceChildren(...rows);
}

function tellChosen() {
  const spot = shown[chosen ?? Number(scrub.value)];
  if (spot) scrub.setAttribute("aria-valuetext", words(spot));
  byId("readout").textContent = chosen === null || !spot ? summary : words(spot);
}

function choose(number) {
  chosen = number;
  draw();
  tellChosen();
}

// Draws the last ten minutes; `line` is what stands below while no bar is chosen.
export function show(line) {
  shown = timeline();
  summary = line;
  draw();
  tabulate();
  tellChosen();
}

export function start() {
  new ResizeObserver(draw).observe(svg);
  const under = ({ clientX }) => {
    const { left, width } = svg.getBoundingClientRect();
    const number = Math.floor(((clientX - left - LEFT) / (width - LEFT)) * SLOTS);
    return Math.min(Math.max(number, 0), SLOTS - 1);
  };
  scrub.addEventListener("pointermove", (event) => choose(under(event)));
  scrub.addEventListener("pointerleave", () => choose(null));
  scrub.addEventListener("input", () => choose(Number(scrub.value)));
  scrub.addEventListener("focus", () => scrub.matches(":focus-visible") && choose(Number(scrub.value)));
  scrub.addEventListener("blur", () => choose(null));
}

// Why a text has its answer: its words in colour, and the n-grams that weighed most as a list.
import { byId, part, sign, spoken } from "./dom.js";

// As many as a person takes in at a glance.
const MOST_REASONS = 6;
// Words below a twelfth of the strongest are noise to the eye, however many there are.
const FAINTEST = 1 / 12;
// Gaps between words carry no weight of their own.
const GAP = /^[\s\p{P}]*$/u;

const signed = (number, digits) => `${number < 0 ? "−" : "+"}${Math.abs(number).toFixed(digits)}`;

// The text in pieces, each with the sum of what the n-grams over it contribute. An n-gram's part is
// spread evenly over its words, so that all pieces add up to all parts.
function pieces(characters, parts) {
  const cuts = new Set([0, characters.length]);
  for (const [, begin, end] of parts) cuts.add(begin).add(end);
  const at = [...cuts].filter((cut) => cut >= 0 && cut <= characters.length).sort((a, b) => a - b);
  const found = at.slice(0, -1).map((begin, number) => {
    const words = characters.slice(begin, at[number + 1]).join("");
    return { begin, words, weight: 0, gap: GAP.test(words) };
  });
  const numbers = new Map(at.map((cut, number) => [cut, number]));
  for (const [weight, begin, end] of parts) {
    const covered = found.slice(numbers.get(begin), numbers.get(end));
    const words = covered.filter((piece) => !piece.gap);
    const bearers = words.length ? words : covered;
    for (const piece of bearers) piece.weight += weight / bearers.length;
  }
  return found;
}

function highlighted(piece, strongest) {
  const strength = Math.abs(piece.weight) / strongest;
  if (!piece.weight || strength < FAINTEST) return piece.words;
  const mark = part("mark", "", piece.words);
  mark.dataset.sentiment = piece.weight > 0 ? "positive" : "negative";
  mark.dataset.strength = strength > 2 / 3 ? "3" : strength > 1 / 3 ? "2" : "1";
  mark.title = `${signed(piece.weight, 2)} log-odds`;
  return mark;
}

function reason([words, weight], all) {
  const positive = weight > 0;
  const item = part("li", "reason");
  item.dataset.sentiment = positive ? "positive" : "negative";
  const share = part("span", "reason-share", `${signed((weight / all) * 100, 0)} %`);
  share.title = `${signed(weight, 2)} log-odds`;
  item.append(sign(positive), part("bdi", "foreign", words),
    spoken(positive ? " speaks for positive, " : " speaks for negative, "), share);
  return item;
}

// Shows a text, with its explanation where there is one. Positions are those of code points.
export function show(text, explanation) {
  const characters = Array.from(text);
  const parts = explanation?.parts ?? [];
  const shown = pieces(characters, parts);
  const strongest = Math.max(...shown.map(({ weight }) => Math.abs(weight)), 1e-9);
  byId("echo").replaceChildren(...shown.map((piece) => highlighted(piece, strongest)));
  const grams = new Map();
  for (const [weight, begin, end] of parts) {
    const words = characters.slice(begin, end).join("").toLowerCase();
    grams.set(words, (grams.get(words) ?? 0) + weight);
  }
  const all = [...grams.values()].reduce((sum, weight) => sum + Math.abs(weight), Math.abs(explanation?.rest ?? 0));
  const ranked = [...grams].sort(([, a], [, b]) => Math.abs(b) - Math.abs(a)).slice(0, MOST_REASONS);
  byId("reasons").replaceChildren(...ranked.map((gram) => reason(gram, all)));
  byId("why").hidden = ranked.length === 0;
}

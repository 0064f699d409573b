// Texts that this tab sent, by id: results carry none, and nobody else's are known here.
// Others may send an event with the same id: its place on the topic tells which one is ours.

// The texts of a long session; the oldest go first.
const MOST_OWN = 200;
const STORE = "sentiment-own-events";

// Each is `{ words, at }`; `at` is empty until the server has told the place.
const own = new Map(recall());

function recall() {
  try {
    return JSON.parse(sessionStorage.getItem(STORE) ?? "[]");
  } catch {
    return [];
  }
}

export const place = ({ topic, partition, offset }) => `${topic}-${partition}-${offset}`;

// The text of a result, where it is one of ours.
export function textOf({ id, input }) {
  const sent = own.get(id);
  return sent && ["", place(input)].includes(sent.at) ? sent.words : undefined;
}

export function remember(id, words, input) {
  own.set(id, { words, at: input ? place(input) : "" });
  if (own.size > MOST_OWN) own.delete(own.keys().next().value);
  try {
    sessionStorage.setItem(STORE, JSON.stringify([...own]));
  } catch {
    // Storage that is full or forbidden only means that a reload forgets.
  }
}

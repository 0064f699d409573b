// Texts that this tab sent, by id: results carry none, and nobody else's are known here.

// The texts of a long session; the oldest go first.
const MOST_OWN = 200;
const STORE = "sentiment-own-texts";

export const own = new Map(recall());

function recall() {
  try {
    return JSON.parse(sessionStorage.getItem(STORE) ?? "[]");
  } catch {
    return [];
  }
}

export function remember(id, words) {
  own.set(id, words);
  if (own.size > MOST_OWN) own.delete(own.keys().next().value);
  try {
    sessionStorage.setItem(STORE, JSON.stringify([...own]));
  } catch {
    // Storage that is full or forbidden only means that a reload forgets.
  }
}

// Small helpers that every part of the page uses. What people write is only ever text content.
export const byId = (id) => document.getElementById(id);

export function part(tag, name, words) {
  const element = document.createElement(tag);
  if (name) element.className = name;
  if (words !== undefined) element.textContent = words;
  return element;
}

export function shape(tag, attributes) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

// Text that screen readers speak and nobody sees.
export const spoken = (words) => part("span", "hidden", words);

// A sign that eyes see and screen readers leave out, since words beside it say the same.
export function sign(positive) {
  const mark = part("span", "mark", positive ? "▲" : "▼");
  mark.setAttribute("aria-hidden", "true");
  return mark;
}

// Only a change is news for a screen reader, and work for the browser.
export function tell(id, words) {
  if (byId(id).textContent !== words) byId(id).textContent = words;
}

// Rounded down, since only certainty is 100 %.
export function percent(share) {
  return `${(Math.floor(share * 1000) / 10).toFixed(1)} %`;
}

export const clock = (time) => new Date(time).toLocaleTimeString();

export function counted(number, one, many = `${one}s`) {
  return `${number.toLocaleString()} ${number === 1 ? one : many}`;
}

export function duration(ms) {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toLocaleString(undefined, { maximumFractionDigits: 1 })} s`;
}

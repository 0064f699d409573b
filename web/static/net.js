// Requests to the page's own server.
import * as key from "./key.js";

// What a person is told of an answer that is no success: when to try again, and what to name to
// those who run the server, who find its log by it.
function sentences({ status, headers }, error) {
  if (status === 401) return key.refused();
  const wait = Number(headers.get("Retry-After"));
  return [
    error?.message ?? `The server answered with ${status}.`,
    ...(wait ? [`Try again in ${wait} s.`] : []),
    ...(status >= 500 && error?.request_id ? [`Request ${error.request_id}.`] : []),
  ].join(" ");
}

// Throws an Error with the server's sentence, its code and details; TypeError where no server answers.
export async function call(path, options) {
  const response = await fetch(path, options);
  const body = await response.json().catch(() => ({}));
  if (response.ok) return body;
  const message = sentences(response, body.error);
  throw Object.assign(new Error(message), { ...body.error, message, status: response.status });
}

// Sends a body as it is.
export const upload = (path, type, body) =>
  call(path, { method: "POST", headers: { "Content-Type": type, ...key.header() }, body });

export const post = (path, document) => upload(path, "application/json", JSON.stringify(document));

// crypto.randomUUID exists on secure origins only, and a page in a cluster may be plain HTTP.
export function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

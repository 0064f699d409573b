// Requests to the page's own server.

// Throws an Error with the server's sentence; TypeError where no server answers.
export async function call(path, options) {
  const response = await fetch(path, options);
  const body = await response.json().catch(() => ({}));
  if (response.ok) return body;
  const message = body.error?.message ?? `The server answered with ${response.status}.`;
  throw Object.assign(new Error(message), { code: body.error?.code, status: response.status });
}

export function post(path, document) {
  return call(path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(document),
  });
}

// crypto.randomUUID exists on secure origins only, and a page in a cluster may be plain HTTP.
export function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** The server's JSON over HTTP. Every call has a time limit and fails with an `ApiError` that says what happened. */

const TIMEOUT_MS = 10_000;
const PAGE = 1000;

/** A refused or failed request: `status` is 0 where the server was not reached at all. */
export class ApiError extends Error {
  constructor(message, status, hint = null) {
    super(message);
    this.status = status;
    this.hint = hint;
  }

  /** What happened, and what to do where the server says that. */
  get told() {
    return this.hint ? `${this.message}. To do: ${this.hint}.` : `${this.message}.`;
  }
}

/**
 * Parse JSON without losing digits: an integer beyond 2^53 (a card number, say) comes back as a BigInt
 * where the browser can tell, and is otherwise rounded like everywhere.
 */
export function parseExact(text) {
  if (!/(?<![\d.eE+-])-?\d{16,}/.test(text)) return JSON.parse(text);
  return JSON.parse(text, (_key, value, context) => {
    const lossy = typeof value === "number" && Number.isInteger(value) && !Number.isSafeInteger(value);
    return lossy && /^-?\d+$/.test(context?.source ?? "") ? BigInt(context.source) : value;
  });
}

/** GET a path of this server and parse the answer. */
export function getJson(path, signal = null) {
  return ask(path, {}, signal);
}

/** Send a body as JSON and parse the answer, null where there is none; `limitMs` for what may take its time. */
export function sendJson(method, path, body, limitMs = TIMEOUT_MS) {
  return ask(path, { method, body: JSON.stringify(body), headers: { "Content-Type": "application/json" } }, null, limitMs);
}

/** Send a text and parse the answer. */
export function sendText(method, path, text, type) {
  return ask(path, { method, body: text, headers: { "Content-Type": type } });
}

async function ask(path, request, signal = null, limitMs = TIMEOUT_MS) {
  const limits = [AbortSignal.timeout(limitMs)];
  if (signal) limits.push(signal);
  let response;
  let text;
  try {
    response = await fetch(path, { ...request, signal: AbortSignal.any(limits), headers: { ...request.headers, Accept: "application/json" } });
    text = await response.text();
  } catch (cause) {
    if (signal?.aborted) throw cause;
    throw new ApiError("the server was not reached", 0);
  }
  if (!response.ok) throw refusal(response.status, text);
  return text ? parseExact(text) : null;
}

/** The refusal that an answer's text is, in the server's own words where it has some. */
export function refusal(status, text) {
  try {
    const { error } = JSON.parse(text);
    return new ApiError(error.message, status, error.hint);
  } catch {
    return new ApiError(`the server answered ${status}`, status);
  }
}

/** All feeds, as `GET /feeds` lists them. */
export async function feeds(signal) {
  const body = await getJson("/feeds", signal);
  return Array.isArray(body) ? body : body.feeds;
}

/** One feed's figures and schema. */
export function feed(name, signal) {
  return getJson(`/feeds/${encodeURIComponent(name)}`, signal);
}

/** One record in full, with its score and why it was flagged or not. */
export function event(name, seq) {
  return getJson(`/feeds/${encodeURIComponent(name)}/events/${seq}`);
}

/** One alert by its id. */
export function alert(id, signal) {
  return getJson(`/alerts/${encodeURIComponent(id)}`, signal);
}

/** Every alert after `after` (up to and including `until`), page by page, ascending; each page goes to `take`. */
export async function alertsAfter(name, after, { until = Infinity, take, signal }) {
  let from = after;
  while (from !== null && from < until) {
    const body = await getJson(`/feeds/${encodeURIComponent(name)}/alerts?after=${from}&limit=${PAGE}`, signal);
    take(body.alerts);
    from = body.next;
  }
}

/**
 * The newest alerts, at least `wanted` of them where there are so many. The list is ascending, so the place to
 * start from is guessed from the feed's alert rate and moved back, four times as far each time, until it suffices.
 */
export async function newestAlerts(name, { lastSeq, total, wanted, signal }) {
  let span = Math.ceil((lastSeq * wanted * 1.2) / Math.max(total, 1)) + 1000;
  for (;;) {
    const after = Math.max(0, lastSeq - span);
    let found = [];
    const take = (page) => {
      found = found.concat(page).slice(-wanted);
    };
    await alertsAfter(name, after, { take, signal });
    if (found.length >= wanted || after === 0) return found;
    span *= 4;
  }
}

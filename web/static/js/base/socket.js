/**
 * The live socket of one feed. States: connecting, catching_up, live, waiting (for the next try), closed.
 *
 * It reconnects by itself with a bounded, jittered back-off and asks for what came after `position()`, so nothing is
 * missed; what comes twice is told apart by its id further in. A server that says nothing for SILENCE_MS, though it
 * owes a message a second, counts as gone.
 */

import { parseExact } from "./api.js";

const FIRST_WAIT_MS = 400;
const LONGEST_WAIT_MS = 8_000;
const SILENCE_MS = 15_000;

/** How long to wait before try number `tries` (from 1): doubled each time, bounded, with half of it random. */
export function backOff(tries, random = Math.random) {
  const full = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.min(tries - 1, 16));
  return full / 2 + (full / 2) * random();
}

export class LiveSocket {
  /**
   * @param {string} feed
   * @param {{position: () => number|null, onMessage: (message: object) => void, onState: (state: object) => void}} hooks
   */
  constructor(feed, hooks) {
    this.feed = feed;
    this.hooks = hooks;
    this.state = { name: "closed", tries: 0, retryAt: null };
    this.socket = null;
    this.listening = null;
    this.timer = 0;
    this.watchdog = 0;
    this.nudge = () => this.state.name === "waiting" && !document.hidden && this.connect();
  }

  /** Connect, and stay connected until `close`. */
  open() {
    window.addEventListener("online", this.nudge);
    document.addEventListener("visibilitychange", this.nudge);
    this.connect();
  }

  /** Leave for good. */
  close() {
    window.removeEventListener("online", this.nudge);
    document.removeEventListener("visibilitychange", this.nudge);
    clearTimeout(this.timer);
    this.release();
    this.change("closed");
  }

  connect() {
    clearTimeout(this.timer);
    this.release();
    this.change("connecting");
    this.socket = new WebSocket(this.address());
    this.listening = new AbortController();
    const { signal } = this.listening;
    this.socket.addEventListener("open", () => this.change("catching_up"), { signal });
    this.socket.addEventListener("message", (event) => this.receive(event.data), { signal });
    this.socket.addEventListener("close", () => this.retry(), { signal });
    this.watch();
  }

  address() {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const after = this.hooks.position();
    const query = after === null ? "" : `?after=${after}`;
    return `${scheme}://${location.host}/feeds/${encodeURIComponent(this.feed)}/live${query}`;
  }

  receive(text) {
    this.watch();
    const message = parseExact(text);
    this.hooks.onMessage(message);
    if (message.type === "caught_up") this.change("live", { tries: 0 });
  }

  retry() {
    this.release();
    const tries = this.state.tries + 1;
    const waitMs = backOff(tries);
    this.change("waiting", { tries, retryAt: Date.now() + waitMs });
    this.timer = setTimeout(() => this.connect(), waitMs);
  }

  watch() {
    clearTimeout(this.watchdog);
    this.watchdog = setTimeout(() => this.retry(), SILENCE_MS);
  }

  /** Forget the present socket: nothing it still says is heard. */
  release() {
    clearTimeout(this.watchdog);
    this.listening?.abort();
    this.socket?.close();
    this.socket = null;
  }

  change(name, more = {}) {
    this.state = { ...this.state, retryAt: null, ...more, name };
    this.hooks.onState(this.state);
  }
}

/** The connection state in the header, in words; a countdown runs only where there is something to count. */

import { setText } from "../base/dom.js";
import * as format from "../base/format.js";

const UNREACHABLE_AFTER = 3; // failed tries
const QUIET_AFTER_S = 10;

export class ConnectionSign {
  constructor(element) {
    this.element = element;
    this.text = element.querySelector(".connection-text");
    this.extra = element.querySelector(".connection-extra");
  }

  /** @param {{session: object|null, reachable: boolean, feeds: number}} page */
  draw({ session, reachable, feeds }) {
    const { state, text, extra } = describe(session, reachable, feeds);
    this.element.dataset.state = state;
    setText(this.text, text);
    setText(this.extra, extra);
  }
}

function describe(session, reachable, feeds) {
  if (!session) {
    if (!reachable) return sign("unreachable", "Server not reachable");
    return feeds === 0 ? sign("live", "Ready") : sign("connecting", "Connecting");
  }
  if (session.error) return session.error.status === 0 ? sign("unreachable", "Server not reachable") : sign("unreachable", "Not available");
  const { name, tries, retryAt } = session.connection;
  const lost = reachable ? "Feed not available" : "Server not reachable";
  if (name === "live") return liveSign(session);
  if (name === "catching_up") return sign("catching_up", "Catching up");
  if (name === "waiting") {
    const wait = `in ${Math.max(1, Math.ceil((retryAt - Date.now()) / 1000))} s`;
    return tries >= UNREACHABLE_AFTER ? sign("unreachable", lost, `next try ${wait}`) : sign("waiting", "Reconnecting", wait);
  }
  return tries >= UNREACHABLE_AFTER ? sign("unreachable", lost, "trying now") : sign("connecting", "Connecting");
}

function liveSign(session) {
  const quietS = session.quietS();
  if (quietS === null || quietS < QUIET_AFTER_S) return sign("live", "Live");
  return sign("quiet", "Live, no events", `for ${format.wait(quietS)}`);
}

function sign(state, text, extra = "") {
  return { state, text, extra };
}

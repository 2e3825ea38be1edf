/** The list of feeds, read every few seconds, and the selector that shows it. */

import * as api from "./api.js";
import { node } from "./dom.js";

const EVERY_MS = 3_000;

/** Keeps reading `GET /feeds`; `onFeeds(list)` after each answer, `onLost()` when the server was not reached. */
export class FeedList {
  constructor({ onFeeds, onLost }) {
    this.onFeeds = onFeeds;
    this.onLost = onLost;
  }

  /** Read now, and again after each answer. */
  async keepReading() {
    try {
      this.onFeeds(await api.feeds());
    } catch (cause) {
      if (!(cause instanceof api.ApiError)) throw cause;
      this.onLost(cause);
    } finally {
      setTimeout(() => this.keepReading(), EVERY_MS);
    }
  }
}

export class FeedSelector {
  constructor(select, onChoose) {
    this.select = select;
    this.names = [];
    select.addEventListener("change", () => onChoose(select.value));
  }

  /** Offer these feeds; the options are touched only when the names changed, so an open list stays open. */
  draw(names, chosen) {
    if (names.join() !== this.names.join() && names.length) {
      this.names = names;
      this.select.replaceChildren(...names.map((name) => node("option", { value: name }, name)));
    }
    this.select.disabled = names.length === 0;
    if (chosen && this.select.value !== chosen) this.select.value = chosen;
  }
}

/** The list of feeds, read every few seconds, which of them to show, and the selector that shows it. */

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

/** The name of the feed with the most records; undefined where there is none. */
export function busiest(feeds) {
  return feeds.toSorted((a, b) => (b.last_seq ?? 0) - (a.last_seq ?? 0))[0]?.feed;
}

/** What a selector offers: the feeds that are there, and the one on show, `{feed, title}` each. */
export function choices(feeds, shown) {
  const offered = feeds.map(({ feed, schema }) => ({ feed, title: schema?.name || feed }));
  return shown && !offered.some(({ feed }) => feed === shown) ? [...offered, { feed: shown, title: shown }] : offered;
}

export class FeedSelector {
  constructor(select, onChoose) {
    this.select = select;
    this.offered = null;
    select.addEventListener("change", () => onChoose(select.value));
  }

  /** Offer these feeds, `{feed, title}` each; an open list stays open, since options are touched only on a change. */
  draw(choices, chosen) {
    const offered = JSON.stringify(choices);
    if (offered !== this.offered && choices.length) {
      this.offered = offered;
      this.select.replaceChildren(...choices.map(({ feed, title }) => node("option", { value: feed, title: feed }, title)));
    }
    this.select.disabled = choices.length === 0;
    if (chosen && this.select.value !== chosen) this.select.value = chosen;
  }
}

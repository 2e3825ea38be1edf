/**
 * What every page has round its own content: the theme button, the feed selector, the navigation that carries the feed
 * along, the sign that says whether the server answers, and the notice at the foot where it does not.
 */

import { setText } from "./dom.js";
import { busiest, choices, FeedList, FeedSelector } from "./feeds.js";
import { restylePlots } from "./plot.js";
import { carryFeed, readPlace, writePlace } from "./place.js";
import { wireTheme } from "./theme.js";

export const AWAY = "The server is not reachable. What is shown is the last that was known; this page comes back by itself.";
const find = (id) => document.getElementById(id);

export class Shell {
  /**
   * @param {{feed?: string, onFeed?: (name: string) => void, onBack?: () => void}} options `feed` where the page is about
   *   one feed for good, and has no selector; `onFeed` for the feed to show, at first and after each choice; `onBack`
   *   when a lost server answers again.
   */
  constructor({ feed = null, onFeed = () => {}, onBack = () => {} }) {
    this.feed = feed;
    this.onFeed = onFeed;
    this.onBack = onBack;
    this.feeds = [];
    this.reachable = null; // not known before the first answer
    this.selector = feed === null ? new FeedSelector(find("feed"), (name) => this.choose(name)) : null;
    this.list = new FeedList({ onFeeds: (feeds) => this.take(feeds), onLost: () => this.lose() });
  }

  open() {
    wireTheme(find("theme"), restylePlots);
    if (this.selector) window.addEventListener("hashchange", () => this.follow());
    else carryFeed(this.feed);
    this.list.keepReading();
  }

  take(feeds) {
    const away = this.reachable === false;
    this.reachable = true;
    this.feeds = feeds;
    if (this.feed === null) this.follow();
    this.draw();
    if (away) this.onBack();
  }

  lose() {
    this.reachable = false;
    this.draw();
  }

  /** Show the feed that the address asks for, else the one with the most records. */
  follow() {
    const name = readPlace().feed ?? this.feed ?? busiest(this.feeds);
    if (name && name !== this.feed) this.show(name);
  }

  choose(name) {
    writePlace({ ...readPlace(), feed: name });
    this.show(name);
  }

  show(name) {
    this.feed = name;
    carryFeed(name);
    this.draw();
    this.onFeed(name);
  }

  draw() {
    this.selector?.draw(choices(this.feeds, this.feed), this.feed);
    const sign = find("connection");
    sign.dataset.state = this.reachable ? "live" : "unreachable";
    setText(sign.querySelector(".connection-text"), this.reachable ? "Connected" : "Not reachable");
    find("notice").hidden = this.reachable;
    setText(find("notice"), this.reachable ? "" : AWAY);
  }
}

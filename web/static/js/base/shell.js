/**
 * What every page has round its own content: the theme button, the feed selector, the navigation that carries the feed
 * along, the sign that says whether the server answers, and the notice at the foot.
 */

import { forgetColours } from "./colour.js";
import { setText } from "./dom.js";
import { FeedList, FeedSelector } from "./feeds.js";
import { carryFeed, readPlace, writePlace } from "./place.js";
import { wireTheme } from "./theme.js";

const AWAY = "The server is not reachable. What is shown is the last that was known; this page comes back by itself.";
const find = (id) => document.getElementById(id);

export class Shell {
  /**
   * @param {object} hooks all may be left out: `onFeed(name)` for the feed to show, at first and after each choice;
   *   `onFeeds(list)` after each reading of the list; `onBack()` when a lost server answers again; `onTheme()`.
   */
  constructor({ onFeed = () => {}, onFeeds = () => {}, onBack = () => {}, onTheme = () => {} } = {}) {
    this.hooks = { onFeed, onFeeds, onBack, onTheme };
    this.feed = null;
    this.feeds = [];
    this.reachable = null; // not known before the first answer
    this.problem = "";
    this.selector = new FeedSelector(find("feed"), (name) => this.choose(name));
    this.list = new FeedList({ onFeeds: (feeds) => this.take(feeds), onLost: () => this.lose() });
  }

  open() {
    wireTheme(find("theme"), () => {
      forgetColours();
      this.hooks.onTheme();
    });
    window.addEventListener("hashchange", () => this.follow());
    this.list.keepReading();
  }

  /** Say something at the foot of the page, until it is replaced by another or by "". */
  tell(problem) {
    this.problem = problem;
    this.drawNotice();
  }

  take(feeds) {
    const away = this.reachable === false;
    this.reachable = true;
    this.feeds = feeds;
    this.hooks.onFeeds(feeds);
    if (this.feed === null) this.follow();
    this.draw();
    if (away) this.hooks.onBack();
  }

  lose() {
    this.reachable = false;
    this.draw();
  }

  /** Show the feed that the address asks for, else the one with the most records. */
  follow() {
    const busiest = this.feeds.toSorted((a, b) => (b.last_seq ?? 0) - (a.last_seq ?? 0))[0];
    const name = readPlace().feed ?? this.feed ?? busiest?.feed;
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
    this.hooks.onFeed(name);
  }

  draw() {
    const choices = this.feeds.map(({ feed, schema }) => ({ feed, title: schema?.name || feed }));
    const known = !this.feed || choices.some(({ feed }) => feed === this.feed);
    this.selector.draw(known ? choices : [...choices, { feed: this.feed, title: this.feed }], this.feed);
    const sign = find("connection");
    sign.dataset.state = this.reachable ? "live" : "unreachable";
    setText(sign.querySelector(".connection-text"), this.reachable ? "Connected" : "Not reachable");
    this.drawNotice();
  }

  drawNotice() {
    const text = this.reachable === false ? AWAY : this.problem;
    find("notice").hidden = text === "";
    setText(find("notice"), text);
  }
}

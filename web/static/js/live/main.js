/** The page: finds its elements, keeps one session for the feed on show, and draws what that session says has moved. */

import { AlertTable } from "./alerts.js";
import { Announcer } from "./announce.js";
import * as api from "../base/api.js";
import { Chart } from "./chart.js";
import { forgetColours } from "../base/colour.js";
import { ConnectionSign } from "./connection.js";
import { setText } from "../base/dom.js";
import { busiest, choices, FeedList, FeedSelector } from "../base/feeds.js";
import { Frames } from "../base/frames.js";
import { Panel } from "./panel.js";
import { readPlace, writePlace } from "../base/place.js";
import { Session } from "./session.js";
import { AWAY } from "../base/shell.js";
import { StatStrip } from "./stats.js";
import { wireTheme } from "../base/theme.js";
import { wireWelcome } from "./welcome.js";

const find = (id) => document.getElementById(id);

class Page {
  constructor() {
    this.session = null;
    this.feeds = [];
    this.reachable = true;
    this.listed = false;
    this.selected = null; // id of the selected alert
    this.frames = new Frames({
      stats: () => this.session && this.stats.draw(this.session),
      points: () => this.drawChart(),
      alerts: () => this.drawAlerts(),
      about: () => this.session && this.panel.drawAbout(this.session),
      connection: () => this.drawConnection(),
    });
    this.stats = new StatStrip(find("stats"));
    this.chart = new Chart({ element: find("chart"), card: document.querySelector(".chart-card"), onPick: (seq) => this.pick(seq), readRecord: (seq) => this.readRecord(seq) });
    this.table = new AlertTable({ scroll: find("alerts"), empty: find("no-alerts"), more: find("new-rows"), onSelect: (id) => this.select(id, { reveal: false }) });
    this.panel = new Panel(find("panel"), () => this.deselect());
    this.selector = new FeedSelector(find("feed"), (name) => this.show(name));
    this.sign = new ConnectionSign(find("connection"));
    this.announcer = new Announcer(find("announcer"));
    this.list = new FeedList({ onFeeds: (feeds) => this.takeFeeds(feeds), onLost: () => this.lose() });
  }

  async open() {
    wireTheme(find("theme"), () => this.restyle());
    wireWelcome(document);
    window.addEventListener("hashchange", () => this.follow());
    document.addEventListener("keydown", (event) => event.key === "Escape" && this.selected && this.deselect());
    setInterval(() => this.frames.request("connection"), 1000);
    this.list.keepReading();
    await this.chart.prepare();
    this.frames.request("points");
  }

  takeFeeds(feeds) {
    this.feeds = feeds;
    this.reachable = true;
    this.listed = true;
    const info = feeds.find((feed) => feed.feed === this.session?.feed);
    if (info && info.last_seq < (this.session.info?.last_seq ?? 0)) this.show(info.feed); // another log under the same name
    else if (info) this.session.refresh(info);
    this.session?.hurry(); // the server answers, so there is no point in waiting on
    if (!this.session && feeds.length) this.follow();
    this.drawView();
    this.frames.request("connection");
  }

  lose() {
    this.reachable = false;
    this.drawView();
    this.frames.request("connection");
  }

  /** Show what the address asks for, else the feed that was heard of last. */
  follow() {
    const place = readPlace();
    const name = place.feed ?? this.session?.feed ?? busiest(this.feeds);
    if (name && name !== this.session?.feed) this.show(name, place.alert);
    else if (place.alert && place.alert !== this.selected) this.select(place.alert);
  }

  show(name, alertId = null) {
    this.session?.stop();
    this.selected = null;
    this.table.clear();
    this.panel.show(null);
    this.session = new Session(name, (what) => this.moved(what));
    this.chart.clear(this.session.series);
    this.session.start().then(() => alertId && this.select(alertId));
    writePlace({ feed: name, alert: alertId });
    document.title = `${name} · AnomalyAI`;
    this.drawView();
    this.frames.request("stats", "points", "alerts", "about", "connection");
  }

  moved(what) {
    if (what === "info") this.frames.request("stats", "about");
    else if (what === "error") this.drawView();
    else if (what === "alerts") this.frames.request("alerts", "stats");
    else this.frames.request(what);
    if (what !== "points") this.frames.request("connection");
  }

  drawChart() {
    if (this.session && !this.chart.draw(this.session.series)) this.frames.request("points");
  }

  drawAlerts() {
    const { session } = this;
    if (!session) return;
    const fresh = session.takeFresh();
    this.table.draw(session.alerts.newestFirst(), fresh);
    this.announcer.add(fresh.map((id) => session.alerts.get(id)).filter(Boolean));
    setText(find("alert-count"), session.alerts.size ? `${session.alerts.size}${session.alerts.size === session.alerts.limit ? " newest" : ""}` : "");
    setText(find("no-alerts"), session.loaded ? "No anomaly so far. The first ones can come once the model has warmed up." : "Loading…");
    const shown = this.selected && session.alerts.get(this.selected);
    if (shown) this.panel.show(shown);
  }

  drawConnection() {
    this.sign.draw({ session: this.session, reachable: this.reachable, feeds: this.feeds.length });
  }

  /** Which of the three faces of the page is on: loading, welcome (no feed yet) or the dashboard. */
  drawView() {
    const view = this.session ? "dashboard" : this.listed ? "welcome" : "loading";
    document.body.dataset.view = view;
    this.selector.draw(choices(this.feeds, this.session?.feed), this.session?.feed);
    const notice = this.problem();
    find("notice").hidden = notice === "";
    setText(find("notice"), notice);
  }

  problem() {
    const error = this.session?.error;
    if (error && error.status !== 0) return `Feed ${this.session.feed}: ${error.message}. Trying again every few seconds; choose another feed above.`;
    if (!this.reachable) return AWAY;
    return "";
  }

  pick(seq) {
    const { alerts, feed } = this.session;
    const known = alerts.ordered.find((alert) => alert.seq === seq && alert.record !== null);
    this.select(known?.id ?? `${feed}-${seq}`);
  }

  async select(id, { reveal = true } = {}) {
    const { session } = this;
    this.selected = id;
    this.table.select(id, reveal);
    const alert = session.alerts.get(id) ?? (await this.fetch(id));
    if (this.session !== session || this.selected !== id || !alert) return;
    this.chart.select(alert.seq);
    this.panel.show(alert);
    writePlace({ feed: session.feed, alert: id });
    if (getComputedStyle(find("panel")).position === "fixed") this.panel.focus();
  }

  /** A record for the tip; null, and no more said, where it cannot be had. */
  async readRecord(seq) {
    const { session } = this;
    try {
      const { record } = await api.event(session.feed, seq);
      return this.session === session ? record : null;
    } catch (cause) {
      if (!(cause instanceof api.ApiError)) throw cause;
      return null;
    }
  }

  /** An alert that is not among the newest; null, with a notice, when it cannot be had. */
  async fetch(id) {
    try {
      return await api.alert(id);
    } catch (cause) {
      if (!(cause instanceof api.ApiError)) throw cause;
      find("notice").hidden = false;
      setText(find("notice"), `Alert ${id}: ${cause.message}.`);
      return null;
    }
  }

  deselect() {
    this.table.focus();
    this.selected = null;
    this.table.select(null);
    this.chart.select(null);
    this.panel.show(null);
    writePlace({ feed: this.session?.feed, alert: null });
  }

  restyle() {
    forgetColours();
    this.chart.restyle();
    this.stats.restyle();
  }
}

new Page().open();

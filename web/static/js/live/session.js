/**
 * Everything the page knows of one feed, kept current: first the newest alerts over HTTP, then the live socket from
 * there on. No DOM; `onChange(what)` says what moved: "connection", "info", "stats", "points", "alerts" or "error".
 */

import * as api from "../base/api.js";
import { LiveSocket } from "../base/socket.js";
import { AlertStore } from "./store.js";
import { Series } from "./series.js";

export const MOST_ALERTS = 500;
const HISTORY = 120; // stats messages kept for the sparklines: two minutes
const RETRY_LOAD_MS = 3_000;

export class Session {
  constructor(feed, onChange) {
    this.feed = feed;
    this.onChange = onChange;
    this.alerts = new AlertStore(MOST_ALERTS);
    this.series = new Series();
    this.info = null;
    this.stats = null;
    this.history = [];
    this.gaps = 0;
    this.loaded = false;
    this.error = null;
    this.lastPointAt = null; // performance.now() of the last new point, at first of going live
    this.position = 0; // every alert up to this seq has been seen
    this.holes = new Set(); // seqs after which something is being read again
    this.fresh = []; // ids that came live since the last `takeFresh`
    this.wasLive = false;
    this.stopping = new AbortController();
    this.socket = new LiveSocket(feed, {
      position: () => this.resumeAfter(),
      onMessage: (message) => this.receive(message),
      onState: (state) => this.follow(state),
    });
    this.connection = this.socket.state;
  }

  /** Load, then stay connected until `stop`. A failing load is tried again every few seconds. */
  async start() {
    try {
      await this.load();
    } catch (cause) {
      if (this.stopping.signal.aborted) return;
      if (!(cause instanceof api.ApiError)) throw cause;
      this.fail(cause);
      return;
    }
    this.error = null;
    this.loaded = true;
    this.socket.open();
    for (const what of ["info", "alerts", "points", "error"]) this.onChange(what);
  }

  /** Try now instead of waiting, where the socket waits for its next try. */
  hurry() {
    this.socket.nudge();
  }

  stop() {
    this.stopping.abort();
    clearTimeout(this.retryTimer);
    this.socket.close();
  }

  async load() {
    const { signal } = this.stopping;
    this.info = await api.feed(this.feed, signal);
    const { last_seq: lastSeq, alerts: total } = this.info;
    const newest = await api.newestAlerts(this.feed, { lastSeq, total, wanted: MOST_ALERTS, signal });
    for (const alert of newest) this.keep(alert, false);
    this.position = Math.max(this.position, this.alerts.newestSeq);
  }

  fail(cause) {
    this.error = cause;
    this.onChange("error");
    this.retryTimer = setTimeout(() => this.start(), RETRY_LOAD_MS);
  }

  /** The feed's line of the feed list, read every few seconds. */
  refresh(info) {
    this.info = { ...this.info, ...info };
    this.onChange("info");
  }

  /** Seconds since a record last moved the chart, or since the connection went live; null before that. */
  quietS(now = performance.now()) {
    return this.lastPointAt === null ? null : (now - this.lastPointAt) / 1000;
  }

  /** The ids that came live since the last call, oldest first. */
  takeFresh() {
    return this.fresh.splice(0);
  }

  /** Where the next connection starts: one back, since a silence alert shares the seq of the record before it. */
  resumeAfter() {
    return Math.max(0, Math.min(this.position, ...this.holes) - 1);
  }

  follow(state) {
    const before = this.connection.name;
    this.connection = state;
    this.onChange("connection");
    if (state.name === "live" && before !== "live" && this.wasLive) this.reread((this.alerts.oldestSeq ?? 1) - 1);
    if (state.name === "live") {
      this.wasLive = true;
      this.lastPointAt ??= performance.now();
    }
  }

  receive(message) {
    switch (message.type) {
      case "alert":
        this.keep(message.alert, true);
        this.position = Math.max(this.position, message.alert.seq);
        this.onChange("alerts");
        this.onChange("points");
        break;
      case "caught_up":
        this.position = Math.max(this.position, message.seq ?? 0);
        break;
      case "points":
        if (this.series.add(message.points, message.threshold)) this.lastPointAt = performance.now();
        this.onChange("points");
        break;
      case "stats":
        this.stats = message;
        this.history.push(message);
        if (this.history.length > HISTORY) this.history.shift();
        this.onChange("stats");
        break;
      case "gap":
        this.gaps += 1;
        this.reread(message.after - 1, message.until);
        break;
    }
  }

  /** Read the alerts after `after` again: what was missed, and what changed while nobody listened. */
  async reread(after, until = Infinity) {
    const take = (page) => {
      for (const alert of page) this.keep(alert, true);
      this.onChange("alerts");
      this.onChange("points");
    };
    this.holes.add(after);
    try {
      await api.alertsAfter(this.feed, Math.max(0, after), { until, take, signal: this.stopping.signal });
    } catch (cause) {
      if (this.stopping.signal.aborted) return;
      if (!(cause instanceof api.ApiError)) throw cause;
      this.position = Math.min(this.position, after);
      this.socket.retry(); // the next connection replays from a place that is known to be complete
    } finally {
      this.holes.delete(after);
    }
  }

  keep(alert, live) {
    const outcome = this.alerts.put(alert);
    if (outcome) this.series.addAlert(alert);
    if (outcome === "new" && live) this.fresh = [...this.fresh, alert.id].slice(-MOST_ALERTS);
  }
}

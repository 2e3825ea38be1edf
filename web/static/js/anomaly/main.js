/** The page of one anomaly, or of a record that was not flagged: its address names it, `/anomalies/{feed}-{seq}`. */

import * as api from "../base/api.js";
import { node, setText } from "../base/dom.js";
import * as format from "../base/format.js";
import { carryFeed } from "../base/place.js";
import { wireTheme } from "../base/theme.js";
import { entities, reasons, record, summary } from "../live/detail.js";
import { drawAround } from "./around.js";
import { drawParts } from "./parts.js";
import { Verdict } from "./verdict.js";

const AGAIN_MS = 2_000;
const find = (id) => document.getElementById(id);

class AnomalyPage {
  constructor() {
    this.id = decodeURIComponent(location.pathname.split("/").at(-1));
    const [, feed, seq] = /^(.+)-(\d+)$/.exec(this.id) ?? [];
    this.feed = feed ?? this.id.replace(/-s\d+$/, "");
    this.seq = seq ? Number(seq) : null; // a silence has no record of its own
    this.revision = null;
    this.known = null; // the record with its score
    this.verdict = new Verdict(find("judging"), this.id, (alert) => this.draw(alert));
  }

  async open() {
    wireTheme(find("theme"), () => {});
    carryFeed(this.feed);
    find("live").href = `/#feed=${encodeURIComponent(this.feed)}&alert=${encodeURIComponent(this.id)}`;
    await this.keepReading();
  }

  /** Read the alert again and again: a verdict that is given elsewhere shows here. */
  async keepReading() {
    try {
      await this.read();
      this.sign("live", "Connected");
    } catch (cause) {
      if (!(cause instanceof api.ApiError)) throw cause;
      if (cause.status === 0) this.sign("unreachable", "Not reachable");
      else this.say(`${cause.message}.`);
    }
    setTimeout(() => this.keepReading(), AGAIN_MS);
  }

  async read() {
    const settled = this.known && this.known.flagged !== null; // a record opened at once waits to be scored
    const event = this.seq === null || settled ? this.known : await this.event();
    if (this.known && event?.flagged !== this.known.flagged) this.revision = null;
    this.known = event;
    if (event && event.alert === null) this.drawOrdinary(event);
    else this.draw(await api.alert(this.id));
  }

  /** The record with its score; null where the log no longer has it, and the alert is all that is known. */
  async event() {
    try {
      return await api.event(this.feed, this.seq);
    } catch (cause) {
      if (cause instanceof api.ApiError && cause.status === 410) return null;
      throw cause;
    }
  }

  draw(alert) {
    if (this.revision === alert.revision) return;
    const first = this.revision === null;
    this.revision = alert.revision;
    find("sentence").replaceChildren(summary(alert));
    find("reasons").replaceChildren(...[reasons(alert), entities(alert)].filter(Boolean));
    this.hideJudging(false);
    this.verdict.draw(alert);
    setText(find("kind"), `anomaly in ${this.feed}`);
    if (first) this.drawRest(alert);
  }

  drawOrdinary(event) {
    if (this.revision === 0) return;
    this.revision = 0;
    const at = format.epoch(event.time);
    find("sentence").replaceChildren(
      node("p", { class: "rare" }, event.one_in === null ? "Not scored" : format.oneIn(event.one_in)),
      node("p", { class: "summary" }, `Not flagged: ${event.why_not ?? "nothing is known of its score"}.`),
      node("p", { class: "muted" }, Number.isFinite(at) ? format.fullTime(at) : ""),
    );
    this.hideJudging(true);
    setText(find("kind"), `record in ${this.feed}`);
    this.drawRest({ id: this.id, record: event.record, reasons: [] });
  }

  /** Only an anomaly has reasons, and can be judged. */
  hideJudging(hidden) {
    find("judging").hidden = hidden;
    find("reasons").hidden = hidden;
  }

  /** What never changes: the record, its parts of the score, and its neighbours. */
  drawRest(alert) {
    find("record").replaceChildren(record(alert, new Set(alert.reasons.map((reason) => reason.field))));
    drawParts(this.known?.explanation ?? null);
    if (this.seq === null) find("around").closest("section").hidden = true;
    else drawAround(find("around"), this.feed, this.seq);
    find("content").hidden = false;
    this.say("");
  }

  say(text) {
    setText(find("state"), text);
    find("state").dataset.state = text ? "failed" : "";
  }

  sign(state, text) {
    find("connection").dataset.state = state;
    setText(find("connection").querySelector(".connection-text"), text);
  }
}

new AnomalyPage().open();

/** The strip of figures: how fast, how far behind, how many anomalies, and whether the promised rate is kept. */

import { setText } from "../base/dom.js";
import * as format from "../base/format.js";
import { describeModel } from "./model.js";
import { Sparkline } from "./sparkline.js";

const CURVES = { rate: "events_per_second", lag: "lag_records", p99: "p99_ms" };

export class StatStrip {
  constructor(element) {
    this.tiles = new Map([...element.querySelectorAll("[data-stat]")].map((tile) => [tile.dataset.stat, tile]));
    this.progress = element.querySelector("progress");
    this.curves = Object.keys(CURVES).map((name) => [CURVES[name], new Sparkline(this.tiles.get(name).querySelector(".spark"))]);
  }

  /** @param {import("./session.js").Session} session */
  draw({ stats, info, history, alerts, series }) {
    const now = stats ?? {};
    this.tile("rate", format.quantity(now.events_per_second), peak(history));
    this.tile("lag", Number.isFinite(now.lag_records) ? format.plural(now.lag_records, "record") : "–", behind(now));
    this.tile("p99", format.duration(now.p99_ms / 1000), "");
    this.tile("alerts", format.count(Math.max(now.alerts ?? 0, info?.alerts ?? 0, alerts.size)), info ? `in ${format.count(Math.max(now.last_seq ?? 0, info.last_seq ?? 0, series.newestSeq))} records` : "");
    this.rates(now, info);
    this.model(describeModel(info));
    for (const [key, curve] of this.curves) curve.draw(history.map((message) => message[key] ?? null));
  }

  restyle() {
    for (const [, curve] of this.curves) curve.restyle();
  }

  rates(now, info) {
    const promised = now.promised_rate ?? info?.promised_rate;
    const seen = now.realised_rate ?? info?.realised_rate;
    this.tile("realised", Number.isFinite(seen) ? `${format.rate(seen)} seen` : "–", Number.isFinite(promised) ? `${format.rate(promised)} promised` : "");
    this.tiles.get("realised").title = info?.budget ? `The budget of this feed is ${info.budget}` : "";
  }

  model({ value, sub, fraction, title }) {
    this.tile("model", value, sub);
    this.tiles.get("model").querySelector(".stat-value").title = title;
    this.progress.hidden = fraction === null;
    if (fraction !== null) this.progress.value = fraction;
  }

  tile(name, value, sub) {
    const tile = this.tiles.get(name);
    setText(tile.querySelector(".stat-value"), value);
    setText(tile.querySelector(".stat-sub"), sub);
  }
}

function behind({ lag_records: records, lag_s: seconds }) {
  if (records === 0) return "up to date";
  return Number.isFinite(seconds) ? `${format.duration(seconds)} behind` : "";
}

function peak(history) {
  const highest = Math.max(...history.map((message) => message.events_per_second ?? 0));
  return highest > 0 ? `peak ${format.quantity(highest)}` : "";
}

/** The page of one anomaly, or of a record that was not flagged: its address names it, `/anomalies/{feed}-{seq}`. */

import * as api from "../base/api.js";
import { node, setText } from "../base/dom.js";
import * as format from "../base/format.js";
import { Shell } from "../base/shell.js";
import { entities, reasons, record, summary } from "../live/detail.js";
import { drawAround } from "./around.js";
import { History } from "./history.js";
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
    this.event = null; // the record with its score; null where the log has none
    this.drawn = { kind: null, revision: null };
    this.shell = new Shell({ feed: this.feed });
    this.verdict = new Verdict(find("judging"), this.id, (alert) => this.draw(alert));
  }

  open() {
    this.shell.open();
    find("live").href = `/#feed=${encodeURIComponent(this.feed)}&alert=${encodeURIComponent(this.id)}`;
    this.keepReading();
  }

  /** Read again and again: a verdict that is given elsewhere shows here, and so does what waited to be scored. */
  async keepReading() {
    try {
      await this.read();
    } catch (cause) {
      if (!(cause instanceof api.ApiError)) throw cause;
      if (cause.status !== 0) this.say(`${cause.message}.`); // away is the shell's to say
    }
    setTimeout(() => this.keepReading(), AGAIN_MS);
  }

  async read() {
    if (this.seq !== null && this.drawn.kind !== "anomaly") this.event = await this.readEvent();
    if (this.event && this.event.alert === null) this.drawOrdinary(this.event);
    else this.draw(await api.alert(this.id));
  }

  /** The record with its score; null where the log no longer has it, and the alert is all that is known. */
  async readEvent() {
    try {
      return await api.event(this.feed, this.seq);
    } catch (cause) {
      if (cause instanceof api.ApiError && cause.status === 410) return null;
      throw cause;
    }
  }

  draw(alert) {
    if (this.drawn.revision === alert.revision) return;
    find("sentence").replaceChildren(summary(alert));
    find("reasons").replaceChildren(...[reasons(alert), entities(alert)].filter(Boolean));
    this.verdict.draw(alert);
    this.drawRest("anomaly", alert);
    this.drawn.revision = alert.revision;
  }

  drawOrdinary(event) {
    const kind = event.flagged === null ? "waiting record" : "record";
    if (this.drawn.kind === kind) return;
    const at = format.epoch(event.time);
    find("sentence").replaceChildren(
      node("p", { class: "rare" }, event.one_in === null ? "Not scored" : format.oneIn(event.one_in)),
      node("p", { class: "summary" }, `Not flagged: ${event.why_not ?? "nothing is known of its score"}.`),
      node("p", { class: "muted" }, Number.isFinite(at) ? format.fullTime(at) : ""),
    );
    this.drawRest(kind, { id: this.id, record: event.record, reasons: [] });
  }

  /** What only another kind changes: the record, its parts of the score, its neighbours; only an anomaly is judged. */
  drawRest(kind, alert) {
    if (this.drawn.kind === kind) return;
    this.drawn.kind = kind;
    for (const part of ["judging", "reasons"]) find(part).hidden = kind !== "anomaly";
    setText(find("kind"), `${kind} in ${this.feed}`);
    find("record").replaceChildren(record(alert, new Set(alert.reasons.map((reason) => reason.field))));
    drawParts(this.event?.explanation ?? null);
    if (this.seq === null) find("around").closest("section").hidden = true;
    else this.drawPast(alert);
    find("content").hidden = false;
    this.say("");
  }

  /** What came before and after: all records, and those of the same entity. */
  async drawPast(alert) {
    drawAround(find("around"), this.feed, this.seq);
    const entities = alert.entities ?? (await this.entities(alert.record));
    await new History(this.feed, this.seq).open(entities, alert.reasons[0]?.field ?? null);
  }

  /** The entities of a record that has no alert to name them. */
  async entities(record) {
    const { schema } = await api.feed(this.feed);
    const named = schema.fields.filter(({ name, kind }) => kind === "entity" && record[name] !== undefined && record[name] !== null);
    return Object.fromEntries(named.map(({ name }) => [name, String(record[name])]));
  }

  say(text) {
    setText(find("state"), text);
    find("state").dataset.state = text ? "failed" : "";
  }
}

new AnomalyPage().open();

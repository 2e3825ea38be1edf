/** What an entity of the record did before and after: its score, or any of its numbers, with this one marked. */

import * as api from "../base/api.js";
import { node, setText } from "../base/dom.js";
import * as format from "../base/format.js";
import { Plot } from "../base/plot.js";

const SCORE = "score";
const find = (id) => document.getElementById(id);

export class History {
  constructor(feed, seq) {
    this.feed = feed;
    this.seq = seq;
    this.found = null;
    this.plot = null;
    find("history-entity").addEventListener("change", () => this.read());
    find("history-of").addEventListener("change", () => this.draw());
  }

  /** Show the history of the first of these entities; `measure` is the field to begin with, where it is a number. */
  async open(entities, measure) {
    const names = Object.keys(entities);
    if (names.length === 0) return;
    find("history").hidden = false;
    this.plot = new Plot(find("history-chart"));
    this.measure = measure;
    find("history-entity").replaceChildren(...names.map((name) => node("option", { value: name }, `${name} ${entities[name]}`)));
    await this.read();
  }

  async read() {
    const entity = find("history-entity").value;
    try {
      this.found = await api.getJson(`/feeds/${encodeURIComponent(this.feed)}/events/${this.seq}/history?${new URLSearchParams({ entity })}`);
    } catch (cause) {
      if (!(cause instanceof api.ApiError)) throw cause;
      setText(find("history-about"), cause.told);
      return;
    }
    const { records, looked_at: looked } = this.found;
    const own = records.find(({ seq }) => seq === this.seq);
    const fields = Object.keys(own?.numbers ?? {});
    const before = records.filter(({ seq }) => seq < this.seq).length;
    setText(find("history-about"), `${format.plural(before, "record")} before it and ${format.count(records.length - before - 1)} after it, of ${format.count(looked)} looked at`);
    find("history-of").replaceChildren(...[SCORE, ...fields].map((name) => node("option", { value: name }, name === SCORE ? "how rare (score)" : name)));
    find("history-of").value = fields.includes(this.measure) ? this.measure : SCORE;
    this.draw();
  }

  draw() {
    const measure = find("history-of").value;
    const value = (record) => (measure === SCORE ? record.score : (record.numbers[measure] ?? null));
    const timed = this.found.records.every(({ time }) => time !== null);
    const at = (record) => (timed ? format.epoch(record.time) : record.seq);
    const records = this.found.records.toSorted((a, b) => at(a) - at(b));
    const group = (holds) => records.map((record) => (holds(record) ? value(record) : null));
    const isThis = ({ seq }) => seq === this.seq;
    this.plot.draw({
      x: records.map(at),
      timed,
      groups: [
        { values: group((record) => !record.flagged && !isThis(record)), colour: "--line", size: 5, line: true },
        { values: group((record) => record.flagged && !isThis(record)), colour: "--flagged", size: 6 },
        { values: group(isThis), colour: "--threshold", size: 11 },
      ],
    });
    const own = records.find(isThis);
    setText(find("history-now"), own ? `this one: ${format.quantity(value(own))}` : "");
  }
}

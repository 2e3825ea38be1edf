/** What is known of the feed itself: shown in the panel while no anomaly is selected. */

import { node, setText } from "../base/dom.js";
import * as format from "../base/format.js";

const ALWAYS = ["accepted", "rejected", "shed"];
const HARMLESS = new Set(["accepted", "late", "quarantined", "adopted"]);
const COUNTERS = {
  accepted: ["Accepted", "Durable, and numbered from 1"],
  rejected: ["Rejected", "Refused with a reason: the answer to the sender has it"],
  shed: ["Shed", "Left out under overload, before they got a number"],
  late: ["Late", "Behind the feed's own event time when they came, by an hour at most"],
  too_late: ["Too late", "Farther behind: scored, but their times taught nothing"],
  future: ["From the future", "More than a day ahead of the feed: scored, but their times taught nothing"],
  dead_letters: ["Not scored", "Kept in the log, but scoring failed on them"],
  evicted_entities: ["Entities forgotten", "Profiles given up to keep the entity table within its bound"],
  quarantined: ["Held back", "Flagged records that are not learnt until they are judged or have become usual"],
  adopted: ["Adopted", "Flagged records that have become usual and were learnt"],
  over_limit: ["Fields ignored", "Beyond the most fields a feed may have"],
  dropped: ["Points dropped", "Left out of the line for viewers that were too slow"],
  gaps: ["Gaps reread", "Times this page fell behind and read the alerts again"],
};
const KIND_HELP = {
  number: "a quantity",
  category: "one of few values",
  entity: "who or what the record is about",
  time: "when it happened",
  label: "known truth, for figures only",
  id: "names one record",
  ignore: "kept, not scored",
};

export class AboutFeed {
  constructor() {
    this.counters = node("dl", { class: "facts counters" });
    this.fields = node("ul", { class: "fields" });
    this.feed = node("span", { class: "muted" });
    this.note = node("p", { class: "muted" });
    this.said = node("p", { class: "muted", "aria-live": "polite" });
    this.drawn = null;
    this.elements = [
      node("header", { class: "card-head" }, node("h2", {}, "About this feed"), this.feed),
      node(
        "div",
        { class: "panel-body" },
        node("p", { class: "hint" }, "Pick a row or a red point to see why it was flagged."),
        node("section", {}, node("h3", {}, "Records"), this.counters, this.said),
        node("section", {}, node("h3", {}, "Fields"), this.fields, this.note),
      ),
    ];
  }

  /** Bring the figures up to date; the field list is built again only when the schema changed. */
  draw({ info, stats, gaps }) {
    if (!info) return;
    const figures = { ...stats, ...info, over_limit: info.fields?.over_limit, gaps };
    for (const key of Object.keys(COUNTERS)) this.count(key, figures[key]);
    setText(this.feed, info.feed);
    const notice = info.notices?.at(-1);
    setText(this.said, notice ? `After record ${format.count(notice.seen)}: ${notice.text}` : "");
    const schema = JSON.stringify(info.schema);
    if (schema === this.drawn) return;
    this.drawn = schema;
    this.drawFields(info.schema);
  }

  /** A counter of what a bound has cost is there from the first time it costs something. */
  count(key, figure) {
    let shown = this.counters.querySelector(`[data-counter="${key}"]`);
    if (!shown) {
      if (!Number.isFinite(figure) || (figure === 0 && !ALWAYS.includes(key))) return;
      const [label, help] = COUNTERS[key];
      shown = node("dd", { "data-counter": key });
      this.counters.append(node("div", { title: help }, node("dt", {}, label), shown));
    }
    setText(shown, format.count(figure));
    shown.classList.toggle("costly", !HARMLESS.has(key) && figure > 0);
  }

  drawFields(schema) {
    const fields = schema?.fields ?? [];
    this.fields.replaceChildren(
      ...fields.map((field) => node("li", { title: KIND_HELP[field.kind] ?? null }, node("span", { class: "field-name" }, field.name), node("span", { class: "kind", "data-kind": field.kind }, field.kind))),
    );
    if (fields.length === 0) setText(this.note, "No field is known yet.");
    else setText(this.note, schema.settled === false ? "Kinds are provisional until 500 records have come." : "");
  }
}

/** What is known of the feed itself: shown in the panel while no anomaly is selected. */

import { node, setText } from "./dom.js";
import * as format from "./format.js";

const COUNTERS = { accepted: "Accepted", rejected: "Rejected", shed: "Shed", gaps: "Gaps reread" };
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
    this.note = node("p", { class: "muted" });
    this.drawn = null;
    this.elements = [
      node("header", { class: "card-head" }, node("h2", {}, "About this feed")),
      node(
        "div",
        { class: "panel-body" },
        node("p", { class: "hint" }, "Pick a row or a red point to see why it was flagged."),
        node("section", {}, node("h3", {}, "Records"), this.counters),
        node("section", {}, node("h3", {}, "Fields"), this.fields, this.note),
      ),
    ];
  }

  /** Bring the figures up to date; the field list is built again only when the schema changed. */
  draw(info, gaps) {
    if (!info) return;
    const figures = { ...info, gaps };
    for (const [key, label] of Object.entries(COUNTERS)) this.count(key, label, figures[key]);
    const schema = JSON.stringify(info.schema);
    if (schema === this.drawn) return;
    this.drawn = schema;
    this.drawFields(info.schema);
  }

  count(key, label, figure) {
    let shown = this.counters.querySelector(`[data-counter="${key}"]`);
    if (!shown) {
      if (!Number.isFinite(figure) || (key === "gaps" && figure === 0)) return;
      shown = node("dd", { "data-counter": key });
      this.counters.append(node("div", {}, node("dt", {}, label), shown));
    }
    setText(shown, format.count(figure));
    shown.classList.toggle("costly", key !== "accepted" && figure > 0);
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

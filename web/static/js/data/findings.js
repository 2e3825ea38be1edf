/** What scoring a file found: its figures, its rows from the rarest on, and the scores to take away. */

import { writeCsv } from "../base/csv.js";
import { node, setText } from "../base/dom.js";
import * as format from "../base/format.js";

const PAGE_ROWS = 100;
const KEPT_ROWS = 5_000; // the page stays light however large the file is
const REASONS = 3;
const find = (id) => document.getElementById(id);

export class Findings {
  constructor() {
    this.rarest = [];
    this.shown = 0;
    this.address = null;
    find("more").addEventListener("click", () => this.drawMore());
  }

  clear() {
    find("findings").hidden = true;
    find("scored-rows").replaceChildren();
    if (this.address) URL.revokeObjectURL(this.address);
    this.address = null;
  }

  /** Show the answer of `/predict` for a file of this name. */
  show({ model, predictions, rejected }, name) {
    const flagged = predictions.filter((found) => found.anomaly).length;
    const rate = predictions.length ? ` (${format.rate(flagged / predictions.length)})` : "";
    setText(find("found"), `${format.plural(flagged, "anomaly", "anomalies")} in ${format.plural(predictions.length, "row")}${flagged ? rate : ""}`);
    setText(find("by"), `by model ${model}`);
    this.rarest = predictions.toSorted((a, b) => b.score - a.score).slice(0, KEPT_ROWS);
    this.shown = 0;
    find("scored-rows").replaceChildren();
    this.drawMore();
    setText(find("bound"), predictions.length > KEPT_ROWS ? `The ${format.count(KEPT_ROWS)} rarest rows are listed; the download has all.` : "");
    this.drawRejected(rejected);
    this.address = URL.createObjectURL(new Blob([csv(predictions)], { type: "text/csv" }));
    find("download").href = this.address;
    find("download").download = `${name.replace(/\.csv$/i, "")}-scores.csv`;
    find("findings").hidden = false;
  }

  drawMore() {
    const rows = this.rarest.slice(this.shown, this.shown + PAGE_ROWS);
    this.shown += rows.length;
    find("scored-rows").append(...rows.map(scoredRow));
    find("more").hidden = this.shown >= this.rarest.length;
  }

  drawRejected(rejected) {
    find("rejected").hidden = rejected.length === 0;
    setText(find("rejected-title"), `${format.plural(rejected.length, "row")} could not be read`);
    const told = rejected.slice(0, PAGE_ROWS).map(({ index, field, error }) => node("li", {}, `Row ${index + 1}${field ? `, ${field}` : ""}: ${error}`));
    find("rejected-rows").replaceChildren(...told);
  }
}

function scoredRow(found) {
  const why = found.reasons.slice(0, REASONS).map((reason) => reason.text).join(", and ");
  return node(
    "tr",
    { "data-anomaly": found.anomaly },
    node("td", { class: "number" }, format.count(found.index + 1)),
    node("td", { class: "number" }, format.oneIn(found.one_in)),
    node("td", {}, found.verdict),
    node("td", { class: "why" }, why || "–"),
  );
}

/** The predictions as CSV. */
function csv(predictions) {
  const rows = predictions.map((found) => [found.index, found.score, found.one_in, found.anomaly, found.verdict, found.reasons.map((reason) => reason.text).join("; ")]);
  return writeCsv(["index", "score", "one_in", "anomaly", "verdict", "reasons"], rows);
}

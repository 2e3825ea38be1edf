/** What one anomaly is: how rare, why, what was expected, and the record itself. */

import { badge, flags } from "./alerts.js";
import { copyText, node } from "../base/dom.js";
import * as format from "../base/format.js";
import { prettyRecord, recordText } from "../base/record.js";

/** The content of the panel for one alert. */
export function alertDetail(alert, onClose) {
  const marked = new Set(alert.reasons.map((reason) => reason.field));
  return [
    head(alert, onClose),
    node("div", { class: "panel-body" }, summary(alert), reasons(alert), entities(alert), record(alert, marked)),
  ];
}

function head(alert, onClose) {
  const close = node("button", { type: "button", class: "icon-button close", "aria-label": "Close the details" }, "×");
  close.addEventListener("click", onClose);
  return node("header", { class: "card-head" }, node("h2", {}, "Why this one"), node("a", { class: "muted", href: `/anomalies/${encodeURIComponent(alert.id)}` }, alert.id), node("span", { class: "spring" }), close);
}

export function summary(alert) {
  const at = format.epoch(alert.time);
  const facts = node("dl", { class: "facts" });
  fact(facts, "When", node("time", { datetime: alert.time, title: format.utc(at) }, format.fullTime(at)));
  fact(facts, "Record", `#${format.count(alert.seq)}`);
  fact(facts, "Score", format.quantity(alert.score));
  if (alert.incident) fact(facts, "Incident", node("a", { href: incidentLink(alert) }, alert.incident));
  return node(
    "section",
    { class: "verdict", "data-severity": alert.severity },
    node("p", { class: "rare", title: `1 in ${format.count(alert.one_in)}` }, format.oneIn(alert.one_in), " ", badge(alert.severity), ...flags(alert)),
    node("p", { class: "summary" }, alert.summary),
    facts,
  );
}

/** The list of anomalies with this one's incident open. */
function incidentLink(alert) {
  return `/anomalies#${new URLSearchParams({ feed: alert.feed, incident: alert.incident })}`;
}

function fact(list, name, value) {
  list.append(node("div", {}, node("dt", {}, name), node("dd", {}, value)));
}

export function reasons(alert) {
  const list = node("ol", { class: "reasons" });
  for (const reason of alert.reasons) list.append(reasonItem(reason));
  return node("section", {}, node("h3", {}, "Reasons"), alert.reasons.length ? list : node("p", { class: "muted" }, "No field stands out on its own."));
}

function reasonItem(reason) {
  const bar = node("span", { class: "bar", "aria-hidden": "true" }, node("span"));
  bar.firstChild.style.width = `${Math.min(1, Math.max(0, reason.share)) * 100}%`;
  const values = node("dl", { class: "against" });
  if (reason.actual !== null && reason.actual !== undefined) fact(values, "actual", format.value(reason.actual));
  if (reason.expected !== null && reason.expected !== undefined) fact(values, "expected", format.expectation(reason.expected));
  return node(
    "li",
    {},
    node("p", { class: "reason-head" }, node("b", {}, reason.field), node("span", { class: "share" }, format.share(reason.share))),
    bar,
    node("p", {}, reason.text),
    values.childElementCount ? values : null,
  );
}

export function entities(alert) {
  const pairs = Object.entries(alert.entities ?? {});
  if (pairs.length === 0) return null;
  const list = node("dl", { class: "entities" });
  for (const [name, value] of pairs) fact(list, name, format.value(value));
  return node("section", {}, node("h3", {}, "Who and what"), list);
}

export function record(alert, marked) {
  const link = node("a", { href: `/alerts/${encodeURIComponent(alert.id)}`, target: "_blank", rel: "noopener" }, "as JSON");
  if (alert.record === null) return node("section", {}, node("h3", {}, "Record ", link), node("p", { class: "muted" }, "There is none: the alert is about events that did not come."));
  const text = prettyRecord(alert.record, marked);
  const copy = node("button", { type: "button", class: "small-button" }, "Copy");
  copy.addEventListener("click", () => copyText(recordText(alert.record), copy, text));
  return node("section", {}, node("h3", {}, "Record ", link, node("span", { class: "spring" }), copy), text);
}

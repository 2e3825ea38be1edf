/** The page that compares a candidate with the champion: asks for its own address as JSON, until that is there. */

import { getJson } from "../base/api.js";
import { node, setText } from "../base/dom.js";
import * as format from "../base/format.js";
import { prettyRecord } from "../base/record.js";
import { wireTheme } from "../base/theme.js";

const AGAIN_MS = 2_000;
const REFRESH_MS = 5_000;

const at = (id) => document.getElementById(id);
const open = new Set(); // examples that the person has opened, by kind and seq

wireTheme(at("theme"), () => {});
run();

async function run() {
  let found;
  try {
    found = await getJson(location.pathname + location.search);
  } catch (error) {
    tell(error.message, error.status === 429 || error.status === 0 ? "" : "failed");
    if (error.status === 429 || error.status === 0) setTimeout(run, AGAIN_MS);
    return;
  }
  if (found.state === "running") {
    tell(`Playing the log of ${found.feed} with both models`, "");
    setTimeout(run, AGAIN_MS);
    return;
  }
  show(found);
  if (found.source === "shadow") setTimeout(run, REFRESH_MS);
}

function tell(text, state) {
  setText(at("state"), text);
  at("state").dataset.state = state;
}

function show({ feed, source, budget, note, comparison }) {
  document.title = `${comparison.candidate.model} · Compare models · AnomalyAI`;
  setText(at("about"), about(feed, source, budget, comparison));
  tell(note ?? "", note ? "said" : "");
  at("sides").replaceChildren(
    side("Champion", comparison.champion, comparison),
    side("Candidate", comparison.candidate, comparison),
    together(comparison),
  );
  list("added", comparison.added, comparison.examples.added, comparison);
  list("removed", comparison.removed, comparison.examples.removed, comparison);
  at("outcome").hidden = false;
}

function about(feed, source, budget, found) {
  const where = source === "shadow" ? "live traffic, in the shadow" : "the recent log";
  const since = found.since ? `, since ${format.fullTime(format.epoch(found.since))}` : "";
  const at = budget ? `, at ${budget} alerts` : "";
  return `Feed ${feed}: ${where}${since}${at}`;
}

function side(name, of, found) {
  const list = facts([
    ["Anomalies", format.count(of.alerts)],
    ["Rate", format.rate(of.rate)],
  ]);
  if (found.labelled > 0) {
    for (const [label, value] of [["Average precision", of.average_precision], ["Precision", of.precision], ["Recall", of.recall]]) {
      fact(list, label, format.quantity(value ?? NaN));
    }
  }
  return node("section", { class: "side" }, node("h2", {}, name), node("p", { class: "model" }, of.model ?? "no model"), list);
}

function together(found) {
  const big = node("dl", { class: "big" });
  fact(big, "Would add", node("span", { class: found.added ? "more" : "" }, format.count(found.added)));
  fact(big, "Would remove", node("span", { class: found.removed ? "less" : "" }, format.count(found.removed)));
  const rows = facts([
    ["Flagged by both", format.count(found.both)],
    ["Agreement", found.agreement === null ? "–" : format.share(found.agreement)],
    ["Records compared", format.count(found.records)],
    ["Rank correlation of scores", format.quantity(found.correlation ?? NaN)],
    ["Promised rate", format.rate(found.promised_rate)],
  ]);
  if (found.labelled > 0) fact(rows, "Known truth", `${format.plural(found.labelled, "record")}, ${format.count(found.anomalies)} anomalous`);
  return node("section", { class: "side" }, node("h2", {}, "Difference"), big, rows);
}

function list(kind, total, examples, found) {
  const shown = examples.slice().reverse();
  const title = at(`${kind}-title`);
  title.querySelector(".muted")?.remove();
  const extent = total > shown.length ? `${format.count(shown.length)} latest of ${format.count(total)}` : format.plural(total, "record");
  title.append(node("span", { class: "muted" }, extent));
  at(kind).replaceChildren(...(shown.length ? shown.map((one) => example(kind, one)) : [node("p", { class: "muted" }, found.records ? "None so far." : "No record has come yet.")]));
}

function example(kind, one) {
  const key = `${kind} ${one.seq}`;
  const when = format.epoch(one.time);
  const made = node(
    "details",
    { class: "example", "data-seq": one.seq, open: open.has(key) ? "" : null },
    node(
      "summary",
      {},
      node("span", { class: "when" }, node("time", { datetime: one.time, title: format.utc(when) }, format.fullTime(when)), ` · #${format.count(one.seq)}`),
      node("span", { class: "scores" }, rarity("champion", one.champion, one.threshold), rarity("candidate", one.candidate, one.threshold)),
      node("span", { class: "said" }, one.summary || "No reasons were kept."),
    ),
    node("div", { class: "example-body" }, reasons(one), record(one)),
  );
  made.addEventListener("toggle", () => (made.open ? open.add(key) : open.delete(key)));
  return made;
}

function rarity(name, score, threshold) {
  return node("span", { class: score >= threshold ? "over" : "" }, node("b", {}, format.oneInShort(10 ** Math.min(score, 15))), ` ${name}`);
}

function reasons(one) {
  if (one.reasons.length === 0) return node("p", { class: "muted" }, "No field stands out on its own.");
  const list = node("ol", { class: "reasons" });
  for (const reason of one.reasons) {
    list.append(node("li", {}, node("p", { class: "reason-head" }, node("b", {}, reason.field), node("span", { class: "share" }, format.share(reason.share))), node("p", {}, reason.text)));
  }
  return list;
}

function record(one) {
  if (one.record === null) return node("p", { class: "muted" }, "The record is too large to be kept here; the log has it.");
  return prettyRecord(one.record, new Set(one.reasons.map((reason) => reason.field)));
}

function facts(pairs) {
  const list = node("dl", {});
  for (const [name, value] of pairs) fact(list, name, value);
  return list;
}

function fact(list, name, value) {
  list.append(node("div", {}, node("dt", {}, name), node("dd", {}, value)));
}

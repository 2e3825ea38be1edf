/** Taking anomalies away: those that the list's conditions hold for, one by one, as CSV or JSON. */

import * as api from "../base/api.js";
import { writeCsv } from "../base/csv.js";

const MOST = 50_000; // what a page should hold
const PAGE = 1000;
const COLUMNS = ["id", "seq", "time", "score", "one_in", "severity", "status", "incident", "summary", "entities", "record"];

/** Save the anomalies of a feed as a file; returns how many they are, and whether there are more. */
export async function take(feed, query, kind) {
  const found = [];
  let after = 0;
  while (after !== null && found.length < MOST) {
    const page = await api.getJson(`/feeds/${encodeURIComponent(feed)}/alerts?${query}&after=${after}&limit=${PAGE}`);
    found.push(...page.alerts);
    after = page.next;
  }
  const text = kind === "csv" ? writeCsv(COLUMNS, found.map(row)) : `${exactJson(found, 2)}\n`;
  save(text, `${feed}-anomalies.${kind}`, kind === "csv" ? "text/csv" : "application/json");
  return { count: found.length, more: after !== null };
}

function row(alert) {
  return COLUMNS.map((name) => (alert[name] !== null && typeof alert[name] === "object" ? exactJson(alert[name]) : alert[name]));
}

/** JSON in which an integer beyond 2^53, read as a BigInt, has all its digits again. */
function exactJson(value, indent) {
  const mark = "\u0000";
  const text = JSON.stringify(value, (_key, part) => (typeof part === "bigint" ? `${mark}${part}` : part), indent);
  return text.replace(/"\\u0000(-?\d+)"/g, "$1");
}

function save(text, name, type) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

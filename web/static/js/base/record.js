/** A record, pretty printed: JSON as text nodes in coloured spans. */

import { node } from "./dom.js";

/** A `<pre>` with the record; fields named in `marked` stand out. */
export function prettyRecord(record, marked = new Set()) {
  const out = node("pre", { class: "json", tabindex: "0", "aria-label": "The record as it came" });
  write(out, record, "", "", marked);
  return out;
}

/** The same as plain text, for the clipboard. */
export function recordText(record) {
  return prettyRecord(record).textContent;
}

function write(out, value, indent, path, marked) {
  if (Array.isArray(value)) writeItems(out, value.map((item) => [null, item]), "[]", indent, path, marked);
  else if (value !== null && typeof value === "object") writeItems(out, Object.entries(value), "{}", indent, path, marked);
  else out.append(node("span", { class: `j-${value === null ? "null" : typeof value}` }, literal(value)));
}

function writeItems(out, items, brackets, indent, path, marked) {
  if (items.length === 0) {
    out.append(brackets);
    return;
  }
  const deeper = `${indent}  `;
  out.append(brackets[0], "\n");
  items.forEach(([key, item], index) => {
    const name = key === null ? path : path + key;
    out.append(deeper);
    if (key !== null) out.append(node("span", { class: marked.has(name) ? "j-key marked" : "j-key" }, JSON.stringify(key)), ": ");
    write(out, item, deeper, `${name}.`, marked);
    out.append(index < items.length - 1 ? ",\n" : "\n");
  });
  out.append(indent, brackets[1]);
}

function literal(value) {
  return typeof value === "bigint" ? String(value) : JSON.stringify(value);
}

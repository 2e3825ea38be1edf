/** What each field adds to the score or takes from it, and what is usual for the record's entities. */

import { node, setText } from "../base/dom.js";
import * as format from "../base/format.js";

const LEAST = 0.005; // of the score: less than that is not worth a row
const find = (id) => document.getElementById(id);

/** Draw an explanation; null where there is none any more. */
export function drawParts(explanation) {
  find("parts").hidden = explanation === null;
  if (explanation === null) return;
  setText(find("parts-about"), `As the feed is now, after record ${format.count(explanation.as_of_seq)}: the score would be ${format.quantity(explanation.score)} (${format.oneIn(explanation.one_in)}).`);
  const parts = explanation.parts.filter(({ part }) => Math.abs(part) >= LEAST);
  const largest = Math.max(...parts.map(({ part }) => Math.abs(part)), LEAST);
  find("part-rows").replaceChildren(...parts.map((part) => partRow(part, largest)));
  find("habits").replaceChildren(
    ...explanation.habits.map(({ entity, value, field, usual, seen }) => node("li", {}, `For ${entity} ${format.value(value)}, ${field} is usually ${format.quantity(usual)} (some ${format.quantity(seen)} records seen).`)),
  );
}

function partRow({ field, part, expected, actual }, largest) {
  const bar = node("div", { class: "part", "data-sign": part < 0 ? "down" : "up", "aria-hidden": "true" });
  bar.style.width = `${(Math.abs(part) / largest) * 100}%`;
  return node(
    "tr",
    {},
    node("th", { scope: "row", title: field }, field),
    node("td", {}, `${part < 0 ? "−" : "+"}${Math.abs(part).toFixed(2)}`),
    node("td", {}, bar),
    node("td", { title: format.value(actual) }, format.value(actual)),
    node("td", {}, expected === null ? "–" : format.expectation(expected)),
  );
}

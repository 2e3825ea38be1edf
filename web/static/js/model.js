/** What to say of the model that scores a feed. Pure functions. */

import * as format from "./format.js";

/** {value, sub, title, fraction}: two lines of text, a tooltip, and how far the warm-up is (null when it is over). */
export function describeModel(model) {
  if (!model) return words("–", "");
  if (typeof model === "string") return words(model, "");
  const { state, records, needed, id, algorithm } = model;
  if (state === "warming_up" && needed > 0) return { ...words("warming up", `${format.count(records)} of ${format.count(needed)} records`), fraction: Math.min(1, records / needed) };
  return algorithm ? words(algorithm.replaceAll("_", " "), id ?? "") : words(id ?? state ?? "–", "");
}

function words(value, sub) {
  return { value, sub, title: value, fraction: null };
}

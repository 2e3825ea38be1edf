/** What to say of the model that scores a feed. Pure functions. */

import * as format from "../base/format.js";

/**
 * {value, sub, title, fraction}: two lines of text, a tooltip, and how far the warm-up is (null when it is over).
 * `info` is a feed's description, or null before the first one came.
 */
export function describeModel(info) {
  if (!info) return words("–", "");
  const { model, refused_model: refused } = info;
  if (!model) return beforeModel(info);
  const name = model.algorithm ? model.algorithm.replaceAll("_", " ") : model.id;
  if (refused) return words(name, "a newer one was refused", `${model.id}; refused: ${text(refused)}`);
  return words(name, model.algorithm ? model.id.split("-").at(-1) : "", model.error ?? model.id);
}

function beforeModel({ clean, train_at: needed, training }) {
  if (training?.state === "failed") return words("warming up", "training failed", training.error?.message ?? "");
  if (clean < needed) return { ...words("warming up", `${format.count(clean)} of ${format.count(needed)} records`), fraction: clean / needed };
  if (training && training.state !== "done") return { ...words("training", `on ${format.count(needed)} records`), fraction: 1 };
  return words("warming up", "");
}

function words(value, sub, title = value) {
  return { value, sub, title, fraction: null };
}

function text(given) {
  return typeof given === "string" ? given : JSON.stringify(given);
}

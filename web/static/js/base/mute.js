/** Muting an entity, a reason, or both: what can be muted of an anomaly is offered, for how long is asked. */

import { sendJson } from "./api.js";
import { node } from "./dom.js";
import * as format from "./format.js";

const find = (id) => document.getElementById(id);

/** Ask, and mute; the mute as the server has it, or null where the person thought better of it. */
export async function mute(feed, { entities, field }) {
  const offers = offered(entities, field);
  find("mute-what").replaceChildren(...offers.map(({ text }, place) => option(text, place)));
  const dialog = find("mute");
  dialog.returnValue = "";
  dialog.showModal();
  await new Promise((resolve) => dialog.addEventListener("close", resolve, { once: true }));
  if (dialog.returnValue !== "yes") return null;
  const chosen = offers[Number(find("mute-what").querySelector(":checked").value)];
  const until = new Date(Date.now() + Number(find("mute-until").value) * 1000).toISOString();
  return sendJson("POST", `/feeds/${encodeURIComponent(feed)}/mutes`, { ...chosen.what, until });
}

/** What a mute does, in words. */
export function told({ entities, field, until, hidden }) {
  const now = hidden ? `, ${format.plural(hidden, "open anomaly", "open anomalies")} at once` : "";
  return `Muted until ${format.time(format.epoch(until))}: ${named(entities, field)}${now}.`;
}

/** What a mute is about, in words. */
export function named(entities, field) {
  const who = Object.entries(entities).map(([name, value]) => `${name} ${value}`);
  return [who.join(", "), field ? `reason ${field}` : ""].filter(Boolean).join(", ");
}

function offered(entities, field) {
  const offers = [];
  for (const [name, value] of Object.entries(entities)) {
    const one = { [name]: value };
    if (field) offers.push({ text: `${name} ${value}, where the reason is ${field}`, what: { entities: one, field } });
    offers.push({ text: `${name} ${value}, whatever the reason`, what: { entities: one } });
  }
  if (field) offers.push({ text: `the reason ${field}, whoever it is`, what: { field } });
  return offers;
}

function option(text, place) {
  const input = node("input", { type: "radio", name: "mute-what", value: place });
  input.checked = place === 0;
  return node("label", {}, input, node("span", {}, text));
}

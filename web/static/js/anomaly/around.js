/** The records before and after one, each with its score and a link to its own page. */

import * as api from "../base/api.js";
import { node } from "../base/dom.js";
import * as format from "../base/format.js";

const EACH_SIDE = 4;

export async function drawAround(list, feed, seq) {
  const { last_seq: last } = await api.feed(feed);
  const seqs = Array.from({ length: 2 * EACH_SIDE + 1 }, (_, i) => seq - EACH_SIDE + i).filter((one) => one >= 1 && one <= last);
  const rows = await Promise.all(seqs.map((one) => row(feed, one, one === seq)));
  list.replaceChildren(...rows.filter(Boolean));
}

async function row(feed, seq, here) {
  let event;
  try {
    event = await api.event(feed, seq);
  } catch (cause) {
    if (cause instanceof api.ApiError) return null; // no longer kept
    throw cause;
  }
  const at = format.epoch(event.time);
  const rare = event.one_in === null ? "not scored" : format.oneIn(event.one_in);
  const cells = [`#${format.count(seq)}`, Number.isFinite(at) ? format.fullTime(at) : "", event.flagged ? node("b", {}, rare) : rare].map((cell) => node("span", {}, cell));
  if (here) return node("li", {}, node("span", { class: "here", "aria-current": "true" }, ...cells));
  return node("li", {}, node("a", { href: `/anomalies/${encodeURIComponent(`${feed}-${seq}`)}` }, ...cells));
}

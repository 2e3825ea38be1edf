/** A record's first fields for the tip: read when the pointer rests on its point, and kept for a while. */

import { node } from "../base/dom.js";
import * as format from "../base/format.js";

const REST_MS = 120;
const FIELDS = 6;
const VALUE_CHARS = 40;
const KEPT = 200;

export class Peek {
  /** `read(seq)` resolves to the record, or to null where it cannot be had. */
  constructor(read) {
    this.read = read;
    this.known = new Map();
    this.timer = 0;
    this.seq = null;
    this.list = node("dl", { class: "tip-record" });
  }

  /** The list for the tip; filled now, or once the record has been read. */
  show(seq) {
    if (seq === this.seq) return this.list;
    this.leave();
    this.seq = seq;
    if (this.known.has(seq)) this.fill(this.known.get(seq));
    else this.timer = setTimeout(() => this.fetch(seq), REST_MS);
    return this.list;
  }

  leave() {
    clearTimeout(this.timer);
    this.seq = null;
    this.list.replaceChildren();
  }

  /** Another feed's records have the same numbers. */
  forget() {
    this.leave();
    this.known.clear();
  }

  async fetch(seq) {
    const { known } = this;
    const record = await this.read(seq);
    if (known.size >= KEPT) known.delete(known.keys().next().value);
    known.set(seq, record);
    if (this.seq === seq) this.fill(record);
  }

  fill(record) {
    const fields = Object.entries(record ?? {}).slice(0, FIELDS);
    this.list.replaceChildren(...fields.map(([name, value]) => node("div", {}, node("dt", {}, name), node("dd", {}, short(format.value(value))))));
  }
}

function short(text) {
  return text.length > VALUE_CHARS ? `${text.slice(0, VALUE_CHARS)}…` : text;
}

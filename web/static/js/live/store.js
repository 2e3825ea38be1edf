/**
 * The newest alerts of one feed, each once. Keyed by id; a higher revision replaces a lower one. At most `limit` are
 * kept: the lowest seqs leave first. No DOM.
 */
export class AlertStore {
  constructor(limit) {
    this.limit = limit;
    this.byId = new Map();
    this.ordered = []; // ascending by seq, then id: the order of the list the server keeps
    this.newestSeq = 0; // the highest seq ever seen, kept or not
  }

  get size() {
    return this.ordered.length;
  }

  /** The lowest seq held, or null. */
  get oldestSeq() {
    return this.size ? this.ordered[0].seq : null;
  }

  get(id) {
    return this.byId.get(id);
  }

  /** Take one alert: "new", "changed", or null where it is known already or older than everything kept. */
  put(alert) {
    this.newestSeq = Math.max(this.newestSeq, alert.seq);
    const known = this.byId.get(alert.id);
    if (known) {
      if (alert.revision <= known.revision) return null;
      this.ordered[this.place(known)] = alert;
      this.byId.set(alert.id, alert);
      return "changed";
    }
    const at = this.place(alert);
    if (at === 0 && this.size >= this.limit) return null;
    this.ordered.splice(at, 0, alert);
    this.byId.set(alert.id, alert);
    if (this.size > this.limit) this.byId.delete(this.ordered.shift().id);
    return "new";
  }

  /** Newest first. */
  newestFirst() {
    return this.ordered.toReversed();
  }

  /** Where the alert stands, or would stand, in `ordered`. */
  place(alert) {
    let low = 0;
    let high = this.ordered.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (precedes(this.ordered[middle], alert)) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function precedes(a, b) {
  return a.seq < b.seq || (a.seq === b.seq && a.id < b.id);
}

/**
 * The rolling window behind the chart: columns of seq, time, score, threshold and flagged, ascending by seq, each seq
 * once, at most WINDOW long. No DOM.
 */

import { epoch } from "../base/format.js";

export const WINDOW = 20_000;
const SLACK = 2_000; // trimmed in pieces of this size, so that trimming costs nothing per point

export class Series {
  constructor() {
    this.rows = []; // [seq, time (s)|null, score, threshold|null, flagged]
    this.threshold = null;
  }

  /**
   * Take one `points` message: `[[seq, time, score, flagged], ...]` and the threshold they were held against.
   * Returns whether the feed moved on.
   */
  add(points, threshold) {
    this.threshold = threshold ?? this.threshold;
    const rows = points
      .filter((point) => Number.isFinite(point[2]))
      .map(([seq, time, score, flagged]) => [seq, epoch(time), score, this.threshold, Boolean(flagged)]);
    const before = this.newestSeq;
    this.merge(rows);
    return this.newestSeq > before;
  }

  get newestSeq() {
    return this.rows.at(-1)?.[0] ?? 0;
  }

  /** An alert is a point too, also where its bucket showed another one. Silence alerts have no record and no point. */
  addAlert(alert) {
    if (alert.record === null || !Number.isFinite(alert.score)) return;
    if (this.rows.length && alert.seq < this.rows[0][0]) return;
    this.merge([[alert.seq, epoch(alert.time), alert.score, this.threshold, true]]);
  }

  /**
   * The newest `length` rows as the columns a chart wants, ascending along its axis ("time" or "seq"). Where they
   * are denser than the chart's `width` in pixels, the rarest of each narrow slice stands for it; flagged ones all stay.
   * With a `range` along the axis, [from, to], all rows within it instead of the newest.
   */
  view(length, axis, width, range = null) {
    let all = this.rows.slice(-Math.min(length, WINDOW));
    const timed = axis === "time" && all.every((row) => row[1] !== null);
    const along = timed ? 1 : 0;
    if (range) all = this.rows.filter((row) => row[along] >= range[0] && row[along] <= range[1]);
    if (timed && !ascends(all)) all.sort((a, b) => a[1] - b[1] || a[0] - b[0]);
    const rows = envelope(all, along, width);
    const flagged = [];
    rows.forEach((row, index) => row[4] && flagged.push(index));
    return { axis: timed ? "time" : "seq", range, length: all.length, rows, x: column(rows, along), score: column(rows, 2), threshold: rows.map((row) => row[3] ?? this.threshold), flagged };
  }

  /** The same rows, held: what comes later changes nothing of them. */
  held() {
    const held = new Series();
    held.rows = this.rows.slice();
    held.threshold = this.threshold;
    return held;
  }

  merge(rows) {
    rows.sort((a, b) => a[0] - b[0]);
    if (rows.length && rows[0][0] > this.newestSeq) this.rows.push(...rows);
    else if (rows.length) this.rows = mergeSorted(this.rows, rows);
    if (this.rows.length > WINDOW + SLACK) this.rows.splice(0, this.rows.length - WINDOW);
  }
}

/** Two lists ascending by seq into one; of equal seqs one row stays, flagged if either was. */
function mergeSorted(older, newer) {
  const merged = [];
  let i = 0;
  for (const row of newer) {
    while (i < older.length && older[i][0] < row[0]) merged.push(older[i++]);
    const twin = i < older.length && older[i][0] === row[0] ? older[i++] : null;
    if (twin) row[4] ||= twin[4];
    if (merged.at(-1)?.[0] !== row[0]) merged.push(row);
  }
  while (i < older.length) merged.push(older[i++]);
  return merged;
}

function ascends(rows) {
  for (let i = 1; i < rows.length; i++) if (rows[i][1] < rows[i - 1][1]) return false;
  return true;
}

/**
 * The highest ordinary row of each slice along the axis, and every flagged one. Slices are fixed in place and in size (a power
 * of two), so that nothing flickers as the window moves.
 */
function envelope(rows, along, width) {
  if (rows.length <= width) return rows;
  const size = 2 ** Math.ceil(Math.log2(Math.max(rows.at(-1)[along] - rows[0][along], 1e-9) / width));
  const kept = [];
  let first = 0;
  for (let i = 1; i <= rows.length; i++) {
    if (i < rows.length && Math.floor(rows[i][along] / size) === Math.floor(rows[first][along] / size)) continue;
    keepPeaks(rows, first, i, kept);
    first = i;
  }
  return kept;
}

function keepPeaks(rows, first, end, kept) {
  let best = null;
  for (let i = first; i < end; i++) if (!rows[i][4] && (!best || rows[i][2] > best[2])) best = rows[i];
  for (let i = first; i < end; i++) if (rows[i] === best || rows[i][4]) kept.push(rows[i]);
}

function column(rows, index) {
  return rows.map((row) => row[index]);
}

/** Tells a screen reader about new anomalies, a few words at a time and not more often than it can be listened to. */

import * as format from "../base/format.js";

const LEAST_MS = 5_000;

export class Announcer {
  constructor(element) {
    this.element = element;
    this.waiting = [];
    this.timer = 0;
    this.last = -Infinity;
  }

  /** Note these new alerts; what gathers in the meantime is said in one sentence. */
  add(alerts) {
    if (alerts.length === 0) return;
    const rarest = [...this.waiting.slice(0, 1), ...alerts].reduce((a, b) => (b.one_in > a.one_in ? b : a));
    this.number = (this.waiting.length ? this.number : 0) + alerts.length;
    this.waiting = [rarest];
    if (this.timer) return;
    const wait = Math.max(0, this.last + LEAST_MS - performance.now());
    this.timer = setTimeout(() => this.say(), wait);
  }

  say() {
    this.timer = 0;
    this.last = performance.now();
    const [rarest] = this.waiting;
    this.waiting = [];
    const what = `${rarest.summary}, ${format.oneIn(rarest.one_in)}`;
    const line = document.createElement("p");
    line.textContent = this.number === 1 ? `New anomaly: ${what}` : `${format.count(this.number)} new anomalies; the rarest: ${what}`;
    this.element.replaceChildren(line);
  }
}

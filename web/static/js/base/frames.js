/**
 * One drawing at a time for the whole page: parts say that they are out of date, and all of them are drawn together
 * in one animation frame, at most ten times a second, and not at all while the page is hidden.
 */

const LEAST_MS = 100;

export class Frames {
  /** `parts` maps a name to the function that draws it. */
  constructor(parts) {
    this.parts = parts;
    this.stale = new Set();
    this.asked = false;
    this.last = 0;
  }

  /** Draw these parts soon. */
  request(...names) {
    for (const name of names) this.stale.add(name);
    if (this.asked) return;
    this.asked = true;
    const wait = Math.max(0, this.last + LEAST_MS - performance.now());
    setTimeout(() => requestAnimationFrame((now) => this.run(now)), wait);
  }

  run(now) {
    this.asked = false;
    this.last = now;
    const due = [...this.stale];
    this.stale.clear();
    for (const name of due) this.parts[name]();
  }
}

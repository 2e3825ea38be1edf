/**
 * The chart card: which part of the window is shown along which axis, the tip under the pointer, and what a click
 * means. The drawing itself is uPlot's, or Plotly's where uPlot is missing.
 */

import { node, setText } from "../base/dom.js";
import * as format from "../base/format.js";
import { Peek } from "./peek.js";

const NEAR_PX = 18;
const FALLBACK_MS = 250;

export class Chart {
  /** @param {{element: Element, card: Element, onPick: (seq: number) => void, readRecord: (seq: number) => Promise<object>}} parts */
  constructor({ element, card, onPick, readRecord }) {
    this.element = element;
    this.plotArea = element.querySelector(".chart-plot");
    this.tip = element.querySelector(".tip");
    this.empty = element.querySelector(".chart-empty");
    this.thresholdText = card.querySelector("#threshold");
    this.pauseButton = card.querySelector("#pause");
    this.backButton = card.querySelector(".back");
    this.onPick = onPick;
    this.peek = new Peek(readRecord);
    this.range = null; // what was zoomed to along the axis, [from, to]
    this.held = null; // the series as it was then
    this.axis = "time";
    this.length = 5000;
    this.paused = false;
    this.view = null;
    this.selectedSeq = null;
    this.renderer = null;
    this.lastDrawn = -Infinity;
    for (const group of card.querySelectorAll("[data-control]")) this.wireSegments(group);
    this.pauseButton.addEventListener("click", () => this.pause(!this.paused));
    this.backButton.addEventListener("click", () => this.backToLive());
  }

  /** Load the drawing library that is there. */
  async prepare() {
    const module = window.uPlot ? await import("./uplot.js") : await import("./plotly.js");
    this.renderer = await module.makeRenderer(this.plotArea, {
      onHover: (at) => this.hover(at),
      onClick: (at) => this.click(at),
      onRange: (range) => (range ? this.zoom(range) : this.backToLive()),
      selected: () => this.selectedSeq,
    });
    this.element.dataset.library = module.NAME;
    this.slow = module.NAME !== "uplot";
    new ResizeObserver(() => this.renderer.resize()).observe(this.plotArea);
  }

  /** Draw the newest part of a series; says false where it has to be asked again later. */
  draw(series) {
    this.series = series;
    if (!this.renderer || this.paused || this.range) return true;
    const now = performance.now();
    if (this.slow && now - this.lastDrawn < FALLBACK_MS) return false;
    this.lastDrawn = now;
    this.show(series);
    return true;
  }

  show(series) {
    this.view = series.view(this.length, this.axis, this.plotArea.clientWidth, this.range);
    this.describe(series.threshold);
    this.renderer.draw(this.view);
  }

  /** Show a range along the axis, of the points that there are now; what comes does not move it. */
  zoom(range) {
    this.held ??= this.series.held();
    this.range = range;
    this.tip.hidden = true;
    this.show(this.held);
    this.drawBack();
  }

  /** Leave a zoom and a pause. */
  backToLive() {
    this.range = null;
    this.held = null;
    this.lastDrawn = -Infinity;
    this.pause(false);
  }

  drawBack() {
    this.backButton.hidden = !this.paused && this.range === null;
    this.element.dataset.zoomed = String(this.range !== null);
  }

  /** Another feed is about to be shown. */
  clear(series) {
    this.peek.forget();
    this.selectedSeq = null;
    this.tip.hidden = true;
    this.series = series;
    this.backToLive();
  }

  select(seq) {
    this.selectedSeq = seq;
    if (this.view) this.renderer.redraw();
  }

  restyle() {
    this.renderer?.restyle();
  }

  describe(threshold) {
    const { rows, length, flagged } = this.view;
    this.element.dataset.points = length;
    this.element.dataset.flaggedCount = flagged.length;
    this.element.dataset.lastSeq = rows.at(-1)?.[0] ?? 0;
    this.empty.hidden = rows.length > 0;
    setText(this.thresholdText, threshold === null ? "" : format.oneIn(10 ** threshold));
    const label = `Rarity of the newest ${format.plural(Number(length.toPrecision(2)), "record")} shown, ${flagged.length} flagged. The table below lists them.`;
    if (this.element.getAttribute("aria-label") !== label) this.element.setAttribute("aria-label", label);
  }

  pause(paused) {
    this.paused = paused;
    this.pauseButton.setAttribute("aria-pressed", String(paused));
    setText(this.pauseButton, paused ? "Resume" : "Pause");
    this.drawBack();
    if (!paused && this.series) this.draw(this.series);
  }

  wireSegments(group) {
    group.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (!button) return;
      for (const other of group.children) other.setAttribute("aria-pressed", String(other === button));
      if (group.dataset.control === "axis") this.axis = button.dataset.value;
      else this.length = Number(button.dataset.value);
      this.backToLive();
    });
  }

  /** `at`: {index, left, top} in the plot area, or null when the pointer left. */
  hover(at) {
    const index = at === null ? null : (this.nearFlagged(at) ?? at.index);
    const row = index === null ? undefined : this.view?.rows[index];
    this.tip.hidden = row === undefined;
    if (!row) this.peek.leave();
    this.plotArea.classList.toggle("over-flagged", Boolean(row?.[4]));
    if (row) this.fillTip(row, at);
  }

  fillTip([seq, time, score, threshold, flagged], at) {
    this.tip.replaceChildren(
      node("b", {}, format.oneIn(10 ** score)),
      node("span", {}, `record ${format.count(seq)}`),
      node("span", {}, time === null ? "no event time" : format.fullTime(time)),
      node("span", {}, `score ${score.toFixed(2)}${threshold === null ? "" : `, alert from ${threshold.toFixed(2)}`}`),
    );
    if (flagged) this.tip.append(node("span", { class: "tip-flagged" }, "flagged: click for the reasons"));
    this.tip.append(this.peek.show(seq));
    this.tip.dataset.flagged = String(flagged);
    const width = this.element.clientWidth;
    const right = at.left > width - 230;
    this.tip.style.transform = `translate(${Math.round(at.left + (right ? -14 : 14))}px, ${Math.round(Math.max(4, at.top - 40))}px) translateX(${right ? "-100%" : "0"})`;
  }

  click(at) {
    const index = this.nearFlagged(at);
    if (index !== null) this.onPick(this.view.rows[index][0]);
  }

  /** The flagged point nearest to the pointer, if one is near. */
  nearFlagged(at) {
    let best = null;
    let bestPx = NEAR_PX;
    for (const index of this.view?.flagged ?? []) {
      const [left, top] = this.renderer.place(this.view, index);
      const distance = Math.hypot(left - at.left, top - at.top);
      if (distance < bestPx) [best, bestPx] = [index, distance];
    }
    return best;
  }
}

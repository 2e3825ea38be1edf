/** Drawing with Plotly, where uPlot is not installed: the same three traces, redrawn seldom since each costs more. */

import { colour } from "../base/colour.js";
import * as format from "../base/format.js";

export const NAME = "plotly";

const SOURCE = "/static/vendor/plotly.min.js";
const SETTINGS = { displayModeBar: false, responsive: false, doubleClick: false };
const DRAG_PX = 6; // a shorter movement is a click
const MARGIN = { l: 72, r: 14, t: 10, b: 38 };

/** A renderer inside `area`; `hooks`: {onHover, onClick, onRange, selected}. */
export async function makeRenderer(area, hooks) {
  await load();
  return new PlotlyRenderer(area, hooks);
}

function load() {
  return new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = SOURCE;
    script.addEventListener("load", () => resolve());
    script.addEventListener("error", () => reject(new Error(`expected uPlot or ${SOURCE}; neither could be loaded`)));
    document.head.append(script);
  });
}

class PlotlyRenderer {
  constructor(area, hooks) {
    this.area = area;
    this.hooks = hooks;
    this.view = null;
    area.addEventListener("mousemove", (event) => this.view && this.hooks.onHover(this.pointer(event)));
    area.addEventListener("mouseleave", () => this.hooks.onHover(null));
    area.addEventListener("mousedown", (event) => (this.pressed = event.clientX));
    area.addEventListener("click", (event) => this.view && this.release(event));
    area.addEventListener("dblclick", () => this.hooks.onRange(null));
  }

  /** A click, or the end of a range that was dragged out. */
  release(event) {
    const box = this.area.getBoundingClientRect();
    const ends = [this.pressed, event.clientX].map((at) => this.along(at - box.left)).toSorted((a, b) => a - b);
    if (Math.abs(event.clientX - this.pressed) < DRAG_PX) this.hooks.onClick(this.pointer(event));
    else this.hooks.onRange(ends);
  }

  draw(view) {
    this.view = view;
    const x = view.axis === "time" ? view.x.map((at) => new Date(at * 1000)) : view.x;
    const line = { type: "scatter", mode: "lines", hoverinfo: "skip", x };
    window.Plotly.react(
      this.area,
      [
        { ...line, y: view.score, line: { color: colour("--line"), width: 1 } },
        { ...line, y: view.threshold, line: { color: colour("--threshold"), width: 1.5, dash: "dash", shape: "hv" } },
        this.dots(x, view.flagged, 7, colour("--flagged")),
        this.dots(x, this.selected(), 15, "rgba(0,0,0,0)"),
      ],
      this.layout(x),
      SETTINGS,
    );
  }

  redraw() {
    if (this.view) this.draw(this.view);
  }

  restyle() {
    this.redraw();
  }

  resize() {
    this.redraw();
  }

  /** Where the point stands, in CSS pixels of the plot area. */
  place(view, index) {
    const { xaxis, yaxis } = this.area._fullLayout;
    const at = view.axis === "time" ? view.x[index] * 1000 : view.x[index];
    return [xaxis.c2p(at) + xaxis._offset, yaxis.c2p(view.score[index]) + yaxis._offset];
  }

  /** The pointer's place, and the index of the point nearest along the axis. */
  pointer(event) {
    const box = this.area.getBoundingClientRect();
    const left = event.clientX - box.left;
    return { left, top: event.clientY - box.top, index: this.nearest(this.along(left)) };
  }

  /** What stands at so many pixels from the left, along the axis. */
  along(left) {
    const { xaxis } = this.area._fullLayout;
    return xaxis.p2c(left - xaxis._offset) / (this.view.axis === "time" ? 1000 : 1);
  }

  nearest(along) {
    const { x } = this.view;
    if (x.length === 0) return null;
    let best = 0;
    for (let i = 1; i < x.length; i++) if (Math.abs(x[i] - along) < Math.abs(x[best] - along)) best = i;
    return best;
  }

  selected() {
    const seq = this.hooks.selected();
    const index = seq === null ? -1 : this.view.rows.findIndex((row) => row[0] === seq);
    return index < 0 ? [] : [index];
  }

  range(x) {
    const { range, axis } = this.view;
    if (range) return axis === "time" ? range.map((at) => new Date(at * 1000)) : range;
    return x.length ? [x[0], x.at(-1)] : undefined;
  }

  dots(x, indices, size, fill) {
    const marker = { color: fill, size, line: { color: colour("--flagged"), width: size > 10 ? 2 : 0 } };
    return { type: "scatter", mode: "markers", hoverinfo: "skip", marker, x: indices.map((i) => x[i]), y: indices.map((i) => this.view.score[i]) };
  }

  layout(x) {
    const top = Math.max(4, Math.ceil(this.view.score.reduce((a, b) => Math.max(a, b), 0) + 0.15));
    const steps = Array.from({ length: top }, (_, index) => index + 1);
    const axis = { gridcolor: colour("--grid"), zeroline: false, fixedrange: true };
    return {
      width: this.area.clientWidth,
      height: this.area.clientHeight,
      margin: MARGIN,
      showlegend: false,
      dragmode: false,
      hovermode: false,
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      font: { color: colour("--muted"), size: 11 },
      xaxis: { ...axis, type: this.view.axis === "time" ? "date" : "linear", range: this.range(x) },
      yaxis: { ...axis, range: [0, top], tickvals: steps, ticktext: steps.map((at) => format.oneInShort(10 ** at)) },
    };
  }
}

/** A small chart with uPlot: groups of points over one axis, or bars. Redrawn when the theme changes. */

import { colour, forgetColours } from "./colour.js";
import { node } from "./dom.js";
import * as format from "./format.js";

const FONT = "11px system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif";
const AXIS_PX = 62;
const plots = new Set();

/** Whether this installation has what draws. */
export function canPlot() {
  return Boolean(window.uPlot);
}

/** The theme has changed: draw everything anew. */
export function restylePlots() {
  forgetColours();
  for (const plot of plots) plot.redraw();
}

export class Plot {
  constructor(area) {
    this.area = area;
    this.plot = null;
    plots.add(this);
    if (!canPlot()) area.replaceChildren(node("p", { class: "muted" }, "This installation has no uPlot to draw with."));
    else new ResizeObserver(() => this.resize()).observe(area);
  }

  /**
   * @param {{x: number[], timed?: boolean, groups: {values: (number|null)[], colour: string, size?: number, bars?: boolean, line?: boolean}[]}} shown
   *   `x` ascending; a group has a value or null at each x.
   */
  draw({ x, timed = false, groups }) {
    if (!canPlot()) return;
    this.plot?.destroy();
    const axis = { stroke: () => colour("--muted"), font: FONT, grid: { stroke: () => colour("--grid"), width: 1 }, ticks: { show: false } };
    const numbers = (_plot, splits) => splits.map((at) => format.quantity(at));
    this.plot = new window.uPlot(
      {
        ...this.size(),
        padding: [10, 12, 0, 0],
        legend: { show: false },
        cursor: { show: false },
        scales: { x: { time: timed, range: (_plot, low, high) => padded(low, high) }, y: { range: (_plot, low, high) => (groups[0].bars ? [0, Math.max(1, high * 1.05)] : padded(low, high)) } },
        axes: [timed ? { ...axis, size: 38 } : { ...axis, size: 34, values: numbers }, { ...axis, size: AXIS_PX, values: numbers }],
        series: [{}, ...groups.map(series)],
      },
      [x, ...groups.map((group) => group.values)],
      this.area,
    );
  }

  clear() {
    this.plot?.destroy();
    this.plot = null;
  }

  redraw() {
    this.plot?.redraw();
  }

  resize() {
    if (this.plot && this.area.clientWidth) this.plot.setSize(this.size());
  }

  size() {
    return { width: this.area.clientWidth, height: this.area.clientHeight };
  }
}

function series({ colour: name, size = 5, bars = false, line = false }) {
  const stroke = () => colour(name);
  if (bars) return { stroke, fill: stroke, width: 0, paths: window.uPlot.paths.bars({ size: [0.9, 60] }), points: { show: false } };
  const points = { show: true, size, width: 1, stroke: () => colour("--card"), fill: stroke };
  return line ? { stroke, width: 1, spanGaps: true, points } : { stroke, paths: () => null, points };
}

/** A range with some room round it; a lone value stands in the middle. */
function padded(low, high) {
  if (low === null || low === undefined) return [0, 1];
  const room = low === high ? Math.max(1, Math.abs(low) * 0.1) : 0.04 * (high - low);
  return [low - room, high + room];
}

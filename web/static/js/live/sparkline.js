/** A small line under a figure: uPlot without axes, or nothing where uPlot is missing. */

import { colour } from "../base/colour.js";

const LEAST = 30; // values that fill the width

export class Sparkline {
  constructor(element) {
    this.element = element;
    this.plot = null;
    new ResizeObserver(() => this.plot?.setSize(this.size())).observe(element);
  }

  /** Show these values, oldest first; the newest stands at the right edge. */
  draw(values) {
    if (!window.uPlot) return;
    const data = [Array.from(values, (_value, index) => index - values.length), values];
    if (this.plot) this.plot.setData(data);
    else this.plot = new window.uPlot(this.options(), data, this.element);
  }

  /** Take on the colours of the theme. */
  restyle() {
    this.plot?.redraw();
  }

  size() {
    return { width: Math.max(10, this.element.clientWidth), height: Math.max(16, this.element.clientHeight) };
  }

  options() {
    return {
      ...this.size(),
      padding: [2, 0, 1, 0],
      cursor: { show: false },
      legend: { show: false },
      axes: [{ show: false }, { show: false }],
      scales: {
        x: { time: false, range: (plot) => [-Math.max(LEAST, plot.data[0].length), -1] },
        y: { range: (_plot, _low, high) => [0, Math.max(high ?? 0, 1e-9) * 1.3] },
      },
      series: [{}, { stroke: () => colour("--line"), fill: () => colour("--line-fill"), width: 1, points: { show: false } }],
    };
  }
}

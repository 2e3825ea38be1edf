/** Drawing with uPlot: ordinary scores as a line, the threshold as a dashed step, flagged points as red dots on stems. */

import { colour } from "../base/colour.js";
import * as format from "../base/format.js";

export const NAME = "uplot";

const FONT = "11px system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif";
const LEAST_TOP = 4; // the axis reaches at least 1 in 10,000
const DOT_PX = 7;
const DRAG_PX = 6; // a shorter movement is a click
const LABEL_PX = 22; // room a label of the rarity axis needs
const DAY = "\n{D} {MMM}";
const DAY_YEAR = "\n{D} {MMM} {YYYY}";
const TIME_LABELS = [
  // from this step in seconds on: label, then what is added where the year, the day or the minute changes
  [31_536_000, "{YYYY}", null, null, null, null, null, null, 1],
  [2_419_200, "{MMM}", "\n{YYYY}", null, null, null, null, null, 1],
  [86_400, "{D} {MMM}", "\n{YYYY}", null, null, null, null, null, 1],
  [60, "{HH}:{mm}", DAY_YEAR, null, DAY, null, null, null, 1],
  [1, "{HH}:{mm}:{ss}", DAY_YEAR, null, DAY, null, null, null, 1],
  [0.001, "{HH}:{mm}:{ss}.{fff}", DAY_YEAR, null, DAY, null, null, null, 1],
];

/** A renderer inside `area`; `hooks`: {onHover, onClick, onRange, selected}. */
export function makeRenderer(area, hooks) {
  return new UplotRenderer(area, hooks);
}

class UplotRenderer {
  constructor(area, hooks) {
    this.area = area;
    this.hooks = hooks;
    this.plot = null;
    this.view = null;
  }

  draw(view) {
    const changedAxis = this.view && this.view.axis !== view.axis;
    this.view = view;
    if (changedAxis) this.drop();
    const ordinary = view.rows.map((row) => (row[4] ? null : row[2]));
    const data = [view.x, ordinary, view.threshold, view.score];
    if (this.plot) this.plot.setData(data);
    else this.make(data);
  }

  redraw() {
    this.plot?.redraw(false);
  }

  restyle() {
    this.plot?.redraw();
  }

  resize() {
    const { clientWidth: width, clientHeight: height } = this.area;
    if (this.plot && width && height) this.plot.setSize({ width, height });
  }

  /** Where the point stands, in CSS pixels of the plot area. */
  place(view, index) {
    const { plot } = this;
    return [plot.valToPos(view.x[index], "x") + plot.over.offsetLeft, plot.valToPos(view.score[index], "y") + plot.over.offsetTop];
  }

  drop() {
    this.plot.destroy();
    this.plot = null;
  }

  make(data) {
    this.plot = new window.uPlot(this.options(), data, this.area);
    const { over } = this.plot;
    over.addEventListener("click", () => this.hooks.onClick(this.pointer()));
    over.addEventListener("mouseleave", () => this.hooks.onHover(null));
    over.addEventListener("dblclick", () => this.hooks.onRange(null));
  }

  pointer() {
    const { cursor, over } = this.plot;
    return { left: cursor.left + over.offsetLeft, top: cursor.top + over.offsetTop, index: cursor.idx ?? null };
  }

  options() {
    const timed = this.view.axis === "time";
    const axis = { stroke: () => colour("--muted"), font: FONT, grid: { stroke: () => colour("--grid"), width: 1 }, ticks: { show: false } };
    return {
      width: this.area.clientWidth,
      height: this.area.clientHeight,
      padding: [10, 14, 0, 0],
      legend: { show: false },
      cursor: { y: false, drag: { x: true, y: false, setScale: false, dist: DRAG_PX }, points: { show: false } },
      scales: { x: { time: timed, range: (_plot, low, high) => this.view.range ?? spread(low, high) }, y: { range: (_plot, _low, high) => [0, topOf(high)] } },
      axes: [
        { ...axis, size: 38, gap: 5, space: 88, values: timed ? TIME_LABELS : (_plot, splits) => splits.map((at) => (Number.isInteger(at) ? format.count(at) : "")) },
        { ...axis, size: 72, gap: 6, splits: (plot, _axis, _low, high) => wholeSteps(high, plot.over.clientHeight), values: (_plot, splits) => splits.map((at) => (at === 0 ? "" : format.oneInShort(10 ** at))) },
      ],
      series: [
        {},
        { stroke: () => colour("--line"), fill: () => colour("--line-fill"), width: 1, spanGaps: true, points: { show: false } },
        { stroke: () => colour("--threshold"), width: 1.5, dash: [5, 4], points: { show: false }, paths: window.uPlot.paths.stepped({ align: -1 }) },
        { stroke: () => colour("--flagged"), paths: () => null, points: { show: true, size: DOT_PX, width: 1, stroke: () => colour("--card"), fill: () => colour("--flagged"), filter: () => this.view.flagged } },
      ],
      hooks: {
        setCursor: [(plot) => this.hooks.onHover(plot.cursor.left < 0 ? null : this.pointer())],
        setSelect: [(plot) => this.select(plot)],
        drawAxes: [(plot) => this.drawStems(plot)],
        draw: [(plot) => this.ringSelected(plot)],
      },
    };
  }

  /** A range was dragged out: it is the chart's to show, so uPlot's own mark of it goes. */
  select(plot) {
    const { left, width } = plot.select;
    if (width < DRAG_PX) return;
    plot.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
    this.hooks.onRange([plot.posToVal(left, "x"), plot.posToVal(left + width, "x")]);
  }

  drawStems(plot) {
    const { ctx } = plot;
    const bottom = plot.valToPos(0, "y", true);
    ctx.save();
    ctx.strokeStyle = colour("--stem");
    ctx.lineWidth = window.devicePixelRatio;
    ctx.beginPath();
    for (const index of this.view.flagged) {
      const left = Math.round(plot.valToPos(this.view.x[index], "x", true));
      ctx.moveTo(left, bottom);
      ctx.lineTo(left, plot.valToPos(this.view.score[index], "y", true));
    }
    ctx.stroke();
    ctx.restore();
  }

  ringSelected(plot) {
    const seq = this.hooks.selected();
    const index = seq === null ? -1 : this.view.rows.findIndex((row) => row[0] === seq);
    if (index < 0) return;
    const { ctx } = plot;
    const ratio = window.devicePixelRatio;
    ctx.save();
    ctx.strokeStyle = colour("--flagged");
    ctx.lineWidth = 2 * ratio;
    ctx.beginPath();
    ctx.arc(plot.valToPos(this.view.x[index], "x", true), plot.valToPos(this.view.score[index], "y", true), 8 * ratio, 0, 2 * Math.PI);
    ctx.stroke();
    ctx.restore();
  }
}

/** The range of all that is shown; a lone point stands in the middle of one. */
function spread(low, high) {
  return low !== null && low === high ? [low - 1, high + 1] : [low, high];
}

/** The top of the rarity axis: the next whole power of ten, so that it moves seldom. */
function topOf(highest) {
  return Math.max(LEAST_TOP, Math.ceil((highest ?? 0) + 0.15));
}

function wholeSteps(high, height) {
  const step = Math.max(1, Math.ceil((high * LABEL_PX) / Math.max(height, LABEL_PX)));
  return Array.from({ length: Math.floor(high / step) + 1 }, (_, index) => index * step);
}

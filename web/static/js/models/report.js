/* Draws the charts of a report. A plain script, since the same text also stands inside a file that is opened by itself. */
"use strict";

(() => {
  const drawings = JSON.parse(document.getElementById("drawings").textContent);
  const charts = [...document.querySelectorAll("[data-chart]")];
  const SETTINGS = { displayModeBar: false, responsive: true };
  const DASHES = ["solid", "dot", "dash", "dashdot"];

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  /** Plotly reads names as a kind of HTML: what comes from data must not become any. */
  const literal = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

  const axis = (title, more = {}) => ({
    title: { text: title },
    gridcolor: colour("--grid"),
    linecolor: colour("--border"),
    zeroline: false,
    fixedrange: true,
    ...more,
  });

  const layout = (x, y, more = {}) => ({
    margin: { l: 62, r: 12, t: 12, b: 48 },
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { color: colour("--muted"), size: 11 },
    legend: { orientation: "h", y: 1.14 },
    xaxis: x,
    yaxis: y,
    ...more,
  });

  const upright = (x, name) => ({ type: "line", yref: "paper", x0: x, x1: x, y0: 0, y1: 1, line: { color: colour(name), dash: "dash", width: 1.5 } });

  const lines = (curves) => {
    const colours = ["--line", "--muted", "--threshold", "--good"].map(colour);
    return curves.map((curve, place) => ({
      type: "scatter",
      mode: "lines",
      name: literal(curve.name),
      x: curve.x,
      y: curve.y,
      line: { color: colours[place % colours.length], dash: DASHES[place % DASHES.length], width: place ? 1.5 : 2.5 },
    }));
  };

  const SHARE = { range: [-0.02, 1.02] };

  const DRAW = {
    precision_recall: (data) => [lines(data.precision_recall), layout(axis("recall", SHARE), axis("precision", SHARE))],
    roc: (data) => [lines(data.roc), layout(axis("false positive rate", SHARE), axis("true positive rate", SHARE))],
    histogram: (data) => {
      const { edges } = data.histogram;
      const middles = edges.slice(1).map((edge, place) => (edge + edges[place]) / 2);
      const widths = edges.slice(1).map((edge, place) => edge - edges[place]);
      const kinds = [["unlabelled", "--muted"], ["others", "--line"], ["anomalies", "--flagged"]];
      const bars = kinds
        .filter(([kind]) => data.histogram[kind].some((count) => count > 0))
        .map(([kind, name]) => ({ type: "bar", name: kind, x: middles, y: data.histogram[kind], width: widths, marker: { color: colour(name) }, opacity: 0.75 }));
      const shapes = data.threshold !== null && edges.length && data.threshold <= edges.at(-1) ? [upright(data.threshold, "--threshold")] : [];
      return [bars, layout(axis("score; the line is the threshold"), axis("records", { type: "log" }), { barmode: "overlay", shapes })];
    },
    rate: (data) => {
      const timed = data.rate.every((part) => part.time_s !== null || part.rate === null);
      const parts = data.rate.filter((part) => part.rate !== null);
      const x = parts.map((part, place) => (timed ? new Date(part.time_s * 1000).toISOString() : place + 1));
      const bars = [{ type: "bar", name: "flagged", x, y: parts.map((part) => 100 * part.rate), marker: { color: colour("--line") } }];
      const promised = { type: "line", xref: "paper", x0: 0, x1: 1, y0: 100 * data.promised_rate, y1: 100 * data.promised_rate, line: { color: colour("--threshold"), dash: "dash", width: 1.5 } };
      return [bars, layout(axis(timed ? "event time, UTC" : "part"), axis("% flagged; the line is the budget", { rangemode: "tozero" }), { shapes: [promised], showlegend: false })];
    },
  };

  const draw = () => {
    for (const chart of charts) {
      const [traces, shape] = DRAW[chart.dataset.chart](drawings[Number(chart.dataset.report)]);
      window.Plotly.react(chart, traces, shape, SETTINGS).then(() => {
        chart.dataset.drawn = "true";
      });
    }
  };

  draw();
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
})();

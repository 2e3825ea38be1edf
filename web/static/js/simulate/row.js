/** One run: what it sends, what became of it, and, while it goes on, the means to steer and stop it. */

import { node, setText } from "../base/dom.js";
import * as format from "../base/format.js";

export class RunRow {
  /** `onSteer(body)` with what is to change, `onStop()`. */
  constructor(run, { onSteer, onStop }) {
    this.state = node("span", { class: "run-state" });
    this.about = node("p", { class: "run-about" });
    this.error = node("p", { class: "run-error" });
    this.bar = node("div", { class: "meter-bar", "aria-hidden": "true" });
    this.figures = new Map();
    const list = node("dl", {});
    for (const [name, title] of [["caught", "caught"], ["missed", "missed"], ["false-alarms", "false alarms"], ["recall", "of the anomalies"], ["precision", "of the alarms right"]]) {
      const value = node("dd", {});
      this.figures.set(name, value);
      list.append(node("div", {}, node("dt", { class: name }, title), value));
    }
    this.actions = run.plan.kind === "replay" ? node("div", { class: "steer" }) : this.steering(run, onSteer);
    const stop = node("button", { type: "button", class: "small-button", "aria-label": `Stop ${run.id}` }, "Stop");
    stop.addEventListener("click", onStop);
    this.actions.append(stop);
    this.link = node("a", {}, run.plan.feed); // leads there once there is such a feed
    this.row = node("li", { "data-id": run.id }, node("div", {}, node("p", { class: "run-head" }, node("b", {}, run.id), "to", this.link, this.state), this.about, this.error), node("div", { class: "meter", role: "group", "aria-label": `What was caught of ${run.id}` }, this.bar, list), this.actions);
  }

  steering(run, onSteer) {
    const rate = node("input", { type: "number", min: "0.1", max: "100000", step: "any", value: run.plan.rate, required: "" });
    const share = node("input", { type: "number", min: "0", max: "500", step: "any", value: run.plan.anomaly_share * 1000, required: "" });
    const form = node("form", { class: "steer" }, node("label", {}, "Records a second", rate), node("label", {}, "Anomalies in 1,000", share), node("button", { type: "submit", class: "small-button" }, "Apply"));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      onSteer({ rate: Number(rate.value), anomaly_share: Number(share.value) / 1000 });
    });
    return form;
  }

  draw(run) {
    this.state.dataset.state = run.state;
    setText(this.state, run.state);
    setText(this.about, about(run));
    setText(this.error, run.error ?? "");
    this.actions.hidden = run.state !== "running";
    if (run.accepted) this.link.href = `/#feed=${encodeURIComponent(run.plan.feed)}`;
    const { caught, missed, false_alarms: alarms } = run;
    const all = caught + missed + alarms;
    this.bar.replaceChildren(...[["caught", caught], ["missed", missed], ["false-alarms", alarms]].filter(([, n]) => n).map(([name, n]) => part(name, n / all)));
    const said = { caught: format.count(caught), missed: format.count(missed), "false-alarms": format.count(alarms), recall: format.share(caught / (caught + missed)), precision: format.share(caught / (caught + alarms)) };
    for (const [name, text] of Object.entries(said)) setText(this.figures.get(name), text);
  }
}

function part(name, share) {
  const made = node("span", { class: name });
  made.style.width = `${share * 100}%`;
  return made;
}

function about({ plan, accepted, alerts, started, ended }) {
  const what = plan.kind === "replay" ? `${plan.file ?? "a file"}, ${plan.speed ? `${plan.speed} times as fast as it happened` : "as fast as can be"}` : `${format.quantity(plan.rate)} a second, ${format.quantity(plan.anomaly_share * 1000)} anomalies in 1,000`;
  const times = ended ? `${format.time(format.epoch(started))} to ${format.time(format.epoch(ended))}` : `since ${format.time(format.epoch(started))}`;
  return `${what} · ${format.plural(accepted, "record")}, ${format.plural(alerts, "alert")} · ${times}`;
}

/** Judging one alert, and what the verdict changed. */

import { ApiError, sendJson } from "../base/api.js";
import { setText } from "../base/dom.js";
import * as format from "../base/format.js";
import { mute, told } from "../base/mute.js";

const EFFECTS = {
  real: "It is not learnt, and records like it rank higher",
  false_alarm: "It is learnt as normal, and records like it rank lower",
  new_normal: "It and all that is held back and like it are learnt as normal",
  unsure: "What was said of it before is taken back",
};

export class Verdict {
  /** `onJudged(alert)` after a verdict, with the alert as it is then. */
  constructor(section, id, onJudged) {
    this.buttons = [...section.querySelectorAll("[data-verdict]")];
    this.note = section.querySelector("input");
    this.told = section.querySelector("[role=status]");
    this.id = id;
    this.alert = null;
    this.onJudged = onJudged;
    for (const button of this.buttons) button.addEventListener("click", () => this.run("Judging…", () => this.judge(button.dataset.verdict)));
    const button = section.querySelector("#mute-this");
    button.addEventListener("click", () => this.run("", () => this.mute()));
    this.buttons.push(button);
  }

  draw(alert) {
    this.alert = alert;
    const { status } = alert;
    for (const button of this.buttons) {
      if (button.hasAttribute("aria-pressed")) button.setAttribute("aria-pressed", String(button.dataset.verdict === status));
    }
  }

  async judge(verdict) {
    const note = this.note.value.trim();
    const alert = await sendJson("POST", `/alerts/${encodeURIComponent(this.id)}/verdict`, note ? { verdict, note } : { verdict });
    const others = alert.reranked ? ` ${format.plural(alert.reranked, "other open anomaly", "other open anomalies")} ranked anew.` : "";
    setText(this.told, `${EFFECTS[verdict]}.${others}`);
    this.onJudged(alert);
  }

  async mute() {
    const { feed, entities, reasons } = this.alert;
    const made = await mute(feed, { entities, field: reasons[0]?.field ?? null });
    if (made) setText(this.told, told(made));
  }

  async run(saying, work) {
    this.enable(false);
    setText(this.told, saying);
    try {
      await work();
    } catch (cause) {
      if (!(cause instanceof ApiError)) throw cause;
      setText(this.told, `Not taken: ${cause.told}`);
    } finally {
      this.enable(true);
    }
  }

  enable(on) {
    for (const button of this.buttons) button.disabled = !on;
  }
}

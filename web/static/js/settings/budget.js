/** A feed's alert budget: what another one would have raised lately is shown before it is saved. */

import * as api from "../base/api.js";
import { node, setText } from "../base/dom.js";
import * as format from "../base/format.js";

const STEPS = [10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000];
const SETTLE_MS = 350;
const AGAIN_MS = 1_000;
const EXAMPLES = 4;
const find = (id) => document.getElementById(id);

export class BudgetPart {
  /** `run(work)` does one thing at a time; `onSaved(text)` says what was done. */
  constructor(run, onSaved) {
    this.slider = find("budget");
    this.text = find("budget-text");
    this.save = find("budget-save");
    this.out = find("consequence");
    this.feed = null;
    this.now = null; // the feed's budget
    this.touched = false;
    this.timer = 0;
    this.asked = 0;
    this.slider.addEventListener("input", () => this.choose(`1/${STEPS[this.slider.value]}`));
    this.text.addEventListener("change", () => this.choose(this.text.value.trim()));
    this.save.addEventListener("click", () => run(() => this.put(onSaved)));
  }

  /** Another feed: nothing chosen for the one before is left. */
  restart(feed) {
    this.feed = feed;
    this.now = null;
    this.touched = false;
    this.asked += 1;
    clearTimeout(this.timer);
    this.save.disabled = true;
    this.say("Move the slider to see what another budget would have raised lately, before anything is saved.");
  }

  draw({ budget, promised_rate: promised, realised_rate: realised }) {
    setText(find("budget-now"), budget ? `now ${inWords(budget)}; promised ${format.rate(promised)}, came to ${format.rate(realised)}` : "");
    this.slider.disabled = this.text.disabled = budget === null;
    if (this.now === budget || budget === null) return;
    this.now = budget;
    if (!this.touched) this.show(budget, promised);
  }

  /** Put the means to choose on a budget; one by the day stands at its present rate. */
  show(budget, promised) {
    const n = /^1\/(\d+)$/.exec(budget)?.[1] ?? (promised ? 1 / promised : 1_000);
    const distance = (step) => Math.abs(Math.log(step / Number(n)));
    this.slider.value = STEPS.indexOf(STEPS.toSorted((a, b) => distance(a) - distance(b))[0]);
    this.slider.setAttribute("aria-valuetext", inWords(budget));
    this.text.value = budget;
  }

  choose(budget) {
    this.touched = true;
    this.show(budget, null);
    this.save.disabled = budget === this.now;
    clearTimeout(this.timer);
    this.asked += 1;
    if (budget === this.now) return this.say("That is the budget now.");
    this.say("Working it out on the latest records…");
    this.timer = setTimeout(() => this.ask(budget, this.asked), SETTLE_MS);
  }

  async ask(budget, asked) {
    let found;
    try {
      found = await api.getJson(`/feeds/${encodeURIComponent(this.feed)}/whatif?${new URLSearchParams({ budget })}`);
    } catch (cause) {
      if (!(cause instanceof api.ApiError)) throw cause;
      if (asked !== this.asked) return;
      if (cause.status === 429) found = { state: "running" };
      else return this.say(cause.told);
    }
    if (asked !== this.asked) return;
    if (found.state === "running") this.timer = setTimeout(() => this.ask(budget, asked), AGAIN_MS);
    else this.drawConsequence(found);
  }

  drawConsequence({ budget, note, comparison }) {
    const { champion, candidate, examples } = comparison;
    const rows = [["anomalies", format.count(champion.alerts), format.count(candidate.alerts)], ["one in", oneIn(champion), oneIn(candidate)]];
    if (comparison.labelled) rows.push(["right of them", format.share(champion.precision ?? NaN), format.share(candidate.precision ?? NaN)], ["found of the true ones", format.share(champion.recall ?? NaN), format.share(candidate.recall ?? NaN)]);
    const kinds = [["added", "It would add"], ["removed", "It would leave out"]].filter(([kind]) => examples[kind].length);
    this.out.replaceChildren(
      node("p", {}, `Of the latest ${format.plural(comparison.records, "record")}, ${inWords(budget)} would have raised ${format.count(comparison.added)} more and ${format.count(comparison.removed)} fewer.`),
      node("table", {}, node("thead", {}, node("tr", {}, ...["", "then", "with it"].map((title) => (title ? node("th", { scope: "col" }, title) : node("td", {}))))), node("tbody", {}, ...rows.map(([name, then, now]) => node("tr", {}, node("th", { scope: "row" }, name), node("td", {}, then), node("td", {}, now))))),
      ...kinds.map(([kind, title]) => node("div", {}, node("p", { class: "muted" }, title), node("ul", {}, ...examples[kind].slice(-EXAMPLES).reverse().map((one) => node("li", {}, `#${format.count(one.seq)} ${one.summary}`))))),
    );
    if (note) this.out.append(node("p", { class: "muted" }, `${note}.`));
  }

  async put(onSaved) {
    const budget = this.text.value.trim();
    const { feed } = this;
    await api.sendJson("PUT", `/feeds/${encodeURIComponent(feed)}/budget`, { budget });
    this.touched = false;
    this.save.disabled = true;
    onSaved(`${feed} is held to ${inWords(budget)} from the next record on; what was learnt stays.`);
  }

  say(text) {
    this.out.replaceChildren(node("p", { class: "muted" }, text));
  }
}

function oneIn({ rate }) {
  return rate ? format.count(1 / rate) : "–";
}

/** "1/500" -> "1 in 500", "20/day" -> "20 a day". */
function inWords(budget) {
  const [count, of] = budget.split("/").map((part) => part.trim());
  return of === "day" || of === "d" ? `${count} a day` : `1 in ${format.count(Number(of))}`;
}

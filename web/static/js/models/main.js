/** The page of a feed's models: its trainings as they go on, its versions, and which of them scores. */

import * as api from "../base/api.js";
import { node, setText } from "../base/dom.js";
import * as format from "../base/format.js";
import { Shell } from "../base/shell.js";
import { confirmed } from "../base/confirm.js";

const AGAIN_MS = 1_500;
const JOBS = 20;
const find = (id) => document.getElementById(id);
const words = (name) => name.replaceAll("_", " ");
const when = (epochS) => (epochS ? format.time(epochS) : "–");

class ModelsPage {
  constructor() {
    this.drawn = {}; // what each part shows, as text: it is built anew only where that has changed
    this.busy = false;
    this.shell = new Shell({ onFeed: () => this.restart(), onBack: () => this.read() });
  }

  open() {
    this.shell.open();
    find("train").addEventListener("click", () => this.run(() => this.train()));
    find("rollback").addEventListener("click", () => this.run(() => this.rollBack()));
    this.keepReading();
  }

  /** Another feed: nothing of the one before is left to act on. */
  restart() {
    this.say("");
    this.drawn = {};
    for (const part of ["versions", "jobs"]) find(part).replaceChildren();
    this.read();
  }

  async keepReading() {
    await this.read();
    setTimeout(() => this.keepReading(), AGAIN_MS);
  }

  async read() {
    const { feed } = this.shell;
    if (feed === null) return setText(find("about"), this.shell.reachable ? "once there is a feed: send a first record to one" : "Loading…");
    const name = encodeURIComponent(feed);
    try {
      const [{ models, refused }, { jobs }, { model }] = await Promise.all([
        api.getJson(`/models?feed=${name}`),
        api.getJson(`/jobs?feed=${name}&limit=${JOBS}`),
        api.feed(feed),
      ]);
      if (feed !== this.shell.feed || this.busy) return; // what a question was asked about stays, and the focus with it
      this.draw(models, refused, jobs, model);
    } catch (cause) {
      if (!(cause instanceof api.ApiError)) throw cause;
      if (cause.status !== 0) this.say(`${cause.message}.`, true); // away is the shell's to say
    }
  }

  draw(models, refused, jobs, present) {
    setText(find("about"), `of the feed ${this.shell.feed}`);
    find("train").disabled = false;
    find("rollback").disabled = !present;
    const newest = models.toSorted((a, b) => (b.created_s ?? 0) - (a.created_s ?? 0));
    this.fill("versions", [newest, refused, present?.id], () => [...newest.map((model) => this.versionRow(model, present?.id)), ...refused.map(refusedRow)]);
    this.fill("jobs", jobs, () => jobs.map((job) => this.jobRow(job)));
    find("no-versions").hidden = newest.length + refused.length > 0;
    find("no-jobs").hidden = jobs.length > 0;
  }

  /** Build a part anew where what it shows has changed, so that focus and hover stay otherwise. */
  fill(part, shown, build) {
    const text = JSON.stringify(shown);
    if (this.drawn[part] === text) return;
    this.drawn[part] = text;
    find(part).replaceChildren(...build());
  }

  versionRow(model, presentId) {
    const own = encodeURIComponent(model.id);
    const actions = [node("a", { href: `/models/${own}/report` }, "Report")];
    const state = node("td", model.id === presentId ? { class: "in-use" } : {}, model.id === presentId ? "in use" : "");
    if (model.id !== presentId) {
      const promote = node("button", { type: "button", class: "small-button", "aria-label": `Promote ${model.id}` }, "Promote");
      promote.addEventListener("click", () => this.run(() => this.promote(model)));
      actions.push(node("a", { href: `/models/${own}/compare?feed=${encodeURIComponent(this.shell.feed)}` }, "Compare"), promote);
    }
    const cells = [node("td", {}, words(model.algorithm)), node("td", { class: "number" }, format.count(model.rows)), node("td", {}, when(model.created_s)), node("td", {}, model.created_by), state];
    return node("tr", {}, node("th", { scope: "row" }, model.id), ...cells, node("td", {}, ...actions));
  }

  jobRow(job) {
    const running = job.state === "queued" || job.state === "running";
    const left = job.seconds_left === null ? "" : `, ${format.duration(job.seconds_left)} left`;
    const said = running ? `${job.stage ?? job.state}${left}` : (job.error?.message ?? job.model ?? "");
    const text = node("span", {}, node("b", {}, words(job.algorithm)), ` ${job.state}`, said ? node("span", { class: job.state === "failed" ? "failed" : "muted" }, ` · ${said}`) : null);
    if (!running) return node("li", {}, text, node("span", { class: "muted" }, job.finished ? format.time(format.epoch(job.finished)) : ""), node("span"));
    const cancel = node("button", { type: "button", class: "small-button" }, "Cancel");
    cancel.addEventListener("click", () => this.run(() => this.cancel(job)));
    return node("li", {}, text, node("progress", { max: 1, value: job.fraction, "aria-label": `Training of ${words(job.algorithm)}` }), cancel);
  }

  async train() {
    const algorithm = find("algorithm").value;
    await api.sendJson("POST", `/train?feed=${encodeURIComponent(this.shell.feed)}&algorithm=${algorithm}`, { source: "log" });
    this.say(`Training: ${words(algorithm)}.`);
  }

  async promote(model) {
    const { feed } = this.shell;
    if (!(await confirmed("Promote this model?", `${model.id} will score ${feed} from the next record on. What was alerted stays; the present model is kept and can be taken back.`, "Promote"))) return;
    await api.sendJson("POST", `/models/${encodeURIComponent(model.id)}/promote`, { feed });
    this.say(`${model.id} scores ${feed} from here on.`);
  }

  async rollBack() {
    const { feed } = this.shell;
    if (!(await confirmed("Roll back?", `The model that scored ${feed} before the present one will score it again.`, "Roll back"))) return;
    const { model } = await api.sendJson("POST", `/feeds/${encodeURIComponent(feed)}/models/rollback`, {});
    this.say(`${model} scores ${feed} again.`);
  }

  async cancel(job) {
    if (!(await confirmed("Cancel this training?", `What ${words(job.algorithm)} has learnt so far is thrown away.`, "Cancel it"))) return;
    await api.sendJson("DELETE", `/jobs/${encodeURIComponent(job.id)}`);
  }

  /** One thing at a time; a refusal is said with its reason, and what is so now is read at once. */
  async run(work) {
    if (this.busy) return;
    this.busy = true;
    try {
      await work();
    } catch (cause) {
      if (!(cause instanceof api.ApiError)) throw cause;
      this.say(`Not done: ${cause.told}`, true);
    } finally {
      this.busy = false;
      await this.read();
    }
  }

  say(text, bad = false) {
    setText(find("state"), text);
    find("state").dataset.state = bad ? "failed" : "";
  }
}

function refusedRow({ id, error }) {
  return node("tr", {}, node("th", { scope: "row" }, id), node("td", { colspan: 6, class: "failed" }, `cannot be relied on: ${error}`));
}

new ModelsPage().open();

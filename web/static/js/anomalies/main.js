/** The page of a feed's incidents: looked for, judged, muted and taken away, by mouse or by keys. */

import * as api from "../base/api.js";
import { setText } from "../base/dom.js";
import * as format from "../base/format.js";
import { mute, told } from "../base/mute.js";
import { Shell } from "../base/shell.js";
import { LiveSocket } from "../base/socket.js";
import { Filters } from "./filters.js";
import { Rows } from "./rows.js";
import { take } from "./take.js";

const PAGE = 50;
const MOST = 500;
const LEAST_BETWEEN_MS = 1_000; // a flood of alerts is read once a second
const JUDGING_MS = 60_000;
const MOST_AT_ONCE = 1000; // that the server judges by one request
const VERDICTS = { real: "real", false_alarm: "a false alarm", unsure: "unsure" };
const KEYS = { y: "real", n: "false_alarm", m: "mute" };
const find = (id) => document.getElementById(id);

class AnomaliesPage {
  constructor() {
    this.limit = PAGE;
    this.busy = false;
    this.timer = 0;
    this.readAt = -Infinity;
    this.asked = 0; // an answer to an earlier question is not shown
    this.socket = null;
    this.shell = new Shell({ onFeed: (feed) => this.watch(feed), onBack: () => this.readSoon() });
    this.filters = new Filters(find("filters"), () => this.restart());
    this.rows = new Rows(find("incidents"), { onNarrow: (name, value) => this.filters.narrow(name, value), onChoice: () => this.drawChoice() });
  }

  open() {
    this.shell.open();
    for (const button of find("actions").querySelectorAll("[data-act]")) button.addEventListener("click", () => this.act(button.dataset.act));
    find("newer").addEventListener("click", () => {
      this.rows.release();
      find("newer").hidden = true;
    });
    find("more").addEventListener("click", () => this.readMore());
    for (const kind of ["csv", "json"]) find(`export-${kind}`).addEventListener("click", () => this.run(() => this.take(kind)));
    document.addEventListener("keydown", (event) => this.press(event));
    window.addEventListener("hashchange", () => {
      this.filters.follow();
      this.restart();
    });
    this.drawChoice();
  }

  /** Another feed: read its list, and again whenever its socket says that something has changed. */
  watch(feed) {
    this.socket?.close();
    this.socket = new LiveSocket(feed, {
      position: () => null,
      onMessage: ({ type }) => ["alert", "incident", "gap"].includes(type) && this.readSoon(),
      onState: ({ name }) => name === "live" && this.readSoon(),
    });
    this.socket.open();
    this.restart();
  }

  /** Another list: nothing of the one before is left to act on. */
  restart() {
    this.limit = PAGE;
    this.rows.clear();
    this.readAt = -Infinity;
    this.readSoon();
  }

  readMore() {
    this.limit = Math.min(this.limit + PAGE, MOST);
    this.read();
  }

  readSoon() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.read(), Math.max(0, this.readAt + LEAST_BETWEEN_MS - performance.now()));
  }

  async read() {
    const { feed } = this.shell;
    if (feed === null) return;
    this.readAt = performance.now();
    const asked = ++this.asked;
    try {
      const found = this.filters.incident ? await this.readOne(this.filters.incident) : await api.getJson(`/feeds/${encodeURIComponent(feed)}/incidents?${this.filters.query({ limit: this.limit })}`);
      if (asked === this.asked) this.draw(found);
    } catch (cause) {
      if (!(cause instanceof api.ApiError)) throw cause;
      if (cause.status !== 0) this.say(`${cause.told}`, true); // away is the shell's to say
    }
  }

  async readOne(id) {
    return { incidents: [await api.getJson(`/incidents/${encodeURIComponent(id)}`)], next: null };
  }

  draw({ incidents, next }) {
    this.rows.draw(incidents);
    find("newer").hidden = this.rows.waiting === 0;
    setText(find("newer"), `${format.count(this.rows.waiting)} newer`);
    const one = this.filters.incident;
    if (one && this.rows.opened !== one) this.rows.open(one);
    const more = next === null ? "" : this.limit < MOST ? " or more" : ", the latest; narrow the list to see others";
    setText(find("about"), incidents.length || this.filters.any ? `${format.plural(incidents.length, "incident")}${more} of the feed ${this.shell.feed}` : `of the feed ${this.shell.feed}`);
    find("none").hidden = incidents.length > 0;
    setText(find("none"), this.filters.any ? "Nothing is like that." : "No anomaly so far.");
    find("more-row").hidden = next === null || this.limit >= MOST;
  }

  drawChoice() {
    const { size } = this.rows.chosen;
    const targets = this.rows.targets();
    setText(find("chosen"), size ? `${size} chosen` : targets.length ? "the current one" : "none chosen");
    for (const button of find("actions").querySelectorAll("button")) {
      button.disabled = this.busy || targets.length === 0 || (button.dataset.act === "mute" && targets.length > 1);
    }
  }

  press(event) {
    const typing = event.target.closest("input:not([type=checkbox]), select, textarea, dialog");
    if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
    const key = event.key;
    if (key === "j" || key === "k") this.rows.move(key === "j" ? 1 : -1);
    else if (key === "x" && this.rows.current) this.rows.choose(this.rows.current, !this.rows.chosen.has(this.rows.current));
    else if (key === "Enter" && event.target.matches("tr[data-id]")) location.href = event.target.querySelector("td.what a").href;
    else if (KEYS[key]) this.act(KEYS[key]);
    else return;
    event.preventDefault();
  }

  act(what) {
    const targets = this.rows.targets();
    if (targets.length === 0) return this.say("Choose an incident first: j and k move, x chooses.");
    if (what === "mute" && targets.length > 1) return this.say("Mute one at a time: what is muted is said exactly.");
    return this.run(() => (what === "mute" ? this.mute(targets[0]) : this.judge(targets, what)));
  }

  async judge(targets, verdict) {
    let judged = 0;
    let reranked = 0;
    for (const { id, feed } of targets) {
      for (;;) {
        const answer = await api.sendJson("POST", `/feeds/${encodeURIComponent(feed)}/verdicts`, { incident: id, verdict }, JUDGING_MS);
        judged += answer.judged;
        reranked += answer.reranked;
        this.say(`Judging… ${format.count(judged)}`);
        if (answer.judged < MOST_AT_ONCE) break;
      }
    }
    for (const { id } of targets) this.rows.choose(id, false);
    const others = reranked ? ` ${format.plural(reranked, "other open anomaly", "other open anomalies")} ranked anew.` : "";
    this.say(`${format.plural(judged, "anomaly", "anomalies")} judged ${VERDICTS[verdict]}.${others}`);
  }

  async mute({ feed, entities, field }) {
    const made = await mute(feed, { entities, field });
    if (made) this.say(told(made));
  }

  async take(kind) {
    const { incident } = this.filters;
    const { count, more } = await take(this.shell.feed, this.filters.query({ incident }), kind);
    this.say(`${format.plural(count, "anomaly", "anomalies")} exported${more ? ", the first ones; narrow the list for the others" : ""}.`);
  }

  /** One thing at a time; a refusal is said with its reason, and what is so now is read at once. */
  async run(work) {
    if (this.busy) return;
    this.busy = true;
    this.drawChoice();
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

new AnomaliesPage().open();

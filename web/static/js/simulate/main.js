/** The page that starts, steers and stops simulators and replays, with a meter of what is caught of them. */

import * as api from "../base/api.js";
import { setText } from "../base/dom.js";
import * as format from "../base/format.js";
import { sendFile } from "../base/sending.js";
import { Shell } from "../base/shell.js";
import { RunRow } from "./row.js";

const AGAIN_MS = 1_000;
const find = (id) => document.getElementById(id);

class SimulatePage {
  constructor() {
    this.form = find("start");
    this.rows = new Map(); // id -> RunRow
    this.busy = false;
    this.shell = new Shell({ onBack: () => this.read() });
  }

  open() {
    this.shell.open();
    this.form.elements.kind.addEventListener("change", () => this.drawForm());
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.run(() => this.start());
    });
    this.drawForm();
    this.keepReading();
  }

  async keepReading() {
    await this.read();
    setTimeout(() => this.keepReading(), AGAIN_MS);
  }

  async read() {
    try {
      this.draw((await api.getJson("/simulations")).simulations);
    } catch (cause) {
      if (!(cause instanceof api.ApiError)) throw cause;
      if (cause.status !== 0) this.say(cause.told, true); // away is the shell's to say
    }
  }

  draw(runs) {
    const wanted = new Set(runs.map(({ id }) => id));
    for (const [id, { row }] of this.rows) {
      if (wanted.has(id)) continue;
      row.remove();
      this.rows.delete(id);
    }
    let before = find("runs").firstElementChild;
    for (const run of runs) {
      if (!this.rows.has(run.id)) this.rows.set(run.id, new RunRow(run, { onSteer: (body) => this.run(() => this.steer(run.id, body)), onStop: () => this.run(() => this.stop(run.id)) }));
      const { row } = this.rows.get(run.id);
      this.rows.get(run.id).draw(run);
      if (row === before) before = before.nextElementSibling;
      else find("runs").insertBefore(row, before);
    }
    find("none").hidden = runs.length > 0;
    setText(find("none"), "Nothing runs. Start one above, and watch its feed on the live page.");
  }

  drawForm() {
    const replay = this.form.elements.kind.value === "replay";
    for (const part of this.form.querySelectorAll("[data-for]")) {
      part.hidden = (part.dataset.for === "replay") !== replay;
      part.querySelector("input, select").disabled = part.hidden;
    }
    this.form.elements.feed.placeholder = replay ? "the file's name" : this.form.elements.kind.value;
  }

  async start() {
    const { kind, feed, rate, share, seed, file, speed } = this.form.elements;
    if (kind.value === "replay") return this.replay(file.files[0], feed.value.trim(), speed.value);
    const body = { scenario: kind.value, rate: Number(rate.value), anomaly_share: Number(share.value) / 1000, seed: Number(seed.value) };
    if (feed.value.trim()) body.feed = feed.value.trim();
    const run = await api.sendJson("POST", "/simulations", body);
    this.say(`${run.id} sends to the feed ${run.plan.feed}.`);
  }

  async replay(file, feed, speed) {
    if (!file) return this.say("Choose a file first.", true);
    const name = feed || named(file.name);
    const query = new URLSearchParams({ feed: name, file: file.name.slice(0, 200) });
    if (speed) query.set("speed", speed);
    this.say(`Uploading ${file.name}…`);
    const run = await sendFile(`/replays?${query}`, file, (sent) => this.say(`Uploading ${file.name}: ${format.share(sent)}`));
    this.say(`${run.id} sends ${file.name} to the feed ${name}.`);
  }

  async steer(id, body) {
    const { plan } = await api.sendJson("PATCH", `/simulations/${encodeURIComponent(id)}`, body);
    this.say(`${id} goes on at ${plan.rate} records a second, ${plan.anomaly_share * 1000} anomalies in 1,000.`);
  }

  async stop(id) {
    await api.sendJson("DELETE", `/simulations/${encodeURIComponent(id)}`, {});
    this.say(`${id} stops.`);
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

/** A feed's name made of a file's: "My Data.csv.gz" -> "my-data". */
function named(file) {
  const stem = file.toLowerCase().replace(/(\.(csv|ndjson|jsonl|json|gz))+$/, "");
  return stem.replace(/[^a-z0-9_-]+/g, "-").replace(/^[-_]+/, "").slice(0, 64) || "replayed";
}

new SimulatePage().open();

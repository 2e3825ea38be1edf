/** The page that scores a file: choose it, look at its first rows, score it against a feed, or train a model from it. */

import { ApiError, getJson } from "../base/api.js";
import { node, setText } from "../base/dom.js";
import * as format from "../base/format.js";
import { sendFile } from "../base/sending.js";
import { Shell } from "../base/shell.js";
import { readCsv } from "./csv.js";
import { Findings } from "./findings.js";

const PREVIEW_BYTES = 64 * 1024;
const PREVIEW_ROWS = 8;
const AGAIN_MS = 700;
const find = (id) => document.getElementById(id);

class DataPage {
  constructor() {
    this.file = null;
    this.busy = false;
    this.findings = new Findings();
    this.shell = new Shell({ onFeed: () => this.drawActions() });
  }

  open() {
    this.shell.open();
    const drop = find("drop");
    find("file").addEventListener("change", () => this.choose(find("file").files[0]));
    for (const kind of ["dragenter", "dragover"]) drop.addEventListener(kind, (event) => this.hover(event, true));
    for (const kind of ["dragleave", "drop"]) drop.addEventListener(kind, (event) => this.hover(event, false));
    drop.addEventListener("drop", (event) => this.choose(event.dataTransfer.files[0]));
    find("score").addEventListener("click", () => this.run(() => this.score()));
    find("train").addEventListener("click", () => this.run(() => this.train()));
    this.drawActions();
  }

  hover(event, over) {
    event.preventDefault();
    find("drop").dataset.over = over;
  }

  async choose(file) {
    if (!file || this.busy) return;
    this.file = file;
    this.findings.clear();
    this.say("");
    const head = await file.slice(0, PREVIEW_BYTES).text();
    const [header = [], ...rows] = readCsv(head, PREVIEW_ROWS + 1, file.size <= PREVIEW_BYTES);
    setText(find("file-name"), file.name);
    setText(find("file-about"), `${size(file.size)} · ${format.plural(header.length, "column")}`);
    find("preview-rows").replaceChildren(
      node("thead", {}, node("tr", {}, ...header.map((name) => node("th", { scope: "col" }, name)))),
      node("tbody", {}, ...rows.map((row) => node("tr", {}, ...row.map((cell) => node("td", {}, cell))))),
    );
    find("preview").hidden = false;
    if (!rows.length) this.say("There is no row under a header in this file: expected CSV with the field names in its first line.", true);
    this.drawActions();
  }

  /** One thing at a time: the buttons wait until it is done, and what went wrong is said. */
  async run(work) {
    this.busy = true;
    this.drawActions();
    try {
      await work();
    } catch (cause) {
      if (!(cause instanceof ApiError)) throw cause;
      this.say(`Not done: ${cause.told}`, true);
    } finally {
      this.busy = false;
      find("progress").hidden = true;
      this.drawActions();
    }
  }

  async score() {
    const { feed } = this.shell;
    this.findings.clear();
    const answer = await this.send(`/predict?feed=${encodeURIComponent(feed)}`, "Scoring");
    this.say("");
    this.findings.show(answer, this.file.name);
  }

  async train() {
    const { feed } = this.shell;
    const algorithm = find("algorithm").value;
    let { job } = await this.send(`/train?feed=${encodeURIComponent(feed)}&algorithm=${algorithm}`, "Starting");
    while (job.state === "queued" || job.state === "running") {
      this.say(`Training: ${job.stage ?? job.state}`);
      this.drawProgress(job.fraction ?? 0);
      await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
      job = await getJson(`/jobs/${encodeURIComponent(job.id)}`);
    }
    const failed = job.state !== "done";
    this.say(failed ? `The training was ${job.state}${job.error ? `: ${job.error.message}` : ""}.` : `Trained: model ${job.model}. It scores nothing until it is promoted.`, failed);
  }

  send(path, then) {
    this.say("Sending the file");
    return sendFile(path, this.file, (fraction) => {
      this.drawProgress(fraction);
      if (fraction === 1) this.say(`${then}…`);
    });
  }

  say(text, bad = false) {
    setText(find("state"), text);
    find("state").dataset.state = bad ? "failed" : "";
  }

  drawProgress(fraction) {
    find("progress").hidden = false;
    find("progress").value = fraction;
  }

  drawActions() {
    const ready = this.file !== null && this.shell.feed !== null && !this.busy;
    find("score").disabled = !ready;
    find("train").disabled = !ready;
    setText(find("against"), this.shell.feed ? `against the feed ${this.shell.feed}` : "once there is a feed: send a first record to one");
  }
}

function size(bytes) {
  return bytes < 1e6 ? `${Math.max(1, Math.round(bytes / 1e3))} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

new DataPage().open();

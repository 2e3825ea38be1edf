/** The page of a feed's settings, and of how the server is. */

import * as api from "../base/api.js";
import { node, setText } from "../base/dom.js";
import * as format from "../base/format.js";
import { named } from "../base/mute.js";
import { Shell } from "../base/shell.js";
import { BudgetPart } from "./budget.js";
import { drawFeeds, drawHealth, drawRetention } from "./health.js";
import { SchemaPart } from "./schema.js";

const AGAIN_MS = 2_000;
const find = (id) => document.getElementById(id);

class SettingsPage {
  constructor() {
    this.busy = false;
    this.drawnMutes = "";
    const run = (work) => this.run(work);
    const say = (text) => this.say(text);
    this.budget = new BudgetPart(run, say);
    this.schema = new SchemaPart(run, say);
    this.shell = new Shell({ onFeed: (feed) => this.restart(feed), onBack: () => this.read() });
  }

  open() {
    this.shell.open();
    this.keepReading();
  }

  restart(feed) {
    this.say("");
    this.drawnMutes = "";
    find("mutes").replaceChildren();
    this.budget.restart(feed);
    this.schema.restart(feed);
    this.read();
  }

  async keepReading() {
    await this.read();
    setTimeout(() => this.keepReading(), AGAIN_MS);
  }

  async read() {
    const { feed } = this.shell;
    try {
      const status = await api.getJson("/status");
      drawHealth(status);
      drawFeeds(this.shell.feeds);
      if (feed === null) {
        drawRetention(status, null);
        return setText(find("about"), this.shell.reachable ? "once there is a feed: send a first record to one" : "Loading…");
      }
      const [found, { mutes }] = await Promise.all([api.feed(feed), api.getJson(`/feeds/${encodeURIComponent(feed)}/mutes`)]);
      if (feed !== this.shell.feed) return;
      setText(find("about"), `of the feed ${feed}`);
      drawRetention(status, found);
      this.budget.draw(found);
      this.schema.draw(found.schema);
      this.drawMutes(mutes);
    } catch (cause) {
      if (!(cause instanceof api.ApiError)) throw cause;
      if (cause.status !== 0) this.say(cause.told, true); // away is the shell's to say
    }
  }

  drawMutes(mutes) {
    find("no-mutes").hidden = mutes.length > 0;
    const text = JSON.stringify(mutes);
    if (this.drawnMutes === text) return;
    this.drawnMutes = text;
    find("mutes").replaceChildren(...mutes.map((mute) => this.muteRow(mute)));
  }

  muteRow({ id, entities, field, until, hidden }) {
    const end = node("button", { type: "button", class: "small-button", "aria-label": `End the mute of ${named(entities, field)}` }, "End");
    end.addEventListener("click", () => this.run(() => this.endMute(id)));
    return node("li", {}, node("span", {}, node("b", {}, named(entities, field)), node("span", { class: "muted" }, ` until ${format.time(format.epoch(until))}`)), node("span", { class: "muted" }, `${format.count(hidden)} hidden`), end);
  }

  async endMute(id) {
    await api.sendJson("DELETE", `/feeds/${encodeURIComponent(this.shell.feed)}/mutes/${encodeURIComponent(id)}`, {});
    this.say("The mute has ended; what it has muted stays so until it is judged.");
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

new SettingsPage().open();

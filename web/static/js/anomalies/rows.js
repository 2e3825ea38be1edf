/** The rows of incidents: kept by id and built anew only where an incident has changed, so focus and choice survive. */

import * as api from "../base/api.js";
import { node } from "../base/dom.js";
import * as format from "../base/format.js";
import { badge } from "../live/alerts.js";

const MEMBERS = 200;
const SAID = ["open", "real", "false_alarm", "unsure", "muted"];

export class Rows {
  /** `onNarrow(name, value)` when a chip is pressed, `onChoice()` when what is chosen changes. */
  constructor(body, { onNarrow, onChoice }) {
    this.body = body;
    this.onNarrow = onNarrow;
    this.onChoice = onChoice;
    this.rows = new Map(); // id -> {row, text, incident}
    this.chosen = new Set();
    this.current = null;
    this.opened = null;
    this.latest = [];
    this.waiting = 0; // incidents that are not shown yet
    body.addEventListener("click", (event) => this.makeCurrent(event.target.closest("tr[data-id]")?.dataset.id ?? this.current));
  }

  clear() {
    this.body.replaceChildren();
    this.rows.clear();
    this.chosen.clear();
    this.current = this.opened = null;
    this.onChoice();
  }

  /** Show these incidents. While one is current or chosen, rows hold still: new ones wait, and are counted. */
  draw(incidents) {
    this.latest = incidents;
    const holds = this.current !== null || this.chosen.size > 0;
    if (holds) incidents = this.held(incidents);
    this.waiting = this.latest.length - incidents.length;
    this.place(incidents);
  }

  /** Show the new ones too, in their order. */
  release() {
    this.waiting = 0;
    this.place(this.latest);
  }

  /** Those of the incidents that are shown, in the order in which they are. */
  held(incidents) {
    const latest = new Map(incidents.map((one) => [one.id, one]));
    return [...this.body.querySelectorAll("tr[data-id]")].map((row) => latest.get(row.dataset.id)).filter(Boolean);
  }

  place(incidents) {
    const wanted = new Set(incidents.map(({ id }) => id));
    for (const [id, { row }] of this.rows) {
      if (wanted.has(id)) continue;
      if (id === this.opened) this.close();
      row.remove();
      this.rows.delete(id);
      this.chosen.delete(id);
      if (this.current === id) this.current = null;
    }
    let before = this.body.firstElementChild;
    for (const incident of incidents) {
      const row = this.rowOf(incident);
      if (row === before) before = next(before);
      else this.body.insertBefore(row, before);
      if (incident.id === this.opened && this.members) row.after(this.members);
      if (before === this.members) before = next(before);
    }
    this.onChoice();
  }

  rowOf(incident) {
    const text = JSON.stringify(incident);
    const known = this.rows.get(incident.id);
    if (known?.text === text) return known.row;
    const row = known?.row ?? node("tr", { "data-id": incident.id, tabindex: "-1" });
    const held = row.contains(document.activeElement) ? [...row.querySelectorAll("a, button, input")].indexOf(document.activeElement) : -1;
    row.replaceChildren(...this.cells(incident));
    if (held >= 0) row.querySelectorAll("a, button, input")[held]?.focus();
    this.rows.set(incident.id, { row, text, incident });
    if (known && incident.id === this.opened) this.fillMembers(incident);
    return row;
  }

  cells(incident) {
    const box = node("input", { type: "checkbox", "aria-label": `Choose ${incident.summary}` });
    box.checked = this.chosen.has(incident.id);
    box.addEventListener("change", () => this.choose(incident.id, box.checked));
    const chips = [
      ...Object.entries(incident.entities).map(([name, value]) => this.chip("entity", value, name, value)),
      incident.field ? this.chip("field", incident.field, "reason", incident.field) : null,
      incident.escalated ? node("span", { class: "flag", title: "Their number has raised the severity" }, "escalated") : null,
    ];
    const what = node("a", { href: `/anomalies/${encodeURIComponent(incident.worst)}` }, incident.summary);
    const count = node("button", { type: "button", class: "small-button", "aria-expanded": String(incident.id === this.opened), title: "Show its anomalies" }, format.count(incident.count));
    count.addEventListener("click", () => this.toggle(incident.id));
    return [
      node("td", {}, box),
      node("td", {}, badge(incident.severity)),
      node("td", { class: "number" }, format.oneIn(incident.one_in)),
      node("td", { class: "what" }, what, node("div", {}, ...chips.filter(Boolean))),
      node("td", { class: "number" }, count),
      node("td", { class: "first muted" }, when(incident.first_time, incident.first_seq)),
      node("td", { class: "last muted" }, when(incident.last_time, incident.last_seq)),
      node("td", { class: "said" }, said(incident.statuses)),
    ];
  }

  chip(condition, value, name, text) {
    const made = node("button", { type: "button", class: "chip", title: `Only this ${condition}` }, node("b", {}, name), text);
    made.addEventListener("click", () => this.onNarrow(condition, value));
    return made;
  }

  choose(id, on) {
    if (on) this.chosen.add(id);
    else this.chosen.delete(id);
    this.rows.get(id).row.querySelector("input").checked = on;
    this.onChoice();
  }

  /** The incidents that an action is about: those chosen, else the current one. */
  targets() {
    const ids = this.chosen.size ? [...this.chosen] : this.current ? [this.current] : [];
    return ids.map((id) => this.rows.get(id).incident);
  }

  makeCurrent(id, focus = false) {
    if (!this.rows.has(id)) return;
    this.rows.get(this.current)?.row.removeAttribute("aria-current");
    this.current = id;
    const { row } = this.rows.get(id);
    row.setAttribute("aria-current", "true");
    if (focus) row.focus({ preventScroll: true });
    if (focus) row.scrollIntoView({ block: "nearest" });
    this.onChoice();
  }

  /** Make the next (1) or the one before (-1) the current one. */
  move(step) {
    const ids = [...this.body.querySelectorAll("tr[data-id]")].map((row) => row.dataset.id);
    const at = ids.indexOf(this.current);
    const to = at < 0 ? 0 : Math.min(Math.max(at + step, 0), ids.length - 1);
    if (ids.length) this.makeCurrent(ids[to], true);
  }

  toggle(id) {
    const was = this.opened;
    this.close();
    if (was !== id) this.open(id);
  }

  /** Show the anomalies of one incident under its row. */
  open(id) {
    const known = this.rows.get(id);
    if (!known) return;
    this.opened = id;
    this.members = node("tr", { class: "members" }, node("td", { colspan: 8 }, node("ol", { "aria-label": "Anomalies of this incident" })));
    known.row.after(this.members);
    known.row.querySelector("[aria-expanded]").setAttribute("aria-expanded", "true");
    this.fillMembers(known.incident);
  }

  close() {
    this.rows.get(this.opened)?.row.querySelector("[aria-expanded]").setAttribute("aria-expanded", "false");
    this.members?.remove();
    this.members = null;
    this.opened = null;
  }

  async fillMembers({ id, feed }) {
    const { members } = this;
    const { alerts, next: more } = await api.getJson(`/feeds/${encodeURIComponent(feed)}/alerts?${new URLSearchParams({ incident: id, limit: MEMBERS })}`);
    const items = alerts.map((alert) => node("li", {}, node("span", {}, when(alert.time, alert.seq)), node("span", {}, format.oneIn(alert.one_in)), node("a", { href: `/anomalies/${encodeURIComponent(alert.id)}` }, alert.summary), node("span", { class: "muted" }, alert.status.replace("_", " "))));
    if (more !== null) items.push(node("li", { class: "muted" }, `the first ${format.count(alerts.length)}`));
    members.querySelector("ol").replaceChildren(...items);
  }
}

function next(row) {
  return row?.nextElementSibling ?? null;
}

function when(time, seq) {
  const at = format.epoch(time);
  return at === null ? `#${format.count(seq)}` : node("time", { datetime: time, title: format.utc(at) }, format.time(at));
}

/** "200 open", "3 open, 1 real". */
function said(statuses) {
  return SAID.filter((status) => statuses[status])
    .map((status) => `${format.count(statuses[status])} ${status.replace("_", " ")}`)
    .join(", ");
}

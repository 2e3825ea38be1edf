/**
 * The table of the newest anomalies. Rows are kept by id and only changed where the alert did, so focus, selection
 * and scroll position survive every update.
 */

import { node, setText } from "../base/dom.js";
import * as format from "../base/format.js";

const SHOWN_REASONS = 3;
const MOST_WASHED = 5; // more new rows than this at once, or sooner than this, are not pointed out one by one
const WASH_MS = 2_500;

export class AlertTable {
  /** @param {{scroll: Element, empty: Element, more: Element, onSelect: (id: string) => void}} parts */
  constructor({ scroll, empty, more, onSelect }) {
    this.scroll = scroll;
    this.table = scroll.querySelector("table");
    this.body = scroll.querySelector("tbody");
    this.empty = empty;
    this.more = more;
    this.onSelect = onSelect;
    this.rows = new Map(); // id -> {row, revision}
    this.selected = null;
    this.unseen = 0;
    this.washedAt = -Infinity;
    this.body.addEventListener("click", (event) => this.choose(event.target.closest("tr")));
    this.body.addEventListener("keydown", (event) => this.press(event));
    this.more.addEventListener("click", () => this.toTop());
    this.scroll.addEventListener("scroll", () => this.scroll.scrollTop < 4 && this.countUnseen(0), { passive: true });
  }

  /** Show these alerts, newest first; `fresh` are the ids that came live since the last call. */
  draw(alerts, fresh) {
    this.forgetYesterday();
    const isFresh = new Set(this.worthAWash(fresh) ? fresh : []);
    const wanted = new Set();
    let before = this.body.firstElementChild;
    for (const alert of alerts) {
      wanted.add(alert.id);
      const row = this.rowOf(alert, isFresh.has(alert.id));
      if (row === before) before = before.nextElementSibling;
      else this.body.insertBefore(row, before);
    }
    for (const [id, { row }] of this.rows) {
      if (wanted.has(id)) continue;
      row.remove();
      this.rows.delete(id);
    }
    this.empty.hidden = alerts.length > 0;
    const ends = [alerts.at(0), alerts.at(-1)].filter(Boolean);
    this.table.dataset.times = timeWidth(Math.max(0, ...ends.map((alert) => timeOf(alert).length)));
    this.keepOneTabStop();
    if (this.scroll.scrollTop >= 4) this.countUnseen(this.unseen + fresh.length);
  }

  /** Whether new rows are few enough to be pointed out: in a flood the table moves anyway, and it would cost most of a core. */
  worthAWash(fresh) {
    if (fresh.length === 0 || fresh.length > MOST_WASHED) return false;
    const now = performance.now();
    if (now - this.washedAt < WASH_MS) return false;
    this.washedAt = now;
    return true;
  }

  /** Forget everything: another feed is about to be shown. */
  clear() {
    this.body.replaceChildren();
    this.rows.clear();
    this.selected = null;
    this.countUnseen(0);
    this.scroll.scrollTop = 0;
  }

  /** Mark the row of this alert, if it is here, and bring it into view when asked to. */
  select(id, reveal = false) {
    this.rows.get(this.selected)?.row.setAttribute("aria-selected", "false");
    this.selected = id;
    const row = this.rows.get(id)?.row;
    row?.setAttribute("aria-selected", "true");
    this.keepOneTabStop();
    if (reveal) row?.scrollIntoView({ block: "nearest" });
  }

  /** Put the keyboard back on the selected row. */
  focus() {
    (this.rows.get(this.selected)?.row ?? this.scroll).focus();
  }

  /** At midnight a clock time alone stops being enough: every row is written again. */
  forgetYesterday() {
    const today = new Date().toDateString();
    if (today !== this.today) for (const known of this.rows.values()) known.revision = null;
    this.today = today;
  }

  rowOf(alert, fresh) {
    const known = this.rows.get(alert.id);
    if (known?.revision === alert.revision) return known.row;
    const row = known?.row ?? node("tr", { role: "row", tabindex: "-1", "data-id": alert.id });
    row.setAttribute("aria-selected", String(alert.id === this.selected));
    row.dataset.severity = alert.severity;
    row.replaceChildren(...cells(alert));
    row.classList.toggle("fresh", fresh);
    this.rows.set(alert.id, { row, revision: alert.revision });
    return row;
  }

  choose(row) {
    if (!row) return;
    this.onSelect(row.dataset.id);
    row.focus({ preventScroll: true });
  }

  press(event) {
    const row = event.target.closest("tr");
    const to = { ArrowDown: row?.nextElementSibling, ArrowUp: row?.previousElementSibling, Home: this.body.firstElementChild, End: this.body.lastElementChild }[event.key];
    if (to) {
      to.focus();
      for (const other of this.body.querySelectorAll('[tabindex="0"]')) other.tabIndex = -1;
      to.tabIndex = 0;
    } else if (event.key === "Enter" || event.key === " ") this.choose(row);
    else return;
    event.preventDefault();
  }

  /** Tab reaches one row: the focused or selected one, else the newest. */
  keepOneTabStop() {
    const focused = this.body.contains(document.activeElement) ? document.activeElement.closest("tr") : null;
    const stop = focused ?? this.rows.get(this.selected)?.row ?? this.body.firstElementChild;
    const old = this.body.querySelector('[tabindex="0"]');
    if (old === stop) return;
    if (old) old.tabIndex = -1;
    if (stop) stop.tabIndex = 0;
  }

  countUnseen(n) {
    this.unseen = n;
    this.more.hidden = n === 0;
    setText(this.more, `${n} newer`);
  }

  toTop() {
    this.scroll.scrollTop = 0;
    this.countUnseen(0);
    this.body.firstElementChild?.focus({ preventScroll: true });
  }
}

function timeOf(alert) {
  return alert.time === null ? `#${format.count(alert.seq)}` : format.time(format.epoch(alert.time));
}

/** How wide the column of times has to be: a clock alone, with a day, or with the year as well. */
function timeWidth(characters) {
  if (characters <= 8) return "clock";
  return characters <= 16 ? "day" : "year";
}

function cells(alert) {
  const at = format.epoch(alert.time);
  const rare = format.oneIn(alert.one_in);
  return [
    cell("c-time", node("time", { datetime: alert.time, title: format.utc(at) }, timeOf(alert))),
    cell("c-rare", node("span", { title: `1 in ${format.count(alert.one_in)}, score ${format.quantity(alert.score)}` }, rare)),
    cell("c-severity", badge(alert.severity)),
    cell("c-what", node("div", { class: "what" }, node("span", { title: alert.summary }, alert.summary), ...flags(alert))),
    cell("c-why", node("div", { class: "chips" }, ...alert.reasons.slice(0, SHOWN_REASONS).map(chip))),
  ];
}

function cell(name, ...children) {
  return node("td", { role: "gridcell", class: name }, ...children);
}

/** The severity as a dot and a word. */
export function badge(severity) {
  return node("span", { class: "badge", "data-severity": severity }, severity);
}

/** What else is worth a word: an immature model, a status that is no longer open. */
export function flags(alert) {
  const words = [];
  if (alert.maturity === "warming_up") words.push(node("span", { class: "flag", title: "The model had seen few records when it flagged this one" }, "warming up"));
  if (alert.status !== "open") words.push(node("span", { class: "flag" }, alert.status.replace("_", " ")));
  return words;
}

function chip(reason) {
  return node("span", { class: "chip", title: reason.text }, reason.field, node("b", {}, format.share(reason.share)));
}

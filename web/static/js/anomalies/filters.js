/** The conditions of the list: a form, the address that says the same, and the query that asks the server. */

import { readPlace, writePlace } from "../base/place.js";

const TYPING_MS = 250;
const TIMES = ["since", "until"];
const NAMES = ["text", "severity", "status", "entity", "field", ...TIMES];

export class Filters {
  /** `onChange()` when another list is asked for. */
  constructor(form, onChange) {
    this.form = form;
    this.onChange = onChange;
    this.timer = 0;
    form.addEventListener("input", () => {
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.apply(), TYPING_MS);
    });
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.apply();
    });
    form.addEventListener("reset", () => setTimeout(() => this.apply()));
    this.follow();
  }

  /** Show what the address asks for. */
  follow() {
    const place = readPlace();
    for (const name of NAMES) this.form.elements[name].value = TIMES.includes(name) ? local(place[name]) : (place[name] ?? "");
    this.incident = place.incident ?? null;
  }

  apply() {
    clearTimeout(this.timer);
    this.incident = null;
    writePlace({ ...readPlace(), ...this.values(), incident: null });
    this.onChange();
  }

  /** Ask for one value of one condition, beside those that are there. */
  narrow(name, value) {
    this.form.elements[name].value = value;
    this.apply();
  }

  /** The conditions by name; those that ask for nothing are empty. */
  values() {
    const values = Object.fromEntries(NAMES.map((name) => [name, this.form.elements[name].value.trim()]));
    for (const name of TIMES) values[name] = values[name] ? new Date(values[name]).toISOString() : "";
    return values;
  }

  get any() {
    return this.incident !== null || Object.values(this.values()).some(Boolean);
  }

  /** The query of these conditions and `more`. */
  query(more) {
    const asked = Object.entries({ ...this.values(), ...more }).filter(([, value]) => value !== "" && value !== null);
    return new URLSearchParams(asked).toString();
  }
}

/** A moment as an input of local time takes it. */
function local(moment) {
  const at = new Date(moment ?? NaN);
  if (Number.isNaN(at.getTime())) return "";
  return new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

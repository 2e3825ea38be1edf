/** A feed's schema: what each field is, and declaring it. */

import * as api from "../base/api.js";
import { confirmed } from "../base/confirm.js";
import { node, setText } from "../base/dom.js";

const ONE = ["name", "time", "id", "label"];
const MANY = ["entities", "categories", "numbers", "ignore"];
const LISTS = { entity: "entities", category: "categories", number: "numbers", ignored: "ignore" };
const find = (id) => document.getElementById(id);

export class SchemaPart {
  constructor(run, onSaved) {
    this.feed = null;
    this.drawn = null;
    this.text = find("toml");
    find("declare").addEventListener("click", () => run(() => this.declare(onSaved)));
  }

  restart(feed) {
    this.feed = feed;
    this.drawn = null;
    this.text.value = "";
  }

  draw(schema) {
    const text = JSON.stringify(schema);
    if (this.drawn === text) return;
    const first = this.drawn === null;
    this.drawn = text;
    find("declare").disabled = false;
    setText(find("schema-about"), schema.settled ? "kinds are settled" : "kinds are provisional until 500 records");
    find("fields").replaceChildren(...schema.fields.map((field) => node("tr", {}, node("th", { scope: "row" }, field.name), node("td", {}, field.kind), node("td", { class: "muted" }, field.declared ? "declared" : "inferred"))));
    if (first) this.text.value = declaration(schema);
  }

  async declare(onSaved) {
    const { feed } = this;
    if (!(await confirmed("Declare this schema?", `Where it changes what is scored, the detectors of ${feed} begin anew; a field that is only added keeps what was learnt.`, "Declare"))) return;
    await api.sendText("PUT", `/feeds/${encodeURIComponent(feed)}`, this.text.value, "application/toml");
    onSaved(`The schema of ${feed} is declared.`);
  }
}

/** The declaration of a schema as it stands, in TOML. */
function declaration(schema) {
  const lines = ["[feed]"];
  const quoted = (text) => JSON.stringify(text);
  const declared = schema.fields.filter((field) => field.declared);
  const only = (kind) => declared.find((field) => field.kind === kind)?.name;
  const values = { name: schema.name, time: only("time"), id: only("id"), label: only("label") };
  for (const name of ONE) if (values[name]) lines.push(`${name} = ${quoted(values[name])}`);
  for (const name of MANY) {
    const names = declared.filter((field) => LISTS[field.kind] === name).map((field) => field.name);
    if (names.length) lines.push(`${name} = [${names.map(quoted).join(", ")}]`);
  }
  if (schema.positions?.length) lines.push(`positions = [${schema.positions.map((pair) => `[${pair.map(quoted).join(", ")}]`).join(", ")}]`);
  if (schema.budget) lines.push(`budget = ${quoted(schema.budget)}`);
  return `${lines.join("\n")}\n`;
}

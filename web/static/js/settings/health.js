/** How the server and its feeds are, and how long what they took is kept. */

import { node, setText } from "../base/dom.js";
import * as format from "../base/format.js";

const UNITS = ["B", "kB", "MB", "GB", "TB"];
const find = (id) => document.getElementById(id);

export function drawHealth(status) {
  find("health-now").dataset.ready = String(status.ready);
  setText(find("health-now"), status.ready ? "takes records" : `not ready: ${status.causes.join("; ")}`);
  facts("health", [
    ["Version", status.version],
    ["Running since", format.time(format.epoch(status.started))],
    ["Memory", size(status.memory_bytes)],
    ["Threads", format.count(status.threads)],
    ["Sockets", `${format.count(status.sockets.open)} of ${format.count(status.sockets.max)}`],
    ["Feeds", `${format.count(status.feeds)} of ${format.count(status.max_feeds)}`],
    ["Waiting records", `${format.count(status.backlog.records)} of ${format.count(status.backlog.max_records)}`],
    ["Commits", format.count(status.commits)],
    ["Entries set aside", format.count(status.dead_letters)],
  ]);
}

export function drawRetention({ storage }, feed) {
  facts("retention", [
    ["Records are kept", storage.max_age_days ? `${format.quantity(storage.max_age_days)} days` : "without an age limit"],
    ["Until the database has", storage.max_size_bytes ? size(storage.max_size_bytes) : "no size limit"],
    ["The directory has", size(storage.size_bytes)],
    ["Free on its disk", size(storage.free_bytes)],
    ["A record is accepted", storage.durability === "fsync" ? "once the disk has it" : "once the system has it"],
    ["Oldest record of this feed", feed ? `#${format.count(feed.first_seq)}` : "–"],
    ["Dropped of this feed", feed ? format.plural(feed.dropped, "record") : "–"],
    ["Directory", storage.path],
  ]);
}

export function drawFeeds(feeds) {
  find("feeds").replaceChildren(...feeds.map(feedRow));
}

function feedRow(feed) {
  const number = (text) => node("td", { class: "number" }, text);
  return node(
    "tr",
    {},
    node("th", { scope: "row" }, node("a", { href: `/#feed=${encodeURIComponent(feed.feed)}` }, feed.feed)),
    number(format.count(feed.accepted)),
    number(format.quantity(feed.events_per_second)),
    number(feed.lag.records ? `${format.plural(feed.lag.records, "record")}, ${format.duration(feed.lag.s)}` : "none"),
    number(feed.p99_ms === null ? "–" : format.duration(feed.p99_ms / 1000)),
    number(format.count(feed.alerts)),
    node("td", {}, format.rate(feed.promised_rate)),
    node("td", {}, format.rate(feed.realised_rate)),
    number(format.count(feed.rejected)),
    number(format.count(feed.shed)),
    node("td", {}, feed.snapshot_age_s === null ? "–" : `${format.wait(feed.snapshot_age_s)} ago`),
  );
}

function facts(list, pairs) {
  const text = JSON.stringify(pairs);
  if (find(list).dataset.shown === text) return;
  find(list).dataset.shown = text;
  find(list).replaceChildren(...pairs.map(([name, value]) => node("div", {}, node("dt", {}, name), node("dd", {}, value))));
}

/** 1536000 -> "1.54 MB". */
function size(bytes) {
  if (bytes === null) return "–";
  const step = Math.min(Math.max(Math.floor(Math.log10(Math.max(bytes, 1)) / 3), 0), UNITS.length - 1);
  return `${format.quantity(bytes / 1000 ** step)} ${UNITS[step]}`;
}

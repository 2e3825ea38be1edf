/** The page's place in the URL hash: `#feed=payments&alert=payments-17`, so that a link shows the same thing. */

/** What the address says: {feed, alert}, each a string or null. */
export function readPlace() {
  const given = new URLSearchParams(location.hash.slice(1));
  return { feed: given.get("feed"), alert: given.get("alert") };
}

/** Write the place without leaving a step in the history for each click. */
export function writePlace({ feed, alert }) {
  const parts = new URLSearchParams();
  if (feed) parts.set("feed", feed);
  if (alert) parts.set("alert", alert);
  const hash = parts.size ? `#${parts}` : "";
  if (hash !== location.hash) history.replaceState(null, "", `${location.pathname}${location.search}${hash}`);
}

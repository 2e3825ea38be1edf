/** A page's place in the URL hash: `#feed=payments&alert=payments-17`, so that a link shows the same thing. */

/** What the address says, by name; a name that is not there reads as undefined. */
export function readPlace() {
  return Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
}

/** Write the place without leaving a step in the history for each click; empty values are left out. */
export function writePlace(values) {
  const parts = new URLSearchParams(Object.entries(values).filter(([, value]) => value !== null && value !== undefined && value !== ""));
  const hash = parts.size ? `#${parts}` : "";
  if (hash !== location.hash) history.replaceState(null, "", `${location.pathname}${location.search}${hash}`);
  if (values.feed) carryFeed(values.feed);
}

/** Let the navigation's links lead to the same feed. */
export function carryFeed(feed) {
  for (const link of document.querySelectorAll("a[data-place]")) link.hash = `feed=${encodeURIComponent(feed)}`;
}

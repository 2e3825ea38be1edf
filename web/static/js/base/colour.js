/** The theme's colours for what is drawn on a canvas, read from the style sheet once per theme. */

const known = new Map();

/** The value of a custom property such as "--line". */
export function colour(name) {
  if (!known.has(name)) known.set(name, getComputedStyle(document.documentElement).getPropertyValue(name).trim());
  return known.get(name);
}

/** Read them anew: the theme changed. */
export function forgetColours() {
  known.clear();
}

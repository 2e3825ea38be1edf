/** Building elements. Text goes in as text nodes only, so nothing that came from a record can ever be markup. */

/** `node("p", { class: "x", title: "y" }, "text", child)`; attributes that are null are left out. */
export function node(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

/** Set text only where it differs, so that nothing is laid out or announced again for nothing. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Copy text; where the clipboard is not allowed, select `source` so that the person can. Says on `button` which. */
export async function copyText(text, button, source) {
  const label = (button.dataset.label ??= button.textContent);
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    const range = document.createRange();
    range.selectNodeContents(source);
    getSelection().removeAllRanges();
    getSelection().addRange(range);
    button.textContent = "Selected";
  }
  setTimeout(() => (button.textContent = label), 1500);
}

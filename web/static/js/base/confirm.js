/** Asking before something changes what is scored. */

import { setText } from "./dom.js";

const find = (id) => document.getElementById(id);

/** Whether the person agrees. The browser gives the focus back to where it was. */
export function confirmed(title, text, yes) {
  const dialog = find("confirm");
  setText(find("confirm-title"), title);
  setText(find("confirm-text"), text);
  setText(find("confirm-yes"), yes);
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true }));
}

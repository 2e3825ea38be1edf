/** The page before the first record: how to send one to this very server. */

import { copyText } from "../base/dom.js";

/** Fill in the commands with this server's address and wire their copy buttons. */
export function wireWelcome(root) {
  const address = location.origin;
  root.getElementById("curl").textContent = [
    `curl ${address}/feeds/payments/events \\`,
    `  -d '{"ts": "${new Date().toISOString()}", "card": "4000-1", "merchant": "corner shop", "amount": 12.5}'`,
  ].join("\n");
  root.getElementById("simulate").textContent = `anomalyai simulate fraud --to ${address}`;
  for (const button of root.querySelectorAll("[data-copy]")) {
    const source = root.getElementById(button.dataset.copy);
    button.addEventListener("click", () => copyText(source.textContent, button, source));
  }
}

/** The panel beside the table: the feed while nothing is selected, otherwise the selected anomaly. */

import { AboutFeed } from "./about.js";
import { alertDetail } from "./detail.js";

export class Panel {
  constructor(element, onClose) {
    this.element = element;
    this.onClose = onClose;
    this.about = new AboutFeed();
    this.shown = null; // the alert on show
    element.addEventListener("keydown", (event) => event.key === "Escape" && this.shown && this.onClose());
  }

  /** Show this alert, or the feed when it is null. An alert already on show is left alone, scroll position and all. */
  show(alert) {
    if (alert === null ? this.drawn && !this.shown : this.same(alert)) return;
    this.drawn = true;
    const scroll = alert && this.shown?.id === alert.id ? this.body()?.scrollTop : 0;
    this.shown = alert;
    this.element.classList.toggle("open", alert !== null);
    this.element.replaceChildren(...(alert ? alertDetail(alert, this.onClose) : this.about.elements));
    if (this.body()) this.body().scrollTop = scroll;
  }

  /** Bring the feed's figures up to date. */
  drawAbout(session) {
    this.about.draw(session);
  }

  focus() {
    this.element.focus({ preventScroll: true });
  }

  same(alert) {
    return this.shown?.id === alert.id && this.shown.revision === alert.revision;
  }

  body() {
    return this.element.querySelector(".panel-body");
  }
}

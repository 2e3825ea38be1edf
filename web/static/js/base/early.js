/* Runs before the first paint: applies the stored theme so that the page never flashes in the other one. */
"use strict";
try {
  const stored = localStorage.getItem("anomalyai-theme");
  if (stored === "light" || stored === "dark") document.documentElement.dataset.theme = stored;
} catch {
  /* storage is switched off: the system's theme applies */
}

/** The theme follows the system until the button is pressed; pressing back to the system's theme forgets the choice. */

const KEY = "anomalyai-theme";
const system = window.matchMedia("(prefers-color-scheme: dark)");

/** The theme on screen: "light" or "dark". */
export function currentTheme() {
  return document.documentElement.dataset.theme ?? (system.matches ? "dark" : "light");
}

/** Wire the button; `onChange` is called after every change, whoever caused it. */
export function wireTheme(button, onChange) {
  const describe = () => {
    const other = currentTheme() === "dark" ? "light" : "dark";
    button.setAttribute("aria-label", `Switch to the ${other} theme`);
    button.title = `Switch to the ${other} theme`;
  };
  button.addEventListener("click", () => {
    choose(currentTheme() === "dark" ? "light" : "dark");
    describe();
    onChange();
  });
  system.addEventListener("change", () => {
    describe();
    onChange();
  });
  describe();
}

function choose(theme) {
  const own = theme !== (system.matches ? "dark" : "light");
  if (own) document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
  try {
    if (own) localStorage.setItem(KEY, theme);
    else localStorage.removeItem(KEY);
  } catch {
    /* storage is switched off: the choice lasts as long as the page */
  }
}

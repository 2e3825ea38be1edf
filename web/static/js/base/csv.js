/** Writing CSV: quoted where needed; a text that a spreadsheet would take for a formula is kept as text. */

/** The text of a table: a header and rows of cells. */
export function writeCsv(header, rows) {
  return `${[header, ...rows].map((row) => row.map(cell).join(",")).join("\n")}\n`;
}

function cell(value) {
  const text = typeof value === "string" && /^[=+\-@\t\r]/.test(value) ? `'${value}` : String(value ?? "");
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

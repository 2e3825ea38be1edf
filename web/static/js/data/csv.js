/** The first rows of a CSV text, as RFC 4180 has them: quoted cells may hold commas, quotes (doubled) and line ends. */

/** Rows of cells, at most `limit`. A last row that the text breaks off in is left out unless `whole`. */
export function readCsv(text, limit, whole) {
  const rows = [];
  let row = [];
  let cell = "";
  let quoted = false;
  for (let at = text.charCodeAt(0) === 0xfeff ? 1 : 0; at < text.length && rows.length < limit; at += 1) {
    const sign = text[at];
    if (quoted) {
      if (sign !== '"') cell += sign;
      else if (text[at + 1] === '"') cell += text[(at += 1)];
      else quoted = false;
    } else if (sign === '"' && cell === "") quoted = true;
    else if (sign === ",") {
      row.push(cell);
      cell = "";
    } else if (sign === "\n") {
      row.push(cell.endsWith("\r") ? cell.slice(0, -1) : cell);
      if (row.length > 1 || row[0] !== "") rows.push(row);
      row = [];
      cell = "";
    } else cell += sign;
  }
  if (whole && rows.length < limit && (cell !== "" || row.length)) rows.push([...row, cell]);
  return rows;
}

/** Sending a file with its progress, which `fetch` does not tell. */

import { ApiError, parseExact, refusal } from "./api.js";

const TYPES = { csv: "text/csv", ndjson: "application/x-ndjson", jsonl: "application/x-ndjson", json: "application/json" };

/** POST a file of records, typed by its name; `onSent(fraction)` while it goes up. Resolves to the parsed answer, fails with an `ApiError`. */
export function sendFile(path, file, onSent) {
  const ends = file.name.toLowerCase().split(".").slice(1);
  const packed = ends.at(-1) === "gz";
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", path);
    request.setRequestHeader("Content-Type", TYPES[ends.at(packed ? -2 : -1)] ?? "text/csv");
    if (packed) request.setRequestHeader("Content-Encoding", "gzip");
    request.setRequestHeader("Accept", "application/json");
    request.upload.addEventListener("progress", (event) => event.lengthComputable && onSent(event.loaded / event.total));
    request.addEventListener("error", () => reject(new ApiError("the server was not reached, or gave up on the file", 0)));
    request.addEventListener("load", () => {
      if (request.status < 300) resolve(parseExact(request.responseText));
      else reject(refusal(request.status, request.responseText));
    });
    request.send(file);
  });
}

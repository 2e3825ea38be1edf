/** Sending a file with its progress, which `fetch` does not tell. */

import { ApiError, parseExact, refusal } from "../base/api.js";

/** POST a CSV file; `onSent(fraction)` while it goes up. Resolves to the parsed answer, fails with an `ApiError`. */
export function sendCsv(path, file, onSent) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", path);
    request.setRequestHeader("Content-Type", "text/csv");
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

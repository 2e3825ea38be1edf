/** Sending a file with its progress, which `fetch` does not tell. */

import { ApiError, parseExact } from "../base/api.js";

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
      const answer = parsed(request.responseText);
      if (request.status < 300 && answer) resolve(answer);
      else reject(refusal(request.status, answer));
    });
    request.send(file);
  });
}

function parsed(text) {
  try {
    return parseExact(text);
  } catch {
    return null;
  }
}

function refusal(status, answer) {
  const error = answer?.error;
  if (!error) return new ApiError(`the server answered ${status}`, status);
  const hint = error.hint ? `. ${error.hint[0].toUpperCase()}${error.hint.slice(1)}` : "";
  return new ApiError(error.message[0].toUpperCase() + error.message.slice(1) + hint, status, error.code);
}

// Sends images to the service: one request for one image, few for many; errors are problem details (RFC 9457).

const TOP_K = 5;
const FILES_A_REQUEST = 24; // few enough for a long list to fill step by step
const BYTES_A_REQUEST = 4e6; // well below the service's limit, because some proxies close the connection above theirs
const KEY = "api-key";

export const apiKey = {
  get: () => sessionStorage.getItem(KEY),
  set: (key) => sessionStorage.setItem(KEY, key),
};

// What a status means by itself: a proxy may send an error of its own, or replace the content of one.
const MEANINGS = {
  401: "an API key is needed",
  408: "the upload stopped, or was too slow",
  413: "this is too large to be uploaded",
  429: "too many images are waiting",
};

export class Problem extends Error {
  constructor(members, response) {
    const status = response?.status ?? members.status;
    const ours = typeof members.detail === "string" && typeof members.code === "string";
    super(ours ? members.detail : MEANINGS[status] ?? "something before the service answered");
    this.status = status;
    this.code = ours ? members.code : response?.statusText ?? "";
    this.retryAfter = response?.headers.get("Retry-After");
    this.requestId = response?.headers.get("X-Request-ID");
  }

  static of(members) {
    return members instanceof Problem ? members : new Problem(members);
  }

  get isBusy() {
    return this.status === 429 || this.status === 503;
  }
}

// Classify one file: {answer, stages: [{name, milliseconds}], roundTrip, version}. Throws Problem.
export async function predict(file, signal, unknown) {
  const began = performance.now();
  const { response, answer } = await post(`predict?top_k=${TOP_K}${unknown ? "&unknown=1" : ""}`, [file], signal);
  return {
    answer,
    stages: stagesOf(response.headers.get("Server-Timing") ?? ""),
    roundTrip: performance.now() - began,
    version: response.headers.get("X-Model-Version"),
  };
}

// Classify many files and call `show(index, answer or Problem)` for each. Throws Problem if there is no answer at all.
export async function predictAll(files, signal, unknown, show) {
  const path = `predict/batch${unknown ? "?unknown=1" : ""}`;
  for (let start = 0, end; start < files.length; start = end) {
    end = endOfGroup(files, start);
    const answers = await predictGroup(path, files.slice(start, end), signal);
    answers.forEach((answer, i) => show(start + i, "code" in answer ? Problem.of(answer) : answer));
  }
}

// At least one file, and as many more as one request takes.
function endOfGroup(files, start) {
  let end = start + 1;
  let bytes = files[start].size;
  while (end < files.length && end - start < FILES_A_REQUEST && bytes + files[end].size <= BYTES_A_REQUEST) {
    bytes += files[end++].size;
  }
  return end;
}

async function predictGroup(path, files, signal) {
  try {
    return (await post(path, files, signal)).answer;
  } catch (error) {
    if (error.status !== 413) throw error;
    if (files.length === 1) return [error];
    const half = files.length >> 1;
    const halves = [files.slice(0, half), files.slice(half)];
    return [...(await predictGroup(path, halves[0], signal)), ...(await predictGroup(path, halves[1], signal))];
  }
}

async function post(path, files, signal) {
  const body = new FormData();
  for (const file of files) body.append("file", file);
  const headers = apiKey.get() ? { "X-API-Key": apiKey.get() } : {};
  let response, content;
  try {
    response = await fetch(path, { method: "POST", body, headers, signal });
    content = isJson(response) ? await response.json() : null;
  } catch (error) {
    if (error.name === "AbortError") throw error;
    // This also happens if the file was moved or changed after it was chosen.
    throw new Problem({ status: 0, code: "no answer", detail: "the service can't be reached, or the file can't be read" });
  }
  if (response.ok && content) return { response, answer: content };
  throw new Problem(content ?? {}, response);
}

function isJson(response) {
  return /^application\/(problem\+)?json\b/.test(response.headers.get("Content-Type") ?? "");
}

// "receive;dur=0.1, cache" to [{name: "receive", milliseconds: 0.1}, {name: "cache", milliseconds: undefined}]
function stagesOf(header) {
  return header.split(",").filter(Boolean).map((part) => {
    const [name, ...options] = part.trim().split(";");
    const duration = options.find((option) => option.startsWith("dur="));
    return { name, milliseconds: duration && Number(duration.slice(4)) };
  });
}

// What /version says of the model, or null while it is being loaded. The page only has a link to /version if that route is
// served beside it; otherwise the tag alone is known, from the headers of any answer.
export async function version() {
  if (!document.querySelector('a[href="version"]')) {
    const page = await fetch(document.baseURI, { method: "HEAD" });
    return { model: page.headers.get("X-Model-Version") };
  }
  const response = await fetch("version");
  return response.ok ? response.json() : null;
}

// The shell command that gets the same answer.
export function curlLine(names) {
  const url = new URL(names.length > 1 ? "predict/batch" : "predict", document.baseURI);
  const key = apiKey.get() ? ['-H "X-API-Key: $API_KEY"'] : [];
  const parts = names.map((name) => `-F ${quoted(`file=@${/[,;"\\]/.test(name) ? JSON.stringify(name) : name}`)}`);
  return [`curl -X POST ${url}`, ...key, ...parts].join(" ");
}

function quoted(word) {
  return /^[\w./@=+-]+$/.test(word) ? `"${word}"` : `'${word.replaceAll("'", "'\\''")}'`;
}

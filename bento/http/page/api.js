// Sends images to the service: one request for one image, few for many; errors are problem details (RFC 9457).

const TOP_K = 5;
const FILES_A_REQUEST = 24; // few enough for a long list to fill step by step
const KEY = "api-key";

export const apiKey = {
  get: () => sessionStorage.getItem(KEY),
  set: (key) => sessionStorage.setItem(KEY, key),
};

export class Problem extends Error {
  constructor(members, response) {
    super(members.detail);
    this.status = members.status;
    this.code = members.code;
    this.retryAfter = response?.headers.get("Retry-After");
    this.requestId = response?.headers.get("X-Request-ID");
  }

  get isBusy() {
    return this.status === 429 || this.status === 503;
  }
}

// Classify one file: {answer, stages: [{name, milliseconds}], roundTrip, version}. Throws Problem.
export async function predict(file, signal) {
  const began = performance.now();
  const { response, answer } = await post(`predict?top_k=${TOP_K}`, [file], signal);
  return {
    answer,
    stages: stagesOf(response.headers.get("Server-Timing") ?? ""),
    roundTrip: performance.now() - began,
    version: response.headers.get("X-Model-Version"),
  };
}

// Classify many files and call `show(index, answer or Problem)` for each. Throws Problem if there is no answer at all.
export async function predictAll(files, signal, show) {
  for (let start = 0; start < files.length; start += FILES_A_REQUEST) {
    const group = files.slice(start, start + FILES_A_REQUEST);
    const answers = await predictGroup(group, signal);
    answers.forEach((answer, i) => show(start + i, "code" in answer ? new Problem(answer) : answer));
  }
}

async function predictGroup(files, signal) {
  try {
    return (await post("predict/batch", files, signal)).answer;
  } catch (error) {
    if (error.code !== "payload_too_large") throw error;
    if (files.length === 1) return [error];
    const half = files.length >> 1;
    return [...(await predictGroup(files.slice(0, half), signal)), ...(await predictGroup(files.slice(half), signal))];
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
  // An answer without content comes from a proxy.
  const { status, statusText } = response;
  throw new Problem(content ?? { status, code: statusText, detail: "something before the service answered" }, response);
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

// The answer of /version, or null while the model is being loaded.
export async function version() {
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

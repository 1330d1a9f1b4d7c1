// Connects the page: takes files that are dropped, chosen or pasted, and shows a card for each.

import { apiKey, curlLine, predict, predictAll, version } from "./api.js";
import { answerCard, percent, problemCard, rowList, sentence } from "./view.js";

const $ = (id) => document.getElementById(id);
const results = $("results");
let running = new AbortController();
let latest = [];
let limits = false; // whether the model can tell that an image is unknown

async function classify(files) {
  if (!files.length) return;
  latest = files;
  running.abort();
  running = new AbortController();
  const { signal } = running;
  $("curl").textContent = curlLine(files.map((file) => file.name));
  $("ask").hidden = true;
  results.ariaBusy = "true";
  say(files.length > 1 ? `Classifying ${files.length} images …` : "Classifying …");
  try {
    await (files.length > 1 ? classifyAll(files, signal) : classifyOne(files[0], signal));
  } catch (error) {
    if (error.name === "AbortError") return; // newer files replaced these
    if (!("code" in error)) throw error;
    showProblem(error, files);
  }
  results.ariaBusy = "false";
}

async function classifyOne(file, signal) {
  const outcome = await predict(file, signal, limits);
  results.replaceChildren(answerCard(file, outcome));
  const { predicted_class: name, confidence_score: score, known } = outcome.answer;
  announce(`${known === false ? "Unlike the training images; " : ""}${name}, ${percent(score)}`);
}

async function classifyAll(files, signal) {
  const { list, fill } = rowList(files);
  results.replaceChildren(list);
  let refused = 0;
  await predictAll(files, signal, limits, (index, answer) => {
    refused += answer instanceof Error ? 1 : 0;
    fill(index, answer);
  });
  say(`${files.length - refused} of ${files.length} images classified`);
}

function showProblem(problem, files) {
  if (problem.status === 401) {
    results.replaceChildren();
    say(apiKey.get() ? "This API key is not accepted" : "An API key is needed");
    $("ask").hidden = false;
    $("key").focus();
    return;
  }
  results.replaceChildren(problemCard(problem, files.length === 1 ? files[0] : null, () => classify(files)));
  announce(sentence(problem.message));
}

function say(text) {
  $("status").className = "quiet";
  $("status").textContent = text;
}

// For screen readers; other people see the card.
function announce(text) {
  $("status").className = "unseen";
  $("status").textContent = text;
}

async function showModel() {
  const known = await version().catch(() => null);
  limits = known?.limits ?? false;
  $("model").textContent = !known
    ? "The model is being loaded."
    : known.class_names
      ? `${known.model}, ${known.class_names.length} classes, ${known.image_size}\u00a0×\u00a0${known.image_size}\u00a0pixels`
      : known.model;
  if (!known) setTimeout(showModel, 2000);
}

$("files").addEventListener("change", (event) => {
  classify([...event.target.files]);
  event.target.value = ""; // so that the same file can be chosen again
});
$("choose").addEventListener("submit", (event) => event.preventDefault());
$("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  apiKey.set($("key").value);
  $("key").value = "";
  classify(latest);
});
$("copy").addEventListener("click", async () => {
  const text = $("curl").textContent;
  try {
    await navigator.clipboard.writeText(text);
    say("Copied");
  } catch {
    // Over plain HTTP browsers offer no clipboard, so select the text for the person to copy.
    getSelection().selectAllChildren($("curl"));
    say("Selected; press Ctrl+C to copy");
  }
});

document.addEventListener("paste", (event) => classify([...event.clipboardData.files]));
// Anywhere on the page, because the browser would otherwise leave it and show the image.
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  $("drop").classList.add("over");
});
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) $("drop").classList.remove("over");
});
document.addEventListener("drop", (event) => {
  event.preventDefault();
  $("drop").classList.remove("over");
  classify([...event.dataTransfer.files]);
});

$("curl").textContent = curlLine(["image.jpg"]);
showModel();

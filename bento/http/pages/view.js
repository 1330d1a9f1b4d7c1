// Draws answers. All text is set as text, because a class may have a name that looks like markup.

export function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children.filter((child) => child !== null));
  return made;
}

export function percent(share) {
  return share > 0 && share < 0.001 ? "<0.1%" : `${(share * 100).toFixed(1)}%`;
}

function milliseconds(value) {
  return `${value.toFixed(value < 10 ? 2 : 0)} ms`;
}

// A picture of the file, or a placeholder if the browser can't show it.
export function preview(file) {
  const url = URL.createObjectURL(file);
  const image = element("img", { src: url, alt: "" });
  const box = element("div", { className: "preview" }, image);
  image.addEventListener("load", () => URL.revokeObjectURL(url), { once: true });
  image.addEventListener("error", () => {
    URL.revokeObjectURL(url);
    image.replaceWith(element("span", { className: "quiet" }, "No preview"));
  }, { once: true });
  return box;
}

// rows: [label, share of the longest bar, text]
function bars(caption, rows) {
  const body = rows.map(([label, share, text]) => {
    const bar = element("div", { className: "bar" });
    bar.style.width = `${Math.min(1, share) * 100}%`;
    const track = element("td", { className: "track" }, bar);
    return element("tr", {}, element("th", { scope: "row" }, label), track, element("td", { className: "number" }, text));
  });
  return element("table", { className: "bars" }, element("caption", {}, caption), element("tbody", {}, ...body));
}

function titledPreview(file) {
  return element("figure", {}, preview(file), element("figcaption", { className: "quiet" }, file.name));
}

export function answerCard(file, { answer, stages, roundTrip, version }) {
  const scores = answer.top_k.map(({ class: name, score }) => [name, score, percent(score)]);
  const timed = stages.filter((stage) => stage.milliseconds !== undefined);
  const rest = roundTrip - timed.reduce((sum, stage) => sum + stage.milliseconds, 0);
  const times = [...timed.map((stage) => [stage.name, stage.milliseconds]), ["the rest", Math.max(0, rest)]];
  const known = stages.some((stage) => stage.name === "cache") ? ", cached" : "";
  return element("article", { className: "card" },
    titledPreview(file),
    element("div", {},
      element("h2", { className: "class" }, answer.predicted_class),
      element("p", { className: "quiet" }, `${percent(answer.confidence_score)}, by ${version}`),
      answer.known === false ? element("p", { className: "reason" }, novel(answer)) : null,
      bars("Scores", scores),
      bars(
        `Time: ${milliseconds(roundTrip)} round trip${known}`,
        times.map(([name, value]) => [name, value / roundTrip, milliseconds(value)]),
      )));
}

// Why the class of an unknown image is no answer.
function novel({ novelty }) {
  return `Maybe none of these: it is more novel than ${percent(novelty)} of known images.`;
}

export function problemCard(problem, file, retry) {
  const when = /^\d+$/.test(problem.retryAfter) ? `in ${problem.retryAfter} s` : "in a moment";
  const again = element("button", { type: "button", onclick: retry }, "Try again");
  return element("article", { className: "card" },
    file ? titledPreview(file) : null,
    element("div", {},
      element("h2", {}, problem.isBusy ? "The service is busy" : "No answer for this one"),
      element("p", { className: "reason" }, sentence(problem.message)),
      problem.isBusy ? element("p", {}, `Try again ${when}.`) : null,
      problem.isBusy || !problem.status ? element("p", {}, again) : null,
      element("p", { className: "quiet" }, element("code", {}, codeOf(problem))),
      problem.requestId ? element("p", { className: "quiet" }, `Request ${problem.requestId}`) : null));
}

function codeOf({ status, code }) {
  return `${status || ""} ${code}`.trim();
}

export function sentence(text) {
  return text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");
}

// One row per file, filled by `fill(index, answer or Problem)` as the answers come.
export function rowList(files) {
  const rows = files.map((file) => {
    const said = element("p", { className: "quiet" }, "…");
    return { said, row: element("li", {}, preview(file), element("div", {}, element("p", { className: "name" }, file.name), said)) };
  });
  const list = element("ol", { className: "rows card" }, ...rows.map(({ row }) => row));
  const fill = (index, answer) => {
    const failed = answer instanceof Error;
    rows[index].said.className = failed ? "reason" : "";
    rows[index].said.replaceChildren(...(failed
      ? [sentence(answer.message), " ", element("code", { className: "quiet" }, codeOf(answer))]
      : [element("strong", {}, answer.predicted_class), ` ${percent(answer.confidence_score)}`,
        answer.known === false ? ", maybe none of these" : ""]));
  };
  return { list, fill };
}

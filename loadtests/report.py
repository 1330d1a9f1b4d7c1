"""Write report.html, one page that needs no other file, junit.xml, and seconds.csv for spreadsheets."""

from __future__ import annotations

import csv
import io
import time
from pathlib import Path

from loadtests import junit, pictures
from loadtests.run import Run

_PERCENTILES = (0.5, 0.9, 0.99, 0.999)


def write(folder: Path, run: Run, host: str) -> Path:
    """Write all three files to a folder, which is created if it is missing, and return the page's path.

    Raises:
        OSError: the folder can't be created or written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "junit.xml").write_bytes(junit.document(run))
    (folder / "seconds.csv").write_text(_seconds(run), encoding="utf-8")
    page = folder / "report.html"
    page.write_text(_page(run, host), encoding="utf-8")
    return page


def _seconds(run: Run) -> str:
    """Return a CSV row for each second in which requests were due."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["second", "due", "sent", "answered", "failed", "p50_ms", "p99_ms", "max_ms"])
    for second, tally in sorted(run.record.seconds.items()):
        due = run.shape.due(second + 1) - run.shape.due(second)
        times = [f"{tally.latency.percentile(share):.1f}" if tally.good else "" for share in (0.5, 0.99, 1)]
        writer.writerow([second, f"{due:.1f}", tally.sent, tally.good, tally.failed, *times])
    return stream.getvalue()


def _page(run: Run, host: str) -> str:
    from jinja2 import Environment, FileSystemLoader

    environment = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True)
    environment.filters["duration"] = lambda value: f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
    verdict, total = run.verdict(), run.record.between(0, int(run.now) + 1)
    seconds = max(min(run.seconds or run.now, run.shape.seconds), 0.001)
    facts = {
        "Target": host,
        "Shape": f"{run.options.shape}, {run.options.arrivals} arrivals, --rate {run.options.rate:g}/s",
        "Start": time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(run.began)),
        "Duration": f"{seconds:.0f} s",
        "Connections": f"{run.options.num_users}, of {run.workers} process{'es' if run.workers > 1 else ''}",
        "Images": run.options.images or "noise, made in memory",
        "Answers by model": ", ".join(f"{name} ({count:,})" for name, count in run.record.versions.most_common()),
        "Delay in sending": f"p99 {run.record.lateness.percentile(0.99):.1f} ms",
    }
    return environment.get_template("report.html.j2").render(
        run=run,
        verdict=verdict,
        total=total,
        due=run.due,
        rate=total.good / seconds,
        facts=facts,
        percentiles=_PERCENTILES,
        pictures=[draw(run) for draw in (pictures.rates, pictures.response_times, pictures.distribution)],
    )

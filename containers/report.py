"""Print a report on an image: sizes, ten largest parts, cold start by phase, names. The last line is JSON.

python -m containers.report docker|podman NAME [OTHER_NAME...]
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from commandline import ExitCode, show_error, write
from containers.coldstart import cold_start

ENGINE = str(Path(__file__).parent / "engine")

_STARTS = 3

# Runs inside the image. A part is something that would be left out as a whole.
_PARTS = r"""
import collections, json, os, re
sizes, seen = collections.Counter(), set()
for folder, folders, files in os.walk("/"):
    folders[:] = [name for name in folders if not os.path.ismount(os.path.join(folder, name))]
    for name in files:
        path = os.path.join(folder, name)
        about = os.lstat(path)
        if about.st_ino in seen:
            continue
        seen.add(about.st_ino)
        package = re.match(r"/app/\.venv/lib/python[^/]*/site-packages/([^/]+)", path)
        if package:
            part = re.sub(r"(\.libs|-[0-9].*)$", "", package[1]).lower()
            part = {"pil": "pillow"}.get(part, part)
        elif path.startswith("/home/bentoml/bento/"):
            part = "the Bento's " + path.split("/")[4]
        elif re.match(r"/usr/(local/)?lib/python3", path):
            part = "Python's library"
        else:
            part = "/".join(path.split("/")[:4])
        sizes[part] += about.st_size
print(json.dumps(sizes.most_common(10)))
"""


@dataclass(frozen=True)
class Report:
    """The report on an image; sizes in bytes, times in seconds."""

    names: list[str]
    id: str
    digest: str
    engine: str
    size: int
    compressed: int
    parts: dict[str, int]
    cold_start: dict[str, float]
    labels: dict[str, str]


def engine(*arguments: str) -> str:
    """Run the container engine and return its output."""
    return subprocess.run([ENGINE, *arguments], check=True, capture_output=True, text=True).stdout


def compressed_size(name: str) -> int:
    """Return the gzipped size of the image in bytes, about what a registry stores and a node pulls.

    Raises:
        CalledProcessError: the engine can't save the image.
    """
    with subprocess.Popen([ENGINE, "save", name], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as saved:
        gzip = subprocess.Popen(["gzip", "-6"], stdin=saved.stdout, stdout=subprocess.PIPE)
        assert gzip.stdout is not None
        size = 0
        while block := gzip.stdout.read(2**20):
            size += len(block)
        failed = gzip.wait() or saved.wait()
    if failed:
        raise subprocess.CalledProcessError(failed, f"save {name} | gzip")
    return size


def median(starts: list[dict[str, float]]) -> dict[str, float]:
    """Return the median of each phase."""
    return {phase: round(statistics.median(start[phase] for start in starts), 3) for phase in starts[0]}


def inspect(engine_name: str, names: list[str]) -> Report:
    """Inspect an image from outside and inside, and start it a few times."""
    about = json.loads(engine("image", "inspect", names[0]))[0]
    parts = json.loads(engine("run", "--rm", "--network=none", "--entrypoint", "python", names[0], "-c", _PARTS))
    return Report(
        names=names,
        id=about["Id"].removeprefix("sha256:"),
        digest=about.get("Digest") or next(iter(about.get("RepoDigests") or []), "").rpartition("@")[2],
        engine=engine_name,
        size=about["Size"],
        compressed=compressed_size(names[0]),
        parts=dict(parts),
        cold_start=median([cold_start(ENGINE, names[0]) for _ in range(_STARTS)]),
        labels=about["Config"]["Labels"],
    )


def show(report: Report) -> str:
    """Return the report as text."""
    lines = [f"size on disk     {report.size / 1e6:8.1f} MB", f"compressed       {report.compressed / 1e6:8.1f} MB"]
    lines += ["", "largest parts"]
    lines += [f"  {part:24} {size / 1e6:6.1f} MB" for part, size in report.parts.items()]
    lines += ["", f"cold start, one CPU, median of {_STARTS}"]
    lines += [f"  {phase:24} {seconds:6.2f} s" for phase, seconds in report.cold_start.items()]
    lines += ["", f"model   {report.labels.get('image-classifier/model-tag')}"]
    lines += [f"digest  {report.digest or report.id}", *(f"name    {name}" for name in report.names)]
    return "\n".join(lines)


def main() -> int:
    """Run the command line, and return the exit code."""
    if len(sys.argv) < 3:
        show_error("write python -m containers.report docker|podman NAME [OTHER_NAME...]")
        return ExitCode.USAGE
    try:
        report = inspect(sys.argv[1], sys.argv[2:])
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED  # containers/image says so
    except subprocess.CalledProcessError as error:
        show_error(f"{error}: {(error.stderr or '').strip()[-500:]}")
        return ExitCode.FAILED
    except RuntimeError as error:
        show_error(str(error))
        return ExitCode.FAILED
    write(show(report) + "\n\n" + json.dumps(asdict(report)) + "\n")
    return ExitCode.DONE


if __name__ == "__main__":
    sys.exit(main())

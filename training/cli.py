"""The command line: flags, one call, and what goes wrong as one line and an exit code."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path
from typing import Any

from training.errors import TrainingError, UsageError
from training.options import add_arguments, merge
from training.progress import ConsoleHandler, console
from training.report.display import printable

_DESCRIPTION = """Train an image classifier on a folder with one folder of images a class, evaluate it on images
it has never seen, and publish it to the BentoML model store."""
_EPILOG = """Further commands: `python -m training evaluate TAG --data DIR` tests a stored model on another folder,
`python -m training check --data DIR` looks for copies, wrong labels and outliers,
`python -m training tune --data DIR` searches for better options.
Exit codes: 0 published (or done, with --no-publish), 1 something is wrong with data, disk or model,
2 wrong options, 3 below --min-accuracy, 130 interrupted before there was anything to keep; of several
workers (docs/distributed-training.md) 69 they didn't meet, 75 one is gone: start all again."""


def main(arguments: list[str]) -> int:
    """Run one command; returns the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", handlers=[ConsoleHandler()])
    for noisy in ("absl", "jax", "tensorflow", "tf2onnx", "bentoml", "matplotlib", "PIL"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    command = {"evaluate": _evaluate, "check": _check, "tune": _tune}.get(arguments[0] if arguments else "", _train)
    try:
        command(arguments)
    except TrainingError as error:
        return _fail(str(error), error.exit_code)
    except KeyboardInterrupt:
        return _fail("interrupted", 130)
    except OSError as error:
        # Data problems have been named by now; this is a disk or a folder that can't be written.
        where = error.filename or "the run's folder, the model store or the temporary folder"
        return _fail(f"{where}: {error.strerror or error}", 1)
    return 0


def _fail(message: str, code: int) -> int:
    console.quiet = False
    console.print(f"error: {message}", style="red", markup=False)
    return code


def _train(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(
        "python -m training",
        usage="python -m training --data DIR [--test-data DIR] [options]",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="TOML file of these options; flags win over it")
    parser.add_argument(
        "--resume", type=Path, metavar="DIR", help="go on with the run in DIR, with its own options and images"
    )
    add_arguments(parser)
    given = vars(parser.parse_args(arguments))
    config_file, resumed = given.pop("config"), given.pop("resume")
    if resumed is not None and (given or config_file):
        raise UsageError("--resume takes the options of the run it goes on with; give no others")

    from training import train

    result = train.resume(resumed) if resumed is not None else train.train(merge(given, config_file))
    _show(result.report)
    console.print(f"Report: {result.out / 'report.html'}", markup=False)
    if result.tag is not None:
        sys.stdout.write(f"{result.tag}\n")
        console.print(f"Published {result.tag}. Serve it with: bentoml serve", markup=False)


def _evaluate(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(
        "python -m training evaluate", description="Test a stored model on a folder of its classes."
    )
    parser.add_argument("command", choices=["evaluate"], help=argparse.SUPPRESS)
    parser.add_argument("tag", metavar="TAG", help="as in `bentoml models list`; NAME alone means its newest")
    parser.add_argument(
        "--runtime", choices=("onnx", "onnx-int8", "keras"), default="onnx", help="which form to test (onnx)"
    )
    add_arguments(parser, only=("data", "out", "decoders", "cache_dir", "strict"))
    given: dict[str, Any] = vars(parser.parse_args(arguments))
    given.pop("command")

    from training.evaluation import evaluate

    tag, runtime = given.pop("tag"), given.pop("runtime")
    report, out = evaluate(tag, runtime, merge(given, None))
    _show(report)
    if out is not None:
        console.print(f"Report: {out / 'report.html'}", markup=False)


def _tune(arguments: list[str]) -> None:
    from training.tune.cli import main as tune

    tune(arguments[1:])


def _check(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(
        "python -m training check",
        description="Look for copies, wrong labels, outliers and names that give the class away. Changes no image.",
    )
    parser.add_argument("command", choices=["check"], help=argparse.SUPPRESS)
    parser.add_argument(
        "--fix",
        action="store_true",
        help="also write suspects.csv to the report's folder: the files that --exclude leaves out",
    )
    parser.add_argument(
        "--labels",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="look for wrong labels, which trains three small networks and takes minutes for 50,000 images",
    )
    add_arguments(
        parser,
        only=("data", "test_data", "image_size", "decoders", "cache_dir", "exclude", "preset", "seed", "out"),
    )
    given: dict[str, Any] = vars(parser.parse_args(arguments))
    given.pop("command")

    from training.checks.command import check

    labels, fix = given.pop("labels"), given.pop("fix")
    done = check(merge(given, None), labels, fix)
    for finding in done.findings or ["Nothing suspicious found."]:
        sys.stdout.write(f"{printable(finding)}\n")
    console.print(f"Report: {done.report}", markup=False)
    if done.listed is not None:
        where = done.list_path
        console.print(f"{where}: {done.listed} lines; delete those to keep, then --exclude {where}", markup=False)


def _show(report: dict[str, Any]) -> None:
    from rich.console import Console

    from training.report import summary

    Console(highlight=False).print(summary.table(report))

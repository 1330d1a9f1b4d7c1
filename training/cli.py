"""Define the command line `python -m training`: its commands, their options and exit codes."""

from __future__ import annotations

import contextlib
import logging
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from commandline import Command, CommandError, ExitCode, Program, write
from training.errors import UsageError, of_system

if TYPE_CHECKING:
    from rich.console import RenderableType

_QUIET = ("absl", "jax", "tensorflow", "tf2onnx", "bentoml", "matplotlib", "PIL")

_OF_RESUMED = {"epochs", "data", "validation_data", "test_data", "images_root"}
"""The options that `--resume` takes."""


def _add_train(parser: ArgumentParser) -> None:
    from training.options import add_arguments

    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="read options from a TOML file; options on the command line take precedence",
    )
    parser.add_argument(
        "--resume",
        type=Path,
        metavar="RUN",
        help="continue the run in the folder RUN with its own options and images; --epochs N lets a finished run train "
        "on, and --data, --validation-data, --test-data and --images-root say where its images are now",
    )
    add_arguments(parser)


def _train(args: Namespace) -> None:
    given = dict(vars(args))
    config_file, resumed = given.pop("config"), given.pop("resume")
    if resumed is not None and (config_file or given.keys() - _OF_RESUMED):
        raise UsageError(
            "--resume continues with the options of the run; besides, it takes only --epochs, --data, "
            "--validation-data, --test-data and --images-root"
        )

    from training.options import merge
    from training.report.summary import table
    from training.steps import resume, train

    result = resume(resumed, **given) if resumed is not None else train(merge(given, config_file))
    _show(table(result.report.test))
    _note(f"Report: {result.out / 'report.html'}")
    if result.tag is not None:
        write(f"{result.tag}\n")
        _note(f"Published {result.tag}. Serve it with: bentoml serve")


def _add_evaluate(parser: ArgumentParser) -> None:
    from training.options import add_arguments

    parser.add_argument(
        "tag", metavar="TAG", help="model to test, as in `bentoml models list`; NAME alone is its newest version"
    )
    parser.add_argument(
        "--runtime",
        choices=("onnx", "onnx-int8", "keras"),
        default="onnx",
        help="form of the model to test (default: onnx)",
    )
    parser.add_argument(
        "--recalibrate",
        action="store_true",
        help="store a copy of the model whose temperature, novelty, sets of classes and drift baseline are measured on "
        "these images",
    )
    add_arguments(parser, only=("data", "images_root", "layout", "out", "decoders", "cache_dir", "strict"))


def _evaluate(args: Namespace) -> None:
    from training import folders
    from training.evaluation import evaluate, recalibrate
    from training.options import merge
    from training.report.summary import table

    given = dict(vars(args))
    tag, runtime, again = given.pop("tag"), given.pop("runtime"), given.pop("recalibrate")
    config = merge(given, None)
    with folders.claimed(Path(config.out), "evaluate") if config.out else contextlib.nullcontext():
        report, out = evaluate(tag, runtime, config)
    _show(table(report.test))
    if out is not None:
        _note(f"Report: {out / 'report.html'}")
    if again:
        stored = recalibrate(report.model.tag, config)
        write(f"{stored}\n")
        _note(f"Published {stored}, recalibrated on {report.data.images:,} images. Serve it with: bentoml serve")


def _add_card(parser: ArgumentParser) -> None:
    parser.add_argument(
        "tag", metavar="TAG", help="model in the store, as in `bentoml models list`; NAME alone is its newest version"
    )


def _card(args: Namespace) -> None:
    from training.report.card import of_stored

    write(of_stored(args.tag))


def _add_check(parser: ArgumentParser) -> None:
    from training.checks import command

    command.add_arguments(parser)


def _check(args: Namespace) -> None:
    from training.checks import command
    from training.report.display import printable

    done = command.run(args)
    for finding in done.findings or ["Nothing suspicious found."]:
        write(f"{printable(finding)}\n")
    _note(f"Report: {done.report}")
    if done.listed is not None:
        where = done.list_path
        _note(f"{where}: {done.listed} lines. Delete the lines of files to keep, then pass --exclude {where}")


def _add_tune(parser: ArgumentParser) -> None:
    from training.tune import cli

    cli.add_arguments(parser)


def _tune(args: Namespace) -> None:
    from training.tune import cli

    result = cli.run(args, _show)
    if result is None:
        return
    if result.tag is not None:
        write(f"{result.tag}\n")
    _note(f"Report of the best trial: {result.out / 'report.html'}")


def _show(table: RenderableType) -> None:
    """Write a table to standard output."""
    from rich.console import Console

    console = Console(highlight=False)
    with console.capture() as text:
        console.print(table)
    write(text.get())


def _note(line: str) -> None:
    """Write a line to standard error, which leaves standard output to the answer."""
    from training.progress import console

    console.print(line, markup=False)


def _prepare(args: Namespace) -> None:
    from training.progress import ConsoleHandler

    try:
        Path.home()  # cache, model store and Keras' files are below it
    except RuntimeError:
        raise UsageError("this user has no home; set HOME to a folder that can be written") from None
    logging.basicConfig(level=logging.INFO, format="%(message)s", handlers=[ConsoleHandler()])
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.ERROR)


def _explain(error: Exception) -> CommandError | None:
    return of_system(error) if isinstance(error, OSError) else None


PROGRAM = Program(
    name="python -m training",
    description="Train an image classifier on a folder with one folder of images per class, evaluate it on images it "
    "has never seen, and publish it to the BentoML model store.",
    commands=(
        Command(
            name="train",
            help="train, evaluate and publish a model; the default",
            usage="--data DIR [--validation-data DIR] [--test-data DIR] [options]",
            description="Train a model on a folder of images, evaluate it, write a report, and publish the model to "
            "the BentoML model store.",
            add=_add_train,
            run=_train,
        ),
        Command(
            name="evaluate",
            help="test a stored model on a folder of images of its classes",
            usage="TAG --data DIR [options]",
            add=_add_evaluate,
            run=_evaluate,
        ),
        Command(
            name="card",
            help="print the card of a stored model: what it is, how good for whom, its limits",
            usage="TAG",
            description="Print the card of a stored model as Markdown: what it is, from what data, how good it is and "
            "for whom, and what it must not be used for. It begins as Hugging Face's model cards do.",
            add=_add_card,
            run=_card,
        ),
        Command(
            name="check",
            help="look for copies, wrong labels, outliers and file names that give the class away",
            usage="--data DIR [--validation-data DIR] [--test-data DIR] [options]",
            description="Look for copies, wrong labels, outliers and file names that give the class away. No image is "
            "changed.",
            add=_add_check,
            run=_check,
        ),
        Command(
            name="tune",
            help="search for options with a lower validation loss",
            usage="--data DIR [--space FILE] [options]",
            description="Search for options with a lower validation loss than the default configuration, which is "
            "trial 0. The search never uses the test images. The same command resumes a search that was stopped or "
            "killed.",
            epilog="Every option of `train` may be given. An option of the space is then fixed, not searched.",
            add=_add_tune,
            run=_tune,
        ),
    ),
    exit_codes={
        ExitCode.DONE: "done; `train` has published the model, unless --no-publish was given",
        ExitCode.FAILED: "something is wrong with the data, the disk, a model or a study; one line says what",
        ExitCode.USAGE: "wrong options",
        ExitCode.REFUSED: "the test accuracy is below --min-accuracy, so the model is not published",
        ExitCode.UNREACHABLE: "tune: the storage of the study can't be reached",
        ExitCode.BUSY: "another process uses the folder for the results",
        ExitCode.WORKERS_APART: "training by several workers (docs/distributed-training.md): not all connected in time",
        ExitCode.WORKERS_LOST: "training by several workers: one was lost or all were stopped; --resume all of them",
        ExitCode.INTERRUPTED: "interrupted; but `train` exits with 0 if it published the best epoch so far",
    },
    default="train",
    epilog="Options without a command belong to `train`: python -m training --data photos",
    abbreviations=True,
    prepare=_prepare,
    explain=_explain,
)

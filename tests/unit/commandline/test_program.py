"""The builder of command lines: commands, help, errors of one line and exit codes."""

from __future__ import annotations

import os
import subprocess
import sys
from argparse import ArgumentParser, Namespace
from typing import NoReturn

import pytest

from commandline import Command, CommandError, ExitCode, Program, UsageError, show_error, write


def greet(args: Namespace) -> None:
    write(f"{args.greeting}, {args.name}, {args.again}\n")


def add_names(parser: ArgumentParser) -> None:
    parser.add_argument("name")
    parser.add_argument("again", nargs="?")
    parser.add_argument("--greeting", default="hello")


def fail(error: BaseException) -> Program:
    """Return a program whose only command raises `error`."""

    def run(args: Namespace) -> NoReturn:
        raise error

    return Program(
        name="demo",
        description="",
        commands=[Command(name="fail", help="fail", run=run)],
        exit_codes={},
        default="fail",
    )


def not_now(parser: ArgumentParser) -> NoReturn:
    pytest.fail("the arguments of another command were added")


def show_rest(args: Namespace) -> None:
    write(f"{args.rest}\n")


DEMO = Program(
    name="python -m demo",
    description="Greet people.",
    commands=[
        Command(name="greet", help="say hello", add=add_names, run=greet),
        Command(name="pass-on", help="show what follows --", run=show_rest, rest=True),
        Command(name="slow", help="import something slow", add=not_now, run=greet),
        Command(name="hidden", help="", run=lambda args: write("found\n")),
    ],
    exit_codes={ExitCode.DONE: "greeted", ExitCode.REFUSED: "nobody is there"},
)


def test_the_help_lists_commands_and_exit_codes_without_building_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        DEMO.main(["--help"])
    text = capsys.readouterr().out
    assert ended.value.code == 0
    assert text.startswith("usage: python -m demo COMMAND [options]\n\nGreet people.\n")
    assert "  greet    say hello\n  pass-on  show what follows --\n" in text
    assert "exit codes:\n  0  greeted\n  3  nobody is there\n" in text
    assert "hidden" not in text


def test_the_help_of_a_command_has_its_options_and_the_same_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        DEMO.main(["greet", "--help"])
    text = capsys.readouterr().out
    assert ended.value.code == 0
    assert text.startswith("usage: python -m demo greet [-h] [--greeting GREETING] name [again]\n\nSay hello.\n")
    assert "  3  nobody is there\n" in text


def test_a_command_runs(capsys: pytest.CaptureFixture[str]) -> None:
    assert DEMO.main(["greet", "Ada"]) == 0
    assert capsys.readouterr() == ("hello, Ada, None\n", "")


def test_an_optional_argument_may_follow_an_option(capsys: pytest.CaptureFixture[str]) -> None:
    assert DEMO.main(["greet", "Ada", "--greeting", "hi", "Bob"]) == 0
    assert capsys.readouterr().out == "hi, Ada, Bob\n"


def test_a_hidden_command_runs(capsys: pytest.CaptureFixture[str]) -> None:
    assert DEMO.main(["hidden"]) == 0
    assert capsys.readouterr().out == "found\n"


def test_a_command_gets_the_words_after_two_dashes_unread(capsys: pytest.CaptureFixture[str]) -> None:
    assert DEMO.main(["pass-on", "--", "--help", "--", "x"]) == 0
    assert DEMO.main(["pass-on"]) == 0
    assert capsys.readouterr().out == "['--help', '--', 'x']\n[]\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "the command is missing; choose one of greet, pass-on, slow"),
        (["gret"], "there is no command gret; choose one of greet, pass-on, slow"),
        (["--greeting", "hi"], "the command is missing; choose one of greet, pass-on, slow"),
        (["greet"], "the following arguments are required: name; see python -m demo greet --help"),
        (["greet", "Ada", "--loud"], "unrecognized arguments: --loud; see python -m demo greet --help"),
        (["greet", "Ada", "--greet", "x"], "unrecognized arguments: --greet x; see python -m demo greet --help"),
    ],
)
def test_a_wrong_command_line_is_one_line_and_exit_code_2(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert DEMO.main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err == f"error: {message}\n"


def test_options_without_a_command_belong_to_the_default_command(capsys: pytest.CaptureFixture[str]) -> None:
    command = Command(name="greet", help="say hello", add=add_names, run=greet)
    program = Program(name="demo", description="", commands=[command], exit_codes={}, default="greet")
    assert program.main(["--greeting", "hi", "Ada"]) == 0
    assert capsys.readouterr().out == "hi, Ada, None\n"
    assert program.main([]) == 2
    assert capsys.readouterr().err == "error: the following arguments are required: name; see demo greet --help\n"
    assert program.help().startswith("usage: demo [COMMAND] [options]\n")


class Full(CommandError):
    exit_code = ExitCode.BUSY


def test_a_failure_is_one_line_and_its_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert fail(CommandError("no such folder:\n  photos")).main([]) == 1
    assert fail(Full("the disk is full")).main([]) == 6
    assert capsys.readouterr().err == "error: no such folder: photos\nerror: the disk is full\n"


def test_ctrl_c_is_one_line_and_exit_code_130(capsys: pytest.CaptureFixture[str]) -> None:
    assert fail(KeyboardInterrupt()).main([]) == 130
    assert capsys.readouterr().err == "error: interrupted\n"


def test_a_mistake_in_the_code_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError):
        fail(ZeroDivisionError()).main([])


def test_a_program_explains_exceptions_of_other_kinds_and_reports_in_its_own_form() -> None:
    reported: list[tuple[str, int]] = []

    def run(args: Namespace) -> NoReturn:
        raise OSError("disk")

    program = Program(
        name="demo",
        description="",
        commands=[Command(name="fail", help="fail", run=run)],
        exit_codes={},
        explain=lambda error: Full(f"explained: {error}"),
        report=lambda args, error, code: reported.append((error, code)),
    )
    assert program.main(["fail"]) == 6
    assert reported == [("explained: disk", 6)]


def test_the_arguments_can_be_parsed_without_running_the_command() -> None:
    command, args = DEMO.parse(["greet", "Ada"])
    assert (command.name, args.name) == ("greet", "Ada")
    with pytest.raises(UsageError, match="no command nobody"):
        DEMO.parse(["nobody"])


@pytest.mark.parametrize(("no_color", "line"), [("", "\033[31merror: a b\033[0m\n"), ("1", "error: a b\n")])
def test_an_error_is_red_on_a_terminal(
    no_color: str, line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NO_COLOR", no_color)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    show_error("a\nb")
    assert capsys.readouterr().err == line


def test_an_answer_that_nobody_reads_is_dropped_in_silence() -> None:
    code = "import commandline\nfor _ in range(10000): commandline.write('x' * 100)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.read(10)
        process.stdout.close()
        assert (process.stderr.read(), process.wait()) == (b"", 0)


@pytest.mark.parametrize("redirection", [">&-", "2>&-", ">&- 2>&-", ">/dev/full", "2>/dev/full", ">&- 2>/dev/full"])
def test_what_is_printed_never_decides_the_exit_code(redirection: str) -> None:
    """The kind: the work is done, and a line about it that can't be shown makes a failure of it."""
    code = (
        "import sys, commandline; commandline.protect(); commandline.write('\\u756a\\n'); "
        "print('\\u756a', '\\udcff', file=sys.stderr); sys.exit(3)"
    )
    command = ["sh", "-c", f'"$0" -c "$1" {redirection}', sys.executable, code]
    environment = {"PYTHONIOENCODING": "ascii", "PYTHONPATH": os.getcwd()}
    assert subprocess.run(command, env=environment, capture_output=True, check=False).returncode == 3


def test_what_a_stream_can_not_encode_is_escaped() -> None:
    code = "import commandline; commandline.protect(); commandline.write('\\u756a\\n')"
    environment = {"PYTHONIOENCODING": "ascii", "PYTHONPATH": os.getcwd()}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=True)
    assert done.stdout == b"\\u756a\n"

"""Run every command of the README, in order, in a copy of the checkout with its own home."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.folders import write_tree
from tests.integration.conftest import Server, end_tree, free_port, wait_until_ready

SHIPPING = ("make image", "podman push", "python -m k8s release", "kubectl port-forward")
"""Commands that tests/containers and tests/cluster run, and that tests/unit/docs/test_commands.py parses."""
CODE = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)


def commands() -> list[tuple[str, str]]:
    """Return each command with the output that the README shows for it."""
    found: list[tuple[str, str]] = []
    for block in CODE.findall(Path("README.md").read_text()):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append((line[2:], ""))
            else:
                found[-1] = (found[-1][0], line)
    return found


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a copy of the files that git knows or would add, with a link to this checkout's .venv."""
    if shutil.which("git") is None or not Path(".git").exists():
        pytest.skip("this is not a git checkout, so there is no list of its files")
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(listed, capture_output=True, text=True, check=True).stdout.split("\0")
    copy = tmp_path / "checkout"
    for name in filter(os.path.isfile, names):
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(name, copy / name)  # keeps the time: with a newer lock file, `make` would run setup again
    (copy / ".venv").symlink_to(Path(".venv").resolve())
    # For what the commands do, three epochs are enough; the training on the photos has all of its own.
    script, whole = copy / "scripts" / "model", "python -m training --data digits"
    assert whole in script.read_text()
    script.write_text(script.read_text().replace(whole, f"{whole} --epochs 3"))
    write_tree(copy / "photos", {"red": 12, "green": 12, "blue": 12})
    write_tree(copy / "more-photos", {"red": 5, "green": 5, "blue": 5}, seed=1)
    return copy


@contextlib.contextmanager
def server(command: str, checkout: Path, environment: dict[str, str]) -> Iterator[Server]:
    port = free_port()
    log = checkout / "server.log"
    words = command.split() + ([f"PORT={port}"] if command == "make run" else ["--port", str(port)])
    with log.open("wb") as out:
        process = subprocess.Popen(words, cwd=checkout, env=environment, stdout=out, stderr=out)
    try:
        wait_until_ready(Server(process, port, log), seconds=300)
        yield Server(process, port, log)
    finally:
        end_tree(process)


@pytest.mark.timeout(1200)  # it trains three models, and compares networks for one of them
def test_every_command_of_the_readme_works(checkout: Path, tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl, which the README uses, is not installed")
    environment = os.environ | {
        "BENTOML_HOME": str(tmp_path / "home"),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "PATH": f"{Path('.venv/bin').resolve()}:{os.environ['PATH']}",
        "BENTOML_DO_NOT_TRACK": "True",
    }
    listed = commands()
    curl, shown = listed[1]

    def load(running: Server) -> None:
        """Run the README's load test against `running`, for less time and with a p99 that any machine meets."""
        (line,) = (command for command, _ in listed if command.startswith("locust"))
        for said, here in (("127.0.0.1:3000", f"127.0.0.1:{running.port}"), ("30s", "3s"), ("p99=200ms", "p99=20s")):
            assert said in line
            line = line.replace(said, here)
        done = subprocess.run(
            line.split(), cwd=checkout, env=environment, capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, done.stderr
        assert (checkout / "load" / "report.html").exists()

    def classify(running: Server) -> dict[str, object]:
        """Run the README's curl line against `running`, with one of its model's golden images."""
        images = sorted((tmp_path / "home" / "models").glob("image_classifier/*/golden/*.png"))
        line = curl.replace("7.png", str(images[-1])).replace("127.0.0.1:3000", f"127.0.0.1:{running.port}")
        done = subprocess.run(line.split(), capture_output=True, text=True, check=True)
        answer: dict[str, object] = json.loads(done.stdout)
        assert set(answer) == set(json.loads(shown)) == {"predicted_class", "confidence_score"}
        return answer

    for command, _ in listed:
        if command == "make run":
            with server(command, checkout, environment) as running:
                assert str(classify(running)["predicted_class"]) in "0123456789"
                assert "Once it listens, try:\n  curl -F file=@/" in running.log.read_text()
        elif command.startswith("bentoml serve"):
            with server(command, checkout, environment) as running:
                classify(running)
                if command == "bentoml serve":
                    load(running)
        elif command.startswith(SHIPPING):
            continue
        elif command.startswith(("python -m ", "bentoml build")):
            done = subprocess.run(
                command.split(), cwd=checkout, env=environment, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, f"{command}\n{done.stderr}"
        else:
            assert command.startswith("locust") or command in (curl, "source .venv/bin/activate")
    assert (checkout / "runs" / "photos" / "report.html").exists()
    assert json.loads((checkout / "runs" / "shorter" / "metrics.json").read_text())["train"]["epochs"] == 5


@pytest.mark.parametrize("name", ["PORT", "MANAGEMENT_PORT"])
@pytest.mark.parametrize("port", ["busy", "abc", "0", "99999"])
def test_a_port_that_is_busy_or_invalid_fails_with_one_line(port: str, name: str) -> None:
    with socket.create_server(("", 0)) as busy:
        wanted = str(busy.getsockname()[1]) if port == "busy" else port
        done = subprocess.run(
            ["scripts/run"],
            env=os.environ | {"PORT": str(free_port()), name: wanted},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"run: port {wanted} is invalid or in use; choose another: make run {name}=3005\n"


def test_every_make_target_that_is_named_exists() -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", Path("Makefile").read_text(), re.MULTILINE))
    for page in [Path("README.md"), Path("CONTRIBUTING.md"), *Path("docs").glob("*.md")]:
        assert set(re.findall(r"(?:`|^    |^\$ )make ([a-z0-9-]+)", page.read_text(), re.MULTILINE)) <= targets, page

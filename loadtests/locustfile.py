"""Send images to a classifier at a given rate, and check each answer: `locust -f loadtests/locustfile.py --host URL`.

Requests are due on a schedule that doesn't wait for answers, and response times count from when a request was due.
With `--slo`, the exit code is the verdict. docs/loadtests.md describes the options.
"""

from __future__ import annotations

import logging
import math
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))  # locust adds this folder, but not the checkout

import gevent
from locust import FastHttpUser, events, tag, task
from locust.runners import MasterRunner, WorkerRunner

from loadtests import options, report, routes
from loadtests.images import images
from loadtests.record import Record
from loadtests.routes import Checker, Request
from loadtests.run import Run

logger = logging.getLogger("loadtests")
_BIG_WAIT = 10**6
_LATE_ANSWERS = 10.0
"""Seconds after the last request was due within which answers still count."""


class Classify(FastHttpUser):
    """A connection that sends the next due request as soon as it is free."""

    network_timeout = connection_timeout = 60.0

    def on_start(self) -> None:
        """Wait until the first request is due."""
        self._due = 0.0
        self._headers = {"X-API-Key": os.environ["API_KEY"]} if os.environ.get("API_KEY") else {}
        self.wait()

    def wait_time(self) -> float:
        """Return the seconds until this user's next request is due; 0 if it is late."""
        due = _run().next_due()
        if due is None:
            return _BIG_WAIT
        self._due = due
        return max(due - _run().now, 0.0)

    @tag("predict")
    @task(8)
    def predict(self) -> None:
        """Send one image."""
        self._send(_requests(self.environment).predict)

    @tag("batch")
    @task(1)
    def batch(self) -> None:
        """Send several images in one request."""
        self._send(_requests(self.environment).batch)

    @tag("v2")
    @task(1)
    def infer(self) -> None:
        """Send a tensor."""
        made = _requests(self.environment)
        if made.infer is None:
            with self.rest("GET", routes.MODEL, headers=self._headers) as response:
                response.request_meta["name"] = f"{routes.MODEL} (once)"
                try:
                    made.infer = routes.infer(response.js)
                except ValueError as error:
                    response.failure(str(error))
                    _run().record.lose(self._due, routes.MODEL, str(error))
                    return
        self._send(made.infer)

    def _send(self, requests: Iterator[Request]) -> None:
        run, request, due = _run(), next(requests), self._due
        if run.seconds is not None:
            return
        late = max(run.now - due, 0.0)
        run.record.send(due, request.path, late)
        run.pending += 1
        headers = {**request.headers, **self._headers}
        with self.rest("POST", request.path, data=request.body, headers=headers) as response:
            error = _problem(response, request)
            if error is None:
                response.success()
            else:
                response.failure(error)
            milliseconds = response.request_meta["response_time"] + 1000 * late
            response.request_meta["response_time"] = milliseconds
            version = (response.headers or {}).get("X-Model-Version", "")
        run.record.answer(due, request.path, milliseconds, error, version)
        run.pending -= 1


class Requests:
    """The requests that users of this process send."""

    def __init__(self, chosen: Any) -> None:
        found = images(chosen.images)
        self.predict = routes.predict(found)
        self.batch = routes.batch(found, int(chosen.batch))
        self.infer: Iterator[Request] | None = None
        self.checker = Checker()


_state: dict[str, Any] = {}


def _run() -> Run:
    return _state["run"]  # type: ignore[no-any-return]


def _requests(environment: Any) -> Requests:
    if "requests" not in _state:
        _state["requests"] = Requests(environment.parsed_options)
    return _state["requests"]  # type: ignore[no-any-return]


def _problem(response: Any, request: Request) -> str | None:
    """Return what is wrong with an answer, or None. The same cause always gives the same words."""
    if not response.status_code:
        return f"no answer: {type(response.error).__name__ if response.error else 'connection lost'}"
    if response.status_code != 200:
        code = response.js.get("code") if isinstance(response.js, dict) else None
        return f"{response.status_code} {code or ''}".strip()
    version = response.headers.get("X-Model-Version") or ""
    return _state["requests"].checker.problem(request, response.js, version)  # type: ignore[no-any-return]


events.init_command_line_parser.add_listener(options.add)


@events.init.add_listener
def _exchange(environment: Any, **_: object) -> None:
    """Let the master tell workers of the end, and let workers send it their counts."""
    if isinstance(environment.runner, MasterRunner):
        environment.runner.register_message("record", _take)
    elif isinstance(environment.runner, WorkerRunner):
        environment.runner.register_message("end", lambda environment, msg: _end(environment), concurrent=True)


def _hand_in(environment: Any, *, final: bool = False) -> None:
    run = _run()
    environment.runner.send_message("record", {"record": run.record.plain(), "final": final})
    run.record = Record()


def _take(environment: Any, msg: Any) -> None:
    if "run" in _state:
        _run().record.merge(Record.of(msg.data["record"]))
        _run().finals += msg.data["final"]


@events.test_start.add_listener
def _start(environment: Any, **_: object) -> None:
    runner, chosen = environment.runner, environment.parsed_options
    position: int | None = 0
    if isinstance(runner, MasterRunner):
        # Workers receive the master's options, and find their own position in them.
        ready = [client.id for client in runner.clients.all]
        chosen.workers = sorted(runner.get_worker_index(client) for client in ready)
    elif isinstance(runner, WorkerRunner):
        # A worker that connects after the load has been shared out gets no share.
        position = chosen.workers.index(runner.worker_index) if runner.worker_index in chosen.workers else None
    _state.clear()
    try:
        # Locust gives its users the host after this event, and would put paths right behind it.
        environment.host = options.base_url(environment.host)
        if not isinstance(runner, MasterRunner):
            _state["requests"] = Requests(chosen)
        _state["run"] = Run.start(chosen, position, len(getattr(chosen, "workers", [0])))
    except ValueError as error:
        logger.error("%s", error)
        environment.process_exit_code = 2
        runner.quit()
        return
    if isinstance(runner, WorkerRunner):
        gevent.spawn(_hand_in_each_second, environment, _run())
    else:
        gevent.spawn(_follow, environment, _run())


def _hand_in_each_second(environment: Any, run: Run) -> None:
    while run.seconds is None:
        _hand_in(environment)
        gevent.sleep(1)


def _follow(environment: Any, run: Run) -> None:
    """Follow a run until its shape or its search for the capacity ends, then stop it."""
    for step in run.shape.steps:
        _sleep_until(run, step.end + run.shape.pause)
        if run.seconds is not None or not run.judge(step):
            break
    else:
        _sleep_until(run, run.shape.seconds)
        _wait(lambda: run.seconds is not None or not run.unsent, _LATE_ANSWERS)
    if run.seconds is None:
        environment.runner.stop()
        if environment.parsed_options.headless:
            environment.runner.quit()


def _sleep_until(run: Run, moment: float) -> None:
    _wait(lambda: run.seconds is not None or run.now >= moment)


def _wait(condition: Callable[[], bool], seconds: float = math.inf) -> None:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        gevent.sleep(0.1)


def _end(environment: Any, **_: object) -> None:
    """Stop sending, and wait for pending answers; in the master, wait for the workers' last counts."""
    run = _state.get("run")
    if run is None or run.seconds is not None:
        return
    run.end()
    if isinstance(environment.runner, MasterRunner):
        environment.runner.send_message("end")
        _wait(lambda: run.finals >= run.workers, 2 * _LATE_ANSWERS)
        return
    _wait(lambda: run.pending == 0, _LATE_ANSWERS)
    if isinstance(environment.runner, WorkerRunner):
        _hand_in(environment, final=True)


# Locust itself would abort pending requests, and its master wouldn't wait for the workers' last counts.
events.test_stopping.add_listener(_end)


@events.test_stop.add_listener
def _stop(environment: Any, **_: object) -> None:
    _judge(environment)


@events.quitting.add_listener
def _quitting(environment: Any, **_: object) -> None:
    _end(environment)  # after Ctrl-C, locust calls this handler first
    _judge(environment)
    if isinstance(environment.runner, WorkerRunner) and environment.process_exit_code is None:
        environment.process_exit_code = 0  # the master's verdict judges failed requests


def _judge(environment: Any) -> None:
    """Log the verdict, write the report and set the exit code, once per run."""
    run = _state.get("run")
    if run is None or isinstance(environment.runner, WorkerRunner) or _state.get("judged") is run:
        return
    _state["judged"] = run
    good, text = run.verdict().holds, run.summary()
    logger.info("service levels: %s: %s", "kept" if good else "missed", text)
    if run.levels:
        environment.process_exit_code = 0 if good else 1
    try:
        if run.options.verdict:
            Path(run.options.verdict).write_text(text, encoding="utf-8")
        if run.options.report:
            page = report.write(Path(run.options.report), run, environment.host or "")
            logger.info("report: %s", page)
    except OSError as error:
        logger.error("can't write %s: %s", error.filename, error.strerror)
        environment.process_exit_code = 2

"""Names of BentoML and uvicorn that are no documented interface: each must still be what we rely on.

ARCHITECTURE.md lists them. If a test here fails after an upgrade, its message says which of our modules breaks.
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import importlib
import inspect
import warnings
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click
import pytest
import uvicorn
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from bento.http.pages import static

HTTPTOOLS = "uvicorn.protocols.http.httptools_impl"
PROTOCOL, CYCLE = f"{HTTPTOOLS}.HttpToolsProtocol", f"{HTTPTOOLS}.RequestResponseCycle"
FLOW, STATE = "uvicorn.protocols.http.flow_control.FlowControl", "uvicorn.server.ServerState"
CONTAINER = "bentoml._internal.configuration.containers.BentoMLContainer"

OUR_PROTOCOL = "bento/http/connection/protocol.py"
OUR_EXCHANGE = "bento/http/connection/exchange.py"
OUR_SERVER = "bento/http/connection/server.py"

Expected = type | tuple[str, ...] | frozenset[str]
"""The type of a value; or all parameters that it takes; or some of them."""


@dataclass(frozen=True)
class Private:
    """A private name, the module of ours that uses it, and why."""

    name: str
    used_by: str
    why: str
    expected: Expected

    @property
    def library(self) -> str:
        root = self.name.partition(".")[0]
        return "uvicorn" if root == "uvicorn" else "bentoml"

    def __str__(self) -> str:
        return self.name


CONNECTION: dict[str, tuple[str, Expected]] = {
    f"{HTTPTOOLS}.STATUS_LINE": ("writes the status line of an answer", dict),
    PROTOCOL: ("is the base of our protocol", ("config", "server_state", "app_state", "_loop")),
    f"{PROTOCOL}.connection_made": ("counts open connections", ("transport",)),
    f"{PROTOCOL}.connection_lost": ("marks a pipelined request as disconnected", ("exc",)),
    f"{PROTOCOL}.data_received": ("bounds the bytes of a request's head", ("data",)),
    f"{PROTOCOL}.on_message_begin": ("starts the time limit of a request's head", ()),
    f"{PROTOCOL}.on_headers_complete": ("refuses a request before its body", ()),
    f"{PROTOCOL}.on_body": ("discards the body of a refused request", ("body",)),
    f"{PROTOCOL}.on_message_complete": ("answers a refused request", ()),
    f"{PROTOCOL}.on_response_complete": ("starts the next pipelined request without a timer", ()),
    f"{PROTOCOL}._start_asgi_task": ("adds our exchange to the ASGI scope", ("cycle", "app")),
    f"{PROTOCOL}._should_upgrade": ("refuses every upgrade to a WebSocket", ()),
    f"{PROTOCOL}.app": ("is the application without uvicorn's proxy wrapper", object),
    f"{PROTOCOL}.loop": ("is the clock of the time limits", asyncio.AbstractEventLoop),
    f"{PROTOCOL}.parser": ("is given a request's bytes, and says how to answer it", object),
    f"{PROTOCOL}.server_state": ("holds the default headers", ServerState),
    f"{PROTOCOL}.connections": ("is what the sweeper watches", set),
    f"{PROTOCOL}.transport": ("takes an answer at once", asyncio.Transport),
    f"{PROTOCOL}.flow": ("pauses and resumes reading", FlowControl),
    f"{PROTOCOL}.pipeline": ("holds the requests that wait behind another one", deque),
    f"{PROTOCOL}.headers": ("is read before the ASGI task exists", list),
    f"{PROTOCOL}.url": ("is read before the ASGI task exists", bytes),
    f"{PROTOCOL}.expect_100_continue": ("keeps such a request from an early refusal", bool),
    f"{PROTOCOL}.cycle": ("is the newest request of the connection", RequestResponseCycle),
    f"{CYCLE}.scope": ("carries our exchange to the application", dict),
    f"{CYCLE}.more_body": ("says whether the body is incomplete", bool),
    f"{CYCLE}.disconnected": ("says whether the client has left", bool),
    f"{CYCLE}.keep_alive": ("says whether the connection stays open after the answer", bool),
    f"{CYCLE}.response_started": ("is set when an answer is written at once", bool),
    f"{CYCLE}.response_complete": ("is set when an answer is written at once", bool),
    f"{FLOW}.pause_reading": ("stops reading after the last request", ()),
    f"{FLOW}.resume_reading": ("lets uvicorn notice that a client has left", ()),
    f"{STATE}.default_headers": ("goes with every answer", list),
    f"{STATE}.total_requests": ("counts answered requests", int),
    "uvicorn.Config.app": ("is the application without uvicorn's proxy wrapper", object),
}
"""What our connection relies on: name, why, and what it must be."""

EXCHANGE: dict[str, tuple[str, Expected]] = {
    CYCLE: ("is the request that is answered at once", frozenset({"scope", "transport", "flow"})),
    f"{CYCLE}.body": ("holds a small body, so that no ASGI message is needed", bytearray),
    f"{CYCLE}.on_response": ("ends a request that was answered at once", ()),
    f"{FLOW}.write_paused": ("says whether the client is slow to read", bool),
}

TABLE = [
    *(Private(name, OUR_PROTOCOL, why, expected) for name, (why, expected) in CONNECTION.items()),
    *(Private(name, OUR_EXCHANGE, why, expected) for name, (why, expected) in EXCHANGE.items()),
    Private("uvicorn.Server", "bento/service.py", "is what BentoML's worker makes of our application", type),
    Private("uvicorn.Server.run", OUR_SERVER, "gets the sockets to listen on", ("sockets",)),
    Private("uvicorn.Server.config", OUR_SERVER, "holds our application", uvicorn.Config),
    Private("uvicorn.config.HTTP_PROTOCOLS", "bento/service.py", "puts our protocol in place of uvicorn's", dict),
    Private("uvicorn.Server.handle_exit", "bento/lifecycle.py", "closes the listener after draining", ("sig", "frame")),
    Private(
        "_bentoml_sdk.service.Service.to_asgi",
        "bento/service.py",
        "is where we put our ASGI application in front",
        ("self", "is_main"),
    ),
    Private(
        "_bentoml_impl.worker.service.main",
        "bento/serve.py",
        "serves without a supervisor",
        frozenset({"bento_identifier", "fd", "service_name"}),
    ),
    Private(
        "bentoml._internal.context.server_context.worker_index",
        "bento/service.py",
        "is None in a worker without a supervisor",
        type(None),
    ),
    Private(
        "bentoml._internal.configuration.containers.BentoMLConfiguration",
        "bento/service.py",
        "is BentoML's configuration without the user's",
        frozenset({"override_defaults", "use_version"}),
    ),
    Private(f"{CONTAINER}.config.get", "bento/service.py", "is the configuration that BentoML follows", ()),
    Private("_bentoml_sdk.service.Service.inject_config", "bento/service.py", "merges the configuration", ("self",)),
    Private(f"{CONTAINER}.model_store_dir.get", "bento/models/model.py", "is the model store inside a Bento", ()),
    Private(
        "bentoml.models.get",
        "bento/models/model.py",
        "reads the model store inside a Bento",
        frozenset({"_model_store"}),
    ),
    Private(
        "bentoml.models.create",
        "training/export/publish.py",
        "creates a model in a staging folder",
        frozenset({"name", "labels", "metadata", "_model_store"}),
    ),
    Private(
        f"{CONTAINER}.bentoml_home.get", "training/export/publish.py", "is the folder of the store to publish to", ()
    ),
    Private(
        "bentoml._internal.models.ModelStore",
        "bento/models/model.py",
        "opens a model store by its folder",
        ("base_path",),
    ),
    Private(
        "bentoml._internal.models.ModelStore",
        "training/export/publish.py",
        "creates a model in a staging folder",
        ("base_path",),
    ),
]


def test_every_import_of_a_private_module_is_listed() -> None:
    found = {
        (path.as_posix(), name)
        for folder in ("bento", "training", "containers", "k8s", "loadtests", "cluster")
        for path in Path(folder).rglob("*.py")
        for name in private_imports(path)
    }
    listed = {(entry.used_by, name) for entry in TABLE for name in prefixes(entry.name)}
    assert found - listed == set()
    assert ("bento/serve.py", "_bentoml_impl.worker.service.main") in found


def private_imports(path: Path) -> Iterator[str]:
    """Yield what a file imports from uvicorn, or from BentoML's private packages."""
    for node in ast.walk(ast.parse(path.read_text())):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            if name.startswith(("uvicorn", "_bentoml", "bentoml._")):
                yield name


def prefixes(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:length]) for length in range(1, len(parts) + 1)]


@pytest.mark.parametrize("entry", TABLE, ids=str)
def test_the_module_that_the_table_names_uses_the_name(entry: Private) -> None:
    name = entry.name.removesuffix(".get").rpartition(".")[2]
    assert name in Path(entry.used_by).read_text()


def test_bentoml_still_carries_swagger_ui() -> None:
    folder = static._swagger_folder()
    missing = [name for name in static._SWAGGER if not (folder / name).is_file()]
    assert not missing, (
        f"bentoml {version('bentoml')} has no {missing} in {folder}; bento/http/pages/static.py serves /docs from it"
    )


@pytest.mark.parametrize("entry", TABLE, ids=str)
def test_a_private_name_is_what_we_rely_on(entry: Private) -> None:
    broken = asyncio.run(difference(entry))
    here = f"{entry.library} {version(entry.library)}: {entry.name}"
    assert not broken, f"{here} {broken}. {entry.used_by} needs it: it {entry.why}."


def test_a_name_that_an_upgrade_removed_or_changed_is_found() -> None:
    gone = Private(f"{CYCLE}.answered", OUR_PROTOCOL, "", bool)
    other = Private(f"{CYCLE}.body", OUR_PROTOCOL, "", list)
    more = Private(f"{PROTOCOL}.on_body", OUR_PROTOCOL, "", ())
    assert [asyncio.run(difference(entry)) for entry in (gone, other, more)] == [
        "is gone",
        "is a bytearray, not a list",
        "takes (body), not ()",
    ]


async def difference(entry: Private) -> str:
    """Return how a name differs from what we rely on, or nothing."""
    live = await connection()
    try:
        value = resolve(entry.name, live)
    except (ImportError, AttributeError):
        return "is gone"
    finally:
        live[HttpToolsProtocol].connection_lost(None)
        await asyncio.gather(*live[HttpToolsProtocol].tasks)
    if isinstance(value, click.Command):
        value = value.callback
    if isinstance(entry.expected, frozenset):
        missing = entry.expected - set(inspect.signature(value).parameters)
        return f"no longer takes {', '.join(sorted(missing))}" if missing else ""
    if isinstance(entry.expected, tuple):
        takes = tuple(inspect.signature(value).parameters)
        return "" if takes == entry.expected else f"takes ({', '.join(takes)}), not ({', '.join(entry.expected)})"
    right = isinstance(value, entry.expected)
    return "" if right else f"is a {type(value).__name__}, not a {entry.expected.__name__}"


def resolve(name: str, live: dict[Any, Any]) -> Any:
    """Return what a dotted name stands for; of a class in `live`, the attributes are the instance's."""
    # The longest module first: a package may give the name of a module to a function.
    for module in reversed(prefixes(name)):
        with contextlib.suppress(ModuleNotFoundError), warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # BentoML's own imports raise some
            value: Any = importlib.import_module(module)
            break
    for part in name.removeprefix(module).strip(".").split("."):
        value = getattr(live.get(value, value) if isinstance(value, type) else value, part)
    return value


class Wire(asyncio.Transport):
    """A transport that leads nowhere."""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Drop the data."""

    def close(self) -> None:
        """Stay open."""

    def is_closing(self) -> bool:
        """Return that it is open."""
        return False


async def connection() -> dict[Any, Any]:
    """Return a uvicorn connection in the middle of a request, and what belongs to it, by class."""

    async def application(scope: Any, receive: Any, send: Any) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    config, state = uvicorn.Config(application, lifespan="off", ws="none", log_config=None), ServerState()
    config.load()
    protocol = HttpToolsProtocol(config, state, {})
    protocol.connection_made(Wire())
    protocol.data_received(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nab")
    return {
        HttpToolsProtocol: protocol,
        RequestResponseCycle: protocol.cycle,
        FlowControl: protocol.flow,
        ServerState: state,
        uvicorn.Config: config,
        uvicorn.Server: uvicorn.Server(config),
    }

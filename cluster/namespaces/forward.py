"""Forward loopback ports of the machine to addresses inside the cluster's network namespace."""

from __future__ import annotations

import asyncio
import ctypes
import os
import socket
import threading
from collections.abc import Mapping
from pathlib import Path

from cluster.errors import ClusterError
from cluster.settings import CONTROL_PLANE, Settings

CLONE_NEWNET = 0x40000000
CHUNK = 1 << 16
# Listening sockets of the machine, each with the port inside that it forwards to.
Listening = list[tuple[socket.socket, int]]


def ports(settings: Settings) -> Mapping[int, int]:
    """Map the machine's ports to those of the first node."""
    return {
        settings.api_port: settings.api_port,
        settings.registry_port: settings.registry_port,
        settings.http_port: 80,
        settings.https_port: 443,
    }


def listen(settings: Settings) -> Listening:
    """Listen on every port of the machine.

    Raises:
        ClusterError: a port is taken.
    """
    listening: Listening = []
    for port, target in ports(settings).items():
        try:
            listening.append((socket.create_server(("127.0.0.1", port)), target))
        except OSError as error:
            message = f"port {port} of 127.0.0.1: {error.strerror}; choose another (docs/cluster.md says how)"
            raise ClusterError(message) from error
    return listening


def start(listening: Listening, process: int) -> None:
    """Forward in a thread that enters the network of `process`; the listening sockets stay the machine's."""
    threading.Thread(target=_run, args=(listening, process), daemon=True, name="forward").start()


def _run(listening: Listening, process: int) -> None:
    namespace = os.open(Path(f"/proc/{process}/ns/net"), os.O_RDONLY)
    # A namespace belongs to a thread. os.setns exists since Python 3.12 only.
    if ctypes.CDLL(None, use_errno=True).setns(namespace, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")
    os.close(namespace)
    asyncio.run(_serve(listening))


async def _serve(listening: Listening) -> None:
    async def server(accepting: socket.socket, target: int) -> None:
        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await _forward(reader, writer, target)

        await (await asyncio.start_server(connected, sock=accepting)).serve_forever()

    await asyncio.gather(*(server(accepting, target) for accepting, target in listening))


async def _forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, target: int) -> None:
    try:
        there, onward = await asyncio.open_connection(CONTROL_PLANE.address, target)
    except OSError:
        # Nothing listens inside, so reset the connection as the machine would.
        writer.transport.abort()
        return
    try:
        async with asyncio.TaskGroup() as both:
            both.create_task(_copy(reader, onward))
            both.create_task(_copy(there, writer))
    except* OSError:
        # Pass a reset of one side on to the other.
        writer.transport.abort()
        onward.transport.abort()
    finally:
        writer.close()
        onward.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(CHUNK):
        writer.write(data)
        await writer.drain()
    writer.write_eof()

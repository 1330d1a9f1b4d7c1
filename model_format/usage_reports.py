"""Switch off the usage reports of the libraries that read and write a stored model.

Some seconds after a session was made, ONNX Runtime reports to its makers, and keeps a device id and a database below
`~/.cache` (https://github.com/microsoft/onnxruntime/pull/27379). BentoML reports each command, each start of a server
and each stored model.
"""

from __future__ import annotations

import os
import sys

VARIABLES = {"ORT_DISABLE_TELEMETRY": "1", "BENTOML_DO_NOT_TRACK": "True"}


def switch_off() -> None:
    """Switch the reports off for this process and those it starts, except where the environment asks for them.

    ONNX Runtime reads its variable when it is imported, so a package calls this in its `__init__`.
    """
    for name, value in VARIABLES.items():
        os.environ[name] = os.environ.get(name) or value
    # `bentoml serve` has looked already, and kept what it found, when it imports our service.
    kept = sys.modules.get("bentoml._internal.utils.analytics.usage_stats")
    if kept is not None:
        kept.do_not_track.cache_clear()

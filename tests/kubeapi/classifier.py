"""The service that runs in the stub's pods. It answers from a table of images."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

from model_format import golden
from model_format.golden import GoldenImage
from tests.kubeapi.http import QuietHandler, QuietServer

TAG = "image_classifier:abcdefgh"
Answers = dict[bytes, tuple[str, float]]
"""The class and confidence of each image."""


class Classifier:
    """A context manager that serves on `port`."""

    def __init__(self, answers: Answers, tag: str = TAG, *, slow: float = 0, status: int = 200) -> None:
        self.answers, self.tag, self.slow, self.status = answers, tag, slow, status
        self.requests = 0
        self._server = QuietServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"own": self}))
        self.port = self._server.server_port

    def __enter__(self) -> Classifier:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, body: bytes) -> tuple[str, float]:
        return next((found for image, found in self.answers.items() if image in body), ("other", 0.5))

    def metrics(self) -> str:
        name = "image_classifier_request_duration_seconds_bucket"
        counts = [(0.005, 0), (0.01, self.requests), ("+Inf", self.requests)]
        lines = [f'{name}{{le="{bound}",route="/predict"}} {count}.0' for bound, count in counts]
        lines.append(f'image_classifier_requests_total{{code="200",method="POST",route="/predict"}} {self.requests}.0')
        return "\n".join(lines) + "\n"


class _Handler(QuietHandler):
    own: Classifier

    def do_GET(self) -> None:
        if self.path == "/version":
            about = {"model": self.own.tag, "digest": "0123456789abcdef", "runtime": "onnx"}
            self._send(200, json.dumps(about).encode())
        elif self.path == "/metrics":
            self._send(200, self.own.metrics().encode())
        else:
            self._send(404, b"{}")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        time.sleep(self.own.slow)
        self.own.requests += 1
        predicted, confidence = self.own.answer(body)
        document = {"predicted_class": predicted, "confidence_score": confidence}
        self._send(self.own.status, json.dumps(document).encode())

    def _send(self, code: int, content: bytes) -> None:
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def store(home: Path, answers: Answers, tag: str = TAG) -> Path:
    """Write the golden set of a model-store entry, and return its folder."""
    name, _, version = tag.partition(":")
    folder = golden.folder_of(home / "models" / name / version)
    images = [
        GoldenImage(f"{index:02}.png", image, predicted, confidence)
        for index, (image, (predicted, confidence)) in enumerate(answers.items())
    ]
    golden.write(folder, images)
    return folder

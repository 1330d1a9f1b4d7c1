"""How a training ends before its last epoch: by a signal, or because it diverged."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from training.config import Config
from training.distributed.workers import Workers
from training.errors import Diverged, Interrupted
from training.loop.interruption import stoppable


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_every_signal_to_stop_keeps_the_best_epoch_and_names_the_command_to_resume(
    signum: signal.Signals, capsys: pytest.CaptureFixture[str]
) -> None:
    """The kind: a run that a scheduler or a closed terminal ends says nothing, and loses what it could have kept."""
    before = signal.signal(signum, signal.SIG_DFL)  # `nohup` would have it ignored
    try:
        with stoppable(Workers(), Path("my runs/1")) as interruption:
            os.kill(os.getpid(), signum)
            assert interruption.requested
            with pytest.raises(Interrupted):
                os.kill(os.getpid(), signum)
        assert "python -m training --resume 'my runs/1'" in capsys.readouterr().err
        assert signal.getsignal(signum) == signal.SIG_DFL
    finally:
        signal.signal(signum, before)


def test_a_pod_that_is_removed_publishes_nothing_because_its_successor_resumes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    with stoppable(Workers(), Path("run")) as interruption:
        with pytest.raises(Interrupted, match="stopped by SIGTERM"):
            os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)  # pressed by somebody in a notebook
        assert interruption.requested


def test_a_hang_up_that_nohup_ignores_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stoppable(Workers(), Path("run")) as interruption:
            os.kill(os.getpid(), signal.SIGHUP)
            assert not interruption.requested
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_network_that_diverges_ends_the_run_within_the_epoch() -> None:
    """The kind: a user's mistake is reported late, and as a bug of ours."""
    from training.loop.fit import _Loop

    train: Any = SimpleNamespace(pruner=None, batch_size=4, images_an_epoch=8, start_epoch=lambda epoch: None)
    interruption: Any = SimpleNamespace(step=lambda: False, requested=False)
    nothing: Any = None
    config = Config(image_size=32, learning_rate=10.0)
    loop = _Loop(train, nothing, nothing, None, interruption, config, Workers())
    loop.set_params({"epochs": 3})
    loop.on_epoch_begin(1)
    loop._shown = 0.0
    with pytest.raises(Diverged, match="diverged: in epoch 2 the loss is not finite; give a --learning-rate below 10"):
        loop.on_train_batch_end(0, {"loss": float("nan"), "accuracy": 0.5})

"""Publish a trained model to the BentoML model store, atomically."""

from __future__ import annotations

import contextlib
import fcntl
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def publish(name: str, files: Path, labels: dict[str, str], metadata: dict[str, Any]) -> str:
    """Store the folder `files` as a new version of `name`; return its tag.

    BentoML copies into the final folder of the store. A killed process would leave half a model there, which the
    service would then choose. So the entry is made in a staging store and renamed into the real one.

    Args:
        name: of the model in the store.
        files: the files of the entry, as `training.export.entry.write` left them.
        labels: BentoML's labels.
        metadata: as `model_format.metadata.Metadata.to_metadata` returns it.

    Raises:
        ModelError: BentoML refuses `name`, or the store can't be written.
    """
    import bentoml
    from bentoml._internal.models import ModelStore
    from bentoml.exceptions import BentoMLException

    from training.errors import ModelError

    home = _bentoml_home()
    try:
        with _locked(home) as staging:
            store = ModelStore(staging)
            with bentoml.models.create(name, labels=labels, metadata=metadata, _model_store=store) as model:
                shutil.copytree(files, model.path, dirs_exist_ok=True)
            version = str(model.tag.version)
            target = home / "models" / model.tag.name
            target.mkdir(parents=True, exist_ok=True)
            (staging / model.tag.name / version).rename(target / version)
            newest = staging / "latest"
            newest.write_text(version)
            newest.replace(target / "latest")
            return str(model.tag)
    except shutil.Error as error:
        # The error holds one entry per file, each with its own message; the first one is enough.
        reason = str(error.args[0][0][2]).partition(": '")[0]
        raise ModelError(f"the model can't be stored in {home}: {reason}") from error
    except BentoMLException as error:
        raise ModelError(f"--name {name}: {error}") from error


_STAGING = "image-classifier-staging-"


def _bentoml_home() -> Path:
    from bentoml._internal.configuration.containers import BentoMLContainer

    return Path(BentoMLContainer.bentoml_home.get())


@contextlib.contextmanager
def _locked(home: Path) -> Iterator[Path]:
    """Yield a staging folder in the store's file system, with a lock on the store.

    Wait for other publishers, and remove the staging folders of killed ones. The lock shows that they were killed;
    a process ID would not, because containers that share a store may all run as process 1.
    """
    home.mkdir(parents=True, exist_ok=True)
    with (home / ".image-classifier-publish.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for abandoned in home.glob(f"{_STAGING}*/"):
            shutil.rmtree(abandoned, ignore_errors=True)
        staging = Path(tempfile.mkdtemp(prefix=_STAGING, dir=home))
        try:
            yield staging
        finally:
            shutil.rmtree(staging, ignore_errors=True)

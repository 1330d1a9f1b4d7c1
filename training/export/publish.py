"""Put a trained model into the BentoML model store, whole or not at all."""

from __future__ import annotations

import contextlib
import fcntl
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def publish(name: str, files: Path, labels: dict[str, str], metadata: dict[str, Any]) -> str:
    """Store the folder `files` as a new version of `name`; returns its tag.

    BentoML copies into the store's final folder, where a killed process would leave half a model that
    the service then picks. So the entry is made in a store of its own and moved in by one rename.
    """
    import bentoml
    from bentoml._internal.models import ModelStore
    from bentoml.exceptions import BentoMLException

    from training.errors import ModelError

    home = _bentoml_home()
    try:
        with _alone(home) as staging:
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
        # One entry a file, each with its own message; the first says it all.
        reason = str(error.args[0][0][2]).partition(": '")[0]
        raise ModelError(f"the model can't be stored in {home}: {reason}") from error
    except BentoMLException as error:
        raise ModelError(f"--name {name}: {error}") from error


_STAGING = "image-classifier-staging-"


def _bentoml_home() -> Path:
    from bentoml._internal.configuration.containers import BentoMLContainer

    return Path(BentoMLContainer.bentoml_home.get())


@contextlib.contextmanager
def _alone(home: Path) -> Iterator[Path]:
    """Make a folder to work in, in the store's file system; wait for other publishers, clear up after killed ones.

    Process numbers tell nothing of who lives: in containers that share a store, everybody's may be 1.
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

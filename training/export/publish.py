"""Publish a trained model to the BentoML model store, atomically."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from model_format.staging import staging
from training.errors import StoreError


def publish(tag: str, files: Path, labels: dict[str, str], metadata: dict[str, Any]) -> str:
    """Store the folder `files` as `tag`; return the tag.

    BentoML copies into the final folder of the store. A killed process would leave half a model there, which the
    service would then choose. So the entry is made in a staging store and renamed into the real one.

    Args:
        tag: of the model in the store; a name alone gets a new version.
        files: the files of the entry, as `training.export.entry.write` left them.
        labels: BentoML's labels.
        metadata: as `model_format.metadata.Metadata.to_metadata` returns it.

    Raises:
        StoreError: BentoML refuses the name, or the store can't be written.
    """
    import bentoml
    from bentoml._internal.models import ModelStore

    home = _bentoml_home()
    with _problems(home, tag), _staging(home) as aside:
        store = ModelStore(aside)
        with bentoml.models.create(tag, labels=labels, metadata=metadata, _model_store=store) as model:
            shutil.copytree(files, model.path, dirs_exist_ok=True)
        version = str(model.tag.version)
        target = home / "models" / model.tag.name
        target.mkdir(parents=True, exist_ok=True)
        newest = aside / "latest"
        newest.write_text(version)
        # Nothing after this line needs space.
        (aside / model.tag.name / version).rename(target / version)
        newest.replace(target / "latest")
        return str(model.tag)


def new_tag(name: str) -> str:
    """Return a tag with a version that no other model has."""
    import bentoml

    return str(bentoml.Tag(name).make_new_version())


def stored(tag: str) -> bool:
    """Return whether the store has the model `tag`, which has a version."""
    return _bentoml_home().joinpath("models", *tag.split(":")).exists()


def check(name: str) -> None:
    """Try everything that publishing a model called `name` will need, so that no training is wasted.

    Raises:
        StoreError: BentoML refuses the name, or the store can't be written.
    """
    import bentoml

    home = _bentoml_home()
    with _problems(home, name), _staging(home) as aside:
        target = home / "models" / bentoml.Tag(name).name
        (home / "models").mkdir(exist_ok=True)
        probe = aside / "probe"
        probe.touch()
        # A file, because readers of the store take every folder for a version.
        moved = (target if target.exists() else target.parent) / f".{aside.name}"
        probe.rename(moved)
        moved.unlink()


def _staging(home: Path) -> contextlib.AbstractContextManager[Path]:
    return staging(home, "image-classifier-staging-", f"another process publishes a model in {home}")


def _bentoml_home() -> Path:
    from bentoml._internal.configuration.containers import BentoMLContainer

    try:
        return Path(BentoMLContainer.bentoml_home.get())
    except OSError as error:  # BentoML makes the folder
        raise StoreError(
            f"the model store can't be used: {error.filename}: {error.strerror}; set BENTOML_HOME"
        ) from error


@contextlib.contextmanager
def _problems(home: Path, tag: str) -> Iterator[None]:
    """Report what is wrong with the store or the name in one line."""
    from bentoml.exceptions import BentoMLException

    try:
        yield
    except shutil.Error as error:
        # The error holds one entry per file, each with its own message; the first one is enough.
        reason = str(error.args[0][0][2]).partition(": '")[0]
        raise StoreError(f"the model can't be stored in {home}: {reason}") from error
    except OSError as error:
        raise StoreError(f"the model can't be stored in {home}: {error.filename}: {error.strerror}") from error
    except (BentoMLException, ValueError) as error:
        raise StoreError(f"--name {tag.partition(':')[0]}: {error}") from error

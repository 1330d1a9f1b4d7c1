"""One data set in every form: a folder, archives, shards and lists, on disk and in a bucket."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.folders import write_tree
from tests.integration.training.conftest import SMALL, Sandbox
from tests.packing import images_in, write_list, write_shards, write_tar, write_zip
from tests.s3 import S3, s3_server, settings
from training.config import Config
from training.data import storage
from training.data.dataset import Dataset, load


@pytest.fixture(scope="module")
def forms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the same images in every form."""
    root = tmp_path_factory.mktemp("forms")
    tree = write_tree(root / "photos", {"red": 30, "blue": 24})
    (tree / "red" / "a folder").mkdir()
    (tree / "red" / "003.gif").rename(tree / "red" / "a folder" / "003.gif")
    write_zip(root / "photos.zip", tree)
    write_tar(root / "photos.tar", tree)
    write_tar(root / "photos.tgz", tree)
    write_shards(root / "shards", tree, count=3)
    write_shards(root / "json-shards", tree, count=2, ending="json")
    write_list(root / "labels.csv", tree, encoding="utf-16", separator=";")
    write_list(root / "labels.jsonl", tree)
    hub = root / "hub"
    hub.mkdir()
    rows = ["file_name,label"]
    for i, (file, label) in enumerate(images_in(tree)):
        shutil.copyfile(file, hub / f"{i:03}{file.suffix}")
        rows.append(f"{i:03}{file.suffix},{label}")
    (hub / "metadata.csv").write_text("\n".join(rows))
    write_zip(root / "hub.zip", hub, inside="")
    return root


def loaded(data: str, cache: Path, decoders: int = 1) -> Dataset:
    return load(Config(data=data, image_size=8, cache_dir=str(cache), decoders=decoders))


@pytest.fixture(scope="module")
def plain(forms: Path, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return loaded(str(forms / "photos"), tmp_path_factory.mktemp("cache"))


FORMS = [
    "photos.zip",
    "photos.tar",
    "photos.tgz",
    "shards",
    "shards/photos-{000..002}.tar",
    "json-shards",
    "labels.csv",
    "labels.jsonl",
    "hub",
    "hub.zip",
]


@pytest.mark.parametrize("form", FORMS)
def test_the_same_images_are_the_same_data_in_every_form(
    tmp_path: Path, forms: Path, plain: Dataset, form: str
) -> None:
    same(loaded(str(forms / form), tmp_path), plain)


def same(data: Dataset, plain: Dataset) -> None:
    assert data.summary["fingerprint"] == plain.summary["fingerprint"]
    assert data.summary["rejected"] == []
    assert data.class_names == plain.class_names
    for name, part in plain.parts.items():
        assert (data.parts[name][:] == part[:]).all()
        assert (data.parts[name].labels == part.labels).all()


@pytest.mark.parametrize("form", ["photos.tgz", "shards"])
def test_decoder_processes_read_parts_of_an_archive_at_once(
    tmp_path: Path, forms: Path, plain: Dataset, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.data.archives.archive.Archive.files_per_task", 7)
    same(loaded(str(forms / form), tmp_path, decoders=2), plain)


@pytest.fixture(scope="module")
def bucket(forms: Path) -> Iterator[S3]:
    with s3_server() as server:
        server.put_tree("photos", forms, "sets/")
        yield server


@pytest.mark.parametrize("form", ["photos.zip", "photos.tgz", "shards", "labels.jsonl", "hub"])
def test_every_form_may_lie_in_a_bucket(
    tmp_path: Path, plain: Dataset, bucket: S3, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in settings(bucket.port).items():
        monkeypatch.setenv(name, value)
    storage.connect.cache_clear()
    same(loaded(f"s3://photos/sets/{form}", tmp_path), plain)


def test_a_model_is_trained_from_a_list_with_parts_and_groups(sandbox: Sandbox) -> None:
    root = sandbox.root / "listed"
    tree = write_tree(root / "images", {"red": 40, "blue": 40})
    rows = ["path,label,part,group"]
    for i, (file, label) in enumerate(images_in(tree)):
        part = "test" if i % 8 == 0 else "train"
        rows.append(f"{file.relative_to(tree).as_posix()},{label},{part},patient {i // 4}{part}")
    (root / "labels.csv").write_text("\n".join(rows))
    given = ["--data", root / "labels.csv", "--images-root", tree]
    done = sandbox.run(*given, "--out", root / "run", "--name", "listed", "--epochs", 4, *SMALL)
    assert done.returncode == 0, done.stderr
    data = json.loads((root / "run" / "metrics.json").read_text())["data"]
    sizes = {part: sum(counts.values()) for part, counts in data["splits"].items()}
    assert sizes["test"] == 10
    assert sizes["train"] + sizes["validation"] == 70
    assert data["name"] == "labels"
    again = sandbox.run("evaluate", "listed", *given)
    assert again.returncode == 0, again.stderr
    wrong = sandbox.run("check", "--data", root / "labels.csv", "--out", root / "check")
    assert wrong.returncode == 1
    assert "none of the 80 files is in" in wrong.stderr
    assert "--images-root DIR" in wrong.stderr

"""Training data in object storage: a real S3 server, and a proxy in front of it that makes requests fail."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.folders import write_tree
from tests.integration.training.conftest import SMALL, Run, Sandbox
from tests.s3 import S3, Between, between, s3_server, settings
from training.config import Config
from training.data import storage
from training.data.dataset import Dataset, load
from training.data.disk import DiskSource
from training.data.folder import scan
from training.data.remote import BucketSource
from training.errors import DataError
from training.url import parse


@pytest.fixture(scope="session")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two classes, one of which has a subfolder."""
    root = write_tree(tmp_path_factory.mktemp("storage") / "data", {"red": 30, "blue": 24})
    (root / "red" / "a folder").mkdir()
    for file in ("003.gif", "004.bmp"):
        (root / "red" / file).rename(root / "red" / "a folder" / file)
    return root


@pytest.fixture(scope="session")
def s3(tree: Path) -> Iterator[S3]:
    with s3_server() as server:
        server.put_tree("photos", tree, "sets/data/")
        yield server


@pytest.fixture
def front(s3: S3, monkeypatch: pytest.MonkeyPatch) -> Iterator[Between]:
    with between(s3) as state:
        use(state.port, monkeypatch)
        yield state


def use(port: int, monkeypatch: pytest.MonkeyPatch, **variables: str) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in (settings(port) | variables).items():
        monkeypatch.setenv(name, value)
    storage.connect.cache_clear()


def bucket_source(url: str) -> BucketSource:
    return BucketSource(parse(url, "--data"))


def loaded(cache: Path, url: str = "s3://photos/sets/data", **options: int) -> Dataset:
    return load(Config(data=url, image_size=8, cache_dir=str(cache), **options))  # type: ignore[arg-type]


def test_a_bucket_gives_what_the_same_folder_on_a_disk_gives(
    tmp_path: Path, tree: Path, s3: S3, front: Between
) -> None:
    remote, local = loaded(tmp_path / "a"), loaded(tmp_path / "b", str(tree))
    assert remote.summary["fingerprint"] == local.summary["fingerprint"]
    for part in ("train", "validation", "test"):
        assert (remote.parts[part][:] == local.parts[part][:]).all()
        assert (remote.parts[part].file_sizes == local.parts[part].file_sizes).all()
    assert (remote.summary["name"], remote.summary["root"]) == ("data", "s3://photos/sets/data")


def test_google_cloud_storage_gives_the_same_files(
    tmp_path: Path, tree: Path, s3: S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Google's XML interface is compatible with S3; signing is switched off here."""
    account = {"gcs_base_url": f"http://127.0.0.1:{s3.port}", "disable_oauth": True}
    account |= {"client_email": "", "private_key": "", "private_key_id": ""}
    (tmp_path / "account.json").write_text(json.dumps(account))
    monkeypatch.setenv("GOOGLE_SERVICE_ACCOUNT", str(tmp_path / "account.json"))
    monkeypatch.setattr(storage, "_endpoint", lambda *_: "http://here")
    storage.connect.cache_clear()
    source = bucket_source("gs://photos/sets/data")
    folder = scan(source)
    assert folder.files == scan(DiskSource(tree)).files
    assert list(source.read(folder.files, folder.stats)) == [(tree / file).read_bytes() for file in folder.files]
    storage.connect.cache_clear()


def test_a_public_bucket_is_read_without_credentials(tmp_path: Path, s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    use(s3.port, monkeypatch, AWS_SKIP_SIGNATURE="true")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    assert loaded(tmp_path).summary["images"] == 54


def test_a_second_run_lists_but_reads_nothing_until_an_object_changes(tmp_path: Path, s3: S3, front: Between) -> None:
    s3.put_tree("again", write_tree(tmp_path / "data", {"red": 6, "blue": 6}))
    assert not loaded(tmp_path / "cache", "s3://again").summary["cached"]
    assert len(front.objects) == 12
    front.requests.clear()
    assert loaded(tmp_path / "cache", "s3://again").summary["cached"]
    assert len(front.requests) == 3
    assert not front.objects
    s3.put_all("again", {"red/000.png": b"new"})
    changed = loaded(tmp_path / "cache", "s3://again")
    assert [(file["file"], file["code"]) for file in changed.summary["rejected"]] == [
        ("red/000.png", "unsupported_media_type")
    ]


def test_a_listing_of_several_pages_is_read_to_its_end(s3: S3, front: Between) -> None:
    s3.put_all("many", {f"{'ab'[i // 1001]}/{i:04}.png": b"x" for i in range(1002)})
    folder = scan(bucket_source("s3://many"))
    assert len(folder.files) == 1002
    assert folder.files[0] == "a/0000.png"
    assert len(front.requests) == 4


def test_odd_names_are_files_and_markers_are_not(s3: S3, front: Between, tmp_path: Path) -> None:
    names = ["é ü.png", "#?%41+&.png", "a:b.png", "%2e%2e/q.png", "日本.png", "~x.png", "back\\slash.png"]
    hidden = ["", "deep/", ".hidden.png", ".git/a.png"]
    s3.put_all("odd", {f"d/red/{name}": b"png?" for name in names + hidden} | {"d/blue/1.png": b"", "d/": b""})
    folder = scan(bucket_source("s3://odd/d"))
    assert sorted(folder.files) == sorted(["blue/1.png", *(f"red/{name}" for name in names)])
    assert not folder.rejected
    with pytest.raises(DataError, match=r"no usable image among 8 files"):
        loaded(tmp_path / "cache", "s3://odd/d")


@pytest.mark.parametrize("name", ["red/../../../etc/passwd", "red//2.png", "red/./1.png", "../x.png", "red/nul\0.png"])
def test_a_listing_with_a_hostile_name_is_refused(
    s3: S3, front: Between, name: str, request: pytest.FixtureRequest
) -> None:
    bucket = f"hostile{request.node.callspec.indices['name']}"
    s3.put_all(bucket, {"red/1.png": b"x", name: b"x"})
    with pytest.raises(DataError, match="has an object whose name can't be used") as caught:
        scan(bucket_source(f"s3://{bucket}"))
    assert str(caught.value).isprintable()


def test_temporary_failures_are_retried(tmp_path: Path, front: Between) -> None:
    faults: dict[str, list[int | str]] = {"/003": [503, 503], "/005": ["cut"], "list-type": [503]}

    def once(path: str) -> int | str | None:
        return next((left.pop() for part, left in faults.items() if part in path and left), None)

    front.fault = once
    data = loaded(tmp_path / "cache")
    assert not any(faults.values())
    assert not data.summary["rejected"]
    assert data.summary["images"] == 54


@pytest.mark.parametrize("status", [404, 412])
def test_a_removed_or_replaced_object_is_left_out_and_not_cached(tmp_path: Path, front: Between, status: int) -> None:
    front.fault = lambda path: status if "red/001" in path else None
    data = loaded(tmp_path / "cache")
    assert [(file["file"], file["code"]) for file in data.summary["rejected"]] == [("red/001.jpg", "changed")]
    front.fault = lambda _: None
    again = loaded(tmp_path / "cache")
    assert (again.summary["cached"], again.summary["images"]) == (False, 54)


@pytest.mark.parametrize(
    ("part", "fault", "message"),
    [
        ("list-type", 403, r"s3://photos/sets/data: access denied \(AccessDenied\)"),
        ("red/001", 403, r"s3://photos/sets/data/red/001.jpg: access denied"),
        ("list-type", 301, r"in another region; set AWS_REGION"),
        ("list-type", 503, r"the server failed \(SlowDown\), after retries too"),
    ],
)
def test_a_permanent_failure_is_one_line_and_leaves_no_files(
    tmp_path: Path, front: Between, part: str, fault: int, message: str
) -> None:
    front.fault = lambda path: fault if part in path else None
    with pytest.raises(DataError, match=message) as caught:
        loaded(tmp_path / "cache", decoders=2)
    assert "\n" not in str(caught.value)
    assert not any((tmp_path / "cache").glob("*"))


@pytest.mark.parametrize(
    ("url", "variables", "message"),
    [
        ("s3://nobucket/x", {}, "s3://nobucket/x: no such bucket: nobucket"),
        ("s3://photos/nowhere", {}, "no such folder: s3://photos/nowhere"),
        ("s3://photos/x", {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, "the server can't be reached"),
        ("s3://photos/x", {"AWS_ENDPOINT_URL": "http://nowhere.invalid"}, "the server can't be reached"),
        ("s3://photos/x", {"AWS_ENDPOINT_URL": "127.0.0.1:9"}, "the endpoint in the environment is no address"),
        ("s3://photos/x", {"AWS_ENDPOINT_URL": "http://me:hunter2@here"}, "the endpoint in the environment is no addr"),
        (
            "s3://photos/x",
            {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_METADATA_ENDPOINT": "http://127.0.0.1:9"},
            "no credentials; set AWS_ACCESS_KEY_ID",
        ),
    ],
)
def test_a_wrong_address_is_refused_in_one_line(
    tmp_path: Path, s3: S3, monkeypatch: pytest.MonkeyPatch, url: str, variables: dict[str, str], message: str
) -> None:
    use(s3.port, monkeypatch, **variables)
    for name in [name for name, value in variables.items() if not value]:
        monkeypatch.delenv(name)
    started = time.monotonic()
    with pytest.raises(DataError, match=message) as caught:
        loaded(tmp_path, url)
    assert "very-secret-key" not in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert time.monotonic() - started < 60


def test_memory_does_not_grow_with_the_data(tmp_path: Path, s3: S3) -> None:
    import numpy as np
    from PIL import Image

    noise = np.random.default_rng(0).integers(0, 256, (1000, 1000, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.bmp")
    header = (tmp_path / "noise.bmp").read_bytes()[: -noise.nbytes]
    images = {f"{'ab'[i % 2]}/{i}.bmp": header + np.roll(noise, i, axis=0).tobytes() for i in range(80)}
    s3.put_all("large", images)
    script = (
        "import re, resource, sys\n"
        "from pathlib import Path\n"
        "from training.config import Config\n"
        "from training.data.dataset import load\n"
        "if __name__ == '__main__':\n"
        "    data = load(Config(data='s3://large', image_size=1024, decoders=2, cache_dir=sys.argv[1]))\n"
        "    assert sum(len(batch) for part in data.parts.values() for batch in part.batches()) == 80\n"
        # Not by getrusage, which includes the memory of the parent before the fork.
        "    print(int(re.search(r'VmHWM:\\s+(\\d+)', Path('/proc/self/status').read_text())[1]) * 1024)\n"
        "    print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)\n"
    )
    (tmp_path / "script.py").write_text(script)
    done = subprocess.run(
        [sys.executable, tmp_path / "script.py", tmp_path / "cache"],
        env=os.environ | s3.variables | {"PYTHONPATH": os.getcwd()},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    own, decoders = (int(line) for line in done.stdout.split())
    # 240 MB were read and 252 MB decoded; 45 MB is Python with its libraries, 32 MB what is read ahead.
    assert own < 150e6
    assert decoders < 220e6


def start_reading(sandbox: Sandbox, front: Between) -> subprocess.Popen[str]:
    process = sandbox.start("--data", "s3://photos/sets/data", *SMALL, "--no-publish")
    deadline = time.monotonic() + 60
    while not front.objects and time.monotonic() < deadline:
        time.sleep(0.05)
    assert front.objects
    return process


@pytest.mark.parametrize("signal_", [signal.SIGINT, signal.SIGKILL])
def test_a_run_stopped_while_reading_leaves_no_incomplete_cache(
    tmp_path: Path, front: Between, signal_: signal.Signals
) -> None:
    front.fault = lambda path: "stall" if "red/02" in path else None
    sandbox = Sandbox(tmp_path)
    process = start_reading(sandbox, front)
    process.send_signal(signal_)
    _, said = process.communicate(timeout=20)
    left = list((tmp_path / "cache" / "image-classifier").iterdir())
    if signal_ == signal.SIGINT:
        assert (process.returncode, said.splitlines()[-1]) == (130, "error: interrupted")
        assert not left
    front.fault = lambda _: None
    data = loaded(tmp_path / "cache" / "image-classifier")
    assert (data.summary["cached"], data.summary["images"]) == (False, 54)
    assert [entry.suffix for entry in (tmp_path / "cache" / "image-classifier").iterdir()] == [""]


def test_a_run_from_a_bucket_is_like_any_other(sandbox: Sandbox, run: Run, s3: S3, data: Path, front: Between) -> None:
    s3.put_tree("colours", data)
    out = sandbox.root / "from-bucket"
    done = sandbox.run("--data", "s3://colours", "--out", out, "--epochs", 12, *SMALL, "--no-publish")
    assert done.returncode == 0, done.stderr
    tested = sandbox.run("evaluate", "image_classifier", "--data", "s3://colours/", "--out", out / "evaluated")
    assert tested.returncode == 0, tested.stderr
    document, local = json.loads((out / "metrics.json").read_text()), run[1]
    assert document["data"]["fingerprint"] == local["data"]["fingerprint"]
    assert document["train"]["history"] == local["train"]["history"]
    assert 'data = "s3://colours"' in (out / "config.toml").read_text()
    assert "s3://colours" in (out / "report.html").read_text()
    evaluated = json.loads((out / "evaluated" / "metrics.json").read_text())
    assert (evaluated["data"]["name"], evaluated["data"]["root"]) == ("colours", "s3://colours")
    assert not [path for path in out.rglob("*") if path.is_file() and b"very-secret-key" in path.read_bytes()]

"""Archives as they come: which ones are read where they lie, and which are refused or cut off before they do harm."""

from __future__ import annotations

import gzip
import os
import pickle
import stat
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.packing import add_bytes
from training.config import Config
from training.data.archives.archive import Archive
from training.data.archives.shards import expand
from training.data.folder import ImageFolder, scan
from training.data.labelled import Labelled
from training.data.locations import sources
from training.data.source import Rejected
from training.errors import DataError, UsageError


def tar_of(path: Path, files: dict[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz" if path.suffix.endswith("gz") else "w") as tar:
        for name, content in files.items():
            add_bytes(tar, name, content)
    return path


def zip_of(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def scanned(path: Path | str) -> ImageFolder:
    return scan(sources(Config(data=str(path)))["train"])


def contents(folder: ImageFolder) -> dict[str, bytes | str]:
    """Return the content of each file, or why it isn't there, as a decoder process reads them."""
    source = pickle.loads(pickle.dumps(folder.source))
    found = source.read(folder.files, folder.stats)
    return {file: one.code if isinstance(one, Rejected) else one for file, one in zip(folder.files, found, strict=True)}


@pytest.mark.parametrize(
    ("name", "make"), [("a.zip", zip_of), ("a.TAR", tar_of), ("a.tar.gz", tar_of), ("a.tgz", tar_of)]
)
@pytest.mark.parametrize("wrapper", ["", "./", "photos/", "a/b/"])
def test_an_archive_is_a_folder_of_class_folders(
    tmp_path: Path, name: str, make: Callable[[Path, dict[str, bytes]], Path], wrapper: str
) -> None:
    """Kind: archives hold the class folders at their top or in a folder around them, and what systems add."""
    files = {"red/2.png": b"two" * 999, "red/deep/1.png": b"one", "blue/1.png": b"three"}
    junk = {
        "__MACOSX/red/._2.png": b"x",
        "red/.DS_Store": b"x",
        "red/check/report.html": b"",
        "red/check/check.json": b"",
    }
    folder = scanned(make(tmp_path / name, {wrapper + file: content for file, content in (files | junk).items()}))
    assert contents(folder) == files
    assert folder.class_names == ["blue", "red"]
    assert [folder.class_names[label] for label in folder.labels] == [file.split("/")[0] for file in folder.files]


def test_parts_in_an_archive_are_found(tmp_path: Path) -> None:
    files = {f"set/{part}/{label}/1.png": b"x" for part in ("train", "val") for label in ("red", "blue")}
    assert list(sources(Config(data=str(zip_of(tmp_path / "a.zip", files))))) == ["train", "validation"]


@pytest.mark.parametrize(
    ("ending", "content"),
    [
        ("cls", b"%d\n"),
        ("txt", b"%d"),
        ("json", b'{"label": %d, "group": "p"}'),
        ("json", b'{"cls": "%d"}'),
        ("JSON", b"%d"),
    ],
)
@pytest.mark.parametrize("inside", ["", "shard/"])
def test_the_labels_of_shards_lie_beside_the_images(tmp_path: Path, ending: str, content: bytes, inside: str) -> None:
    """Kind: WebDataset's shards, whose keys may repeat from shard to shard."""
    for shard in range(2):
        files = {f"{inside}{i}.{ending}": content % i for i in range(2)} | {
            f"{inside}{i}.jpg": b"%d%d" % (shard, i) for i in range(2)
        }
        tar_of(tmp_path / "shards" / f"photos-{shard}.tar", files | {f"{inside}1.seg.png": b"mask"})
    for data in (tmp_path / "shards", tmp_path / "shards" / "photos-{0..1}.tar"):
        folder = scanned(data)
        assert folder.class_names == ["0", "1"]
        assert contents(folder) == {
            f"photos-{shard}.tar/{inside}{i}.jpg": b"%d%d" % (shard, i) for shard in range(2) for i in range(2)
        }
        assert folder.labels == [0, 1, 0, 1]
        assert folder.groups == (["p"] * 4 if b"group" in content else None)


def test_images_without_labels_are_left_out_and_broken_labels_refused(tmp_path: Path) -> None:
    folder = scanned(tar_of(tmp_path / "a.tar", {"1.jpg": b"x", "1.cls": b"red", "2.jpg": b"x"}))
    assert (folder.files, [(r.file, r.code) for r in folder.rejected]) == (["1.jpg"], [("2.jpg", "unlabelled")])
    with pytest.raises(DataError, match=r"b\.tar: 1\.jpg: its \.json file is no JSON"):
        scanned(tar_of(tmp_path / "b.tar", {"1.jpg": b"x", "1.json": b"{"}))
    with pytest.raises(DataError, match="holds images but no folders"):
        scanned(tar_of(tmp_path / "c.tar", {"1.jpg": b"\xff\xd8\xff", "README.txt": b"words"}))


def test_the_names_of_shards_give_the_parts(tmp_path: Path) -> None:
    for part in ("train", "val"):
        tar_of(tmp_path / f"photos-{part}-000.tar", {"1.jpg": b"x", "1.cls": b"0"})
    assert list(sources(Config(data=str(tmp_path)))) == ["train", "validation"]


def test_a_list_in_an_archive_is_read(tmp_path: Path) -> None:
    files = {"set/metadata.csv": b"file_name,label\n1.png,red\n2.png,blue\n", "set/1.png": b"1", "set/2.png": b"2"}
    found = sources(Config(data=str(zip_of(tmp_path / "a.zip", files))))["train"]
    assert isinstance(found, Labelled)
    assert [(sample.file, sample.label) for sample in found.samples] == [("1.png", "red"), ("2.png", "blue")]
    outside = files | {"set/metadata.csv": b"file_name,label\n../set/1.png,red\n"}
    with pytest.raises(DataError, match="is outside of"):
        sources(Config(data=str(zip_of(tmp_path / "b.zip", outside))))


def tar_with(path: Path, **attributes: object) -> Path:
    with tarfile.open(path, "w") as tar:
        add_bytes(tar, "red/1.png", b"x")
        info = tarfile.TarInfo("blue/1.png")
        for name, value in attributes.items():
            setattr(info, name, value)
        tar.addfile(info)
    return path


def zip_with(path: Path, name: str = "blue/1.png", mode: int = 0, flags: int = 0, method: int | None = None) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        info = zipfile.ZipInfo(name)
        info.external_attr = mode << 16
        archive.writestr(info, b"target")
    data = bytearray(path.read_bytes())
    at = data.index(b"PK\1\2")
    data[at + 8] |= flags
    if method is not None:
        data[at + 10] = method
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: tar_with(p / "a.tar", type=tarfile.SYMTYPE, linkname="/etc"), "is no regular file but a link"),
        (lambda p: tar_with(p / "a.tar", type=tarfile.LNKTYPE, linkname="red/1.png"), "tar -h --hard-dereference"),
        (lambda p: tar_with(p / "a.tar", type=tarfile.CHRTYPE), "is no regular file but a link or a device"),
        (lambda p: tar_with(p / "a.tar", name="../1.png"), r"the path '../1.png' leads out of the archive"),
        (lambda p: tar_with(p / "a.tar", name="/data/1.png"), "leads out of the archive"),
        (lambda p: zip_with(p / "a.zip", "a/../../1.png"), "leads out of the archive"),
        (lambda p: zip_with(p / "a.zip", "..\\1.png"), "leads out of the archive"),
        (lambda p: zip_with(p / "a.zip", mode=stat.S_IFLNK | 0o777), "is no regular file but a link"),
        (lambda p: zip_with(p / "a.zip", flags=1), "is encrypted; pack the files without a password"),
        (lambda p: zip_with(p / "a.zip", method=14), "is compressed by method 14"),
        (lambda p: p / "no.zip", "no such file"),
        (lambda p: tar_of(p / "a.tar", {}).rename(p / "a.zip"), "is no ZIP archive, or is damaged"),
        (lambda p: zip_with(p / "a.zip").rename(p / "a.tar"), "is no tar archive, or is damaged"),
        (lambda p: cut(tar_of(p / "a.tar", {"red/1.png": b"x" * 9000}), 4000), "is damaged"),
        (lambda p: cut(tar_of(p / "a.tgz", {"red/1.png": os.urandom(9000)}), 4000), "is damaged"),
        (
            lambda p: broken(tar_of(p / "a.tar", {"red/1.png": b"x", "red/2.png": b"x"}), 1024 + 10),
            "damaged after 1 files",
        ),
        (lambda p: foreign(p / "a.tar", b"BZh91AY"), "is compressed by bzip2; unpack it to a .tar, or pack it as .zip"),
    ],
)
def test_an_archive_that_could_do_harm_is_refused_in_one_line(
    tmp_path: Path, make: Callable[[Path], Path], message: str
) -> None:
    """Kind: no archive leads to a file outside of it, and none is half read."""
    path = make(tmp_path)
    with pytest.raises(DataError, match=message) as caught:
        scanned(path)
    assert str(caught.value).startswith((str(path), f"no such file: {path}"))
    assert str(caught.value).isprintable()


def cut(path: Path, size: int) -> Path:
    path.write_bytes(path.read_bytes()[:size])
    return path


def broken(path: Path, at: int) -> Path:
    data = bytearray(path.read_bytes())
    data[at] ^= 0xFF
    path.write_bytes(data)
    return path


def foreign(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def test_a_file_never_unpacks_to_more_than_the_archive_declares(tmp_path: Path) -> None:
    """Kind: a small declared size must not hide a bomb; a damaged file is left out alone."""
    path = zip_of(tmp_path / "a.zip", {"red/1.png": bytes(50_000_000), "blue/1.png": b"good"})
    data = bytearray(path.read_bytes())
    at = data.index(b"PK\1\2")
    data[at + 24 : at + 28] = struct.pack("<I", 100)
    path.write_bytes(data)
    assert contents(scanned(path)) == {"red/1.png": "damaged", "blue/1.png": b"good"}
    data[at + 24 : at + 28] = struct.pack("<I", 2**31)
    path.write_bytes(data)
    assert contents(scanned(path)) == {"red/1.png": "too_large", "blue/1.png": b"good"}


def test_files_that_overlap_are_refused(tmp_path: Path) -> None:
    path = zip_of(tmp_path / "a.zip", {f"red/{i}.png": os.urandom(2000) for i in range(4)})
    data = path.read_bytes()
    start, end = data.index(b"PK\1\2"), data.index(b"PK\5\6")
    entries = data[start:end]
    tail = bytearray(data[end:])
    tail[8:12] = struct.pack("<HH", 8, 8)
    tail[12:16] = struct.pack("<I", 2 * len(entries))
    path.write_bytes(data[:start] + data[start:end] + entries + tail)
    with pytest.raises(DataError, match="its files overlap"):
        scanned(path)


def test_a_packed_tar_that_unpacks_to_far_too_much_is_refused(tmp_path: Path) -> None:
    """Kind: what a few kilobytes declare is never read through, nor into memory."""
    info = tarfile.TarInfo("red/1.png")
    info.size = 1 << 40
    (tmp_path / "a.tgz").write_bytes(gzip.compress(info.tobuf() + bytes(1 << 20)))
    with pytest.raises(DataError, match=r"a\.tgz would unpack to over 1,073,741,824 bytes"):
        scanned(tmp_path / "a.tgz")
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 1 << 32
    (tmp_path / "b.tgz").write_bytes(gzip.compress(info.tobuf(tarfile.GNU_FORMAT) + bytes(1 << 20)))
    with pytest.raises(DataError, match=r"b\.tgz holds a header of 4,294,967,296 bytes"):
        scanned(tmp_path / "b.tgz")


def test_an_archive_that_is_replaced_after_it_was_listed_is_not_read(tmp_path: Path) -> None:
    path = tar_of(tmp_path / "a.tar", {"red/1.png": b"1", "blue/1.png": b"2"})
    folder = scanned(path)
    tar_of(path, {"red/1.png": b"other", "blue/1.png": b"2"})
    os.utime(path, ns=(1, 1))
    assert contents(folder) == {"red/1.png": "changed", "blue/1.png": "changed"}


def test_as_after_unpacking_the_last_file_of_a_name_counts(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as tar:
        for name, content in (("red/1.png", b"old"), ("blue/1.png", b"2"), ("./red/1.png", b"new")):
            add_bytes(tar, name, content)
    assert contents(scanned(path)) == {"red/1.png": b"new", "blue/1.png": b"2"}
    for shard in "ab":
        tar_of(tmp_path / "two" / f"{shard}.tar", {"red/1.png": b"1", f"blue/{shard}.png": b"2"})
    with pytest.raises(DataError, match=r"two of these archives hold a file red/1\.png"):
        scanned(tmp_path / "two")


def test_a_pattern_stands_for_several_archives() -> None:
    assert expand("a-{08..11}.tar", "--data") == ["a-08.tar", "a-09.tar", "a-10.tar", "a-11.tar"]
    assert expand("{a,b}-{9..10}.tar", "--data") == ["a-9.tar", "a-10.tar", "b-9.tar", "b-10.tar"]
    assert expand("a{b}.tar", "--data") == ["a{b}.tar"]
    for text in ("a-{9..1}.tar", "a-{0..9999999}.tar", "{0..999}{0..999}{0..9}.tar"):
        with pytest.raises(UsageError, match=r"^--data"):
            expand(text, "--data")


def test_an_archive_in_an_archive_is_not_opened(tmp_path: Path) -> None:
    inner = tar_of(tmp_path / "inner.tar", {"1.jpg": b"x", "1.cls": b"1"}).read_bytes()
    with pytest.raises(DataError, match=r"holds archives \(inner\.tar\); unpack it, and pass the folder"):
        scanned(zip_of(tmp_path / "a.zip", {"inner.tar": inner}))


def test_the_archive_is_part_of_the_identity_of_its_files(tmp_path: Path) -> None:
    """Kind: two archives with other files at the same places must not share decoded images."""
    source = sources(Config(data=str(tar_of(tmp_path / "a.tar", {"red/1.png": b"1", "blue/1.png": b"2"}))))["train"]
    before = source.identity
    tar_of(tmp_path / "a.tar", {"red/1.png": b"3", "blue/1.png": b"4"})
    os.utime(tmp_path / "a.tar", ns=(1, 1))
    after = sources(Config(data=str(tmp_path / "a.tar")))["train"]
    assert isinstance(after, Archive)
    assert before != after.identity

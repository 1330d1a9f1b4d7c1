"""URLs, the settings of object storage and its error messages, without a server. tests/integration has a server."""

from __future__ import annotations

from pathlib import Path

import pytest

from training.config import Config
from training.data import awsfiles
from training.data.disk import DiskSource
from training.data.locations import locate
from training.data.remote import MOST_BYTES, BucketSource
from training.data.source import Rejected
from training.data.storage import connect, explain
from training.errors import DataError, UsageError
from training.options import read, write
from training.url import Url, is_url, parse


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("s3://photos", Url("s3", "photos", "")),
        ("s3://photos/", Url("s3", "photos", "")),
        ("S3://photos/sets/2026/", Url("s3", "photos", "sets/2026")),
        ("gs://photos_1/a%20b#c", Url("gs", "photos_1", "a%20b#c")),
        ("az://container/日本", Url("az", "container", "日本")),
        (
            "abfs://data@account.dfs.core.windows.net/a",
            Url("abfs", "data@account.dfs.core.windows.net", "a"),
        ),
    ],
)
def test_a_url_is_a_scheme_a_bucket_and_a_folder(text: str, expected: Url) -> None:
    assert is_url(text)
    assert parse(text, "--data") == expected
    assert str(expected) in (text, text.lower(), text.rstrip("/").replace("S3", "s3"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("http://photos/a", "a URL of scheme 'http'; it takes a folder, or one of s3://, gs://, az://, abfs://"),
        ("memory://photos", "scheme 'memory'"),
        ("file:///photos", "scheme 'file'"),
        ("s3://", "takes the name of a bucket"),
        ("s3:///photos", "takes the name of a bucket"),
        ("s3://pho tos/a", "takes the name of a bucket"),
        ("az://Container/a", "takes the name of a bucket"),
        ("s3://photos//a", "empty or dotted folder"),
        ("s3://photos/a//b", "empty or dotted folder"),
        ("s3://photos/../b", "empty or dotted folder"),
        ("s3://photos/a\0b", "control character"),
        ("s3://photos/a\nb", "control character"),
    ],
)
def test_an_invalid_url_is_refused_in_one_line(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        Config(data=text)
    assert str(caught.value).isprintable()
    with pytest.raises(UsageError, match=r"--test-data"):
        Config(test_data=text)


@pytest.mark.parametrize(
    "text",
    [
        "s3://user:hunter2@photos/a",
        "s3://hunter2@photos/a",
        "az://data:hunter2@account.dfs.core.windows.net/a",
        "s3://photos/a?X-Amz-Signature=hunter2",
        "az://container?sig=hunter2",
    ],
)
def test_a_secret_in_a_url_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(UsageError, match="takes no user, password, port or query") as caught:
        Config(data=text)
    assert "hunter2" not in str(caught.value)


def test_a_configuration_file_keeps_urls_unchanged(tmp_path: Path) -> None:
    config = Config(data="s3://photos/sets/data", test_data="gs://photos/test").relocatable()
    write(config, tmp_path / "config.toml")
    values = read(tmp_path / "config.toml")
    assert (values["data"], values["test_data"]) == ("s3://photos/sets/data", "gs://photos/test")


def test_data_is_named_after_its_folder() -> None:
    assert locate("s3://photos/sets/cats").name == "cats"
    assert locate("s3://photos/sets/train").name == "sets/train"
    assert locate("s3://photos").name == "photos"
    assert locate("photos/train") == DiskSource(Path("photos/train"))
    assert locate("photos/train").name == "photos/train"


@pytest.mark.parametrize(
    "text", ["s3://photos/a", "gs://photos/a", "az://photos/a", "abfs://data@account.dfs.core.windows.net/a"]
)
def test_connecting_to_each_scheme_sends_no_request(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "account")
    connect.cache_clear()
    assert connect(parse(text, "--data").root) is connect(parse(text, "--data").root)
    connect.cache_clear()


def test_empty_and_huge_objects_are_not_requested() -> None:
    empty, huge = BucketSource(Url("s3", "photos", "a")).read(
        ["red/1.png", "red/2.png"], [(0, "x"), (MOST_BYTES + 1, "y")]
    )
    assert empty == b""
    assert isinstance(huge, Rejected)
    assert (huge.file, huge.code) == ("red/2.png", "too_large")


AWS_CONFIG = "[default]\nregion = eu-west-1\n[profile lab]\nregion = us-west-2\nendpoint_url = http://127.0.0.1:9000\n"
AWS_KEYS = "[default]\naws_access_key_id = AKIA1\naws_secret_access_key = s%cret\n[lab]\naws_access_key_id = AKIA2\n"


@pytest.fixture
def aws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A home with ~/.aws, and an environment without AWS' variables."""
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / "config").write_text(AWS_CONFIG)
    (tmp_path / ".aws" / "credentials").write_text(AWS_KEYS)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in awsfiles.VARIABLES:
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def test_keys_and_region_come_from_the_files_if_the_environment_has_none(aws: pytest.MonkeyPatch) -> None:
    assert awsfiles.settings() == {
        "aws_access_key_id": "AKIA1",
        "aws_secret_access_key": "s%cret",
        "region": "eu-west-1",
    }
    aws.setenv("AWS_PROFILE", "lab")
    assert awsfiles.settings() == {
        "aws_access_key_id": "AKIA2",
        "region": "us-west-2",
        "endpoint_url": "http://127.0.0.1:9000",
    }
    aws.setenv("AWS_ACCESS_KEY_ID", "AKIA3")
    aws.setenv("AWS_DEFAULT_REGION", "sa-east-1")
    assert awsfiles.settings() == {"endpoint_url": "http://127.0.0.1:9000"}


def test_an_unusable_profile_is_refused_in_one_line(aws: pytest.MonkeyPatch, tmp_path: Path) -> None:
    aws.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(DataError, match="AWS_PROFILE is 'nobody'; neither"):
        awsfiles.settings()
    (tmp_path / ".aws" / "config").write_text("[profile nobody]\nsso_session = work\n")
    with pytest.raises(DataError, match=r"gets its keys by sso_session, which isn't supported"):
        awsfiles.settings()
    (tmp_path / ".aws" / "config").write_text("aws_secret_access_key = hunter2\n")
    with pytest.raises(DataError, match="can't be read as an AWS configuration") as caught:
        awsfiles.settings()
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("scheme", "said", "message"),
    [
        ("s3", "status code: 403 Forbidden: <Code>InvalidAccessKeyId</Code>", "the credentials are not accepted"),
        ("s3", "status code: 403 Forbidden: <Code>SignatureDoesNotMatch</Code>", "the credentials are not accepted"),
        ("s3", "status code: 500: <Code>InternalError</Code>", r"the server failed \(InternalError\)"),
        ("gs", "GET http://169.254.169.254/computeMetadata/v1/x", "no credentials; set GOOGLE_APPLICATION_CREDENTIALS"),
        ("gs", "status code: 401 Unauthorized: sig=hunter2", r"the credentials are not accepted \(status 401\)"),
        ("gs", "status code: 404 Not Found: ", "no such bucket: b"),
        ("az", "Account must be specified MissingAccount", "no credentials; set AZURE_STORAGE_ACCOUNT_NAME"),
        ("abfs", "GET http://169.254.169.254/metadata/identity/oauth2", "no credentials; set AZURE_STORAGE"),
        ("az", "status code: 404: <Code>ContainerNotFound</Code>?sig=hunter2", "no such bucket: b"),
        ("az", "error sending request for url (https://b?sig=hunter2)", "the server can't be reached"),
        ("az", "something else, with sig=hunter2", r"settings can't be used \(Exception\)"),
        (
            "gs",
            "Unable to open\n source: OpenCredentials {",
            r"settings can't be used \(OpenCredentials\); check GOOGLE_",
        ),
    ],
)
def test_an_error_of_a_store_becomes_one_line_without_quoting_it(scheme: str, said: str, message: str) -> None:
    told = explain(Exception(said), Url(scheme, "b", "folder"))
    with pytest.raises(DataError, match=message):
        raise told
    assert str(told).startswith(f"{scheme}://b/folder: ")
    assert "hunter2" not in str(told)
    assert "\n" not in str(told)

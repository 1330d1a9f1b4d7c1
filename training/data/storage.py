"""Connect to object storage by obstore, with the environment's credentials, and turn its errors into one line.

No message repeats the text of a server or the library, which can contain a signature or a token.
"""

from __future__ import annotations

import os
import re
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

from training.data.awsfiles import settings as aws_files
from training.errors import DataError
from training.url import Url

if TYPE_CHECKING:
    from obstore.store import ClientConfig, ObjectStore, RetryConfig

_CODE = re.compile(r"<Code>([A-Za-z]{1,60})</Code>")
_VARIANT = re.compile(r"source: ([A-Z][A-Za-z]+)")
_STATUS = re.compile(r"status code: (\d{3})")
# obstore asks the metadata server of the provider's virtual machines last, after all other credentials.
_NO_CREDENTIALS = re.compile(r"/latest/(?:api|meta-data)/|/computeMetadata/|/metadata/identity/|MissingAccount")
_ENDPOINT = re.compile(r"https?://[A-Za-z0-9.\[\]:_-]+(/[^?#]*)?")
_CREDENTIALS = {
    "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE; AWS_SKIP_SIGNATURE=true for a public bucket",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS; GOOGLE_SKIP_SIGNATURE=true for a public bucket",
    "az": "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY (or AZURE_STORAGE_SAS_TOKEN); "
    "AZURE_SKIP_SIGNATURE=true for a public container",
}

_ENDPOINTS = {
    "s3": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"),
    "gs": (),
    "az": ("AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT"),
}


@cache
def connect(bucket: Url, patient: bool = True) -> ObjectStore:
    """Return the store of `bucket`, without sending a request. Call its blocking functions, in threads.

    Its other functions, which fsspec uses too, run in a thread of the library's own; that thread sometimes aborts a
    process that is exiting.

    Args:
        bucket: a URL without a folder.
        patient: retry for two minutes while servers fail or can't be reached. False is for the first request, which
            fails more often by a wrong address, and retries for eight seconds.

    Raises:
        DataError: the environment's settings are unusable.
    """
    from obstore.store import from_url

    retry: RetryConfig = {
        "max_retries": 10 if patient else 3,
        "retry_timeout": timedelta(seconds=120 if patient else 8),
        "backoff": {"init_backoff": timedelta(seconds=0.2), "max_backoff": timedelta(seconds=10), "base": 2},
    }
    client: ClientConfig = {"connect_timeout": "3s", "read_timeout": "20s", "timeout": "10min"}
    settings = aws_files() if bucket.scheme == "s3" else {}
    endpoint = _endpoint(_kind(bucket), settings)
    if endpoint and not _ENDPOINT.fullmatch(endpoint):
        raise DataError(f"{bucket}: the endpoint in the environment is no address; write https://HOST[:PORT][/PATH]")
    if endpoint.startswith("http://"):
        client["allow_http"] = True  # the endpoint itself asks for it
    make: Any = from_url  # each of its overloads takes the settings of one scheme only
    try:
        store: ObjectStore = make(str(bucket), config=settings or None, client_options=client, retry_config=retry)
    except failures() as error:
        raise explain(error, bucket) from None
    return store


def _kind(url: Url) -> str:
    return "az" if url.scheme == "abfs" else url.scheme


def _endpoint(scheme: str, settings: dict[str, str]) -> str:
    own = next((os.environ[name] for name in _ENDPOINTS[scheme] if os.environ.get(name)), "")
    return settings.get("endpoint_url") or own


def failures() -> tuple[type[Exception], ...]:
    """Return the exceptions that a store's functions raise for failures outside of this program."""
    from obstore.exceptions import BaseError

    return BaseError, OSError, ValueError


def status(error: Exception) -> int:
    """Return the HTTP status in the text of `error`, or 0 if there is none."""
    return int(found[1]) if (found := _STATUS.search(str(error))) else 0


def explain(error: Exception, url: Url) -> DataError:
    """Return the error to show for `error`, which the store of `url` raised."""
    text = str(error)
    code = found[1] if (found := _CODE.search(text)) else ""
    answered = status(error)
    kind = _kind(url)
    if _NO_CREDENTIALS.search(text):
        return DataError(f"{url}: no credentials; set {_CREDENTIALS[kind]}")
    if code in ("NoSuchBucket", "ContainerNotFound") or (answered == 404 and not code):
        return DataError(f"{url}: no such bucket: {url.bucket}")
    if code in ("PermanentRedirect", "AuthorizationHeaderMalformed") or "redirect" in text:
        return DataError(f"{url}: the bucket is in another region; set AWS_REGION to it")
    said = code or f"status {answered}"
    if code in ("InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken") or answered == 401:
        return DataError(f"{url}: the credentials are not accepted ({said}); check {_CREDENTIALS[kind]}")
    if answered == 403:
        return DataError(f"{url}: access denied ({said}); the credentials need the right to list and read it")
    if answered:
        return DataError(f"{url}: the server failed ({said}), after retries too")
    if "HTTP error" in text or "timed out" in text or "sending request" in text:
        return DataError(f"{url}: the server can't be reached; check the network and the endpoint's address")
    if "invalid path" in text:
        name = found[1] if (found := re.search(r'parsing Path "(.*?)":', text, re.DOTALL)) else "?"
        return DataError(f"{url} has an object whose name can't be used, {name!r}; rename or remove it")
    what = found[1] if (found := _VARIANT.search(text)) else type(error).__name__
    return DataError(f"{url}: the environment's settings can't be used ({what}); check {_CREDENTIALS[kind]}")

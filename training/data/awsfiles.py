"""Read keys, region and endpoint from ~/.aws where the environment doesn't set them. They are never stored or shown.

boto3 reads these files too, and obstore can ask it for keys. It would add 34 MB to each image and hold python-dateutil
below 3, and the endpoint would still have to be read here.
"""

from __future__ import annotations

import configparser
import os
from pathlib import Path

from training.errors import DataError

# obstore reads these itself. As in AWS' own tools, they take precedence over the files.
_KEYS_ELSEWHERE = ("AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_SKIP_SIGNATURE")
_FROM_FILES = {
    "aws_access_key_id": _KEYS_ELSEWHERE,
    "aws_secret_access_key": _KEYS_ELSEWHERE,
    "aws_session_token": _KEYS_ELSEWHERE,
    "region": ("AWS_REGION", "AWS_DEFAULT_REGION"),
    "endpoint_url": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"),
}
_FILES = ("AWS_PROFILE", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE")
VARIABLES = {*_FILES, *(name for names in _FROM_FILES.values() for name in names)}
"""The environment variables that `settings` depends on."""
_UNREAD = ("sso_session", "sso_start_url", "role_arn", "credential_process")


def settings() -> dict[str, str]:
    """Return the settings of the profile AWS_PROFILE (by default "default"), under obstore's names.

    Raises:
        DataError: the profile doesn't exist, a file can't be read, or another program has to make the profile's keys.
    """
    profile = os.environ.get("AWS_PROFILE") or "default"
    config = _section("AWS_CONFIG_FILE", "config", profile if profile == "default" else f"profile {profile}")
    keys = _section("AWS_SHARED_CREDENTIALS_FILE", "credentials", profile)
    if os.environ.get("AWS_PROFILE") and config is None and keys is None:
        raise DataError(f"AWS_PROFILE is {profile!r}; neither ~/.aws/config nor ~/.aws/credentials has that profile")
    found = (config or {}) | (keys or {})
    taken = {
        name: found[name]
        for name, variables in _FROM_FILES.items()
        if found.get(name) and not any(os.environ.get(variable) for variable in variables)
    }
    made = [name for name in _UNREAD if name in found]
    if made and "aws_access_key_id" not in found and not any(os.environ.get(name) for name in _KEYS_ELSEWHERE):
        raise DataError(
            f"the AWS profile {profile!r} gets its keys by {made[0]}, which isn't supported; put them into the "
            f'environment: eval "$(aws configure export-credentials --profile {profile} --format env)"'
        )
    return taken


def _section(variable: str, name: str, section: str) -> dict[str, str] | None:
    path = Path(os.environ.get(variable) or Path.home() / ".aws" / name)
    parser = configparser.ConfigParser(interpolation=None, default_section="\0")
    try:
        parser.read_string(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError, configparser.Error):
        # The error's text would repeat the faulty line, which may hold a key.
        raise DataError(f"{path} can't be read as an AWS configuration") from None
    return dict(parser[section]) if parser.has_section(section) else None

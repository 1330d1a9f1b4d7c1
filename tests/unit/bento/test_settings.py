from __future__ import annotations

import re
from pathlib import Path

import pytest

from bento.cpus import available_cpus
from bento.http.routes.table import OPTIONAL
from bento.settings import Settings, SettingsError, read_settings


def test_the_documented_table_matches_the_settings() -> None:
    rows = re.findall(r"^\| `([A-Z_]+)` \| (.*?) \| (.*?) \|$", Path("docs/settings.md").read_text(), re.MULTILINE)
    fields = Settings.model_fields
    assert [name for name, _, _ in rows] == [name.upper() for name in fields]
    for name, default, meaning in rows:
        field = fields[name.lower()]
        assert meaning == field.description
        known = None if field.default_factory else field.default
        assert default == ("-" if known is None else f"`{known}`")


def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODEL_TAG", "")
    monkeypatch.setenv("MAX_BODY_BYTES", "")
    assert read_settings().model_tag is None
    assert read_settings().max_body_bytes == 20 * 2**20


@pytest.mark.parametrize("keys", ["", " ", ",", " , "])
def test_api_keys_without_a_key_are_refused_and_never_open_the_service(
    monkeypatch: pytest.MonkeyPatch, keys: str
) -> None:
    """A setting that protects something ends the start if it is set but empty, as from an unset variable."""
    monkeypatch.setenv("API_KEYS", keys)
    with pytest.raises(SettingsError, match=f"^API_KEYS='{keys}': there is no key in it"):
        read_settings()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "there is no group in it; name at least one of docs, page, v2, or unset it"),
        (",", "there is no group in it; name at least one of docs, page, v2, or unset it"),
        ("docs,/v2", "'/v2' can't be switched off; the groups are docs, page, v2"),
        ("predict", "'predict' can't be switched off; the groups are docs, page, v2"),
    ],
)
def test_a_list_of_routes_to_switch_off_names_groups(monkeypatch: pytest.MonkeyPatch, text: str, reason: str) -> None:
    """A setting that closes something ends the start if it is empty or misspelt; otherwise it would close nothing."""
    monkeypatch.setenv("DISABLED_ROUTES", text)
    with pytest.raises(SettingsError) as raised:
        read_settings()
    assert str(raised.value) == f"DISABLED_ROUTES={text!r}: {reason}"


def test_the_groups_of_routes_are_those_of_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISABLED_ROUTES", ", ".join(OPTIONAL))
    assert read_settings().disabled_groups == list(OPTIONAL)


@pytest.mark.parametrize("port", ["0", "65536", "http"])
def test_a_management_port_is_a_port(monkeypatch: pytest.MonkeyPatch, port: str) -> None:
    monkeypatch.setenv("MANAGEMENT_PORT", port)
    with pytest.raises(SettingsError, match=f"^MANAGEMENT_PORT='{port}': "):
        read_settings()


def test_a_wrong_value_is_named_with_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAX_BODY_BYTES", "20 MB")
    with pytest.raises(SettingsError, match=r"^MAX_BODY_BYTES='20 MB': .*integer"):
        read_settings()


@pytest.mark.parametrize(
    ("files", "cpus"),
    [
        ({"cpu.max": "150000 100000\n"}, 2),
        ({"cpu.max": "50000 100000\n"}, 1),
        ({"cpu.max": "max 100000\n"}, None),
        ({"cpu/cpu.cfs_quota_us": "100000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 1),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ({}, None),
    ],
)
def test_threads_default_to_the_containers_cpu_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str], cpus: int | None
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)))
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert available_cpus(tmp_path) == (cpus or 8)

"""Secrets of HashiCorp Vault, read from a stand-in that answers as its key-value stores do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from ame.diagnosis import Refused, Where
from ame.runtime import read_vault, vault
from ame.spec import Secret
from tests.runtime.vault import TOKEN, StandInVault, serving_vault

SECRET = Secret(key="team/blob", inject_as="KEY", where=Where("ame.yml", 7, 9), vault="kv")
TWO = {"data": {"data": {"user": "ann", "password": "open-sesame", "port": 7}, "metadata": {"version": 2}}}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[StandInVault]:
    with serving_vault() as found:
        monkeypatch.setenv("VAULT_ADDR", f"{found.address}/")
        monkeypatch.setenv("VAULT_TOKEN", TOKEN)
        monkeypatch.delenv("VAULT_NAMESPACE", raising=False)
        yield found


def refusal(secret: Secret = SECRET) -> str:
    with pytest.raises(Refused) as refused:
        read_vault(secret, "train")
    told = str(refused.value)
    assert TOKEN not in told
    assert "sesame" not in told
    assert refused.value.__cause__ is None
    return told


def test_a_field_of_version_2(server: StandInVault, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAULT_NAMESPACE", "ml")
    server.secrets["/v1/kv/data/team/blob%20x"] = TWO
    secret = replace(SECRET, key="/team/blob x", field="password")
    assert read_vault(secret, "train") == "open-sesame"
    assert server.asked == [("/v1/kv/data/team/blob%20x", "ml")]


@pytest.mark.parametrize("denied", [403, 404])
def test_the_only_value_of_version_1(server: StandInVault, denied: int) -> None:
    server.secrets["/v1/kv/data/team/blob"] = denied
    server.secrets["/v1/kv/team/blob"] = {"data": {"value": "open-sesame"}}
    assert read_vault(SECRET, "train") == "open-sesame"


@pytest.mark.parametrize("name", ["VAULT_ADDR", "VAULT_TOKEN"])
def test_without_its_settings_it_is_missing(
    server: StandInVault, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.delenv(name)
    assert refusal() == (
        "AME-E225 ame.yml:7:9 secret 'team/blob' of task 'train' is not there, in vault 'kv'. Vault is found by "
        f"VAULT_ADDR and VAULT_TOKEN. Not set here: {name}. Set VAULT_ADDR and VAULT_TOKEN where the task runs, "
        "and write the secret to that vault."
    )


def test_what_is_not_there_is_missing(server: StandInVault) -> None:
    assert refusal() == (
        f"AME-E225 ame.yml:7:9 secret 'team/blob' of task 'train' is not there, in vault 'kv'. {server.address} "
        "has nothing at this path. Set VAULT_ADDR and VAULT_TOKEN where the task runs, and write the secret to "
        "that vault."
    )


def test_a_token_that_may_not_read(server: StandInVault, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAULT_TOKEN", "another")
    server.secrets["/v1/kv/data/team/blob"] = TWO
    assert refusal() == (
        "AME-E226 ame.yml:7:9 vault 'kv' cannot be asked for secret 'team/blob' of task 'train'. "
        f"{server.address} answered 403: permission denied. See that VAULT_ADDR, VAULT_TOKEN and VAULT_NAMESPACE "
        "are right, and that the token may read it."
    )


def test_a_vault_that_is_sealed(server: StandInVault) -> None:
    server.secrets["/v1/kv/data/team/blob"] = 503
    server.secrets["/v1/kv/team/blob"] = 503
    assert "answered 503: told with 503." in refusal()


def test_a_vault_that_redirects_gets_no_token_elsewhere(server: StandInVault) -> None:
    server.secrets["/v1/kv/data/team/blob"] = 307
    server.secrets["/v1/kv/team/blob"] = 307
    assert "answered 307" in refusal()


def test_a_vault_that_hangs(server: StandInVault, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vault, "_SECONDS", 0.2)
    server.secrets["/v1/kv/data/team/blob"] = None
    assert "AME-E226 ame.yml:7:9 vault 'kv' cannot be asked" in refusal()


@pytest.mark.parametrize("address", ["http://127.0.0.1:9", "nowhere", "http://[", "/etc"])
def test_a_vault_that_is_not_there(
    server: StandInVault, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("VAULT_ADDR", address)
    assert "AME-E226 ame.yml:7:9 vault 'kv' cannot be asked" in refusal()


@pytest.mark.parametrize(
    ("field", "told"),
    [
        (None, "has 3 values. It has password, port, user. Say which one by `field`."),
        ("pin", "has no value 'pin'. It has password, port, user. Take one of those as `field`."),
        (
            "port",
            "has no text at 'port'. It has password, port, user. Keep a text there: it becomes the value of a variable.",
        ),
    ],
)
def test_the_value_that_is_meant_must_be_clear(server: StandInVault, field: str | None, told: str) -> None:
    server.secrets["/v1/kv/data/team/blob"] = TWO
    assert refusal(replace(SECRET, field=field)) == (
        f"AME-E227 ame.yml:7:9 secret 'team/blob' of task 'train', in vault 'kv', {told}"
    )


@pytest.mark.parametrize("field", ["data.password", "password"])
def test_a_whole_path_as_older_files_have_it(server: StandInVault, field: str) -> None:
    server.secrets["/v1/internal/data/database/config"] = TWO
    secret = replace(SECRET, vault="company", key="internal/data/database/config", field=field)
    assert read_vault(secret, "train") == "open-sesame"

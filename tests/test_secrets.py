"""What counts as secret, and that nothing of it is shown."""

from __future__ import annotations

import base64
import json
import re
import shlex

import pytest

from ame.diagnosis import Diagnosis, Refused
from ame.secrets import Masker, is_secret_name, masking_refusals, secret_values

KEY = "-----BEGIN KEY-----\nMIIEvQIBADANBg\n  kqhkiG9w0BAQEF\nab12\n-----END KEY-----\n"


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("AWS_SECRET_ACCESS_KEY", True),
        ("AWS_SESSION_TOKEN", True),
        ("AWS_ACCESS_KEY_ID", False),
        ("DB_PASSWORD", True),
        ("PGPASSFILE", False),
        ("OPENAI_API_KEY", True),
        ("MY_KEY", True),
        ("PUBLIC_KEY", False),
        ("KEYBOARD", False),
        ("MAX_TOKENS", False),
        ("TOKENIZERS_PARALLELISM", False),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", False),
        ("PREFECT_SERVER_API_AUTH_STRING", True),
        ("secretAccessKey", True),
        ("MODE", False),
    ],
)
def test_a_name_says_whether_its_value_is_secret(name: str, secret: bool) -> None:
    assert is_secret_name(name) is secret


def test_values_of_variables_and_passwords_in_addresses_are_secret() -> None:
    environment = {"MODE": "fast", "TOKEN": "t0ken-123", "DATABASE": "postgresql://me:p%40ss-word@db/x"}
    assert secret_values(environment) == ("t0ken-123", "p%40ss-word")


def test_a_secret_is_masked_wherever_it_stands() -> None:
    masked = Masker(["hunter22", "hunter22-and-more", 'a"b\\c/d e'])
    assert masked("x=hunter22-and-more, hunter22hunter22!") == "x=***, ******!"
    assert masked('{"k": "a\\"b\\\\c/d e"} ?k=a%22b%5Cc%2Fd+e') == '{"k": "***"} ?k=***'
    assert "hunter" not in repr(masked)


def test_each_line_of_a_value_of_many_lines_is_masked() -> None:
    masked = Masker([KEY])
    lines = [masked(line) for line in KEY.splitlines()]
    assert lines == ["***", "***", "  ***", "ab12", "***"]


def test_what_is_too_short_to_be_told_from_text_stays() -> None:
    assert Masker(["true", "", "12345"])("true 12345") == "true 12345"
    assert Masker([])("text") == "text"


def test_a_declared_value_is_masked_however_short_it_is() -> None:
    masked = Masker([], declared=["1234", "", f"{{\n  {KEY[:20]}\n}}"])
    assert masked("pin=1234 {") == "pin=*** {"


def test_a_refusal_is_masked() -> None:
    diagnosis = Diagnosis(
        code="AME-E201", what="`login hunter22` failed.", why="hunter22", fix="not hunter22"
    )
    with pytest.raises(Refused) as refused, masking_refusals(Masker(["hunter22"])):
        raise Refused(diagnosis)
    assert str(refused.value) == "AME-E201 `login ***` failed. *** not ***"


AWKWARD = """it's "so" \\ cköy"""


@pytest.mark.parametrize(
    "shown",
    [
        AWKWARD,
        repr(AWKWARD),
        repr({"password": AWKWARD}),
        repr(f"{AWKWARD} and ' and \""),
        repr(AWKWARD.encode()),
        json.dumps(AWKWARD),
        json.dumps(AWKWARD, ensure_ascii=False),
        shlex.quote(AWKWARD),
        base64.b64encode(AWKWARD.encode()).decode(),
    ],
)
def test_a_secret_is_found_however_it_is_written(shown: str) -> None:
    text = Masker([AWKWARD])(f"before {shown} after")
    assert "***" in text
    assert not {"so", "cköy", "c\\xc3"} & set(re.split(r"[^\w\\]+", text))


def test_a_user_and_a_password_in_the_header_of_a_request() -> None:
    environment = {"MLFLOW_TRACKING_USERNAME": "me", "MLFLOW_TRACKING_PASSWORD": "hidden-value"}
    header = "Basic " + base64.b64encode(b"me:hidden-value").decode()
    assert Masker(secret_values(environment))(header) == "Basic ***"

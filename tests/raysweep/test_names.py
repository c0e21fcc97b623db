"""No name leads out of the results folder, and no secret into it."""

import stat

import pytest

from raysweep.experiment import Experiment, Group
from raysweep.ledger.opening import open_ledger
from raysweep.ledger.store import LedgerError
from raysweep.messages import without_secrets
from raysweep.running.token import prepare_token
from tests.fake_trainable import FakeConfig

FUZZED = [
    *("..", ".", "", "../x", "a/../../x", "/etc/passwd", "a/b", "a\\b", "..\\x", "~", "~root", "-rf"),
    *(
        "a\0b",
        "a\nb",
        "a\rb",
        "%2e%2e%2fx",
        "a b",
        "$HOME",
        "`id`",
        "a;b",
        "x" * 300,
        "\u2025/x",
        "\uff0e\uff0e",
        "a\u202eb",
    ),
]


@pytest.mark.parametrize("name", FUZZED)
def test_a_name_that_is_no_file_name_is_refused_in_one_line(tmp_path, name):
    ledger = open_ledger(tmp_path / "results")
    for refused in (
        lambda: Experiment(name=name, config=FakeConfig(), trainable="tests.fake_trainable"),
        lambda: Group(name=name, experiments=()),
    ):
        with pytest.raises(ValueError, match="begins with a letter or digit") as error:
            refused()
        assert "\n" not in str(error.value)
    for refused in (
        lambda: ledger.begin(name),
        lambda: ledger.write({"run": name}),
        lambda: ledger.remove(name),
        lambda: ledger.record(name),
        lambda: ledger.runs.folder(name),
    ):
        with pytest.raises(LedgerError, match="begins with a letter or digit"):
            refused()
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize("before", [None, "a token that Ray wrote"])
def test_the_token_is_for_its_owner_alone(tmp_path, monkeypatch, before):
    file = tmp_path / "ray" / "token"
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(file))
    monkeypatch.delenv("RAY_AUTH_TOKEN", raising=False)
    if before:
        file.parent.mkdir()
        file.write_text(before)
        file.chmod(0o644)
    prepare_token()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.read_text() == before if before else len(file.read_text()) == 64


def test_secrets_of_the_environment_are_not_recorded(monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", "abc123")
    monkeypatch.setenv("db_password", "hunter22")
    monkeypatch.setenv("PLAIN", "visible")
    assert without_secrets("no route to hunter22@host?key=abc123, visible") == "no route to ***@host?key=***, visible"

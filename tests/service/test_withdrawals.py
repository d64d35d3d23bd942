"""The specification of rights that are withdrawn."""

from pathlib import Path

import pytest

from grid.errors import ConfigError, Refused
from grid.people import Principal, Role
from service import commands, keys, place
from service.clock import now_ms
from service.tokens import issue
from service.withdrawals import NAME, Withdrawals, withdraw

KEY = b"k" * 32
NOON = 1_700_000_000_000
C1 = Principal(Role.CUSTOMER, "C 1", None, 0)


def test_what_was_issued_before_counts_no_more_and_what_comes_after_does(tmp_path: Path) -> None:
    now = [NOON]
    withdrawals = Withdrawals(tmp_path, lambda: now[0])
    old = issue(KEY, C1, 3600, NOON)
    other = issue(KEY, Principal(Role.CREW, "C 1", None, 0), 3600, NOON)
    before = withdrawals.accept(KEY, old)
    assert not withdrawals.covers(before)
    withdraw(tmp_path, "customer", "C 1", NOON + 1_000)
    now[0] += 1_000  # it is looked at every half second
    assert withdrawals.covers(before)
    with pytest.raises(Refused, match="withdrawn"):
        withdrawals.accept(KEY, old)
    assert withdrawals.accept(KEY, other).role is Role.CREW
    now[0] += 1_000
    assert withdrawals.accept(KEY, issue(KEY, C1, 3600, now[0])).subject == "C 1"


def test_a_later_withdrawal_is_seen_and_a_damaged_line_opens_nothing(tmp_path: Path) -> None:
    now = [NOON]
    withdrawals = Withdrawals(tmp_path, lambda: now[0])
    withdraw(tmp_path, "customer", "C 1", NOON)
    with (tmp_path / NAME).open("a") as file:
        file.write("nonsense\n")
    withdraw(tmp_path, "customer", "C 1", NOON + 5_000)
    now[0] += 6_000
    with pytest.raises(Refused):
        withdrawals.accept(KEY, issue(KEY, C1, 3600, NOON + 4_000))
    assert oct((tmp_path / NAME).stat().st_mode)[-3:] == "600"


def test_a_name_cannot_bring_lines_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(Refused):
        withdraw(tmp_path, "customer", "C1\n9 dispatcher ann", NOON)
    assert not (tmp_path / NAME).exists()


def test_the_command_writes_where_a_service_reads_it(tmp_path: Path) -> None:
    data = tmp_path / "data"
    old = commands.token("customer", "C1", None, data, 3600)
    key = keys.read_keys(data).token
    assert Withdrawals(keys.folder_of(data), now_ms).accept(key, old).subject == "C1"
    assert "counts no more" in commands.withdraw("customer", "C1", data)
    with pytest.raises(Refused, match="withdrawn"):
        Withdrawals(keys.folder_of(data), now_ms).accept(key, old)
    with pytest.raises(ConfigError, match="no-one"):
        commands.withdraw("no-one", "C1", data)


def test_a_cluster_has_it_beside_the_keys_that_its_roles_share(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets = tmp_path / "secrets"
    keys.open_folder(secrets / "keys")
    monkeypatch.setenv("LASTGASP_SECRETS", str(secrets))
    nowhere = tmp_path / "nowhere"
    old = commands.token("dispatcher", "ann", None, nowhere, 3600)
    key = keys.read_folder(secrets / "keys").token
    role = Withdrawals(place.key_folder_of(nowhere), now_ms)
    assert role.accept(key, old).subject == "ann"
    commands.withdraw("dispatcher", "ann", nowhere)
    with pytest.raises(Refused, match="withdrawn"):
        Withdrawals(place.key_folder_of(nowhere), now_ms).accept(key, old)


def test_a_token_made_right_after_the_command_counts(tmp_path: Path) -> None:
    """Tokens have whole seconds: the command is done when its own second is."""
    data = tmp_path / "data"
    commands.token("customer", "C1", None, data, 3600)
    commands.withdraw("customer", "C1", data)
    new = commands.token("customer", "C1", None, data, 3600)
    key = keys.read_keys(data).token
    assert Withdrawals(keys.folder_of(data), now_ms).accept(key, new).subject == "C1"

"""The file of keys: what it may hold, and that nobody else could have read it."""

import os

import pytest
from hartonomous_server import errors
from hartonomous_server.security import key_file

ONE, TWO = "01" * 32, "Fe" * 32


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "keys"
    file.write_text(f"1:{ONE}\n7:{TWO}\n")
    file.chmod(0o600)
    return file


def test_the_last_line_is_the_newest(path):
    assert key_file.key(str(path), None) == (7, TWO)
    assert key_file.key(str(path), 1) == (1, ONE)
    path.write_text(f"7:{TWO}\n1:{ONE}")
    assert key_file.key(str(path), None) == (1, ONE)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        (f"1:{ONE[1:]}", "line 1"),
        (f"1:{ONE}0", "line 1"),
        (f"1:{ONE} ", "line 1"),
        (f"0:{ONE}", "line 1"),
        (f"-1:{ONE}", "line 1"),
        (f"1:{ONE}\n\n", "line 2"),
        (f"1:{ONE}\n1:{TWO}", "line 2 of the key file has a version that stands before"),
        (f"1:{'zz' * 32}", "line 1"),
        ("x" * ((1 << 20) + 1), "at most"),
    ],
)
def test_what_it_may_not_hold(path, text, message):
    path.write_text(text)
    with pytest.raises(errors.SecretUnavailable, match=message) as raised:
        key_file.key(str(path), None)
    assert str(path) not in str(raised.value) and ONE[1:] not in str(raised.value)


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660, 0o700, 0o601])
def test_modes_by_which_others_read_or_write(path, mode):
    path.chmod(mode)
    with pytest.raises(errors.SecretUnavailable, match=f"mode {mode:04o}, expected 0600 or 0400"):
        key_file.key(str(path), None)


def test_read_only_is_fine(path):
    path.chmod(0o400)
    assert key_file.key(str(path), None)[0] == 7


def test_another_owner(path, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.raises(errors.SecretUnavailable, match="does not belong to the server's user"):
        key_file.key(str(path), None)


def test_no_file(path, tmp_path):
    os.mkfifo(tmp_path / "fifo", 0o600)
    for name in (None, "", str(tmp_path / "nothing"), str(tmp_path), "/dev/zero", str(tmp_path / "fifo"), "a\0b"):
        with pytest.raises(errors.SecretUnavailable):
            key_file.key(name, None)


def test_a_version_that_left_the_file(path):
    with pytest.raises(errors.SecretUnavailable, match="key version 2 is not in the key file"):
        key_file.key(str(path), 2)

"""A sealed file tells nothing, and no change of it goes unseen."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsbridge.keeping.sealing import MAGIC, PIECE, CannotUnseal, Key, Sealer, read_key, unseal

KEY, OTHER = Key(b"k" * 32), Key(b"o" * 32)


def sealed(data: bytes, *, key: Key = KEY, at_once: int = 1000) -> bytes:
    file = io.BytesIO()
    sealer = Sealer(file, key)
    for start in range(0, len(data), at_once):
        sealer.write(data[start : start + at_once])
    sealer.close()
    return file.getvalue()


def opened(data: bytes, key: Key = KEY) -> bytes:
    file = io.BytesIO(data)
    assert file.read(len(MAGIC)) == MAGIC
    return b"".join(unseal(file, key))


@pytest.mark.parametrize("size", [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE])
def test_what_is_sealed_can_be_read_again(size):
    data = bytes(number % 251 for number in range(size))
    assert opened(sealed(data)) == data
    assert opened(sealed(data, at_once=10 * PIECE)) == data


def test_nothing_of_it_can_be_read_without_the_key():
    secret = b"what they wrote to each other" * 10
    assert secret[:10] not in sealed(secret)
    assert sealed(secret) != sealed(secret)
    with pytest.raises(CannotUnseal, match="not with this key"):
        opened(sealed(secret), OTHER)


@given(cut=st.integers(min_value=0))
def test_it_cannot_be_cut_off(cut):
    whole = sealed(b"x" * (PIECE + 10))
    with pytest.raises(CannotUnseal):
        opened(whole[: len(MAGIC) + cut % (len(whole) - len(MAGIC))])


@given(at=st.integers(min_value=0), bit=st.integers(0, 7))
def test_no_bit_of_it_can_be_changed(at, bit):
    whole = bytearray(sealed(b"x" * 300))
    whole[len(MAGIC) + at % (len(whole) - len(MAGIC))] ^= 1 << bit
    with pytest.raises(CannotUnseal):
        opened(bytes(whole))


def test_nothing_can_be_added_and_no_piece_moved():
    whole = sealed(bytes(PIECE) + b"\1" * PIECE + b"\2", at_once=PIECE)
    with pytest.raises(CannotUnseal, match="added"):
        opened(whole + b"!")
    begin, size = len(MAGIC) + 24, 4 + PIECE + 17
    first, second = whole[begin : begin + size], whole[begin + size : begin + 2 * size]
    with pytest.raises(CannotUnseal):
        opened(whole[:begin] + second + first + whole[begin + 2 * size :])


def test_a_key_file_is_64_digits_and_no_repr_shows_it(tmp_path):
    path = tmp_path / "backup.key"
    path.write_text("0f" * 32 + "\n")
    key = read_key(path)
    assert key.secret == b"\x0f" * 32
    assert "0f" not in repr(key)
    for wrong in ("", "0f" * 31, "0g" * 32, "é"):
        path.write_text(wrong)
        with pytest.raises(CannotUnseal):
            read_key(path)
    with pytest.raises(CannotUnseal, match="cannot be read"):
        read_key(tmp_path / "missing")

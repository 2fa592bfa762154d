"""LEB128 against its definition, and the bounds of the decoders."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from symbols.errors import SymbolsError
from symbols.wasm.leb import (
    decode_s32,
    decode_s33,
    decode_s64,
    decode_u32,
    decode_u64,
    encode_padded,
    encode_signed,
    encode_unsigned,
)

U32 = st.integers(0, 2**32 - 1)
U64 = st.integers(0, 2**64 - 1)


def unsigned_value(data: bytes) -> int:
    """The definition: seven bits a byte, least significant first."""
    return sum((byte & 0x7F) << (7 * i) for i, byte in enumerate(data))


@given(U64, st.binary(max_size=3))
def test_unsigned_round_trip(value: int, junk: bytes) -> None:
    raw = encode_unsigned(value)
    assert unsigned_value(raw) == value
    assert decode_u64(raw + junk, 0, len(raw)) == (value, len(raw))
    if value < 2**32:
        assert decode_u32(junk + raw, len(junk), len(junk + raw)) == (value, len(junk + raw))
    else:
        with pytest.raises(SymbolsError):
            decode_u32(raw, 0, len(raw))


@given(st.integers(-(2**63), 2**63 - 1))
def test_signed_round_trip(value: int) -> None:
    raw = encode_signed(value)
    assert decode_s64(raw, 0, len(raw)) == (value, len(raw))
    for bits, decode in ((32, decode_s32), (33, decode_s33)):
        if -(2 ** (bits - 1)) <= value < 2 ** (bits - 1):
            assert decode(raw, 0, len(raw)) == (value, len(raw))
        else:
            with pytest.raises(SymbolsError):
                decode(raw, 0, len(raw))


@given(U32, st.integers(1, 5))
def test_padded_encoding_has_the_width_if_it_fits(value: int, width: int) -> None:
    raw = encode_padded(value, width)
    assert decode_u32(raw, 0, len(raw)) == (value, len(raw))
    assert len(raw) == max(width, len(encode_unsigned(value)))


@given(st.binary(max_size=12))
def test_any_bytes_decode_in_bounds_or_fail(data: bytes) -> None:
    for decode in (decode_u32, decode_u64, decode_s32, decode_s33, decode_s64):
        try:
            _, end = decode(data, 0, len(data))
        except SymbolsError:
            continue
        assert 0 < end <= len(data)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ("", "truncated"),
        ("80", "truncated"),
        ("8080808080", "longer than 32"),
        ("ffffffff10", "larger than 32"),
        ("808080808000", "longer than 32"),
    ],
)
def test_malformed_u32(raw: str, message: str) -> None:
    data = bytes.fromhex(raw)
    with pytest.raises(SymbolsError, match=message):
        decode_u32(data, 0, len(data))


def test_a_long_run_of_continuation_bytes_is_refused_at_once() -> None:
    data = b"\x80" * 1_000_000
    for decode in (decode_u32, decode_u64, decode_s32, decode_s64):
        with pytest.raises(SymbolsError, match="longer"):
            decode(data, 0, len(data))


def test_negative_values_have_no_unsigned_encoding() -> None:
    with pytest.raises(ValueError, match="negative"):
        encode_unsigned(-1)

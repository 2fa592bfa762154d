"""Framing: what is sent comes back, however it is cut; nothing that is sent does harm."""

from hypothesis import given
from hypothesis import strategies as st

from wdbg.gdbstub.rsp import Item, Packet, Parser, Signal, frame

LIMIT = 64


def fed(parser: Parser, data: bytes, cuts: list[int]) -> list[Item]:
    """All items, with the data in pieces."""
    items: list[Item] = []
    last = 0
    for cut in sorted(c % (len(data) + 1) for c in cuts):
        items += parser.feed(data[last:cut])
        last = cut
    return items + parser.feed(data[last:])


@given(st.lists(st.binary(max_size=30)), st.lists(st.integers(0, 10_000), max_size=20))
def test_round_trip(payloads: list[bytes], cuts: list[int]) -> None:
    data = b"".join(frame(payload) for payload in payloads)
    assert fed(Parser(), data, cuts) == [Packet(payload) for payload in payloads]


@given(
    st.lists(
        st.one_of(
            st.binary(max_size=80),
            st.sampled_from([b"$", b"#", b"}", b"*", b"+", b"-", b"\x03", b"#00", b"*~", b"$#00"]),
            st.binary(max_size=8).map(frame),
        )
    ),
    st.lists(st.integers(0, 10_000), max_size=20),
)
def test_rubbish_is_bounded_and_independent_of_its_pieces(
    parts: list[bytes], cuts: list[int]
) -> None:
    data = b"".join(parts)
    whole, pieces = Parser(LIMIT), Parser(LIMIT)
    assert whole.feed(data) == fed(pieces, data, cuts)
    assert whole.pending == pieces.pending <= LIMIT + 3
    # Whatever came before, a packet gets through after at most one more.
    items = whole.feed(b"#00" + frame(b"one") + frame(b"two"))
    assert items[-1] == Packet(b"two")


def test_signals_between_packets() -> None:
    items = Parser().feed(b"+\x03-x$g#67+")
    expected = [Signal.ACK, Signal.INTERRUPT, Signal.NAK, Packet(b"g"), Signal.ACK]
    assert items == expected


def test_byte_3_in_a_packet_is_data() -> None:
    assert Parser().feed(frame(b"X0,1:\x03")) == [Packet(b"X0,1:\x03")]


def test_wrong_checksum() -> None:
    assert Parser().feed(b"$g#68$g#6x$g#67") == [Signal.GARBLED, Signal.GARBLED, Packet(b"g")]


def test_repetition() -> None:
    def packet(body: bytes) -> list[Item]:
        return Parser().feed(b"$%b#%02x" % (body, sum(body) & 255))

    assert packet(b"0* ") == [Packet(b"0000")]
    assert packet(b"0*~") == [Packet(b"0" * 98)]
    for wrong in (b"*!", b"0*", b"0*\x1f", b"0*\x7f", b"a}"):
        assert packet(wrong) == [Signal.GARBLED], wrong


def test_a_repetition_cannot_grow_without_bound() -> None:
    body = b"0" + b"*~" * 1000
    assert Parser(1000).feed(b"$%b#%02x" % (body, sum(body) & 255)) == [Signal.TOO_LONG]


def test_too_long() -> None:
    parser = Parser(LIMIT)
    assert parser.feed(frame(b"a" * LIMIT)) == [Packet(b"a" * LIMIT)]
    for step in (1, 7, 100_000):
        data = frame(b"a" * 5000)
        items = [item for at in range(0, len(data), step) for item in parser.feed(data[at:][:step])]
        assert items == [Signal.TOO_LONG]
    assert parser.feed(b"$" + b"a" * 5000 + b"#00") == [Signal.GARBLED]
    assert parser.feed(frame(b"g")) == [Packet(b"g")]


def test_a_packet_that_begins_anew() -> None:
    assert Parser().feed(b"$m10,4$g#67") == [Packet(b"g")]

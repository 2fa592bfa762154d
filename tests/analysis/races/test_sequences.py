"""Sections of sequence counts."""

from wdbg.analysis.races.sequences import READER, Sequences

BEGIN, RETRY, WRITE, WRITTEN, OTHER, INSIDE = range(6)


class Places:
    def in_sequence(self, position):
        return position == INSIDE

    def sequence(self, position):
        found = {BEGIN: (0, True), RETRY: (0, False), WRITE: (1, True), WRITTEN: (1, False)}
        return found.get(position, (-1, False))


def test_what_is_in_a_section_counts_as_marked():
    sections = Sequences(Places())
    for begin, end in ((BEGIN, RETRY), (WRITE, WRITTEN)):
        assert not sections.atomic(1, OTHER)
        assert sections.atomic(1, begin)
        assert sections.atomic(1, OTHER)
        assert not sections.atomic(2, OTHER), "another context"
        assert sections.atomic(1, end)
        assert not sections.atomic(1, OTHER)
    assert sections.atomic(1, INSIDE)


def test_a_reader_that_never_looks_again():
    sections = Sequences(Places())
    sections.atomic(1, BEGIN)
    assert [sections.atomic(1, OTHER) for _ in range(READER + 1)] == [True] * READER + [False]

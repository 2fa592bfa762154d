"""Numbers of the DWARF standard (version 5, chapter 7) that this package needs."""

from __future__ import annotations

from typing import Final


class Tag:
    """DW_TAG_*: plain integers, they are compared a million times."""

    ARRAY_TYPE: Final = 0x01
    CLASS_TYPE: Final = 0x02
    ENUMERATION_TYPE: Final = 0x04
    FORMAL_PARAMETER: Final = 0x05
    LABEL: Final = 0x0A
    LEXICAL_BLOCK: Final = 0x0B
    MEMBER: Final = 0x0D
    POINTER_TYPE: Final = 0x0F
    REFERENCE_TYPE: Final = 0x10
    COMPILE_UNIT: Final = 0x11
    STRUCTURE_TYPE: Final = 0x13
    SUBROUTINE_TYPE: Final = 0x15
    TYPEDEF: Final = 0x16
    UNION_TYPE: Final = 0x17
    UNSPECIFIED_PARAMETERS: Final = 0x18
    INHERITANCE: Final = 0x1C
    INLINED_SUBROUTINE: Final = 0x1D
    SUBRANGE_TYPE: Final = 0x21
    BASE_TYPE: Final = 0x24
    CONST_TYPE: Final = 0x26
    ENUMERATOR: Final = 0x28
    SUBPROGRAM: Final = 0x2E
    VARIABLE: Final = 0x34
    VOLATILE_TYPE: Final = 0x35
    RESTRICT_TYPE: Final = 0x37
    NAMESPACE: Final = 0x39
    PARTIAL_UNIT: Final = 0x3C
    RVALUE_REFERENCE_TYPE: Final = 0x42
    ATOMIC_TYPE: Final = 0x47
    SKELETON_UNIT: Final = 0x4A


UNIT_TAGS: Final = frozenset({Tag.COMPILE_UNIT, Tag.PARTIAL_UNIT, Tag.SKELETON_UNIT})


class At:
    """DW_AT_*."""

    LOCATION: Final = 0x02
    NAME: Final = 0x03
    BYTE_SIZE: Final = 0x0B
    BIT_OFFSET: Final = 0x0C
    BIT_SIZE: Final = 0x0D
    STMT_LIST: Final = 0x10
    LOW_PC: Final = 0x11
    HIGH_PC: Final = 0x12
    COMP_DIR: Final = 0x1B
    CONST_VALUE: Final = 0x1C
    UPPER_BOUND: Final = 0x2F
    ABSTRACT_ORIGIN: Final = 0x31
    COUNT: Final = 0x37
    DATA_MEMBER_LOCATION: Final = 0x38
    DECL_FILE: Final = 0x3A
    DECL_LINE: Final = 0x3B
    DECLARATION: Final = 0x3C
    ENCODING: Final = 0x3E
    EXTERNAL: Final = 0x3F
    FRAME_BASE: Final = 0x40
    SPECIFICATION: Final = 0x47
    TYPE: Final = 0x49
    RANGES: Final = 0x55
    CALL_COLUMN: Final = 0x57
    CALL_FILE: Final = 0x58
    CALL_LINE: Final = 0x59
    DATA_BIT_OFFSET: Final = 0x6B
    LINKAGE_NAME: Final = 0x6E
    STR_OFFSETS_BASE: Final = 0x72
    ADDR_BASE: Final = 0x73
    RNGLISTS_BASE: Final = 0x74
    LOCLISTS_BASE: Final = 0x8C


class Form:
    """DW_FORM_*."""

    ADDR: Final = 0x01
    BLOCK2: Final = 0x03
    BLOCK4: Final = 0x04
    DATA2: Final = 0x05
    DATA4: Final = 0x06
    DATA8: Final = 0x07
    STRING: Final = 0x08
    BLOCK: Final = 0x09
    BLOCK1: Final = 0x0A
    DATA1: Final = 0x0B
    FLAG: Final = 0x0C
    SDATA: Final = 0x0D
    STRP: Final = 0x0E
    UDATA: Final = 0x0F
    REF_ADDR: Final = 0x10
    REF1: Final = 0x11
    REF2: Final = 0x12
    REF4: Final = 0x13
    REF8: Final = 0x14
    REF_UDATA: Final = 0x15
    INDIRECT: Final = 0x16
    SEC_OFFSET: Final = 0x17
    EXPRLOC: Final = 0x18
    FLAG_PRESENT: Final = 0x19
    STRX: Final = 0x1A
    ADDRX: Final = 0x1B
    REF_SUP4: Final = 0x1C
    STRP_SUP: Final = 0x1D
    DATA16: Final = 0x1E
    LINE_STRP: Final = 0x1F
    REF_SIG8: Final = 0x20
    IMPLICIT_CONST: Final = 0x21
    LOCLISTX: Final = 0x22
    RNGLISTX: Final = 0x23
    REF_SUP8: Final = 0x24
    STRX1: Final = 0x25
    STRX2: Final = 0x26
    STRX3: Final = 0x27
    STRX4: Final = 0x28
    ADDRX1: Final = 0x29
    ADDRX2: Final = 0x2A
    ADDRX3: Final = 0x2B
    ADDRX4: Final = 0x2C
    GNU_ADDR_INDEX: Final = 0x1F01
    GNU_STR_INDEX: Final = 0x1F02
    GNU_REF_ALT: Final = 0x1F20
    GNU_STRP_ALT: Final = 0x1F21


ADDRESS_FORMS: Final = frozenset(
    {Form.ADDRX, Form.ADDRX1, Form.ADDRX2, Form.ADDRX3, Form.ADDRX4, Form.GNU_ADDR_INDEX}
)
"""Indices into .debug_addr."""
STRING_INDEX_FORMS: Final = frozenset(
    {Form.STRX, Form.STRX1, Form.STRX2, Form.STRX3, Form.STRX4, Form.GNU_STR_INDEX}
)
"""Indices into .debug_str_offsets."""
BLOCK_FORMS: Final = frozenset({Form.EXPRLOC, Form.BLOCK, Form.BLOCK1, Form.BLOCK2, Form.BLOCK4})
UNIT_REFERENCES: Final = frozenset({Form.REF1, Form.REF2, Form.REF4, Form.REF8, Form.REF_UDATA})
"""References that count from the unit's header."""

"""Check digits of the numbers that trade documents carry.

A failed check digit is a mistyped number, not a fraud; callers decide how severe it is. All
functions take the bare number, without spaces, and answer True or False for any string.
"""

from __future__ import annotations

import re
from string import ascii_uppercase, digits
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_CONTAINER = re.compile(r"[A-Z]{3}[UJZR][0-9]{7}")
_IMO = re.compile(r"[0-9]{7}")
_LEI = re.compile(r"[0-9A-Z]{18}[0-9]{2}")
_USCC = re.compile(r"[0-9A-HJ-NPQRTUWXY]{2}[0-9]{6}[0-9A-HJ-NPQRTUWXY]{10}")
_CIM = re.compile(r"[0-9]{6}")
_WAGON = re.compile(r"[0-9]{12}")
_GS1 = re.compile(r"[0-9]{8}|[0-9]{12,14}|[0-9]{17,18}")
_AWB = re.compile(r"[0-9]{3}-?([0-9]{7})([0-9])")
_AEO_CN = re.compile(r"AEOCN[0-9]{4}[0-9A-Z]{6}")

_USCC_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_CONTAINER_VALUES = dict(zip(digits, range(10), strict=True)) | dict(
    zip(ascii_uppercase, (value for value in range(10, 39) if value % 11), strict=True)
)


def iso6346_check_digit(code: str) -> str:
    """The check digit of owner code, category letter and serial number (10 characters).

    A remainder of 10 gives 0; the standard advises against such numbers, but they are seen.
    Source: ISO 6346 annex A.
    """
    total = sum(_CONTAINER_VALUES[character] << place for place, character in enumerate(code))
    return str(total % 11 % 10)


def iso6346(value: str) -> bool:
    """A container number: 3 letters, one of U J Z R, 6 digits and the check digit (ISO 6346)."""
    return bool(_CONTAINER.fullmatch(value)) and iso6346_check_digit(value[:10]) == value[10]


def imo(value: str) -> bool:
    """A ship's IMO number, 7 digits (IMO resolution A.1117(30))."""
    if not _IMO.fullmatch(value):
        return False
    return sum(int(digit) * (7 - at) for at, digit in enumerate(value[:6])) % 10 == int(value[6])


def lei(value: str) -> bool:
    """A legal entity identifier, 20 characters, modulo 97 (ISO 17442, ISO 7064)."""
    return bool(_LEI.fullmatch(value)) and int("".join(str(int(c, 36)) for c in value)) % 97 == 1


def uscc_check_character(body: str) -> str:
    """The check character of the first 17 characters of a Chinese unified social credit code."""
    total = sum(_USCC_ALPHABET.index(c) * pow(3, at, 31) for at, c in enumerate(body))
    return _USCC_ALPHABET[-total % 31]


def uscc(value: str) -> bool:
    """A Chinese unified social credit code, 18 characters, modulo 31 (GB 32100-2015)."""
    return bool(_USCC.fullmatch(value)) and uscc_check_character(value[:17]) == value[17]


def cim_consignment(value: str) -> bool:
    """The consignment number of a CIM or CIM/SMGS note with its check digit (GLV-CIM box 62)."""
    return bool(_CIM.fullmatch(value)) and _luhn(value)


def uic_wagon(value: str) -> bool:
    """A wagon number, 12 digits (UIC leaflet 438-2)."""
    return bool(_WAGON.fullmatch(value)) and _luhn(value)


def gs1_mod10(value: str) -> bool:
    """A GTIN, GLN, SSCC or GSIN (GS1 General Specifications §7.9.1)."""
    if not _GS1.fullmatch(value):
        return False
    return sum(int(digit) * (3 if at % 2 else 1) for at, digit in enumerate(value[::-1])) % 10 == 0


def awb(value: str) -> bool:
    """An air waybill number: airline prefix, 7 digits, modulo 7 (IATA resolution 600a)."""
    match = _AWB.fullmatch(value)
    return match is not None and int(match.group(1)) % 7 == int(match.group(2))


def aeo_cn(value: str) -> bool:
    """The form of a Chinese AEO code: AEOCN and the 10-character customs code (no check digit)."""
    return _AEO_CN.fullmatch(value) is not None


KINDS: Mapping[str, Callable[[str], bool]] = {
    "iso6346": iso6346,
    "imo": imo,
    "lei": lei,
    "uscc": uscc,
    "cim_consignment": cim_consignment,
    "uic_wagon": uic_wagon,
    "gs1_mod10": gs1_mod10,
    "awb": awb,
    "aeo_cn": aeo_cn,
}


def is_valid(kind: str, value: str) -> bool:
    """Checks `value` as that kind of number. Raises ValueError for a kind nobody knows."""
    if kind not in KINDS:
        raise ValueError(f"no check digit for {kind}; there are {', '.join(KINDS)}")
    return KINDS[kind](value)


def _luhn(value: str) -> bool:
    """ISO/IEC 7812-1 annex B: every second digit from the right doubled, digit sums added."""
    doubled = (int(digit) * (1 + at % 2) for at, digit in enumerate(value[::-1]))
    return sum(number // 10 + number % 10 for number in doubled) % 10 == 0

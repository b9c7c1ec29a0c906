"""Rows that several documents share: parties, measures, places, goods and signatures."""

from __future__ import annotations

from interop.uncefact.codecs import (
    COUNTRY,
    DECIMAL_TEXT,
    DID,
    NO_DID,
    PACKAGE,
    TEXT,
    UNIT,
    WEIGHT_UNIT,
    WHOLE,
    Codec,
)
from interop.uncefact.mapping import Row

ADDRESS_LINES = ("lineOne", "lineTwo", "lineThree", "lineFour", "lineFive")


def measure(ours: str, theirs: str, unit: Codec = UNIT) -> tuple[Row, ...]:
    """{value, unit} as {content, unitCode}: both or neither."""
    value, code = f"{ours}/value", f"{ours}/unit"
    return (
        Row(value, f"{theirs}/content", DECIMAL_TEXT, needs=code),
        Row(code, f"{theirs}/unitCode", unit, needs=value),
    )


def weights(ours: str, theirs: str) -> tuple[Row, ...]:
    """Net and gross weight, where theirs takes weights in its three units only."""
    return (
        *measure(f"{ours}/netWeight", f"{theirs}/netWeight/0", WEIGHT_UNIT),
        *measure(f"{ours}/grossWeight", f"{theirs}/grossWeight/0", WEIGHT_UNIT),
    )


def address_in_lines(ours: str, theirs: str) -> tuple[Row, ...]:
    """Up to five lines of address."""
    return tuple(
        Row(f"{ours}/{at}", f"{theirs}/{name}/content") for at, name in enumerate(ADDRESS_LINES)
    )


def place(ours: str, theirs: str, *, country: bool = False) -> tuple[Row, ...]:
    """A place {locode, name, country}; the agency of UN/LOCODE is UNECE."""
    named = (
        Row(f"{ours}/locode", f"{theirs}/id/0/content"),
        Row(f"{ours}/name", f"{theirs}/name/0/content"),
    )
    within = (Row(f"{ours}/country", f"{theirs}/countryId/content", COUNTRY),)
    return (*named, *within) if country else named


def own_party(ours: str, theirs: str) -> tuple[Row, ...]:
    """A party of our profiles where theirs has a name, many identifiers, streets and a country.

    The identifiers of registers come first, with their scheme; the DID is the last one.
    """
    return (
        Row(f"{ours}/name", f"{theirs}/name/0/content"),
        Row(f"{ours}/identifiers/*/value", f"{theirs}/id/*/content", NO_DID),
        Row(
            f"{ours}/identifiers/*/scheme",
            f"{theirs}/id/*/schemeId",
            needs=f"{ours}/identifiers/*/value",
        ),
        Row(f"{ours}/did", f"{theirs}/id/+/content", DID),
        Row(f"{ours}/address/*", f"{theirs}/postalTradeAddress/streetName/*/content"),
        Row(f"{ours}/country", f"{theirs}/postalTradeAddress/countryId/content", COUNTRY),
    )


def goods_packages(ours: str, theirs: str, kind: str = "typeCode") -> tuple[Row, ...]:
    """{count, packageType} as a package; `kind` is where theirs has the type."""
    return (
        Row(f"{ours}/count", f"{theirs}/itemQuantity/content", WHOLE),
        Row(f"{ours}/packageType", f"{theirs}/{kind}/content", PACKAGE, needs=f"{ours}/count"),
    )


def notes(ours: str, theirs: str) -> tuple[Row, ...]:
    """Notes with subject and text."""
    return (
        Row(f"{ours}/*/subject", f"{theirs}/*/subject/content"),
        Row(f"{ours}/*/content", f"{theirs}/*/content/0/content", TEXT),
    )

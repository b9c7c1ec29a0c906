"""The strict XML reader: hostile corpora are refused, texts cannot be cut, caps hold."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import strict_xml
from schemas.errors import TooLargeError, TradeError
from tests import corpora
from tests.shared import shared_path

ENTITIES = corpora.files("vectors/security/xml/entities")
WRAPPING = corpora.files("vectors/security/xml/wrapping")


def refusal(data: bytes) -> str:
    """The code with which `data` is refused, "" when it is read."""
    try:
        strict_xml.parse(data)
    except TradeError as error:
        return error.code
    return ""


def code_of(data: bytes, **caps: int) -> str:
    with pytest.raises(TradeError) as caught:
        strict_xml.parse(data, **caps)
    return caught.value.code


@pytest.mark.parametrize("path", ENTITIES, ids=corpora.name_of)
def test_refuses_every_document_with_entities_or_a_dtd(path: Path) -> None:
    expected = {
        "sx-simple-ns.xml": "xml_processing_instruction",
        "sx-simple.xml": "",  # nothing hostile in these two
        "dx-simple.xml": "",
        "patt-XXE_OOB_Attack_Yunusov_2013.xml": "xml_syntax",  # words stand before the root
    }
    assert refusal(path.read_bytes()) == expected.get(path.name, "xml_doctype")


def test_a_dtd_is_refused_a_second_time_after_parsing() -> None:
    with pytest.raises(TradeError) as caught:
        strict_xml._parse(b"<!DOCTYPE a><a/>")
    assert caught.value.code == "xml_doctype"


def test_refuses_the_hostile_certificate() -> None:
    path = shared_path("vectors/documents/ephyto_xml/own/attack_xxe.xml")
    assert code_of(path.read_bytes()) == "xml_doctype"


@pytest.mark.parametrize("path", WRAPPING, ids=corpora.name_of)
def test_wrapping_documents_are_read_whole_or_refused(path: Path) -> None:
    assert refusal(path.read_bytes()) in {"", "xml_doctype", "xml_syntax"}


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "xml_syntax"),
        (b"<a>", "xml_syntax"),
        (b"<a/><b/>", "xml_syntax"),
        (b"<x:a/>", "xml_syntax"),
        (b"<a>&name;</a>", "xml_syntax"),
        (b"<!-- never ends", "xml_syntax"),
        (b'<?xml version="1.1"?><a/>', "xml_syntax"),
        (b"<a>\xff</a>", "xml_encoding"),
        (b"<a>\x00</a>", "xml_encoding"),
        ("<a/>".encode("utf-16"), "xml_encoding"),
        (b'<?xml version="1.0" encoding="utf-16"?><a/>', "xml_encoding"),
        (b"<?xml version='1.0' encoding='ISO-8859-1' standalone='yes' ?><a/>", "xml_encoding"),
        (b"<!DOCTYPE a><a/>", "xml_doctype"),
        (b'<?xml version="1.0"?>\n<!-- c -->\n<!DOCTYPE a SYSTEM "x"><a/>', "xml_doctype"),
        (b"\xef\xbb\xbf<!DOCTYPE a><a/>", "xml_doctype"),
        (b'<?xml-stylesheet href="x"?><a/>', "xml_processing_instruction"),
        (b"<a><?x?></a>", "xml_processing_instruction"),
        (b"<a/><?x?>", "xml_processing_instruction"),
        (b"<a>" * 300 + b"</a>" * 300, "xml_too_deep"),
    ],
)
def test_refuses_by_name(data: bytes, code: str) -> None:
    assert code_of(data) == code


@pytest.mark.parametrize(
    "data",
    [
        b"<a/>",
        b"\xef\xbb\xbf<a/>",
        b'<?xml version="1.0"?><a/>',
        b"<?xml version='1.0' encoding='UTF-8' standalone='no'?>\n<!-- <!DOCTYPE a> --><a/>\n",
        b'<?xml version="1.0" encoding="us-ascii"?><a/><!-- after -->',
        b"<!-- one --><!-- two --><a><![CDATA[<!DOCTYPE a>]]></a>",
    ],
)
def test_reads_plain_documents(data: bytes) -> None:
    assert strict_xml.parse(data).tag == "a"


def test_a_comment_cannot_cut_a_text() -> None:
    assert (
        strict_xml.parse(b"<a>91370784<!-- x -->MA0<![CDATA[DEMQ]]></a>").text == "91370784MA0DEMQ"
    )


def test_caps_size_depth_elements_attributes_and_text() -> None:
    data = b'<a><b c="1" d="2"><e>text</e>tail</b></a>'
    caps = {"max_bytes": len(data), "max_depth": 3, "max_elements": 3, "max_attributes": 2}
    strict_xml.parse(data, **caps, max_text=4)
    assert code_of(data, max_bytes=len(data) - 1) == "xml_too_large"
    assert code_of(data, max_depth=2) == "xml_too_deep"
    assert code_of(data, max_elements=2) == "xml_too_many_elements"
    assert code_of(b"<a><b/><b/><b/></a>", max_elements=3) == "xml_too_many_elements"
    assert code_of(data, max_attributes=1) == "xml_too_many_attributes"
    assert code_of(data, max_text=3) == "xml_text_too_long"
    assert code_of(b"<a><b/>tail</a>", max_text=3) == "xml_text_too_long"


def test_many_tags_are_refused_before_they_are_built() -> None:
    assert code_of(b"<a>" + b"<b/>" * 110_000 + b"</a>") == "xml_too_many_elements"


def test_names_and_paths() -> None:
    root = strict_xml.parse(b'<r xmlns="urn:r"><a/><b xmlns=""><c/></b><a><d/></a></r>')
    first, plain, second = root
    assert (strict_xml.namespace(root), strict_xml.local_name(root)) == ("urn:r", "r")
    assert (strict_xml.namespace(plain), strict_xml.local_name(plain)) == ("", "b")
    assert strict_xml.path_of(first) == "/r/a[1]"
    assert strict_xml.path_of(plain[0]) == "/r/b/c"
    assert strict_xml.path_of(second[0]) == "/r/a[2]/d"


@given(st.binary(max_size=64))
def test_any_bytes_end_in_an_element_or_a_named_refusal(data: bytes) -> None:
    assert refusal(data)[:4] in {"", "xml_"}


@given(st.text(alphabet="<>ab/!?-&;[]='\" DOCTYPE", max_size=40))
def test_any_markup_ends_in_an_element_or_a_named_refusal(text: str) -> None:
    assert refusal(text.encode())[:4] in {"", "xml_"}


MANY = b"".join(b' x%d=""' % one for one in range(33))


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"<a%b/>" % MANY, "xml_too_many_attributes"),
        (b"<a><b%b/></a>" % MANY, "xml_too_many_attributes"),
        (b"<a>" * 65 + b"</a>" * 65, "xml_too_deep"),
    ],
)
def test_the_look_at_a_whole_tree_misses_no_cap(data: bytes, code: str) -> None:
    with pytest.raises(TooLargeError) as caught:
        strict_xml.parse(data)
    assert caught.value.code == code
    assert strict_xml.parse(b"<a>" * 64 + b"</a>" * 64) is not None


@pytest.mark.parametrize(
    "data",
    [
        b'<?xml version="1.0"?><a>who? <?x y?></a>',
        b'<?xml version="1.0"?><a/><?x y?>',
        b"\xef\xbb\xbf<?xml version='1.0'?><a b='?>'><?x?></a>",
        b'<?xml\tversion="1.0"?><a><?x?></a>',
    ],
)
def test_no_instruction_is_missed_behind_a_declaration_or_a_question(data: bytes) -> None:
    assert code_of(data) == "xml_processing_instruction"


def test_a_question_mark_is_no_instruction() -> None:
    assert strict_xml.parse(b'<?xml version="1.0"?><a b="?>">who?</a>').text == "who?"

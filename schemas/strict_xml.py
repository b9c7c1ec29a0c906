"""XML as certificates need it: one document, one reading, nothing fetched.

Refused before anything is built: other encodings than UTF-8, any DOCTYPE (with it go external
entities, entity bombs and default attributes) and every processing instruction (a style sheet would
show a person other words than those that were signed). Comments are dropped by the parser, so that
they cannot cut a text in two. Size, depth, elements, attributes and text are capped.
Source: XML 1.0 (fifth edition), Namespaces in XML 1.0; SAFETY R7 (nothing is fetched).
"""

from __future__ import annotations

import re

from lxml import etree

from schemas.errors import MalformedError, TooLargeError

MAX_BYTES = 8 * 1024 * 1024
MAX_DEPTH = 64
MAX_ELEMENTS = 50_000
MAX_ATTRIBUTES = 32
MAX_TEXT = 6 * 1024 * 1024

_DECLARATION = re.compile(
    rb"<\?xml\s+version\s*=\s*[\"']([^\"'<>]*)[\"']"
    rb"(?:\s+encoding\s*=\s*[\"']([^\"'<>]*)[\"'])?"
    rb"(?:\s+standalone\s*=\s*[\"'](?:yes|no)[\"'])?\s*\?>"
)
_BEFORE_ROOT = re.compile(rb"(?:\s+|<!--.*?-->)*", re.DOTALL)
_ENCODINGS = frozenset({b"utf-8", b"utf8", b"us-ascii", b"ascii", b""})
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# What libxml2 can tell about a whole tree at once; nothing found is proof, else each is looked at.
_IS_DEEP = etree.XPath(f"boolean({'/*' * (MAX_DEPTH + 1)})")
_HAS_MANY_ATTRIBUTES = etree.XPath(f"boolean(/descendant::*/@*[{MAX_ATTRIBUTES + 1}])")


def parse(
    data: bytes,
    *,
    max_bytes: int = MAX_BYTES,
    max_depth: int = MAX_DEPTH,
    max_elements: int = MAX_ELEMENTS,
    max_attributes: int = MAX_ATTRIBUTES,
    max_text: int = MAX_TEXT,
) -> etree._Element:
    """The root element of one XML document in UTF-8, without DTD, entities or instructions.

    `max_attributes` counts per element, `max_text` characters per text node. Raises MalformedError
    xml_encoding, xml_doctype, xml_processing_instruction or xml_syntax, and TooLargeError
    xml_too_large, xml_too_deep, xml_too_many_elements, xml_too_many_attributes, xml_text_too_long.
    """
    if len(data) > max_bytes:
        raise TooLargeError("xml_too_large", f"{len(data)} bytes, allowed are {max_bytes}")
    _check_encoding(data)
    _check_prologue(data)
    if _has_more_tags(data, 2 * max_elements):  # before memory is spent on them
        raise TooLargeError("xml_too_many_elements", f"more than {2 * max_elements} tags")
    root = _parse(data)
    caps = (max_depth, max_elements, max_attributes, max_text)
    if not _is_plain(data, root, caps):
        _check_tree(root, *caps)
    return root


def local_name(element: etree._Element) -> str:
    """The element's name without its namespace."""
    return str(element.tag).rpartition("}")[2]


def namespace(element: etree._Element) -> str:
    """The element's namespace name, "" when it has none."""
    return str(element.tag)[1:].partition("}")[0] if str(element.tag).startswith("{") else ""


def path_of(element: etree._Element) -> str:
    """Where the element stands, by local names; the position only where a name repeats."""
    steps: list[str] = []
    node: etree._Element | None = element
    while node is not None:
        steps.append(_step(node))
        node = node.getparent()
    return "/" + "/".join(reversed(steps))


def _step(element: etree._Element) -> str:
    name, parent = local_name(element), element.getparent()
    if parent is None:
        return name
    twins = [child for child in parent if local_name(child) == name]
    return f"{name}[{twins.index(element) + 1}]" if len(twins) > 1 else name


def _check_encoding(data: bytes) -> None:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MalformedError("xml_encoding", f"no UTF-8 at byte {error.start}") from None
    if b"\x00" in data:
        raise MalformedError("xml_encoding", "the text has zero bytes")


def _check_prologue(data: bytes) -> None:
    """Refuses a wrong declaration and anything but comments before the root (XML 1.0 §2.8)."""
    start = len(_BYTE_ORDER_MARK) if data.startswith(_BYTE_ORDER_MARK) else 0
    if declaration := _DECLARATION.match(data, start):
        version, encoding = declaration.group(1), (declaration.group(2) or b"").lower()
        if version != b"1.0":
            raise MalformedError("xml_syntax", "only XML 1.0 is read")
        if encoding not in _ENCODINGS:
            raise MalformedError("xml_encoding", "the text declares another encoding than UTF-8")
        start = declaration.end()
    rest = _BEFORE_ROOT.match(data, start)
    at = rest.end() if rest else start
    if data.startswith(b"<!", at) and not data.startswith(b"<!--", at):
        raise MalformedError("xml_doctype", "a declaration stands before the root element")
    if data.startswith(b"<?", at):
        raise MalformedError("xml_processing_instruction", "before the root element")


def _parse(data: bytes) -> etree._Element:
    parser = etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        attribute_defaults=False,
        huge_tree=False,
        recover=False,
        remove_comments=True,
        collect_ids=False,
    )
    try:
        root = etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        line, column = error.position
        place = f"line {line}, column {column}"
        if getattr(error, "code", None) == etree.ErrorTypes.ERR_RESOURCE_LIMIT:
            raise TooLargeError("xml_too_deep", place) from None  # libxml2 stops at 256 levels
        raise MalformedError("xml_syntax", place) from None
    if root.getroottree().docinfo.internalDTD is not None:
        raise MalformedError("xml_doctype", "the document has a DTD")
    return root


def _is_plain(data: bytes, root: etree._Element, caps: tuple[int, int, int, int]) -> bool:
    """True where it is certain, without a look at each element, that `_check_tree` passes.

    A tag takes a "<", an attribute a "=" and a text its bytes; a processing instruction begins with
    "<?", as does nothing else but the declaration; without any "?" behind it there is none.
    """
    depth, elements, attributes, text = caps
    if depth < MAX_DEPTH or attributes < MAX_ATTRIBUTES:
        return False
    if len(data) > text or _has_more_tags(data, elements):
        return False
    declared = data.startswith((b"<?xml ", _BYTE_ORDER_MARK + b"<?xml "))
    behind = data.find(b"?>") + len(b"?>") if declared else 0
    if data.find(b"?", behind) >= 0 and data.count(b"<?") != declared:
        return False
    few = data.count(b"=") <= MAX_ATTRIBUTES
    return not _IS_DEEP(root) and (few or not _HAS_MANY_ATTRIBUTES(root))


def _has_more_tags(data: bytes, most: int) -> bool:
    """Whether there are more "<" than that; few bytes have not."""
    return len(data) > most and data.count(b"<") > most


def _check_tree(
    root: etree._Element, max_depth: int, max_elements: int, max_attributes: int, max_text: int
) -> None:
    after_root = root.getnext()
    if after_root is not None:
        raise MalformedError("xml_processing_instruction", "after the root element")
    elements, level, depth = 0, [root], 0
    while level:
        depth, elements = depth + 1, elements + len(level)
        if depth > max_depth:
            raise TooLargeError("xml_too_deep", f"more than {max_depth} nested levels")
        if elements > max_elements:
            raise TooLargeError("xml_too_many_elements", f"more than {max_elements} elements")
        for element in level:
            _check_element(element, max_attributes, max_text)
        level = [child for element in level for child in element]


def _check_element(element: etree._Element, max_attributes: int, max_text: int) -> None:
    if not isinstance(element.tag, str):
        raise MalformedError("xml_processing_instruction", "inside the document")
    if len(element.attrib) > max_attributes:
        detail = f"more than {max_attributes} attributes"
        raise TooLargeError("xml_too_many_attributes", detail, pointer=path_of(element))
    if len(element.text or "") > max_text or len(element.tail or "") > max_text:
        detail = f"more than {max_text} characters in one text"
        raise TooLargeError("xml_text_too_long", detail, pointer=path_of(element))

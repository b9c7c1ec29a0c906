"""JSON-LD contexts (JSON-LD 1.1) as far as a verifier must understand them: which, and which not.

Expansion itself is a library's work, in a process of its own. Here is what stands around it, as
pure functions: which contexts a document names, those put in their places from what the operator
imported (nothing is ever fetched), and what a document may not do to them. A proof over RDF does
not cover the contexts, so whoever changes a context changes what the words mean: contexts inside
a document may add new words, and nothing else (vc-data-integrity §2.4.1 and §5.1).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, TypeAlias

from schemas.errors import MalformedError, RefusedError, UnavailableError

if TYPE_CHECKING:
    from schemas.strict_json import JsonValue

DATA_LOSS = "data_loss_detection_error"
UNSAFE = "jsonld_context_unsafe"
MISSING = "proof_contexts_missing"
MAX_CONTEXTS = 40
MAX_VALUES = 200_000
ABSOLUTE = re.compile(r"(?a:[A-Za-z][A-Za-z0-9+.-]{0,30}:[^\x00-\x20<>\"{}|^`\\]{1,3900})")
#: Members besides terms. All others could drop a claim, or hide it from whoever reads the JSON.
_KEYWORDS = frozenset({"@context", "@list"})
_VALUE_KEYWORDS = frozenset({"@value", "@type", "@language"})
_CONTEXT_KEYWORDS = frozenset({"@version", "@protected"})
_DEFINITION_KEYWORDS = frozenset({"@id", "@type", "@container", "@context"})
_CONTAINERS = frozenset({"@list", "@set"})

#: URL → the value of `@context` in the document that was imported for it.
Contexts: TypeAlias = Mapping[str, "JsonValue"]
Json: TypeAlias = dict[str, "JsonValue"]


def read_context(body: JsonValue) -> JsonValue:
    """The context in a context document; MalformedError `jsonld_context_malformed`.

    Refused are those that would pull in others by name or depend on where they lie: `@import`,
    `@base`, URLs; and terms that are mapped to nothing, because what they name is dropped.
    """
    context = body.get("@context") if isinstance(body, dict) else None
    if not isinstance(context, dict | list) or not context:
        raise _malformed("an object with @context")
    _require_self_contained(context)
    return context


def _malformed(detail: str) -> MalformedError:
    return MalformedError("jsonld_context_malformed", detail)


def _require_self_contained(context: JsonValue, depth: int = 0) -> None:
    if depth > 16:
        raise _malformed("contexts within contexts within contexts")
    for item in as_list(context):
        if item is None and depth:
            continue  # A scoped context may begin anew (JSON-LD 1.1 §4.1.8).
        if not isinstance(item, dict):
            raise _malformed("a context that names another one")
        for name in ("@import", "@base"):
            if name in item:
                raise _malformed(f"a context with {name}")
        for term, definition in item.items():
            if definition is None and not term.startswith("@"):
                raise _malformed(f"{term[:100]} is mapped to nothing")
            if isinstance(definition, dict) and "@context" in definition:
                _require_self_contained(definition["@context"], depth + 1)


def as_list(value: JsonValue) -> list[JsonValue]:
    """The items of a member that may be one value or a list."""
    return value if isinstance(value, list) else [value]


def context_urls(document: JsonValue) -> tuple[str, ...]:
    """The URLs of all contexts that a document names, each once, in their order."""
    found: dict[str, None] = {}
    for context in _contexts_in(document):
        found.update((item, None) for item in as_list(context) if isinstance(item, str))
    return tuple(found)


def inline_contexts(document: JsonValue) -> tuple[Json, ...]:
    """The contexts that stand in a document as objects, in their order."""
    return tuple(
        item
        for context in _contexts_in(document)
        for item in as_list(context)
        if isinstance(item, dict)
    )


def _contexts_in(document: JsonValue) -> Iterator[JsonValue]:
    for node in _objects(document):
        if "@context" in node:
            yield [unnested(item) for item in as_list(node["@context"])]


def unnested(item: JsonValue) -> JsonValue:
    """An item of @context; the context document's form, `{"@context": {…}}`, is its content."""
    if isinstance(item, dict) and set(item) == {"@context"} and isinstance(item["@context"], dict):
        return item["@context"]
    return item


def _objects(value: JsonValue, literals: AbstractSet[str] = frozenset()) -> Iterator[Json]:
    """Every object of a document outside its contexts and JSON literals.

    literals: terms whose values are JSON literals by their definition
    """
    waiting = [value]
    count = 0
    while waiting:
        current = waiting.pop()
        count += 1
        if count > MAX_VALUES:
            raise RefusedError(UNSAFE, f"more than {MAX_VALUES} values")
        if isinstance(current, list):
            waiting.extend(reversed(current))
        elif isinstance(current, dict):
            yield current
            if current.get("@type") != "@json":
                inner = [name for name in current if name != "@context" and name not in literals]
                waiting.extend(current[name] for name in reversed(inner))


def prepared(document: Mapping[str, JsonValue], contexts: Contexts) -> Json:
    """The document with its contexts in it, safe to be expanded.

    Raises UnavailableError `proof_contexts_missing` naming every context to import, RefusedError
    `jsonld_context_unsafe` or `data_loss_detection_error`.
    """
    whole = dict(document)
    require_imported(whole, contexts)
    _require_safe(whole, contexts)
    placed = _placed(whole, contexts)
    assert isinstance(placed, dict)
    return placed


def require_imported(document: JsonValue, contexts: Contexts) -> None:
    """Raises UnavailableError `proof_contexts_missing` with every URL that is not imported."""
    missing = [url for url in context_urls(document) if url not in contexts]
    if missing:
        raise UnavailableError(MISSING, "not imported: " + ", ".join(missing[:MAX_CONTEXTS]))


def _placed(value: JsonValue, contexts: Contexts) -> JsonValue:
    if isinstance(value, list):
        return [_placed(item, contexts) for item in value]
    if not isinstance(value, dict) or value.get("@type") == "@json":
        return value
    return {
        name: _bodies(item, contexts) if name == "@context" else _placed(item, contexts)
        for name, item in value.items()
    }


def _bodies(context: JsonValue, contexts: Contexts) -> JsonValue:
    bodies: list[JsonValue] = []
    for item in as_list(context):
        body = contexts[item] if isinstance(item, str) else unnested(item)
        bodies.extend(as_list(body))
    return bodies


# -- what a document may do ------------------------------------------------------------------------
#
# One reader takes the JSON, the signature covers the RDF. Both must say the same, so a claim has
# one name (a term, never an IRI or another term for it) and stands where it is looked for.


def _require_safe(document: Json, contexts: Contexts) -> None:
    named = _contexts_in(document)
    items = [item for context in named for item in as_list(context)]
    if len(items) > MAX_CONTEXTS:
        raise RefusedError(UNSAFE, f"more than {MAX_CONTEXTS} contexts")
    words = _Words()
    for item in items:
        if isinstance(item, str):
            words.learn_imported(contexts[item])
    for item in items:
        if not isinstance(item, str):
            words.learn_inline(item)
    for node in _objects(document, words.literals()):
        _require_plain(node)
        if node is not document and "id" in node and node["id"] == document.get("id"):
            raise RefusedError(UNSAFE, "the document itself is described in a second place")


class _Words:
    """The terms that contexts define, wherever they do, with their definitions and meanings."""

    def __init__(self) -> None:
        self._known: dict[str, list[Json]] = {}
        self._protected: dict[str, Json] = {}
        self._meanings: set[str] = set()

    def literals(self) -> frozenset[str]:
        """The terms that mean JSON literals wherever they are defined (JSON-LD 1.1 §4.2.2)."""
        known = self._known.items()
        return frozenset(
            term for term, all_ in known if all(one.get("@type") == "@json" for one in all_)
        )

    def learn_imported(self, context: JsonValue) -> None:
        """An imported context: protected terms of those before it stay what they are."""
        for item in as_list(context):
            if isinstance(item, dict):
                self._learn(item, top=True)

    def _learn(self, context: Json, *, top: bool) -> None:
        guarded = context.get("@protected") is True
        for term, value in context.items():
            if term.startswith("@"):
                continue
            definition = _definition(value)
            before = self._protected.get(term)
            if top and before is not None and before != definition:
                raise RefusedError(UNSAFE, f"{term[:100]} is protected and defined anew")
            self._known.setdefault(term, []).append(definition)
            self._meanings.add(_meaning(definition, context))
            if top and (guarded or (isinstance(value, dict) and value.get("@protected") is True)):
                self._protected[term] = definition
            for scoped in as_list(definition.get("@context")):
                if isinstance(scoped, dict):
                    self._learn(scoped, top=False)

    def learn_inline(self, context: JsonValue) -> None:
        """A context in the document itself: new words only, that mean something new."""
        if not isinstance(context, dict):
            raise RefusedError(UNSAFE, "a context is a URL or an object")
        for term, value in context.items():
            if not term.startswith("@"):
                self._learn_own(term, _definition(value))
            elif term not in _CONTEXT_KEYWORDS:
                raise RefusedError(UNSAFE, f"{term[:100]} in a context of the document")

    def _learn_own(self, term: str, definition: Json) -> None:
        if term in self._known:
            if any(known != definition for known in self._known[term]):
                raise RefusedError(UNSAFE, f"{term[:100]} is defined anew")
            return
        meaning = definition.get("@id")
        if not isinstance(meaning, str) or not ABSOLUTE.fullmatch(meaning):
            raise RefusedError(UNSAFE, f"{term[:100]} does not mean an absolute IRI")
        containers = {str(one) for one in as_list(definition.get("@container", []))}
        if not set(definition) <= _DEFINITION_KEYWORDS or not containers <= _CONTAINERS:
            raise RefusedError(UNSAFE, f"{term[:100]} is defined with more than meaning and type")
        if meaning in self._meanings or meaning.partition(":")[0] in self._known:
            raise RefusedError(UNSAFE, f"{term[:100]} is a second word for something")
        self._known[term] = [definition]
        self._meanings.add(meaning)
        if "@context" in definition:
            for scoped in as_list(definition["@context"]):
                self.learn_inline(scoped)


def _definition(value: JsonValue) -> Json:
    """A term's definition in one form, without what only says that it is protected."""
    if isinstance(value, dict):
        return {name: item for name, item in value.items() if name != "@protected"}
    return {"@id": value}


def _meaning(definition: Json, context: Json) -> str:
    """The IRI that a term means, a prefix of the same context written out; else ''."""
    meaning = definition.get("@id")
    if not isinstance(meaning, str):
        return ""
    prefix, _, rest = meaning.partition(":")
    if prefix in context and not rest.startswith("//"):
        before = _definition(context[prefix]).get("@id")
        return f"{before}{rest}"
    return meaning


def _require_plain(node: Json) -> None:
    """Only terms as names, no keyword that hides or drops something, nothing that is nothing."""
    allowed = _VALUE_KEYWORDS if "@value" in node else _KEYWORDS
    for name, item in node.items():
        if name == "@direction":
            # RDF 1.1 has no place for it: the direction would not be signed.
            raise RefusedError(DATA_LOSS, "@direction is lost in RDF")
        if name.startswith("@") and name not in allowed:
            raise RefusedError(DATA_LOSS, f"{name[:100]} is not read in a credential")
        if ":" in name:
            raise RefusedError(UNSAFE, f"{name[:100]!r}: a claim is named by a word")
        if item is None or (isinstance(item, list) and None in item):
            raise RefusedError(DATA_LOSS, f"{name[:100]}: null says nothing that could be signed")


# -- what words mean -------------------------------------------------------------------------------


def meaningless(words: Sequence[str], document: Json, contexts: Contexts) -> tuple[str, ...]:
    """Those of `words` (types) that no context of the document turns into an absolute IRI.

    Raises UnavailableError `proof_contexts_missing` when that cannot be known.
    """
    require_imported(document, contexts)
    defined: set[str] = set()
    catch_all = False
    for context in _contexts_in(document):
        for item in as_list(context):
            bodies = as_list(contexts[item]) if isinstance(item, str) else [item]
            for body in bodies:
                if isinstance(body, dict):
                    catch_all |= isinstance(body.get("@vocab"), str)
                    defined |= {term for term in body if _means(body, term)}
    return tuple(
        word for word in words if not (ABSOLUTE.fullmatch(word) or word in defined or catch_all)
    )


def _means(context: Json, term: str) -> bool:
    """Whether a context gives a term an absolute IRI, perhaps by a prefix of its own."""
    meaning = _definition(context[term]).get("@id")
    return isinstance(meaning, str) and ABSOLUTE.fullmatch(meaning) is not None

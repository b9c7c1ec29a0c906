"""The shared vectors of the credential layer: which test runs each file, or why it does not apply.

A row covers the files its pattern matches and names the tests that run them; `count` says how many
cases a file has and how many of them do not apply, which the reason explains. One test holds the
table against the folders (`test_vector_inventory`), and `scripts/count_vectors.py` runs the named
tests, watches which files they open, and prints the totals.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TypeAlias

#: Below the folder of the vectors: what the credential layer is held to.
FOLDERS = (
    "credentials",
    *(
        f"security/{name}"
        for name in (
            "wycheproof",
            "jsontestsuite",
            "rfc8785",
            "cctv-ed25519",
            "xml",
            "pkits",
            "pkits-support",
        )
    ),
)
#: Cases that are run, and cases that do not apply.
Counted: TypeAlias = tuple[int, int]


def whole(_: Path) -> Counted:
    """A file is one case, and it is run."""
    return 1, 0


def helps(_: Path) -> Counted:
    """No case of its own: what other cases are made of."""
    return 0, 0


def apart(_: Path) -> Counted:
    """A file is one case, which does not apply."""
    return 0, 1


def _grouped(path: Path) -> list[dict[str, object]]:
    return [
        case for group in json.loads(path.read_bytes())["testGroups"] for case in group["tests"]
    ]


def each(path: Path) -> Counted:
    """Every case of a Wycheproof file."""
    return len(_grouped(path)), 0


def none_of(path: Path) -> Counted:
    """No case of a Wycheproof file."""
    return 0, len(_grouped(path))


def without_context(path: Path) -> Counted:
    """ML-DSA with the empty context."""
    found = _grouped(path)
    run = sum(not case.get("ctx") for case in found)
    return run, len(found) - run


def refusals(path: Path) -> Counted:
    """JSON Web Signatures that must be refused, and valid ones of a key that has a row."""
    run = rest = 0
    for group in json.loads(path.read_bytes())["testGroups"]:
        given = group.get("public", group["private"])
        ours = any(key.get("crv") == "P-256" for key in given.get("keys", [given]))
        for case in group["tests"]:
            applies = "jws" in case and (ours or case["result"] == "invalid")
            run, rest = run + applies, rest + (not applies)
    return run, rest


def entries(path: Path) -> Counted:
    """Every entry of a list."""
    return len(json.loads(path.read_bytes())), 0


#: Sections 4.4, 4.14, 4.15 and one of 4.5 of PKITS refuse by a CRL. Here the member list revokes,
#: and no CRL is read (R5, R7): for these the path itself must hold, and does.
BY_CRL = frozenset(
    {
        *("40401", "40402", "40404", "40410", "40412", "40420", "40507", "41406", "41408"),
        *("41411", "41415", "41427", "41432", "41434", "41509"),
    }
)
#: DSA is none of the algorithms in use here, so these are refused although they are valid.
BY_DSA = frozenset({"40104", "40105"})


def paths(path: Path) -> Counted:
    """The certificate paths of PKITS that neither a CRL nor DSA decides."""
    found = json.loads(path.read_bytes())
    rest = sum(case["id"] in BY_CRL | BY_DSA for case in found)
    return len(found) - rest, rest


@dataclass(frozen=True, slots=True)
class Row:
    """Files by pattern (fnmatch, below the vectors), the tests that run them, what does not apply.

    tests:  `<file below tests/>::<function>`
    reason: why cases do not apply; "" when all do
    """

    pattern: str
    tests: tuple[str, ...] = ()
    count: Callable[[Path], Counted] = whole
    reason: str = ""

    def matches(self, name: str) -> bool:
        """Whether the file of this name below the vectors is of this row."""
        return fnmatchcase(name, self.pattern)


def _at(file: str, *names: str) -> tuple[str, ...]:
    return tuple(f"unit/{file}.py::{name}" for name in names)


_WYCHEPROOF = "credentials/test_wycheproof"
_JSON, _XML = "schemas/test_strict_json", "schemas/test_strict_xml"
_PROOFS, _RDF = "data_integrity/test_proofs", "data_integrity/test_rdf_proofs"
_TOKENS, _SD_JWT = "data_integrity/test_token_status_list", "sd_jwt/test_vectors"
_PKITS, _HERE = "certificates/test_pkits", "credentials/test_vector_inventory"
_HOSTILE = _at("credentials/test_credentials", "test_every_hostile_jws_gets_its_verdict")
_SHOWN = _at("presentations/test_presentations", "test_jose_and_cose_vectors_get_their_verdict")
_CONTEXTS = _at("verification/test_contexts", "*")
_RFC_8785 = _at(_JSON, "test_canonical_bytes_of_the_rfc_8785_authors")
_PATHS = _at(_PKITS, "test_group_04_a_path_of_the_suite_gets_its_verdict")
_NO_ROW = "has no row for credentials; its keys are refused"

TABLE: tuple[Row, ...] = (
    Row(
        "credentials/INDEX.json",
        _at(_HERE, "test_the_index_lists_what_the_folders_hold"),
        helps,
    ),
    Row("credentials/contexts/index.json", _CONTEXTS, helps),
    Row("credentials/contexts/*-v[12].json", _CONTEXTS),
    Row(
        "credentials/di/*",
        _at(_PROOFS, "test_data_integrity_vectors_get_their_verdict")
        + _at(_RDF, "test_data_integrity_vectors_get_their_verdict_with_contexts"),
    ),
    Row(
        "credentials/ecdsa-sd-2023/*",
        count=apart,
        reason="ecdsa-sd-2023 is neither issued nor verified: SD-JWT is the form that discloses",
    ),
    Row(
        "credentials/jcs/*.json",
        _at(_JSON, "test_canonical_bytes_of_the_credential_vectors"),
    ),
    Row("credentials/jcs/*.bin", _at(_JSON, "test_refuses_the_hostile_credential_texts")),
    Row("credentials/jws-hostile/_trusted_did_document.json", _HOSTILE, helps),
    Row("credentials/jws-hostile/*.txt", _HOSTILE),
    Row("credentials/rdfc/*", _at(_RDF, "test_canonicalisation_vectors_give_their_bytes")),
    Row(
        "credentials/sd-jwt/*",
        _at(
            _SD_JWT,
            "test_a_good_vector_is_accepted",
            "test_a_hostile_vector_is_rejected_for_the_reason_it_was_made_for",
        ),
    ),
    Row(
        "credentials/status/*",
        _at("credentials/test_status_list", "test_every_status_vector_gets_its_verdict"),
    ),
    Row(
        "credentials/token-status-list/*",
        _at(
            _TOKENS,
            "test_the_one_bit_vector_of_the_draft_decodes",
            "test_the_eight_bit_vector_of_the_draft_decodes",
        ),
    ),
    Row(
        "credentials/vc-jose-cose/vm-*",
        _SHOWN + _at(_HERE, "test_every_key_of_the_jose_and_cose_vectors_is_read"),
        helps,
    ),
    Row("credentials/vc-jose-cose/[0-9]*", _SHOWN),
    Row(
        "credentials/vcdm2/*",
        _at(_RDF, "test_data_model_vectors_get_their_verdict_with_contexts"),
    ),
    Row(
        "*/wycheproof/ecdsa_secp[23]??r1_sha???_p1363_test.json",
        _at(_WYCHEPROOF, "test_group_05_raw_ecdsa_signatures_get_their_verdict"),
        each,
    ),
    Row(
        "*/wycheproof/ecdsa_secp[23]??r1_sha???_test.json",
        _at(
            _WYCHEPROOF,
            "test_group_05_ecdsa_signatures_in_der_are_refused_and_their_numbers_judged",
        ),
        each,
    ),
    Row(
        "*/wycheproof/ed25519_test.json",
        _at(_WYCHEPROOF, "test_group_05_ed25519_signatures_get_their_verdict"),
        each,
    ),
    Row(
        "*/wycheproof/mldsa_??_verify_test.json",
        _at(_WYCHEPROOF, "test_ml_dsa_signatures_get_their_verdict"),
        without_context,
        "JOSE signs with an empty context (RFC 9964 §4); those with another one are refused",
    ),
    Row(
        "*/wycheproof/json_web_[cks]*_test.json",
        _at(_WYCHEPROOF, "test_group_01_json_web_signatures_are_never_taken_unless_valid"),
        refusals,
        "valid by HMAC or RSA keys, which have no row, or encrypted: none is taken here",
    ),
    Row("*/wycheproof/ecdsa_secp256k1_*", count=none_of, reason=f"secp256k1 {_NO_ROW}"),
    Row("*/wycheproof/rsa_*", count=none_of, reason=f"RSA {_NO_ROW}"),
    *(
        Row(
            f"*/wycheproof/{name}_test.json",
            count=none_of,
            reason="nothing in this layer encrypts or derives keys",
        )
        for name in (
            "aes_gcm",
            "ecdh_secp256r1_webcrypto",
            "hkdf_sha256",
            "json_web_encryption",
            "x25519_jwk",
        )
    ),
    Row(
        "security/jsontestsuite/test_parsing/y_*",
        _at(_JSON, "test_reads_what_is_json_as_the_standard_library_does"),
    ),
    Row(
        "security/jsontestsuite/test_parsing/[ni]_*",
        _at(_JSON, "test_refuses_what_is_not_json_and_what_readers_differ_on"),
    ),
    Row(
        "security/jsontestsuite/test_transform/*",
        _at(_JSON, "test_transform_corpus_is_refused_or_read_exactly"),
    ),
    Row("security/rfc8785/input/*", _RFC_8785),
    Row("security/rfc8785/out*", _RFC_8785, helps),
    Row(
        "security/cctv-ed25519/*",
        _at(_WYCHEPROOF, "test_r2_cctv_ed25519_is_libsodiums_rule_case_by_case"),
        entries,
    ),
    Row(
        "security/xml/entities/*",
        _at(_XML, "test_refuses_every_document_with_entities_or_a_dtd"),
    ),
    Row(
        "security/xml/wrapping/*",
        _at(_XML, "test_wrapping_documents_are_read_whole_or_refused"),
    ),
    Row(
        "security/pkits/pkits.json",
        _PATHS,
        paths,
        "DSA has no row; the verdict of 15 paths hangs on a CRL alone, and here the member list"
        " revokes (R5): their paths hold, as the test says",
    ),
    Row(
        "security/pkits/pkits-user-notice.json",
        _at(_PKITS, "test_group_04_policy_notices_do_not_disturb_a_path"),
        entries,
    ),
    Row("security/pkits-support/certs/*", _PATHS, helps),
    Row(
        "security/pkits-support/crls/*",
        count=helps,
        reason="no CRL is read or fetched: the member list revokes certificates (R5, R7)",
    ),
)


def all_files(base: Path) -> Iterator[tuple[str, Path]]:
    """Every file of the folders: its name below `base`, the folder of the vectors, and its path."""
    for folder in FOLDERS:
        for path in sorted((base / folder).rglob("*")):
            if path.is_file():
                yield path.relative_to(base).as_posix(), path


def rows_of(name: str) -> list[Row]:
    """The rows that match a file; in a whole table exactly one."""
    found = [row for row in TABLE if row.matches(name)]
    exact = [row for row in found if not set("*?[") & set(row.pattern)]
    return exact or found

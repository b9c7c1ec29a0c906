"""The process that canonicalises RDF, and nothing else: run by path, with no package of ours.

One request at a time on standard input: a header of 13 bytes (milliseconds u32, blank nodes u32,
digest u8: 0 SHA-256, 1 SHA-384; length u32, big-endian) and a JSON-LD document whose contexts are
in it. One answer on standard output: status u8 (0 canonical N-Quads, 1 not RDF, 2 over a limit),
length u32, text. The library holds the interpreter while it works and knows no limit, so the
kernel's own timer ends this process when time is up; who asked starts another.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import struct
import sys

from pyoxigraph import BlankNode, CanonicalizationAlgorithm, Dataset, RdfFormat, parse, serialize

HEADER = struct.Struct(">IIBI")
ANSWER = struct.Struct(">BI")
DONE, NOT_RDF, OVER_LIMIT = 0, 1, 2
_ALGORITHMS = (CanonicalizationAlgorithm.RDFC_1_0, CanonicalizationAlgorithm.RDFC_1_0_SHA_384)


def confine(memory: int) -> None:
    """No more memory than that, no files, no core dump, and last in line for the processor."""
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
    os.nice(10)


def canonical(data: bytes, kind: RdfFormat, digest: int, blank_nodes: int) -> tuple[int, bytes]:
    """Status and text for a document."""
    seen: set[str] = set()
    quads = Dataset()
    try:
        # lenient: what is no IRI comes through and is refused by who asked, instead of dropped.
        for quad in parse(data, kind, lenient=True):
            quads.add(quad)
            for term in (quad.subject, quad.object, quad.graph_name):
                if isinstance(term, BlankNode):
                    seen.add(term.value)
            if len(seen) > blank_nodes:
                return OVER_LIMIT, f"more than {blank_nodes} blank nodes".encode()
        quads.canonicalize(_ALGORITHMS[digest])
        text = serialize(quads, format=RdfFormat.N_QUADS)
    except MemoryError:
        return OVER_LIMIT, b"more memory than allowed"
    except (SyntaxError, ValueError) as error:
        return NOT_RDF, str(error).encode()[:500]
    # Code point order, which is that of the UTF-8 bytes (RDFC-1.0 section 5).
    return DONE, b"".join(sorted((text or b"").splitlines(keepends=True)))


def main() -> None:
    """Answer until standard input ends."""
    confine(int(sys.argv[1]))
    kind = RdfFormat.N_QUADS if sys.argv[2:] == ["nquads"] else RdfFormat.JSON_LD
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    sink.write(b"\0")
    sink.flush()
    with contextlib.suppress(BrokenPipeError):
        while len(header := source.read(HEADER.size)) == HEADER.size:
            milliseconds, blank_nodes, digest, length = HEADER.unpack(header)
            data = source.read(length)
            signal.setitimer(signal.ITIMER_REAL, milliseconds / 1000)
            status, text = canonical(data, kind, digest, blank_nodes)
            signal.setitimer(signal.ITIMER_REAL, 0)
            sink.write(ANSWER.pack(status, len(text)) + text)
            sink.flush()


if __name__ == "__main__":
    main()

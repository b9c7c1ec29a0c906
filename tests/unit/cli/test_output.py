"""Tables, pairs and errors as they appear in a terminal of 80 columns."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.cli import output
from schemas.errors import RefusedError

DIGEST = "c315cb86290e20a6a424c54b954052886541450e862e44f604c7244cd05acf03"


@pytest.fixture(autouse=True)
def _narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("LANG", "C.UTF-8")
    monkeypatch.setenv("NO_COLOR", "1")


def test_what_fits_is_a_table_without_its_empty_columns(capsys: pytest.CaptureFixture[str]) -> None:
    output.table("Nodes", ("did", "", "state"), [("did:web:a.example", None, "ready")])
    shown = capsys.readouterr().out.splitlines()
    assert shown[1].split() == ["did", "state"]
    assert shown[3].split() == ["did:web:a.example", "ready"]


def test_what_is_too_wide_is_shown_row_by_row_and_unbroken(
    capsys: pytest.CaptureFixture[str],
) -> None:
    output.table("Documents", ("digest", "issuer", "why"), [(DIGEST, "did:web:a.example", "")])
    shown = capsys.readouterr().out
    assert shown == f"Documents\n  digest  {DIGEST}\n  issuer  did:web:a.example\n\n"


def test_an_empty_table_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    output.table("Inbox", ("n", "from"), [])
    assert capsys.readouterr().out == "Inbox: none\n"


WORD = st.text(alphabet="abc集装箱-:.", min_size=1, max_size=24)


@given(st.lists(st.tuples(WORD, WORD, st.lists(WORD, max_size=9)), min_size=1, max_size=4))
def test_no_word_is_ever_broken_and_no_drawn_line_is_wider_than_the_terminal(
    rows: list[tuple[str, str, list[str]]],
) -> None:
    import io
    from contextlib import redirect_stdout

    from rich.cells import cell_len

    with redirect_stdout(io.StringIO()) as out:
        output.table("", ("one", "two", "three"), [(a, b, " ".join(c)) for a, b, c in rows])
    shown = out.getvalue()
    for first, second, more in rows:
        assert all(word in shown for word in (first, second, *more))
    if "─" in shown:
        assert max(cell_len(line) for line in shown.splitlines()) <= 80


def test_what_could_steer_a_terminal_is_not_printed(capsys: pytest.CaptureFixture[str]) -> None:
    output.line("NHLU\x1b[31m\u202e2631075\r\u3000集装箱\t\n")
    assert capsys.readouterr().out == "NHLU\ufffd[31m\ufffd2631075\ufffd\u3000集装箱\t\n\n"


def test_an_error_says_a_thing_once(capsys: pytest.CaptureFixture[str]) -> None:
    output.report(
        RefusedError("peer_unlisted", "the node is not in the member list, so it is not called")
    )
    told = capsys.readouterr().err.splitlines()
    assert [line.partition(":")[0] for line in told] == ["error", "next"]


def test_an_error_carries_its_own_next_step(capsys: pytest.CaptureFixture[str]) -> None:
    output.report(RefusedError("wrong_use", "no such option", next="pratique issue --help"))
    assert capsys.readouterr().err.splitlines()[-1] == "next: pratique issue --help"

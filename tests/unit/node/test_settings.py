"""Settings: mistakes are named before anything starts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.settings import Settings, describe, load, parse, render
from schemas.errors import SettingsError

_TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=30)


def write(folder: Path, text: str) -> Path:
    file = folder / "pratique.toml"
    file.write_text(text)
    return file


@pytest.mark.parametrize(
    ("text", "name", "nearest"),
    [
        ("[http]\nprot = 1", "http.prot", "http.port"),
        ("[htpp]\nport = 1", "htpp", "http"),
        ("[exchange]\nretry_bsae = 1.0", "exchange.retry_bsae", "exchange.retry_base"),
        ("[log]\nkeepalive = 3", "log.keepalive", "http.keepalive"),
        ("[node]\nplatfrom = 'X'", "node.platfrom", "node.platform"),
    ],
)
def test_an_unknown_setting_is_named_with_the_nearest_right_name(
    tmp_path: Path, text: str, name: str, nearest: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        load(write(tmp_path, text), {})
    assert caught.value.code == "setting_unknown"
    assert caught.value.pointer == "/" + name.replace(".", "/")
    assert f"did you mean {nearest}?" in caught.value.detail
    assert caught.value.problem()["nearest"] == nearest


def test_a_name_like_nothing_gets_no_guess(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        load(write(tmp_path, "[zzzzqqqq]"), {})
    assert "did you mean" not in caught.value.detail


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[http]\nport = 70000", "between 0 and 65535"),
        ("[http]\nport = true", "a whole number"),
        ("[http]\nport = '1'", "a whole number"),
        ("[http]\nkeepalive = 'x'", "a number"),
        ("[node]\nname = 3", "a text in quotes"),
        ("[node]\nroles = 'port'", "a list of texts"),
        ("[node]\nroles = [1]", "a list of texts"),
        ("http = 3", "a table"),
    ],
)
def test_a_bad_value_is_told_with_what_it_should_be(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(SettingsError, match=why) as caught:
        load(write(tmp_path, text), {})
    assert caught.value.code == "setting_bad"


@pytest.mark.parametrize("data", [b"[http", b"\xff\xfe", b"# " + b"x" * 300_000])
def test_an_unreadable_file_is_a_settings_error(tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "pratique.toml"
    file.write_bytes(data)
    with pytest.raises(SettingsError, match="settings_unreadable"):
        load(file, {})


def test_a_missing_file_is_a_settings_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="settings_unreadable"):
        load(tmp_path / "none", {})


def test_only_the_port_comes_from_the_environment(tmp_path: Path) -> None:
    file = write(tmp_path, "[http]\nport = 1")
    assert load(file, {"PRATIQUE_PORT": "99", "PRATIQUE_HOST": "evil"}).http.port == 99
    with pytest.raises(SettingsError, match="setting_bad"):
        load(file, {"PRATIQUE_PORT": "x"})


def test_a_whole_number_serves_where_a_number_is_asked() -> None:
    keepalive = parse({"http": {"keepalive": 7}}).http.keepalive
    assert (keepalive, type(keepalive)) == (7.0, float)


def test_every_setting_has_a_sentence_and_its_default_lies_within_its_bounds() -> None:
    for item in describe(Settings()):
        assert item.doc.endswith((".", "…")), item.name
        section, _, name = item.name.partition(".")
        if item.value != ():
            parse({section: {name: item.value}})


def test_the_defaults_render_to_nothing() -> None:
    assert render(Settings()) == ""


@given(name=_TEXT, roles=st.lists(_TEXT, max_size=3), linger=st.floats(0, 0.1))
def test_what_is_rendered_reads_back_equal(name: str, roles: list[str], linger: float) -> None:
    import tomllib

    table = {"node": {"name": name, "roles": roles}, "store": {"linger": linger}}
    settings = parse(table)
    assert parse(tomllib.loads(render(settings))) == settings
    assert replace(settings.node, name="") != settings.node or name == ""

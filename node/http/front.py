"""The one page a browser finds at a node's address: who answers here, and what can be asked.

It shows what is open to anybody anyway; everything else is behind the operator's token.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from node.runtime import Node

_WORDS: Mapping[str, Mapping[str, str]] = {
    "en": {
        "who": "Identity", "network": "Network", "none": "in no network yet",
        "list": "Member list, version", "state": "State", "ready": "ready", "unready": "not ready",
        "open": "Open to anybody", "/readyz": "whether every service is ready",
        "/openapi.json": "every operation, OpenAPI 3.1", "/log/checkpoint": "the log's checkpoint",
        "/px/1/members?from=1": "the signed member lists", "/.well-known/px": "this, for machines",
    },
    "zh": {
        "who": "身份", "network": "网络", "none": "尚未加入网络",
        "list": "成员名单版本", "state": "状态", "ready": "就绪", "unready": "未就绪",
        "open": "公开查询", "/readyz": "各项服务是否就绪",
        "/openapi.json": "全部接口（OpenAPI 3.1）", "/log/checkpoint": "日志检查点",
        "/px/1/members?from=1": "签名的成员名单", "/.well-known/px": "供程序读取的同一信息",
    },
}  # fmt: skip
_LINKS = ("/readyz", "/openapi.json", "/log/checkpoint", "/px/1/members?from=1", "/.well-known/px")
_STYLE = (
    "body{font:1rem/1.5 system-ui,'Noto Sans','Noto Sans CJK SC',sans-serif;max-width:44rem;"
    "margin:2rem auto;padding:0 1rem;color:#1b2733}dt{font-weight:600}dd{margin:0 0 .6rem;"
    "overflow-wrap:anywhere}"
)


def page(node: Node, lang: str) -> str:
    """The page as HTML, in English (``en``) or Chinese (``zh``)."""
    words, members = _WORDS.get(lang, _WORDS["en"]), node.members.current
    entry = members.node(node.did) if members else None
    name = escape(entry.display_name(lang) if entry else node.settings.node.name or node.did)
    unready = ", ".join(node.unready())
    facts = {
        words["who"]: node.did,
        words["network"]: members.network.hex() if members else words["none"],
        words["list"]: str(members.version) if members else "–",
        words["state"]: f"{words['unready']}: {unready}" if unready else words["ready"],
    }
    told = "".join(f"<dt>{escape(what)}</dt><dd>{escape(it)}</dd>" for what, it in facts.items())
    links = "".join(f'<li><a href="{url}">{url}</a> {escape(words[url])}</li>' for url in _LINKS)
    return (
        f'<!doctype html><html lang="{escape(lang)}"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width"><title>{name}</title>'
        f"<style>{_STYLE}</style></head><body><main><h1>{name}</h1><dl>{told}</dl>"
        f"<h2>{escape(words['open'])}</h2><ul>{links}</ul></main></body></html>\n"
    )

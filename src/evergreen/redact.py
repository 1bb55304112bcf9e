"""Redact: the one place that masks secrets in text before it is shown, logged or stored.

Three kinds are known: what an environment variable with a telling name (or one that stands in a URL
of params.yaml) holds, what stands where URLs and connection strings keep secrets, and tokens of
well-known shapes. Errors, pages, logs and whatever goes to MLflow or Prefect pass through here.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any
from urllib.parse import quote

HIDDEN = "***"
WORD = (
    r"(?:pass(?:word|wd|phrase|code)|pwd|secret|token|credentials?|signature|"
    r"(?:api|access|account|private|secret|shared|signing|encryption|client|subscription)"
    r"[_-]?(?:access[_-]?)?key(?:[_-]?id)?|"
    r"sharedaccess\w*|(?<![a-z])(?:auth(?:orization)?|sig|sas|dsn)(?![a-z]))"
)
NAMES = re.compile(
    rf"{WORD}|webhook|(?<![a-z])(?:pass|pw|key|connection_string|database_url)(?![a-z])",
    re.IGNORECASE,
)
NO_SECRETS = ("PWD", "OLDPWD", "SSH_AUTH_SOCK")
# Each begins where a word does: else a word of n letters that is no match takes n * n steps
# and what has no end is passed over once
USER = re.compile(
    r"((?<![a-z0-9+.-])[0-9+.-]*[a-z][a-z0-9+.-]*://)(?!/)(?:([^\s'\"<>`]*)@|[^\s'\"<>`]*)",
    re.IGNORECASE,
)  # to the last @: a password may hold one
BY_NAME = re.compile(
    rf"((?:(?<![\w.-])(?:[\w-]*\.)*+(?=[\w-]+=)[\w-]*{WORD}[\w-]*|"
    r"(?<=[?&])(?:key|code|pass|pw|jwt))=)"
    r"(\"{3}.*?\"{3}|'{3}.*?'{3}|\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'|\"[^\"]*\"|'[^']*'|"
    r"[^\s&;,'\"<>)]+)",
    re.IGNORECASE | re.DOTALL,
)
AS_JSON = re.compile(  # also where it is text within JSON
    rf"([\"'](?:[\w-]*\.)*+(?=[\w-]+\\*[\"'])[\w-]*{WORD}[\w-]*\\*[\"']\s*:\s*[bru]?)"
    r"(\\*[\"'])(?:(?:(?!\2)(?:\\.|[^\\]))*\2|[^\"']*[\"'])",
    re.IGNORECASE | re.DOTALL,
)
IN_CODE = re.compile(
    rf"((?<![\w-])(?=[\w-]+[\"'\]\s:=])[\w-]*?{WORD}[\w-]*[\"']?\]?\s*"
    r"(?::\s*\w+\s*)?(?:[:=]=?|\bis\b)\s*)(\S.*)",
    re.IGNORECASE,
)
BEGINS = re.compile(r"(?:[|>][+-]?\d?|\\|[^#]*[(\[{]|[(\[{][^)\]}]*)\s*(?:#.*)?$")
TEXT = re.compile(r"[rbf]?(\"{3}|'{3})(?!.*\1)")  # of lines, up to the same quotes
BELOW = re.compile(
    rf"(?=.*:\s*$)[+-]?\s*(?:- +)?[\"']?[\w.-]*?{WORD}[\w-]*[\"']?\s*:\s*$", re.IGNORECASE
)
HUNK = ("@@ ", "diff ")  # of a diff: what goes on above it goes on no more
INDENT = re.compile(r"[+-]?\s*")  # of a line, or of one of a diff
SHAPES = re.compile(
    r"\b(?:(?:AKIA|ASIA)[0-9A-Z]{16}|gh[pousr]_\w{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}|"
    r"sk-[\w-]{20,}|[rs]k_(?:live|test)_\w{16,}|hf_\w{20,}|npm_\w{20,}|"
    r"pypi-[\w-]{16,}|dapi[0-9a-f]{32}|"
    r"xox[abeprs]-[\w-]{10,}|AIza[\w-]{30,}|eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*)|"
    r"(?<=hooks\.slack\.com/)[^\s'\"]+|(?<=/api/webhooks/)[^\s'\"]+|"  # the path lets anybody post
    r"(?<=Bearer )\S+|(?<=Basic )\S+"
)
KEY_BLOCK = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL
)
# Drawn by a machine
QUOTED = re.compile(r"([\"'])(?=[^\"']*[0-9])(?=[^\"']*[a-z])(?=[^\"']*[A-Z])[\w+/=.~-]{20,}\1")

_named: set[str] = set()  # variables of the environment that stand in a URL


def redact(text: str) -> str:
    """Return `text` with each secret as ***, or as ${NAME} where the environment holds it."""
    for value, name in _secrets(tuple(os.environ.items()), frozenset(_named)):
        whole = rf"(?<!\w){re.escape(value)}(?!\w)"
        text = re.sub(whole, lambda _, name=name: name, text)  # type: ignore[misc]
    text = KEY_BLOCK.sub(HIDDEN, text)
    text = USER.sub(
        lambda found: (
            found[0] if found[2] is None or _is_plain(found[2]) else f"{found[1]}{HIDDEN}@"
        ),
        text,
    )
    text = BY_NAME.sub(
        lambda found: found[0] if "$" in found[2] or HIDDEN in found[2] else found[1] + HIDDEN, text
    )
    return SHAPES.sub(HIDDEN, AS_JSON.sub(rf"\1\2{HIDDEN}\2", text))


def redact_code(text: str) -> str:
    """Return source text or settings without secrets, nor what a telling name is set to.

    What looks drawn by a machine goes as well, and so do the lines below where a value begins.
    """
    lines, begun = list[str](), False  # a value that goes on in lines farther to the right
    left, quotes = 0, ""  # that end a text of lines
    for line in redact(text).split("\n"):
        found, place = IN_CODE.search(line), len(INDENT.match(line)[0])  # type: ignore[index]
        begun = begun and (place > left or not line.strip("+- "))
        quotes = "" if line.startswith(HUNK) else quotes
        if begun or quotes:
            lines.append(line[:place] + HIDDEN if line[place:] else line)
            quotes = quotes if quotes not in line else ""
            continue
        if BELOW.match(line) or (found and BEGINS.match(found[2])):
            begun, left = True, place
        quotes = text_of[1] if found and (text_of := TEXT.match(found[2])) else ""
        lines.append(QUOTED.sub(HIDDEN, IN_CODE.sub(rf"\1{HIDDEN}", line)))
    return "\n".join(lines)


def redact_all(value: Any) -> Any:
    """Return plain values (texts, lists, mappings) with each text redacted."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, Mapping):
        return {redact_all(key): redact_all(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return [redact_all(item) for item in value]
    return value


def redact_error(error: BaseException) -> None:
    """Mask secrets in the message of an error of other people's code, and of its causes."""
    cause: BaseException | None = error
    while cause is not None:
        cause.args = tuple(redact(arg) if isinstance(arg, str) else arg for arg in cause.args)
        cause = cause.__cause__ or cause.__context__


def holds_secret(url: str) -> bool:
    """Return whether a password or a token is in a URL, other than as ${NAME}."""
    rest = url.partition("://")[2].partition("?")[0]
    user = rest.rpartition("@")[0]
    port = re.match(r"[^:@/]+:\d+(?:/|$)", rest)  # HOST:PORT/PATH@VERSION
    secret = ":" in user.partition("/")[0] if not port else "@" in rest.partition("/")[0]
    if secret and not _is_plain(user):
        return True
    return any("$" not in found[2] for found in BY_NAME.finditer(url)) or bool(SHAPES.search(url))


def expand(text: str) -> str:
    """Return `text` with the environment's values in place of ${NAME}.

    Those in a URL are secrets from now on.
    """
    filled = os.path.expandvars(text)
    if "://" in filled:
        _named.update(re.findall(r"[$][{]?(\w+)", text))
    return filled


def _is_plain(user: str) -> bool:
    """Return whether the user of a URL is given without a password, or with ${NAME} for it."""
    return bool(
        re.fullmatch(r"git|[^:@/\s]*:?[$][{]?\w+[}]?|[$][{]?\w+[}]?(:[$][{]?\w+[}]?)?", user)
    )


@lru_cache(maxsize=2)
def _secrets(
    environment: tuple[tuple[str, str], ...], named: frozenset[str]
) -> list[tuple[str, str]]:
    """Return each secret that the environment holds, longest first, and what replaces it."""
    found: dict[str, str] = {}
    for name, value in environment:
        if name in named or (NAMES.search(name) and name not in NO_SECRETS and len(value) >= 8):
            parts = [value, quote(value, safe="")]
            if (user := USER.search(value)) and user[2] is not None:
                # A driver that takes the address apart shows a part of it
                parts += re.split(r"[:@/]", user[2].partition(":")[2])
            found |= {
                part: f"${{{name}}}" for part in parts if len(part) >= 4 and part not in found
            }
    return sorted(found.items(), key=lambda pair: -len(pair[0]))

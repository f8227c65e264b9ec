"""Labels: what a program calls its processes by, beside their ids (rule 5.10). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from lash_redis.core.checks import Check, matching, refused

MOST_LABELS: Final = 8

_ALLOWED: Final = (
    f"at most {MOST_LABELS} labels, such as {{'tenant': '42'}}: names of 1 to 64 characters of [A-Za-z0-9._:/@+-], "
    "values of 1 to 128 characters that can be printed"
)
_NAME: Final = matching(r"[A-Za-z0-9._:/@+-]{1,64}", "1 to 64 characters of [A-Za-z0-9._:/@+-]")
_MOST_CHARACTERS: Final = 128


def checked_label(what: str, name: object, value: object) -> tuple[str, str]:
    """Return a label's name and value if they may be a label.

    Raises:
        SettingsError: they may not.
    """
    checked = _NAME.checked(f"the name of {what}", name)
    if not isinstance(value, str) or not 1 <= len(value) <= _MOST_CHARACTERS or not value.isprintable():
        raise refused(f"{what} {checked}", f"text of 1 to {_MOST_CHARACTERS} characters that can be printed", value)
    return checked, value


def _checked(what: str, value: object) -> Mapping[str, str]:
    if not isinstance(value, Mapping) or len(value) > MOST_LABELS:
        raise refused(what, _ALLOWED, value)
    return dict(checked_label(what, *each) for each in value.items())


LABELS: Final = Check(_ALLOWED, _checked)


def label_in(text: str) -> tuple[str, str]:
    """Return the label that a command line gives as ``tenant=42``.

    Raises:
        SettingsError: it does not.
    """
    name, sign, value = text.partition("=")
    if not sign:
        raise refused("a label", "NAME=VALUE, such as tenant=42", text)
    return checked_label("a label", name, value)


def label_key(name: str, value: str) -> str:
    """Return one label as the row and the index have it."""
    return f"{name}={value}"


def encode_labels(labels: Mapping[str, str]) -> str:
    """Return labels as the row holds them: a line each, in the order of their names."""
    return "\n".join(label_key(*each) for each in sorted(labels.items()))


def decode_labels(text: str) -> dict[str, str]:
    """Return the labels that a row holds."""
    return {name: value for name, _, value in (line.partition("=") for line in text.split("\n") if line)}


def labels_in_words(labels: Mapping[str, str]) -> str:
    """Return labels for people: ``tenant=42 kind=import``."""
    return " ".join(label_key(*each) for each in sorted(labels.items()))

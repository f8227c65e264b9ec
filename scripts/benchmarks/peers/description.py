"""What a peer's own program says of its configuration, at its top."""

from __future__ import annotations

import ast
import itertools
from pathlib import Path

from benchmarks.peers.table import Peer


def description(peer: Peer) -> str:
    """Return the docstring of a Python peer, or the comment at the top of one of Node.js."""
    name = peer.module if peer.is_node else f"{peer.module}.py"
    text = Path(__file__).with_name(name).read_text(encoding="utf-8")
    if not peer.is_node:
        return " ".join((ast.get_docstring(ast.parse(text)) or "").split())
    top = itertools.takewhile(lambda line: line.startswith("//"), text.splitlines())
    return " ".join(" ".join(line.removeprefix("//") for line in top).split())

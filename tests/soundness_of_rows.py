"""What a row leaves out, put back from where it stands: the name of its lane, and all that is known of its start."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Row = dict[str, bytes]


def in_full(row: Row, names: Mapping[str, Any]) -> Row:
    """Return a row with all that it leaves out."""
    if row.get("d", b"")[1:] == b"c":
        row = row | {"d": row["d"][:1]}
    number, bar, key = row.get("ln", b"").decode("utf-8", "replace").partition("|")
    if number in names:
        row = row | {"ln": names[number] + f"{bar}{key}".encode()}
    elif number.startswith("="):
        row = row | {"ln": row["ln"][1:]}
    if "fa" in row and not {"fs", "ft"} & row.keys() and {"ho", "tk"} <= row.keys():
        row = row | {"fs": row["ho"], "ft": row["tk"], "ca": row.get("ca", row["fa"])}
    return row


def bad_names(rows: Mapping[str, Row], names: Mapping[str, Any]) -> Iterator[str]:
    """Each lane with a number has it in both directions, and a row has the number of its lane if there is one."""
    lanes = {name: number.decode() for name, number in names.items() if "|" in name}
    numbered = {number: lane.encode() for lane, number in lanes.items()} | {"last": str(len(lanes)).encode()}
    if names and names != numbered | {lane: number.encode() for lane, number in lanes.items()}:
        yield f"lanes and their numbers are not one to one: {names}"
    for id_, row in rows.items():
        field = row.get("ln", b"").decode("utf-8", "replace")
        number, lane = field.partition("|")[0], field.removeprefix("=")
        if number.isdigit() and number not in names:
            yield f"row {id_} is of a lane with the number {number}, which no lane has"
        elif lane in lanes or any(lane.startswith(f"{each}|") for each in lanes if each.count("|") > 2):
            yield f"row {id_} names its lane, which has a number"

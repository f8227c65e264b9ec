"""In what two registrations under one id differ, in words that show no payload. Pure."""

from __future__ import annotations

from lash_redis.core.model import ExternalInput, ProcessInput, ProcessRecord, ProcessRegistration, TaskInput


def differences(stands: ProcessRecord, wanted: ProcessRegistration) -> str:
    """Return what is registered under an id, where it is not what was to be registered; empty if nothing was found.

    ``wanted.input`` is as it would be read again: decoded plain values.
    """
    found = []
    if stands.disposition is not wanted.disposition:
        found.append(f"as {stands.disposition.value}, not as {wanted.disposition.value}")
    if stands.granted_to != wanted.granted_to:
        found.append(f"granted to {_name(stands.granted_to)}, not to {_name(wanted.granted_to)}")
    if stands.input is not None:
        found += _of_inputs(stands.input, wanted.input)
    return "; ".join(found)


def _of_inputs(stands: ProcessInput, wanted: ProcessInput) -> list[str]:
    match stands, wanted:
        case TaskInput(), TaskInput() if stands.task != wanted.task:
            return [f"for task {stands.task!r}, not for {wanted.task!r}"]
        case TaskInput(), TaskInput():
            return _of_arguments(stands, wanted)
        case ExternalInput(), ExternalInput():
            return ["with other metadata"] if dict(stands.metadata) != dict(wanted.metadata) else []
    words = {TaskInput: "for a task", ExternalInput: "for work outside"}
    return [f"{words[type(stands)]}, not {words[type(wanted)]}"]


def _of_arguments(stands: TaskInput, wanted: TaskInput) -> list[str]:
    if len(stands.args) != len(wanted.args):
        return [f"with {len(stands.args)} arguments by position, not with {len(wanted.args)}"]
    if stands.kwargs.keys() != wanted.kwargs.keys():
        names = ", ".join(sorted(stands.kwargs.keys() ^ wanted.kwargs.keys()))
        return [f"with other arguments by name: {names[:200]}"]
    places: list[str] = [
        f"number {number}"
        for number, (one, other) in enumerate(zip(stands.args, wanted.args, strict=True), 1)
        if one != other
    ]
    places += [name for name, value in stands.kwargs.items() if value != wanted.kwargs[name]]
    return [f"with another value of argument {', '.join(places)[:200]}"] if places else []


def _name(grantee: str | None) -> str:
    return "anybody" if grantee is None else repr(grantee)

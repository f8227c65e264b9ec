"""What submits register: id, call, options, and the keys that the call has. Pure but for random ids."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import msgspec

from lash_redis.app.many_calls import located
from lash_redis.core.model import ProcessRegistration, TaskInput
from lash_redis.core.options import SubmitOptions
from lash_redis.core.timing import random_token, random_tokens
from lash_redis.core.unique import unique_route
from lash_redis.registry.calls.alike_rows import AlikeCalls, AlikeRows, Arguments
from lash_redis.registry.keys import route_of
from lash_redis.tasks.declaration import Declaration
from lash_redis.tasks.limits import key_and_cost
from lash_redis.tasks.sequences import MOST_ROUTE, route_of_key
from lash_redis.tasks.unique_keys import with_key


class Registrations:
    """What the submits of a task register, with the same options each.

    Args:
        declaration: of the task.
        options: of the submits.
        process_id: the id that their caller chose; None: each gets one.
        key: whom the work is for, in place of the argument that is declared to be the key.
    """

    def __init__(
        self, declaration: Declaration, options: SubmitOptions, process_id: str | None, key: str | None
    ) -> None:
        self._declaration = declaration
        self._options = options
        self._process_id = process_id
        self._key = key
        self._alike: ProcessRegistration | None = None  # one of a call, if they differ in id and arguments alone

    def of(self, call: TaskInput, *, opens_group: bool = False) -> ProcessRegistration:
        """Return the registration of one call.

        Args:
            call: the arguments.
            opens_group: it continues a group.

        Raises:
            SettingsError: the call has no value for its unique key, or no key where its task has them.
            PayloadError: an argument cannot be the key or the cost that it is declared to be.
        """
        if self._alike is not None and not opens_group:
            return self._alike.of_call(self._process_id or f"{self._beginning}p{random_token()}", call)
        declaration, options = self._declaration, self._options
        fields, limits = msgspec.structs.asdict(options), declaration.limits
        fields["key"], fields["cost"] = key_and_cost(limits, declaration.signature, call, self._key, options.cost)
        route = self._beginning
        if options.unique is not None:
            fields["unique"] = unique = with_key(declaration, options.unique, call)
            route = f"{unique_route(declaration.name, unique.key or '')}::"
        if limits.is_sequence:
            route = route_of_key(fields["key"])
        made = ProcessRegistration(
            # The prefix is for command lines: a bare token may begin with a dash and look like an option.
            self._process_id or f"{route}p{random_token()}",
            call,
            declaration.disposition,
            scopes=limits.scopes,
            signature=declaration.signature.digest,
            chosen_id=self._process_id is not None,
            opens_group=opens_group,
            **fields,
        )
        if not (opens_group or limits.scopes or options.unique is not None):
            self._alike = made
        return made

    @property
    def are_alike(self) -> bool:
        """Whether all differ in id and arguments alone."""
        return not self._declaration.limits.scopes and self._options.unique is None and self._process_id is None

    def alike(self, calls: Sequence[Arguments], max_payload_bytes: int, sent: int) -> AlikeRows:
        """Return the registrations of calls of ``submit_many``, if all are alike.

        Args:
            calls: the arguments of each.
            max_payload_bytes: the longest input.
            sent: how many calls came before.

        Raises:
            PayloadError: an input cannot be encoded, or is too long.
        """
        args, kwargs = calls[0]
        like = self._alike or self.of(TaskInput(self._declaration.name, tuple(args), kwargs))
        beginning = f"{self._beginning}p"
        process_ids = [f"{beginning}{token}" for token in random_tokens(len(calls))]
        with located(process_ids, sent):
            return AlikeCalls(like, max_payload_bytes).rows(process_ids, calls)

    @cached_property
    def _beginning(self) -> str:
        """What a new id begins with, if it waits for others: it lies in one partition with them (rule 13.1)."""
        if not self._options.after:
            return ""
        route = route_of(self._options.after[0])
        return f"{route}::" if len(route) <= MOST_ROUTE else ""

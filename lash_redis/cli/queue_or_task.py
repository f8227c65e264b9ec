"""What the verbs share that are about a queue or a task as a whole."""

from __future__ import annotations

import argparse

from lash_redis.cli.connect import add_options, checked_by
from lash_redis.core.checks import checked_queue, checked_task_name


def add_queue_or_task(parser: argparse.ArgumentParser) -> None:
    """Add the options that name a queue or a task, and those of every verb."""
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--queue", type=checked_by(checked_queue), metavar="Q", help="the queue's name")
    which.add_argument("--task", type=checked_by(checked_task_name), metavar="T", help="the task's name, in any queue")
    add_options(parser)

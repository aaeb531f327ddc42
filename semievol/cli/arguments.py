"""What all verbs share: the parser, an id, what a verb hands back."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from semievol.errors import UserError
from semievol.store.database import Store

Outcome = tuple[int, Any, str]
"""Of a verb: the exit code, the result for `--json`, and the same as text."""

Verb = Callable[[str, Callable[[Store, argparse.Namespace], Outcome], str], Callable[..., Any]]
"""Adds a verb (its name, its function, what it does), and hands back what adds its options."""


class Parser(argparse.ArgumentParser):
    """Reports a wrong command line as a `UserError` instead of printing the usage."""

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message[:1].upper()}{message[1:]}.", "", f"See `{self.prog} --help`.")


def identifier(text: str) -> int:
    """The id of a round, run or selection."""
    if not (text.isascii() and text.isdecimal() and len(text) < 16):
        raise argparse.ArgumentTypeError(f'"{text}" is not an id of a round, run or selection')
    return int(text)


def parser(groups: Sequence[Callable[[Verb], None]]) -> Parser:
    """The parser of the command line; each of `groups` adds its verbs."""
    shared = Parser(add_help=False)
    shared.add_argument(
        "--workspace", type=Path, help="folder of the workspace (default: $SEMIEVOL_HOME or ~/.semievol)"
    )
    shared.add_argument("--json", action="store_true", help="print the result as one JSON object on the last line")
    made = Parser(prog="python -m semievol", description="Semi-supervised fine-tuning of language models.")
    verbs = made.add_subparsers(required=True, metavar="VERB")

    def verb(name: str, function: Callable[[Store, argparse.Namespace], Outcome], text: str) -> Callable[..., Any]:
        added = verbs.add_parser(name, parents=[shared], help=text, description=text)
        added.set_defaults(verb=function)
        return added.add_argument

    for add in groups:
        add(verb)
    return made


def cluster(option: Callable[..., Any]) -> None:
    """The option --cluster ADDRESS, short for --set cluster=ADDRESS."""
    option(
        "--cluster",
        action="append",
        type=lambda address: f"cluster={json.dumps(address)}",
        metavar="ADDRESS",
        dest="assignments",
        help="Ray cluster that answers and fine-tunes instead of this machine",
    )

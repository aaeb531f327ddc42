"""The command line: what the pages do, without a browser.

Every verb takes `--json`; the last line on standard output is then one JSON object. Exit codes: 0 fine, 1 the run
failed, 2 the user's mistake, explained in one sentence on standard error; with `--json` also as `error` on standard
output, with `what`, `where` and `remedy`.

A module is a group of verbs with their options: `projects`, `running`, `study`, `exchange`, `workspace`, `endpoints`.
`arguments` holds what they share. A new verb is added in a module's `add`; a new module is added to `VERBS`.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Mapping, Sequence
from contextlib import redirect_stderr
from typing import Any

from semievol import terminal
from semievol.cli import endpoints, exchange, projects, running, study, workspace
from semievol.cli.arguments import parser
from semievol.errors import UserError
from semievol.store.database import open_store

log = logging.getLogger("semievol")
_BREAKS = {ord(sign): f"\\u{ord(sign):04x}" for sign in "\x85\u2028\u2029"}
"""Signs that end a line for some readers; escaped they are the same JSON."""

VERBS = (projects.add, running.add, study.add, exchange.add, workspace.add, endpoints.add)
"""The groups of verbs, as `--help` lists them."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Parses `arguments`, carries out the verb, returns the exit code."""
    with redirect_stderr(terminal.OptionalStream(sys.stderr)):
        return _carry_out(arguments)


def _carry_out(arguments: Sequence[str] | None) -> int:
    try:
        chosen = parser(VERBS).parse_args(arguments)
        store = open_store(chosen.workspace)
        code, result, words = chosen.verb(store, chosen)
    except UserError as mistake:
        print(terminal.harmless(f"semievol: {mistake}"), file=sys.stderr)
        if "--json" in (sys.argv[1:] if arguments is None else arguments):
            return terminal.write_result(_json({"error": mistake.as_dict()}), 2)
        return 2
    except KeyboardInterrupt:
        print("semievol: interrupted; what was not finished is not stored.", file=sys.stderr)
        return 1
    except Exception:
        log.exception("something broke")
        print("semievol: an unexpected error occurred; the details are above.", file=sys.stderr)
        return 1
    return terminal.write_result(_json(result) if chosen.json else words, int(code))


def _json(result: Mapping[str, Any]) -> str:
    return json.dumps(result, ensure_ascii=False, allow_nan=False).translate(_BREAKS)

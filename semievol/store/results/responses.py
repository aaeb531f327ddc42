"""What models said, between the tables' columns and `Response`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Column, Table

from semievol.records import Response

_SAID = ("text", "answer", "probabilities", "mass", "token_logprobs", "token_entropies", "exactness", "input_hash")


def said(source: Table) -> list[Column[Any]]:
    """The columns of `source` that `as_response` reads after record id and collaborator."""
    return [source.c[name] for name in _SAID]


def as_response(record_id: str, collaborator: str, values: Sequence[Any]) -> Response:
    """A response from the columns of `said`."""
    text, answer, probabilities, mass, logprobs, entropies, exactness, input_hash = values
    return Response(
        record_id=record_id,
        collaborator=collaborator,
        text=text,
        answer=answer,
        probabilities=tuple(probabilities),
        mass=mass,
        token_logprobs=tuple(logprobs),
        token_entropies=tuple(entropies),
        exactness=exactness,
        input_hash=input_hash,
    )


def said_values(response: Response) -> dict[str, Any]:
    """A response's own columns; which record and whose words it is, the caller adds."""
    return {
        "text": response.text,
        "answer": response.answer,
        "probabilities": list(response.probabilities),
        "mass": response.mass,
        "token_logprobs": list(response.token_logprobs),
        "token_entropies": list(response.token_entropies),
        "exactness": response.exactness,
        "input_hash": response.input_hash,
    }

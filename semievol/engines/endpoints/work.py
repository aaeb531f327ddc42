"""What a fine-tuning at a server is to do, and the note by which a resumed run finds what it has handed over."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from uuid import uuid4

from semievol.endpoints import Endpoint
from semievol.engines.endpoints import requests
from semievol.records import Example

NOTE = "job.json"
"""The file in the folder of the training that notes what was handed over."""


@dataclass(frozen=True)
class Work:
    """What a job is to do. model: the server's name of the model that it starts from. epochs: whole ones."""

    model: str
    examples: Sequence[Example]
    held_out: Sequence[Example]
    epochs: int
    seed: int

    def fingerprint(self, endpoint: Endpoint) -> str:
        """SHA-256 over everything that the model depends on; a job with another one is never taken."""
        turns = [
            [[[m.role, m.content] for m in one.messages] + [one.answer] for one in part]
            for part in (self.examples, self.held_out)
        ]
        parts = [endpoint.url.rstrip("/"), self.model, turns, self.epochs, self.seed]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    def most_tokens(self) -> int:
        """The most that the job can read in all epochs: a token is at least one byte of the text."""
        return self.epochs * sum(
            len(text.encode("utf-8", "replace")) + requests.OVERHEAD
            for one in self.examples
            for text in (*(turn.content for turn in one.messages), one.answer)
        )

    def likely_tokens(self) -> int:
        """Tokens that the job reads, where nobody counts."""
        return self.epochs * sum(
            requests.likely_tokens([*(turn.content for turn in one.messages), one.answer]) for one in self.examples
        )


@dataclass
class Note:
    """What was handed over. mark: names this note in a job. file, validation: of the examples. begun: whether a job was
    asked for. model: of the job that has ended. counted: whether the run's books have what it took. told: messages that
    were told."""

    fingerprint: str
    mark: str = field(default_factory=lambda: uuid4().hex)
    file: str = ""
    validation: str = ""
    begun: bool = False
    job: str = ""
    model: str = ""
    tokens: int = 0
    counted: bool = False
    told: int = 0

    @classmethod
    def there(cls, place: Path) -> Note:
        """The note that the file holds. Raises OSError, ValueError or TypeError for one that holds none."""
        return cls(**json.loads(place.read_text("utf-8")))

    @classmethod
    def read(cls, place: Path, fingerprint: str) -> Note:
        """The note of this work; an empty one where there is none, or one of other work."""
        try:
            found = cls.there(place)
        except (OSError, ValueError, TypeError):
            return cls(fingerprint)
        return found if found.fingerprint == fingerprint else cls(fingerprint)

    def save(self, place: Path) -> None:
        place.parent.mkdir(parents=True, exist_ok=True)
        temporary = place.with_suffix(".tmp")
        temporary.write_text(json.dumps(asdict(self)), "utf-8")
        temporary.replace(place)

"""Remote models behind a server that speaks OpenAI's protocol, as a workspace names them.

An endpoint is an entry of the workspace's settings; a collaborator uses it by `model: endpoint:NAME`, and so does a
project whose model is fine-tuned at the server. It names the environment variable that holds the key and never the key
itself. Knows nothing of networks.
"""

from __future__ import annotations

import ipaddress
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from urllib.parse import SplitResult, urlsplit

from semievol.errors import UserError

PREFIX = "endpoint:"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")
_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]{0,99}")
_NUMERIC_HOST = re.compile(r"(?:.*\.)?(?:\d+|0[xX][0-9a-fA-F]*)\.?")
"""Hosts whose last part is a number: browsers and system libraries read them as addresses in odd spellings."""
MOST_AT_ONCE = 64
SHORTEST_SECRET = 8
"""Shorter keys are placeholders of local servers; hiding such a text everywhere would damage answers."""
HIDDEN = "[key]"


@dataclass(frozen=True)
class Endpoint:
    """A model of a server. Raises UserError where an entry cannot be right.

    url: the server's base URL, up to and with its `/v1`. model: as the server calls it. key_variable: name of the
    environment variable with the key; empty for a server without one. concurrency: most questions at once.
    input_price, output_price: for a million tokens, in any one currency; None where not known or free. batch: whether a
    run hands its questions over together, to be answered within a day. training_price: for a million tokens that a
    fine-tuning job reads, every epoch counted. tuned_input_price, tuned_output_price: of the models that such jobs
    make; None where they cost as much as the model itself.
    """

    name: str
    url: str
    model: str
    key_variable: str = ""
    concurrency: int = 8
    input_price: float | None = None
    output_price: float | None = None
    batch: bool = False
    training_price: float | None = None
    tuned_input_price: float | None = None
    tuned_output_price: float | None = None

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise UserError(
                f'"{self.name:.60}" cannot be the name of an endpoint.',
                "name",
                "Use up to 40 letters, digits, dots, hyphens and underscores.",
            )
        where = f"endpoint {self.name}"
        if self.key_variable and not _VARIABLE.fullmatch(self.key_variable):
            raise UserError(  # without the text: somebody may have typed the key
                "This is not the name of an environment variable.",
                where,
                "Give its name, such as OPENAI_API_KEY, in capital letters. The key itself is never typed here.",
            )
        if not self.model.strip() or len(self.model) > 200:
            raise UserError("No model is named.", where, "Type the model as the server calls it.")
        if not 1 <= self.concurrency <= MOST_AT_ONCE:
            raise UserError(
                f"{self.concurrency} questions at once are not possible.", where, f"Choose 1 to {MOST_AT_ONCE}."
            )
        for price in (
            self.input_price,
            self.output_price,
            self.training_price,
            self.tuned_input_price,
            self.tuned_output_price,
        ):
            if price is not None and not (math.isfinite(price) and price >= 0):
                raise UserError(f"{price} is no price.", where, "Give a price for a million tokens, 0 or more.")
        _check_url(self.url, bool(self.key_variable), where)

    @property
    def origin(self) -> str:
        """Scheme, host and port: where the key may go."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}".lower()

    @property
    def near(self) -> bool:
        """Whether its server is on this machine or in the same private network."""
        return _near(urlsplit(self.url))

    @property
    def used_as(self) -> str:
        """What a collaborator's `model` says."""
        return f"{PREFIX}{self.name}"

    @property
    def priced(self) -> bool:
        prices = (self.input_price, self.output_price, self.training_price)
        return any((*prices, self.tuned_input_price, self.tuned_output_price))

    def tuned(self, model: str) -> Endpoint:
        """The same server with a model that was fine-tuned there, at its prices."""
        read, written = self.tuned_input_price, self.tuned_output_price
        return replace(
            self,
            model=model,
            input_price=self.input_price if read is None else read,
            output_price=self.output_price if written is None else written,
        )

    def training_cost(self, tokens: float) -> float:
        """Price of a fine-tuning that reads so many tokens; 0 where no price is known."""
        return tokens * (self.training_price or 0.0) / 1e6

    def cost(self, input_tokens: float, output_tokens: float) -> float:
        """Price of so many tokens; 0 where no price is known."""
        return (input_tokens * (self.input_price or 0.0) + output_tokens * (self.output_price or 0.0)) / 1e6

    def key(self, environment: Mapping[str, str]) -> str:
        """The key, empty if the server needs none. Raises UserError where the variable is missing."""
        if not self.key_variable:
            return ""
        key = environment.get(self.key_variable, "").strip()
        if not key:
            raise UserError(
                f"The environment variable {self.key_variable}, which should hold the key, is not set.",
                f"endpoint {self.name}",
                f"Set {self.key_variable} where the Studio is started, and start it again.",
            )
        return key


def is_endpoint(model: str) -> bool:
    """Whether a `model` names an endpoint, or a model that was fine-tuned there."""
    return model.startswith(PREFIX)


def name_of(model: str) -> str:
    """The endpoint's name within `endpoint:NAME` or the address of a model that was fine-tuned there."""
    return model.removeprefix(PREFIX).partition("/")[0]


def address(model: str, tuned: str) -> str:
    """What stands for a model that was fine-tuned at an endpoint, as the folder of an adapter stands for one that was
    fine-tuned here. model: `endpoint:NAME`. tuned: as the server calls it."""
    return f"{PREFIX}{name_of(model)}/{tuned}"


def tuned_of(model: str) -> str:
    """The fine-tuned model that an address names, as the server calls it; empty for the endpoint's own model."""
    return model.partition("/")[2]


def unknown(name: str, known: Iterable[str]) -> UserError:
    """The sentence for a name that the workspace does not have."""
    listed = ", ".join(sorted(known))
    there = f"Known here: {listed}." if listed else "The workspace has none yet."
    return UserError(f'There is no endpoint "{name}". {there}', "collaborators", "Add it on the Settings page.")


def without_key(text: str, key: str) -> str:
    """The text with the key hidden, should a server have echoed it."""
    return text.replace(key, HIDDEN) if len(key) >= SHORTEST_SECRET else text


def _check_url(url: str, keyed: bool, where: str) -> None:
    """Raises UserError for a URL that no key may be sent to, or that is none. Never quotes what could be a secret."""
    remedy = "Write it like https://host/v1 or http://127.0.0.1:8000/v1."
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        raise UserError("The URL cannot be read.", where, remedy) from None
    if parts.scheme not in ("http", "https") or not host or any(c.isspace() or not c.isprintable() for c in url):
        raise UserError("The URL must begin with http:// or https:// and name a host.", where, remedy)
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise UserError("The URL has a user, a password, a query or a fragment.", where, remedy)
    address = _address(parts)
    if address is None and _NUMERIC_HOST.fullmatch(host):
        raise UserError(f'The host "{host}" is an address in an odd spelling.', where, "Write it as 127.0.0.1.")
    if address is not None and (address.is_link_local or address.is_multicast or address.is_unspecified):
        raise UserError(f"No model is served at the address {host}.", where, remedy)
    if parts.scheme == "http" and keyed and not _near(parts):
        raise UserError(
            f"The key would travel to {host} without encryption.",
            where,
            "Use https://, or the private address of a server in your own network.",
        )


def _near(parts: SplitResult) -> bool:
    address = _address(parts)
    return parts.hostname == "localhost" or (address is not None and (address.is_loopback or address.is_private))


def _address(parts: SplitResult) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The host as an address, an IPv4 one inside an IPv6 one as what it is; None for a name."""
    try:
        address = ipaddress.ip_address(parts.hostname or "")
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address

"""The HTTP client below openai's: one origin, no redirects, replies up to a size, nothing sent that was not meant.

openai's client adds headers from the environment (organisation, project, own headers, also an Authorization); those
belong to another server and are taken off. What a server compresses is not unpacked: it was not asked to.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from functools import cache

import httpx2
import openai

from semievol.endpoints import Endpoint

LARGEST_REPLY = 8 * 2**20
"""Bytes of a reply. One of 4,000 tokens with twenty alternatives each has about 6 MB."""
CONNECT_SECONDS = 10.0
_SENT = {"host", "accept", "connection", "user-agent", "content-type", "content-length", "transfer-encoding"}


class TooLarge(httpx2.HTTPError):
    """The reply is larger than any answer can be."""


class WrongOrigin(httpx2.HTTPError):
    """A request was about to go elsewhere than to the endpoint's own server."""


class Guarded(httpx2.AsyncBaseTransport):
    """Sends requests to the endpoint's origin only, with its key and no other header than needed."""

    def __init__(
        self, endpoint: Endpoint, key: str, below: httpx2.AsyncBaseTransport | None = None, largest: int | None = None
    ) -> None:
        self._key, self._largest = key, largest
        self._origin = _origin(httpx2.URL(endpoint.url))
        self._below = below or httpx2.AsyncHTTPTransport(verify=_trusted())

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if _origin(request.url) != self._origin:
            raise WrongOrigin("the request is for another server")
        sent = [(name, value) for name, value in request.headers.multi_items() if name.lower() in _SENT]
        sent.append(("accept-encoding", "identity"))
        if self._key:
            sent.append(("authorization", f"Bearer {self._key}"))
        # A new request: openai's client reads notes to itself from the headers of its own.
        reply = await self._below.handle_async_request(
            httpx2.Request(
                request.method, request.url, headers=sent, stream=request.stream, extensions=request.extensions
            )
        )
        assert isinstance(reply.stream, httpx2.AsyncByteStream)
        headers = [(name, value) for name, value in reply.headers.multi_items() if name != "content-encoding"]
        capped = _Capped(reply.stream, self._largest or LARGEST_REPLY)
        return httpx2.Response(reply.status_code, headers=headers, stream=capped, extensions=reply.extensions)

    async def aclose(self) -> None:
        await self._below.aclose()


class _Capped(httpx2.AsyncByteStream):
    """A reply's bytes, up to `largest` of them."""

    def __init__(self, stream: httpx2.AsyncByteStream, largest: int) -> None:
        self._stream, self._largest = stream, largest

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for part in self._stream:
            size += len(part)
            if size > self._largest:
                raise TooLarge(f"the reply has more than {self._largest:,} bytes")
            yield part

    async def aclose(self) -> None:
        await self._stream.aclose()


@cache
def _trusted() -> ssl.SSLContext:
    """The certificates that are trusted; reading them takes as long as a fast server takes to answer."""
    return httpx2.create_ssl_context()


def client(endpoint: Endpoint, key: str, largest: int | None = None) -> httpx2.AsyncClient:
    """A client for the endpoint; connections are kept open for all of its questions. largest: bytes of a reply, where
    it may be larger than an answer."""
    return httpx2.AsyncClient(
        transport=Guarded(endpoint, key, largest=largest),
        follow_redirects=False,
        trust_env=False,
        timeout=httpx2.Timeout(60.0, connect=CONNECT_SECONDS),
    )


def openai_client(endpoint: Endpoint, key: str, http: httpx2.AsyncClient) -> openai.AsyncOpenAI:
    """openai's client on top of ours. It does not try again: it knows no deadline."""
    return openai.AsyncOpenAI(
        api_key=key or "none",  # the transport sends the key, or no header at all
        base_url=endpoint.url,
        http_client=http,
        max_retries=0,
        organization="",
        project="",
        webhook_secret="",
    )


def _origin(url: httpx2.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port or {"http": 80, "https": 443}.get(url.scheme)

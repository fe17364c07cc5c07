"""The entries of `models.lock` for the tiny models: `python -m capprep.toybox pins` prints them."""

from __future__ import annotations

import hashlib
from pathlib import Path

ROLES = {
    "caption": "tiny BLIP captioner of the drawn world",
    "match": "tiny BLIP image-text matcher of the drawn world",
    "booru": "tiny tagger of the drawn world, with DeepDanbooru's interface",
    "base": "tiny Stable Diffusion of the drawn world at 64 px",
}


def entries(weights: Path) -> str:
    """TOML tables for the models under a folder, one for each role.

    Args:
        weights: The folder that holds caption/, match/, booru/ and base/.
    """
    return "\n".join(_entry(weights / role, role, about) for role, about in ROLES.items())


def _entry(folder: Path, role: str, about: str) -> str:
    lines = [
        f"[models.tiny-{role}]",
        f'role = "{role}"',
        f'about = "{about}"',
        f'package = "toybox/weights/{role}"',
        'licence = "Apache-2.0"',
        "files = [",
    ]
    files = sorted((path for path in folder.rglob("*") if path.is_file()), key=lambda path: -path.stat().st_size)
    for path in files:
        kind = ', is = "labels"' if path.name == "labels.csv" else ""
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        name = path.relative_to(folder).as_posix()
        lines.append(f'    {{ name = "{name}"{kind}, bytes = {path.stat().st_size}, sha256 = "{digest}" }},')
    return "\n".join([*lines, "]", ""])

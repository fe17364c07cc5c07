"""`python -m capprep.toybox`: draw pictures of the world, rebuild the tiny models."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command; argparse ends the process on a wrong one."""
    options = _parser().parse_args(arguments)
    if options.command == "draw":
        from capprep.toybox.world import draw_samples  # the help text needs none of it

        paths = draw_samples(options.folder, options.n, options.seed)
        sys.stdout.write(f"{len(paths)} pictures in {options.folder}\n")
    elif options.command == "pins":
        from capprep.toybox.pins import entries

        sys.stdout.write(entries(options.folder))
    else:
        from capprep.toybox.diffusion import build_base  # diffusers takes seconds
        from capprep.toybox.readers import build_readers  # transformers takes seconds

        build_readers(options.folder, options.seed)
        build_base(options.folder / "base", options.seed)
        sys.stdout.write(f"caption, match, booru and base in {options.folder}\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m capprep.toybox", description="The drawn world and its tiny models.")
    commands = parser.add_subparsers(dest="command", required=True)
    draw = commands.add_parser("draw", help="draw sample pictures as they lie about in a person's folder")
    draw.add_argument("folder", type=Path, metavar="DIR")
    draw.add_argument("--n", type=int, default=12, help="how many (default: %(default)s)")
    draw.add_argument("--seed", type=int, default=0, help="another seed, other pictures (default: %(default)s)")
    build = commands.add_parser("build", help="build the tiny models with random weights")
    build.add_argument("folder", type=Path, metavar="DIR")
    build.add_argument("--seed", type=int, default=0, help="of the random weights (default: %(default)s)")
    pins = commands.add_parser("pins", help="print what models.lock says of the tiny models")
    pins.add_argument("folder", type=Path, metavar="DIR", help="where `build` wrote them")
    return parser


if __name__ == "__main__":
    main()

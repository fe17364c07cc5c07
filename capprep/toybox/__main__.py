"""`python -m capprep.toybox`: draw pictures of the world, rebuild the tiny models."""

from __future__ import annotations

import argparse
import contextlib
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from capprep.errors import EXIT_ERROR, CapprepError

WORK = Path(".lab/toybox")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command; argparse ends the process on a wrong one."""
    options = _parser().parse_args(arguments)
    if options.command == "draw":
        _draw(options)
    elif options.command == "pins":
        from capprep.toybox.pins import entries

        sys.stdout.write(entries(options.folder))
    elif options.command == "sheet":
        from capprep.toybox.sheet import draw_sheet

        draw_sheet(options.file, seed=options.seed)
        sys.stdout.write(f"{options.file}\n")
    elif options.command == "train":
        _train(options)
    elif options.command == "curves":
        from capprep.toybox.training.curves import draw_curves

        paths = draw_curves(options.work, options.folder)
        sys.stdout.write(f"{', '.join(path.name for path in paths)} in {options.folder}\n")
    else:
        from capprep.toybox.diffusion import build_base  # diffusers takes seconds

        build_base(options.folder / "base", options.seed)
        sys.stdout.write(f"base in {options.folder}\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m capprep.toybox", description="The drawn world and its tiny models.")
    commands = parser.add_subparsers(dest="command", required=True)
    _add_draw(commands)
    sheet = commands.add_parser("sheet", help="draw a few scenes in every style on one page")
    sheet.add_argument("file", type=Path, metavar="FILE", help="an image file, such as styles.webp")
    sheet.add_argument("--seed", type=int, default=0, help="another seed, other scenes (default: %(default)s)")
    _add_train(commands)
    curves = commands.add_parser("curves", help="draw the curves of finished trainings")
    curves.add_argument("folder", type=Path, metavar="DIR", help="where the pictures and the records go")
    curves.add_argument("--work", type=Path, default=WORK, metavar="DIR", help="where `train` worked")
    build = commands.add_parser("build", help="build the tiny base model with random weights")
    build.add_argument("folder", type=Path, metavar="DIR")
    build.add_argument("--seed", type=int, default=0, help="of the random weights (default: %(default)s)")
    pins = commands.add_parser("pins", help="print what models.lock says of the tiny models")
    pins.add_argument("folder", type=Path, metavar="DIR", help="where the models' folders lie")
    return parser


def _add_train(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    train = commands.add_parser(
        "train",
        help="train the tiny readers from scratch",
        description="Draw the training pictures and train the tiny readers on them. Stop it at will: started again,\n"
        "it goes on from its last checkpoint, and what is finished is not trained again.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    train.add_argument("reader", choices=("captioner", "match", "tagger", "all"), help="which one")
    train.add_argument(
        "--work",
        type=Path,
        default=WORK,
        metavar="DIR",
        help="for pictures, checkpoints, logs and weights; takes 10 GB (default: %(default)s)",
    )
    train.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"), help="(default: %(default)s)")
    train.add_argument("--threads", type=int, metavar="N", help="of the CPU for the network (default: all)")
    train.add_argument("--workers", type=int, metavar="N", help="processes that draw (default: one for each core)")


def _train(options: argparse.Namespace) -> None:
    import torch

    from capprep.models.device import torch_device
    from capprep.toybox.training.run import READERS, train_readers

    if options.threads:
        torch.set_num_threads(options.threads)
    names = READERS if options.reader == "all" else (options.reader,)
    with _errors_told():
        device = torch_device(options.device)
        for folder in train_readers(names, options.work, device, options.workers):
            sys.stdout.write(f"{folder}\n")


def _add_draw(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    draw = commands.add_parser(
        "draw",
        help="draw pictures as they lie about in a person's folder",
        description="Draw pictures as they lie about in a person's folder: JPEG and PNG files named for what they\n"
        "show, a few big things before a scenery. A file that is there already is left alone.",
        epilog=_DRAW_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    draw.add_argument("folder", type=Path, metavar="DIR", help="where the pictures go; made if it is not there")
    draw.add_argument("--n", type=_count, default=12, metavar="N", help="how many files (default: %(default)s)")
    draw.add_argument("--seed", type=int, default=0, help="another seed, other pictures (default: %(default)s)")
    draw.add_argument("--style", default="flat", metavar="NAME", help="how they are drawn (default: %(default)s)")
    draw.add_argument("--size", type=_size, metavar="WxH", help="pixels, such as 512x512 (default: several sizes)")
    draw.add_argument(
        "--damage", action="append", default=[], metavar="NAME", help="what is wrong with some; may be given repeatedly"
    )
    draw.add_argument(
        "--truth", type=Path, metavar="FILE", help="write what is true of each picture here, one JSON object a line"
    )


_DRAW_EPILOG = """\
styles:
  flat, ink, pixel, crayon, neon, negative, pastel, woodcut
  mixed        each picture in one of these

damages (half of the pictures get one of those named):
  blur         out of focus or shaken
  jpeg         squeezed into a small file
  dark         too little light
  noise        grain of a small sensor
  crop         cut off at the edges
  border       a frame around it
  watermark    a word across it
damages of the folder:
  duplicates   a fifth are others once more: re-encoded, resized or slightly cropped
  turns        half are stored turned, with an EXIF orientation
  all          all of these

The same seed shows the same scenes in every style, size and damage.

examples:
  python -m capprep.toybox draw raw
  python -m capprep.toybox draw --n 200 --style ink --size 512x512 ink
  python -m capprep.toybox draw --n 60 --style mixed --damage blur --damage duplicates --truth truth.jsonl raw
"""


def _draw(options: argparse.Namespace) -> None:
    from capprep.toybox.samples import draw_folder  # the help text needs none of it

    with _errors_told():
        paths = draw_folder(
            options.folder, options.n, options.seed, options.style, options.size, options.damage, options.truth
        )
    told = f"; what is true of them: {options.truth}" if options.truth else ""
    sys.stdout.write(f"{len(paths)} pictures in {options.folder}{told}\n")


@contextlib.contextmanager
def _errors_told() -> Iterator[None]:
    """An error that a person can mend as two lines instead of a traceback."""
    try:
        yield
    except CapprepError as error:
        sys.stderr.write(f"error: {error.message}\n  {error.hint}\n")
        raise SystemExit(error.exit_status) from None
    except OSError as error:
        sys.stderr.write(f"error: {error.filename}: {error.strerror}\n")
        raise SystemExit(EXIT_ERROR) from None


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no number of files; give a whole number such as 12")
    return int(text)


def _size(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text)
    if not match:
        raise argparse.ArgumentTypeError(f"{text!r} is no size; give width and height in pixels, such as 512x512")
    return int(match[1]), int(match[2])


if __name__ == "__main__":
    main()

"""Bytes in, upright sRGB pixels or a stable reason out."""

from __future__ import annotations

import struct
import subprocess
import sys
import time
import zlib
from importlib.util import find_spec

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import ExifTags, Image, PngImagePlugin

from capprep.errors import ConfigError
from capprep.images import decode as module
from capprep.images.containers import jxl_size, sniff
from capprep.images.decode import Decoded, Unusable, decode, header

from .mutations import encoded, mutants, reason, seeds, strictly, texture


def exif_of(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    return exif


def stored(upright: NDArray[np.uint8], orientation: int) -> Image.Image:
    # where an upright picture's pixels are stored, from the wording of the EXIF table ("row 0 is ..., column 0 is
    # ..."), independent of any library's transposes
    rows = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.swapaxes(0, 1),
        6: upright.swapaxes(0, 1)[::-1],
        7: upright.swapaxes(0, 1)[::-1, ::-1],
        8: upright.swapaxes(0, 1)[:, ::-1],
    }[orientation]
    return Image.fromarray(np.ascontiguousarray(rows))


def psnr(ours: NDArray[np.generic], reference: NDArray[np.generic]) -> float:
    error = np.mean((ours.astype(np.float64) - reference.astype(np.float64)) ** 2)
    return float(10 * np.log10(255**2 / max(error, 1e-9)))


@pytest.mark.parametrize("name", sorted(seeds()))
def test_every_container_gives_its_picture_and_its_header_tells_the_same(name: str) -> None:
    content = seeds()[name]
    head, decoded = header(content), decode(content)
    expected = name.split("-", maxsplit=1)[0]
    assert decoded.format == head.format == {"PGM": "PPM"}.get(expected, expected)
    assert (decoded.width, decoded.height) == (head.width, head.height) == decoded.pixels_HWC.shape[1::-1]
    assert (decoded.mode, decoded.orientation, decoded.frames) == (head.mode, head.orientation, head.frames)
    assert decoded.pixels_HWC.dtype == np.uint8
    assert decoded.pixels_HWC.flags.c_contiguous
    assert (decoded.alpha > 0) <= head.alpha
    if decoded.alpha == 0 and "cmyk" not in name and decoded.width > 10 and decoded.orientation == 1:
        original = np.asarray(texture().convert("L").convert("RGB") if decoded.mode in ("L", "I;16") else texture())
        assert psnr(decoded.pixels_HWC, original) > 18


@pytest.mark.parametrize("container", ["PNG", "BMP", "PPM", "TIFF", "GIF"])
def test_lossless_containers_give_the_very_pixels(container: str) -> None:
    picture = texture().quantize(64)
    expected = picture.convert("RGB")
    content = encoded(picture if container == "GIF" else expected, container)
    assert np.array_equal(decode(content).pixels_HWC, np.asarray(expected))


def test_what_a_file_is_its_content_decides() -> None:
    assert sniff(encoded(texture(), "GIF")) == "GIF"
    assert [sniff(b"\0\0\0\x18ftyp" + brand + b"\0\0\0\0mif1avif") for brand in (b"mif1", b"avis")] == ["AVIF", "AVIF"]
    assert sniff(b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic") == "HEIF"
    assert sniff(b"\0\0\0\x18ftypisom\0\0\0\0isommp42") is None
    assert sniff(b"BMW is a maker of motor cars") is None
    assert sniff(b"P6 is a netpbm format") == "PPM"


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"<!DOCTYPE html><p>not found", "web page"),
        (b"  <html>", "web page"),
        (b"%PDF-1.7", "PDF"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n", "PostScript"),
        (b"hello", "begins with b'hello'"),
        (b"\0" * 40, "begins with"),
    ],
)
def test_what_is_no_picture_is_said_with_what_it_seems_to_be(content: bytes, word: str) -> None:
    with pytest.raises(Unusable, match=word) as caught:
        decode(content)
    assert caught.value.reason == "not_image"


@pytest.mark.parametrize(
    ("content", "package", "plugin"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(64), "pillow-heif", "pillow_heif"),
        (b"\xff\x0a" + bytes(64), "pillow-jxl-plugin", "pillow_jxl"),
        (b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(64), "pillow-jxl-plugin", "pillow_jxl"),
    ],
)
def test_a_format_whose_plug_in_is_missing_names_it(
    content: bytes, package: str, plugin: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, plugin, None)  # how Python marks what cannot be imported
    with pytest.raises(Unusable, match=f"pip install {package}") as caught:
        header(content)
    assert caught.value.reason == "format_missing"


@pytest.mark.parametrize(("container", "plugin"), [("HEIF", "pillow_heif"), ("JXL", "pillow_jxl")])
def test_optional_formats_are_decoded_where_their_plug_in_is(container: str, plugin: str) -> None:
    library = pytest.importorskip(plugin)
    if container == "HEIF":
        library.register_heif_opener()
    content = encoded(texture(64, 48), container, quality=95)
    decoded = decode(content)
    assert decoded.format == container
    assert psnr(decoded.pixels_HWC, np.asarray(texture(64, 48))) > 25
    assert reason(content[: len(content) // 2]) in ("truncated", "corrupt")


@pytest.mark.skipif(find_spec("pillow_jxl") is None, reason="needs the JPEG XL plug-in")
def test_a_huge_jpeg_xl_is_refused_by_its_size_header() -> None:
    assert reason(b"\xff\x0a" + _jxl_header(20000, 20000)) == "too_large"


def _jxl_header(width: int, height: int) -> bytes:
    # ISO/IEC 18181-1 SizeHeader: not small, 18-bit height, no ratio, 18-bit width; least significant bit first
    fields = ((0, 1), (2, 2), (height - 1, 18), (0, 3), (2, 2), (width - 1, 18))
    bits = at = 0
    for value, count in fields:
        bits |= value << at
        at += count
    return bits.to_bytes(16, "little")


def test_the_size_of_a_jpeg_xl_picture_is_read_without_its_plug_in() -> None:
    bare = b"\xff\x0a" + _jxl_header(20000, 12345)
    assert jxl_size(bare) == (20000, 12345)
    boxed = b"\0\0\0\x0cJXL \r\n\x87\n" + struct.pack(">I4s", 8 + 4 + len(bare), b"jxlp") + bytes(4) + bare
    assert jxl_size(boxed) == (20000, 12345)
    # small, height 8 * 32, ratio 7 (2:1)
    assert jxl_size(b"\xff\x0a" + (1 | 31 << 1 | 7 << 6).to_bytes(8, "little")) == (512, 256)
    assert jxl_size(b"\0\0\0\x0cJXL \r\n\x87\n") is None


@pytest.mark.parametrize("container", ["PNG", "JPEG", "TIFF", "WEBP", "AVIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_is_seen_upright(container: str, orientation: int) -> None:
    upright = np.asarray(texture(40, 30))
    lossy = {"JPEG": {"quality": 100, "subsampling": 0}, "AVIF": {"quality": 100, "subsampling": "4:4:4"}}
    options = lossy.get(container, {"lossless": True} if container == "WEBP" else {})
    content = encoded(stored(upright, orientation), container, exif=exif_of(orientation), **options)
    head, decoded = header(content), decode(content)
    assert (head.width, head.height, head.orientation) == (40, 30, orientation)
    assert (decoded.width, decoded.height, decoded.orientation) == (40, 30, orientation)
    assert psnr(decoded.pixels_HWC, upright) > 40 if container in lossy else np.array_equal(decoded.pixels_HWC, upright)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("size", [(640, 480), (641, 483)])
def test_a_box_lies_at_the_same_place_of_a_reduced_picture_to_a_fraction_of_a_pixel(
    orientation: int, size: tuple[int, int]
) -> None:
    # slopes as steep as possible; ignoring where the reduced grid begins would be a shift by 7 and 5 pixels
    width, height = size
    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    upright = np.stack([x * 255 / width, y * 255 / height, x * 0 + 90], axis=-1).astype(np.uint8)
    content = encoded(stored(upright, orientation), "JPEG", quality=97, subsampling=0, exif=exif_of(orientation))
    decoded = decode(content, short_side=15)
    assert decoded.reduction == 8
    left, top, right, bottom = decoded.inner((0.0, 0.0, float(width), float(height)))
    assert (right - left, bottom - top) == (width / 8, height / 8)
    columns = (np.arange(decoded.pixels_HWC.shape[1]) + 0.5 - left) * 8
    rows = (np.arange(decoded.pixels_HWC.shape[0]) + 0.5 - top) * 8
    inside = decoded.pixels_HWC[2:-2, 2:-2].astype(float)
    across = (inside[..., 0] - (columns[2:-2] * 255 / width - 0.5)).mean() * width / 255
    down = (inside[..., 1] - (rows[2:-2, None] * 255 / height - 0.5)).mean() * height / 255
    assert abs(across) < 0.7
    assert abs(down) < 0.7


def test_an_orientation_that_does_not_exist_counts_as_upright_and_is_noted() -> None:
    decoded = decode(encoded(texture(), "PNG", exif=exif_of(9)))
    assert decoded.orientation == 1
    assert "orientation 9" in " ".join(decoded.notes)


XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>\xff\xfe'


@pytest.mark.parametrize("container", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_only_exif_turns_a_picture_never_xmp(container: str) -> None:
    options: dict[str, object] = {"xmp": XMP}
    if container == "PNG":
        text = PngImagePlugin.PngInfo()
        text.add_itxt("XML:com.adobe.xmp", XMP[:-2].decode())
        options = {"pnginfo": text}
    elif container == "TIFF":
        options = {"tiffinfo": {700: XMP}}
    decoded = decode(encoded(texture(), container, **options))
    assert (decoded.width, decoded.height, decoded.orientation) == (*texture().size, 1)


def test_broken_exif_costs_a_note_and_never_the_picture() -> None:
    for damaged in (b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12", b"Exif\0\0nonsense"):
        decoded = decode(encoded(texture(), "JPEG", exif=damaged))
        assert (decoded.width, decoded.orientation) == (texture().width, 1)
    assert "EXIF" in " ".join(decoded.notes)


def test_an_orientation_after_the_pixels_of_a_png_is_found_before_they_are_decoded() -> None:
    body = encoded(texture(), "PNG")
    data = exif_of(6).tobytes()[6:]
    chunk = struct.pack(">I", len(data)) + b"eXIf" + data + struct.pack(">I", zlib.crc32(b"eXIf" + data))
    assert header(body[:-12] + chunk + body[-12:]).orientation == 6
    # and the older way, as hexadecimal text
    text = PngImagePlugin.PngInfo()
    text.add_text("Raw profile type exif", f"\nexif\n{len(data):8}\n{data.hex()}\n")
    assert header(encoded(texture(), "PNG", pnginfo=text)).orientation == 6


def test_limits_are_checked_before_anything_is_decoded() -> None:
    started = time.process_time()
    assert reason(encoded(Image.new("1", (20000, 20000)), "PNG")) == "too_large"
    assert reason(encoded(Image.new("1", (12000, 9000)), "PNG")) == "too_large"
    assert reason(encoded(Image.new("L", (1, 4000)), "PNG")) == "aspect"
    assert reason(encoded(Image.new("L", (801, 100)), "PNG")) == "aspect"
    assert decode(encoded(Image.new("L", (800, 100)), "PNG")).width == 800
    # a header alone, of a picture that would take gigabytes
    huge = bytearray(encoded(texture(), "BMP"))
    struct.pack_into("<ii", huge, 18, 30000, 30000)
    assert reason(bytes(huge)) == "too_large"
    assert time.process_time() - started < 5


def test_a_jpeg_of_very_many_scans_is_refused() -> None:
    content = seeds()["JPEG-progressive"]
    last = content.rindex(b"\xff\xda")
    scan = content[last:-2]
    assert reason(content[:-2] + scan * 2000 + b"\xff\xd9") == "too_large"


def test_a_tiff_of_very_many_pages_is_refused_in_time() -> None:
    # tiny directories, one after the other
    count = 20000
    entry = struct.pack("<HHHII", 1, 256, 3, 1, 1)
    step = len(entry) + 4
    pages = b"".join(entry + struct.pack("<I", 8 + (number + 1) * step) for number in range(count))
    started = time.process_time()
    assert reason(b"II*\0\x08\0\0\0" + pages) in ("too_large", "corrupt")
    assert time.process_time() - started < 5


def test_a_gif_too_large_to_count_its_frames_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("capprep.images.opening.MAX_GIF_BYTES", 1000)
    assert reason(seeds()["GIF"]) == "too_large"


@pytest.mark.parametrize("mode", ["F", "I"])
def test_floats_and_32_bits_are_refused(mode: str) -> None:
    content = encoded(Image.new(mode, (8, 8), 3), "TIFF")
    assert reason(content) == "unsupported_depth"
    with pytest.raises(Unusable, match="32-bit"):
        header(content)


def test_a_jpeg_of_twelve_bits_is_refused_as_such() -> None:
    content = bytearray(seeds()["JPEG"])
    content[content.index(b"\xff\xc0") + 4] = 12
    assert reason(bytes(content)) == "unsupported_depth"


def test_too_little_memory_is_said_and_may_be_tried_again() -> None:
    program = """
import io, resource, sys
from PIL import Image
from capprep.images.decode import Unusable, decode
buffer = io.BytesIO()
Image.new("L", (9000, 9000)).save(buffer, "PNG", compress_level=1)
decode(buffer.getvalue(), short_side=8)
pages = int(open("/proc/self/statm").read().split()[0])
resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + 20_000_000,) * 2)
try:
    decode(buffer.getvalue())
except Unusable as unusable:
    sys.exit(7 if (unusable.reason, unusable.retry) == ("memory", True) else 1)
"""
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 7


def test_an_impossible_background_is_the_users_to_mend() -> None:
    with pytest.raises(ConfigError, match="mauve-ish"):
        decode(seeds()["PNG"], background="mauve-ish")


@pytest.mark.parametrize("container", ["GIF", "WEBP", "PNG", "TIFF"])
def test_of_an_animation_the_policy_says_which_frame(container: str) -> None:
    frames = [Image.new("RGB", (16, 16), (shade, shade, shade)) for shade in (0, 60, 120, 180, 240)]
    content = encoded(frames[0], container, frames[1:])
    assert header(content).frames == 5
    first, middle = decode(content, frame="first"), decode(content, frame="middle")
    assert (first.frame, first.pixels_HWC.mean().round()) == (0, 0)
    assert (middle.frame, abs(middle.pixels_HWC.mean() - 120) < 4) == (2, True)
    assert "number 3 was used" in " ".join(middle.notes)
    assert reason(content, frame="reject") == "animated"
    still = encoded(frames[0], container)
    assert decode(still, frame="reject").frames == 1


def test_previews_beside_a_picture_do_not_make_it_an_animation() -> None:
    decoded = decode(seeds()["MPO"], frame="reject")
    assert (decoded.format, decoded.frames, decoded.frame) == ("MPO", 3, 0)


def test_the_middle_of_an_animation_too_long_to_go_through_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_ANIMATION_PIXELS", 1000)
    assert reason(seeds()["GIF-animated"], frame="middle") == "too_large"
    assert decode(seeds()["GIF-animated"], frame="first").frames == 3


@settings(deadline=None, max_examples=40)
@given(st.integers(9, 300), st.integers(9, 300), st.integers(1, 64))
def test_the_more_a_picture_is_reduced_the_more_of_the_side_that_is_wanted_it_keeps(
    width: int, height: int, wanted: int
) -> None:
    if max(width, height) > 8 * min(width, height):
        return
    decoded = decode(encoded(Image.new("RGB", (width, height), "teal"), "JPEG"), short_side=wanted)
    assert (decoded.width, decoded.height) == (width, height)
    side = min(width, height)
    assert decoded.reduction == max(
        by for by in (1, 2, 4, 8) if by == 1 or side >= {2: 2.3, 4: 3, 8: 4}[by] * wanted * by
    )
    assert decoded.pixels_HWC.shape[1::-1] == (-(-width // decoded.reduction), -(-height // decoded.reduction))


def test_large_pictures_of_other_containers_are_averaged_in_bands(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(4)
    rgba = rng.integers(0, 256, (237, 301, 4), dtype=np.uint8)
    content = encoded(Image.fromarray(rgba), "PNG")
    whole = decode(content).pixels_HWC.astype(np.float64)
    monkeypatch.setattr(module, "_BAND_ABOVE", 10000)
    monkeypatch.setattr(module, "_BAND_PIXELS", 5000)
    assert np.array_equal(decode(content).pixels_HWC, whole)
    monkeypatch.setattr(module, "_REDUCE_ABOVE", 10000)
    decoded = decode(content, short_side=19)
    assert (decoded.reduction, decoded.pixels_HWC.shape) == (4, (60, 76, 3))
    means = whole[:236, :300].reshape(59, 4, 75, 4, 3).mean(axis=(1, 3))
    assert np.abs(decoded.pixels_HWC[:59, :75] - means).max() <= 0.51


def test_decoding_is_the_same_every_time() -> None:
    def facts(decoded: Decoded) -> tuple[object, ...]:
        return (decoded.pixels_HWC.tobytes(), *list(vars(decoded).values())[1:])

    for content in seeds().values():
        assert facts(decode(content, short_side=10)) == facts(decode(content, short_side=10))


def _survive(count: int, seed: int) -> dict[str, int]:
    outcomes: dict[str, int] = {}
    for mutant in mutants(count, seed):
        started = time.perf_counter()
        try:
            decoded = decode(mutant.content, short_side=8 if seed % 2 else None)
            outcome = "decoded"
            assert decoded.pixels_HWC.shape[2] == 3, mutant.name
            assert strictly(mutant.content) is not None, f"{mutant.name}: a picture from what cannot be decoded"
        except Unusable as unusable:
            # what may be no fault of the file would be a fault of ours
            outcome = "ours: " + unusable.message if unusable.retry else unusable.reason
        assert time.perf_counter() - started < 10, mutant.name
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
    return outcomes


@pytest.mark.filterwarnings("ignore")  # Pillow's, when it is asked alone
@pytest.mark.parametrize("seed", [0, 1])
def test_damaged_files_give_a_picture_or_a_reason_in_time_and_print_nothing(
    seed: int, capfd: pytest.CaptureFixture[str]
) -> None:
    contents = [mutant.content for mutant in mutants(150, seed + 10)]
    for content in contents:
        try:
            decode(content)
        except Unusable:
            continue
    assert capfd.readouterr() == ("", "")
    outcomes = _survive(150, seed + 10)
    assert {"decoded", "truncated", "corrupt"} <= set(outcomes)
    assert set(outcomes) <= {
        "decoded", "truncated", "corrupt", "empty", "not_image", "too_large", "aspect", "unsupported_depth"
    }  # fmt: skip


def test_a_program_without_logging_prints_nothing_of_pillows_either() -> None:
    content = bytearray(seeds()["TIFF-raw"])
    tag = content.index(struct.pack("<HHI", 277, 3, 1))
    struct.pack_into("<H", content, tag + 8, 2048)  # samples a pixel
    program = """
import sys
from capprep.images.decode import Unusable, decode
try:
    decode(sys.stdin.buffer.read())
except Unusable as unusable:
    sys.exit(unusable.reason != "corrupt")
sys.exit(1)
"""
    done = subprocess.run([sys.executable, "-c", program], input=bytes(content), capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_twenty_thousand_damaged_files_give_a_picture_or_a_reason() -> None:
    _survive(20000, 2)


def test_mutants_are_the_same_for_the_same_seed() -> None:
    assert list(mutants(60, 5)) == list(mutants(60, 5))
    assert list(mutants(60, 5)) != list(mutants(60, 6))

"""One picture to a small JPEG. Runs in the child alone (`convert_child`); needs the extra `media`.

    size from the header ─▶ decode ─▶ on white, sRGB, upright ─▶ smaller sides, lower quality ─▶ fits

All that it needs is imported at once: the child can open no file later.
"""

import contextlib
import io
import warnings
from typing import Final

from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,  # noqa: F401
    GifImagePlugin,  # noqa: F401
    Image,
    ImageCms,
    JpegImagePlugin,  # noqa: F401
    MpoImagePlugin,  # noqa: F401
    PngImagePlugin,  # noqa: F401
    TiffImagePlugin,  # noqa: F401
    WebPImagePlugin,  # noqa: F401
)

from smsbridge.media.convert_child import Did, Unable, Verdict

try:
    from pillow_heif import register_heif_opener
except ImportError:  # HEIC is refused then
    pass
else:
    register_heif_opener(decode_threads=1, thumbnails=False, depth_images=False, aux_images=False)

Image.preinit()
Image.MAX_IMAGE_PIXELS = None  # `_checked` says it before anything is decoded
AvifImagePlugin.DEFAULT_MAX_THREADS = 1

MOST_PIXELS: Final = 50_000_000  # decoded: four bytes each, at the worst
MOST_JPEG_PIXELS: Final = 250_000_000  # JPEG is decoded at an eighth, a quarter or a half of its size
SIDES: Final = (2560, 2048, 1600, 1280, 1024, 800, 640, 480, 320)
QUALITIES: Final = (85, 75, 65)

_FORMATS: Final = {
    "image/jpeg": ("JPEG", "MPO"),
    "image/png": ("PNG",),
    "image/gif": ("GIF",),
    "image/webp": ("WEBP",),
    "image/avif": ("AVIF",),
    "image/heic": ("HEIF", "AVIF"),  # the brand mif1 tells not which
    "image/bmp": ("BMP",),
    "image/tiff": ("TIFF",),
}
_ORIENTATION: Final = 0x0112
_NOTES: Final = frozenset({"exif", "xmp", "XML:com.adobe.xmp", "photoshop", "comment"})
_TIFF_NOTES: Final = frozenset({700, 33723, 34665, 34853})  # XMP, IPTC, EXIF, GPS
_TURNED: Final = {2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}  # EXIF's to `Image.Transpose`


def shrink(content: bytes, kind: str, aim: int, pixels: int) -> tuple[Did, int, int, bytes]:
    """What was done, width, height and a JPEG of `aim` bytes at most, with nothing in it but the picture.

    Raises `Unable`, or MemoryError.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return _shrink(content, kind, aim, pixels)
        except (Unable, MemoryError):
            raise
        except Exception:  # noqa: BLE001 - decoders raise whatever they like
            raise Unable(Verdict.DAMAGED) from None


def _shrink(content: bytes, kind: str, aim: int, pixels: int) -> tuple[Did, int, int, bytes]:
    formats = [name for name in _FORMATS.get(kind, ()) if name in Image.OPEN]
    if not formats:
        raise Unable(Verdict.TOOL)
    with Image.open(io.BytesIO(content), formats=formats) as image:
        full = _checked(image)
        did = Did.NOTES_REMOVED if _has_notes(image) else Did(0)
        if getattr(image, "is_animated", False) and image.format != "MPO":
            did |= Did.FIRST_FRAME_ONLY
            image.seek(0)
        image.draft("RGB", (SIDES[0], SIDES[0]))
        image.load()
        turn = image.getexif().get(_ORIENTATION, 1)  # a TIFF has been turned by now, and says so
        plain = _upright(_plain(image), turn)
    for side in SIDES:
        if side != SIDES[0] and side >= max(plain.size):
            continue
        plain = _fitted(plain, side, pixels)
        for quality in QUALITIES:
            written = io.BytesIO()
            plain.save(written, "JPEG", quality=quality, optimize=True)
            if written.tell() <= aim:
                is_smaller = max(plain.size) < max(full) or len(content) > aim
                return did | (Did.SHRUNK if is_smaller else Did(0)), *plain.size, written.getvalue()
    raise Unable(Verdict.LARGE)


def _checked(image: Image.Image) -> tuple[int, int]:
    """Its size, which the header tells; nothing is decoded yet."""
    width, height = image.size
    most = MOST_JPEG_PIXELS if image.format in {"JPEG", "MPO"} else MOST_PIXELS
    if width * height > most:
        raise Unable(Verdict.BOMB)
    return width, height


def _has_notes(image: Image.Image) -> bool:
    tags = getattr(image, "tag_v2", {})
    return any(image.info.get(name) for name in _NOTES) or not _TIFF_NOTES.isdisjoint(tags)


def _plain(image: Image.Image) -> Image.Image:
    """No larger than the first of the sides, in red, green and blue as every screen means them, on white."""
    profile = image.info.get("icc_profile")
    if image.mode.startswith("I") or image.mode == "F":
        image = _grey(image)
    if image.mode in {"LA", "PA", "RGBa", "La"} or "transparency" in image.info:
        image = image.convert("RGBA")
    elif image.mode not in {"L", "RGB", "RGBA", "CMYK"}:
        image = image.convert("RGB")
    image = _reduced(image)
    if image.mode == "RGBA":
        image.info.clear()
        white = Image.new("RGB", image.size, "white")
        white.paste(image, mask=image.getchannel("A"))
        image = white
    image = _in_srgb(image, profile)
    image.info.clear()
    return image


def _grey(image: Image.Image) -> Image.Image:
    """Of 16 bits a sample, or more."""
    image = image.convert("F")
    most = float(max(image.getextrema()[1], 1.0))  # type: ignore[arg-type]
    return image.point(lambda value: value * (255.0 / max(most, 255.0)) + 0.0).convert("L")


def _reduced(image: Image.Image) -> Image.Image:
    return _fitted(image, SIDES[0], MOST_PIXELS)


def _fitted(image: Image.Image, side: int, pixels: int) -> Image.Image:
    """Its longer side no longer than this, and no more pixels than that."""
    width, height = image.size
    scale = min(1.0, side / max(width, height), (pixels / (width * height)) ** 0.5)
    if scale == 1.0:
        return image
    size = max(1, int(width * scale)), max(1, int(height * scale))
    return image.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)


def _in_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    if profile:
        with contextlib.suppress(Exception):  # colours a little off are better than no picture
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            done = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
            if done is not None:
                return done
    return image.convert("RGB")


def _upright(image: Image.Image, orientation: int) -> Image.Image:
    turn = _TURNED.get(orientation)
    return image if turn is None else image.transpose(Image.Transpose(turn))

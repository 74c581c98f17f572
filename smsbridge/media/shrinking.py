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

from smsbridge.media.bare import NotUnderstood, bare
from smsbridge.media.convert_child import Did, Unable, Verdict

try:
    from pillow_heif import register_heif_opener
except ImportError:  # HEIC is refused then
    pass
else:
    register_heif_opener(decode_threads=1, thumbnails=False, depth_images=False, aux_images=False)

Image.preinit()
Image.MAX_IMAGE_PIXELS = None  # `_check` says it before anything is decoded
AvifImagePlugin.DEFAULT_MAX_THREADS = 1

MOST_PIXELS: Final = 50_000_000  # decoded: four bytes each, at the worst
MOST_JPEG_PIXELS: Final = 250_000_000  # decoded at a part of its size, unless it is progressive
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
_TURNED: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def shrink(content: bytes, kind: str, aim: int, pixels: int) -> tuple[Did, bytes]:
    """What was done, and a JPEG of `aim` bytes at most, with nothing in it but the picture.

    Raises `Unable`, or MemoryError.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return _shrink(content, kind, aim, pixels)
        except (Unable, MemoryError):
            raise
        except Exception:  # noqa: BLE001 - decoders raise whatever they like
            is_blind = kind == "image/heic" and "HEIF" not in Image.OPEN
            raise Unable(Verdict.TOOL if is_blind else Verdict.DAMAGED) from None


def _shrink(content: bytes, kind: str, aim: int, pixels: int) -> tuple[Did, bytes]:
    formats = [name for name in _FORMATS.get(kind, ()) if name in Image.OPEN]
    if not formats:
        raise Unable(Verdict.TOOL)
    if kind == "image/webp":  # to open it takes the memory of the whole picture
        with contextlib.suppress(NotUnderstood):
            found = bare(kind, content)
            _check(found.width, found.height, MOST_PIXELS)
    with Image.open(io.BytesIO(content), formats=formats) as image:
        full = image.size
        _check(*full, _most_pixels(image))
        did = Did.NOTES_REMOVED if _has_notes(image) else Did(0)
        if getattr(image, "is_animated", False) and image.format != "MPO":
            did |= Did.FIRST_FRAME_ONLY  # which of them is the first, the decoder has chosen
        image.draft("RGB", (SIDES[0], SIDES[0]))
        image.load()
        turn = _turn_of(image)  # now: a TIFF has been turned by its decoder, and says so
        plain = _plain(image)
        if turn is not None:
            plain = plain.transpose(turn)
    for side in SIDES:
        if side != SIDES[0] and side >= max(plain.size):
            continue
        plain = _fitted(plain, side, pixels)
        for quality in QUALITIES:
            written = io.BytesIO()
            plain.save(written, "JPEG", quality=quality, optimize=True)
            if written.tell() <= aim:
                is_smaller = max(plain.size) < max(full) or len(content) > aim
                return did | (Did.SHRUNK if is_smaller else Did(0)), written.getvalue()
    raise Unable(Verdict.LARGE)


def _most_pixels(image: Image.Image) -> int:
    """That can be decoded in so much memory."""
    if image.format in {"JPEG", "MPO"} and not image.info.get("progressive"):
        return MOST_JPEG_PIXELS
    shows_through = image.mode in {"RGBA", "LA", "PA"} or "transparency" in image.info
    return MOST_PIXELS // 2 if shows_through else MOST_PIXELS  # two of it at a time


def _check(width: int, height: int, most: int) -> None:
    """By its header, before anything is decoded."""
    if width * height > most:
        raise Unable(Verdict.BOMB)


def _has_notes(image: Image.Image) -> bool:
    tags = getattr(image, "tag_v2", {})
    return any(image.info.get(name) for name in _NOTES) or not _TIFF_NOTES.isdisjoint(tags)


def _turn_of(image: Image.Image) -> Image.Transpose | None:
    with contextlib.suppress(Exception):  # notes that make no sense are no reason to refuse the picture
        return _TURNED.get(image.getexif().get(_ORIENTATION, 1))
    return None


def _plain(image: Image.Image) -> Image.Image:
    """No larger than the first of the sides, in red, green and blue as every screen means them, on white."""
    profile = image.info.get("icc_profile")
    if image.mode.startswith("I") or image.mode == "F":
        image = _grey(image)
    if image.mode in {"LA", "PA", "RGBa", "La"} or "transparency" in image.info:
        image = image.convert("RGBA")
    elif image.mode not in {"L", "RGB", "RGBA", "CMYK"}:
        image = image.convert("RGB")
    image = _fitted(image, SIDES[0], MOST_PIXELS)
    if image.mode == "RGBA":
        image.info.clear()
        white = Image.new("RGB", image.size, "white")
        white.paste(image, mask=image.getchannel("A"))
        image = white
    image = _in_srgb(image, profile)
    image.info.clear()
    return image


def _grey(image: Image.Image) -> Image.Image:
    """Of more than 8 bits a sample."""
    white = 65535.0 if image.mode.startswith("I;16") else None
    if image.mode != "F":
        image = image.convert("I").convert("F")
    image.info.pop("transparency", None)
    if white is None:
        _, brightest = image.getextrema()
        white = max(255.0, float(brightest))  # type: ignore[arg-type]
    scale = 255.0 / white
    return image.point(lambda value: value * scale + 0.0).convert("L")


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

"""Pictures to convert, as telephones and worse make them."""

import io
import random
import struct
import zlib

import pillow_heif
from PIL import Image

pillow_heif.register_heif_opener()

PLACE = b"45 deg 30 min north"
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><exif:GPSLatitude>' + PLACE + b"</exif:GPSLatitude></x:xmpmeta>"


def noted(orientation: int = 1) -> bytes:
    """EXIF as a camera writes it: which way up, by what, and where."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010F] = "Example Phones"
    exif[0x010E] = PLACE.decode()
    exif.get_ifd(0x8825)[2] = (45.0, 30.0, 0.0)
    return exif.tobytes()


def scene(width: int, height: int) -> Image.Image:
    """Something to look at that does not compress to nothing: red above, blue below, rough."""
    rough = Image.frombytes("L", (width // 4 + 1, height // 4 + 1), _noise((width // 4 + 1) * (height // 4 + 1)))
    image = Image.merge("RGB", [rough.resize((width, height))] * 3)
    image.paste("red", (0, 0, width, height // 4))
    image.paste("blue", (0, height - height // 4, width, height))
    return image


def written(image: Image.Image, form: str, **options: object) -> bytes:
    """As a file."""
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def moving(frames: int, size: tuple[int, int] = (40, 30)) -> bytes:
    """A GIF of so many frames."""
    pictures = [Image.new("RGB", size, (number * 37 % 256, number // 256, 90)) for number in range(frames)]
    return written(pictures[0], "GIF", save_all=True, append_images=pictures[1:], loop=0, comment=PLACE)


def png(width: int, height: int, *chunks: tuple[bytes, bytes], depth: int = 1, colour: int = 0) -> bytes:
    """All black, and made without memory for it; colour 6 is red, green, blue and alpha."""
    row, packer = bytes(1 + (width * depth * (4 if colour == 6 else 1) + 7) // 8), zlib.compressobj(9)
    rows = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    drawn = [(b"IHDR", header), *chunks, (b"IDAT", rows), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(name, body) for name, body in drawn)


def chunk(name: bytes, body: bytes) -> bytes:
    """Of a PNG."""
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def spoiled(content: bytes, rng: random.Random) -> bytes:
    """Cut off, or a few bits of it turned."""
    if rng.random() < 0.3:
        return content[: rng.randrange(len(content))]
    changed = bytearray(content)
    for _ in range(rng.randrange(1, 6)):
        # mostly at the beginning, where the structure is
        at = rng.randrange(min(len(changed), rng.choice((64, 1024, 1 << 20))))
        changed[at] ^= 1 << rng.randrange(8)
    return bytes(changed)


def look(content: bytes) -> Image.Image:
    """What a file shows."""
    image = Image.open(io.BytesIO(content))
    image.load()
    return image


def _noise(size: int) -> bytes:
    return random.Random(size).randbytes(size)  # noqa: S311

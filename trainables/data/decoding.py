"""Decodes image files to the pixels that training and evaluation take, uint8 [size, size, 3].

libjpeg-turbo (simplejpeg) decodes plain JPEGs, only down to the last row that the crop needs; Pillow decodes everything
else. Both give the pixels of torchvision's ImageFolder: EXIF rotation is ignored, greyscale, CMYK and palette images
become RGB, and the format is told from the content. Random draws depend on the image's size, not on the decoder.
"""

import io
import math
import os
import random
import threading

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, UnidentifiedImageError

from trainables.data.info import DataError

_MARGIN = 16
"""Rows that are decoded below a crop, since smoothed chroma takes up to four rows from below."""

_thread = threading.local()


def training_crop(data: bytes, size: int, draw: random.Random, *, name: str) -> np.ndarray:
    """A crop by `crop_box`, resized to [size, size, 3]. Raises DataError for an unreadable file."""
    shape = plain_jpeg(data)
    whole = None if shape else _decode_whole(data, name)
    height, width = shape or whole.shape[:2]
    top, left, h, w = crop_box(width, height, draw)
    pixels = _decode_rows(data, height, width, top + h, name) if whole is None else whole
    return resize(pixels[top : top + h, left : left + w], size, size)


def evaluation_crop(data: bytes, size: int, *, name: str) -> np.ndarray:
    """The crop of torchvision's Resize(256) and CenterCrop(224), in proportion for other sizes, [size, size, 3].

    Raises DataError for an unreadable file.
    """
    pixels = whole_image(data, name=name)
    h, w = evaluation_shape(*pixels.shape[:2], size)
    top, left = round((h - size) / 2), round((w - size) / 2)
    return resize(pixels, h, w)[top : top + size, left : left + size]


def whole_image(data: bytes, *, name: str) -> np.ndarray:
    """All pixels of an image, [height, width, 3], valid until this thread decodes another one.

    Raises DataError for an unreadable file.
    """
    shape = plain_jpeg(data)
    return _decode_rows(data, *shape, shape[0], name) if shape else _decode_whole(data, name)


def resize(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resize [h, w, 3] bilinearly with antialiasing, to within one level of what Pillow gives."""
    image = torch.from_numpy(pixels).permute(2, 0, 1)[None]
    resized = F.interpolate(image, (height, width), mode="bilinear", antialias=True)
    return resized[0].permute(1, 2, 0).numpy()


def evaluation_shape(height: int, width: int, size: int) -> tuple[int, int]:
    """Height and width to which an image is resized before its centre of [size, size] is cut out."""
    side, short = round(size * 256 / 224), min(height, width)
    return int(side * height / short), int(side * width / short)


def crop_box(width: int, height: int, draw: random.Random) -> tuple[int, int, int, int]:
    """(top, left, height, width) as torchvision's RandomResizedCrop draws them.

    The box has 8 to 100 % of the area and an aspect ratio of 3/4 to 4/3. Where ten draws do not fit into the image, it
    is the largest central one.
    """
    for _ in range(10):
        area = width * height * draw.uniform(0.08, 1.0)
        ratio = math.exp(draw.uniform(math.log(3 / 4), math.log(4 / 3)))
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < w <= width and 0 < h <= height:
            return draw.randint(0, height - h), draw.randint(0, width - w), h, w
    w, h = min(width, round(height * 4 / 3)), min(height, round(width * 4 / 3))
    return (height - h) // 2, (width - w) // 2, h, w


def plain_jpeg(data: bytes, colours: tuple[str, ...] = ("Gray", "YCbCr", "RGB")) -> tuple[int, int] | None:
    """(height, width) of a complete JPEG of these colours, which fast decoders take; else None."""
    import simplejpeg

    if not (data.startswith(b"\xff\xd8") and data.endswith(b"\xff\xd9")):
        return None
    try:
        height, width, own_colours, _ = simplejpeg.decode_jpeg_header(data)
    except ValueError:
        return None
    return (height, width) if own_colours in colours else None


def read_file(path: str) -> bytes:
    """The bytes of a file. Raises DataError, which names the file, where it cannot be read."""
    try:
        with open(path, "rb", opener=_open_at_once) as stream:
            return stream.read() or b""
    except OSError as error:
        raise DataError(f"{path} cannot be read as an image ({error.strerror or error})") from None


def _open_at_once(path: str, flags: int) -> int:
    """Open a file; a pipe is opened as well, as an empty one, where it would wait for a writer."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def decode(data: bytes, *, name: str) -> Image.Image:
    """An RGB image, decoded by Pillow. Raises DataError, which names the file, for anything but a whole image."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            return image.convert("RGB")
    except MemoryError:
        raise
    except Exception as error:
        raise DataError(f"{name} cannot be read as an image ({_reason(error, data)})") from None


def _reason(error: Exception, data: bytes) -> str:
    """Why Pillow cannot decode the data, in one line."""
    if not data:
        return "it is empty"
    if isinstance(error, UnidentifiedImageError):
        return "its format is not known"
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _decode_whole(data: bytes, name: str) -> np.ndarray:
    return np.array(decode(data, name=name))


def _decode_rows(data: bytes | bytearray, height: int, width: int, rows: int, name: str) -> np.ndarray:
    """The first n >= rows rows of a plain JPEG, [n, width, 3], valid until this thread decodes another one.

    What libjpeg only warns of is accepted, as by Pillow; a file cut short has no end marker and never comes here.
    """
    import simplejpeg

    at = _height_field(data) if rows + _MARGIN < height else None
    if at is not None:
        height, data = rows + _MARGIN, bytearray(data)
        data[at : at + 2] = height.to_bytes(2, "big")
    try:
        return simplejpeg.decode_jpeg(data, "RGB", strict=False, buffer=_buffer(height * width * 3))
    except ValueError:
        return _decode_whole(data, name)


def _buffer(size: int) -> np.ndarray:
    """Memory that this thread uses again for its next image; fresh pages cost more than the colour conversion."""
    if getattr(_thread, "buffer", None) is None or len(_thread.buffer) < size:
        _thread.buffer = np.empty(size, np.uint8)
    return _thread.buffer


def _height_field(data: bytes) -> int | None:
    """Index of the bytes in which a JPEG says how many rows it has, if decoding may end early, else None.

    It may where a single scan goes from top to bottom with all colour components at once.
    """
    at, field, components = 2, None, 0
    while at + 10 < len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xDA:  # start of scan
            return field if data[at + 4] == components else None
        if marker in (0xC0, 0xC1):  # start of a sequential frame with Huffman coding
            field, components = at + 5, data[at + 9]
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return None

"""Pictures from files and to files, through Pillow (extra ``data``), as pixels of one size.

Y × X pixels, C channels: 1 where they are grey, 3 where they have colour.
"""

from pathlib import Path

import numpy as np

from seqjax.checks import InputError

SUFFIXES = (".png", ".jpg", ".jpeg")


class PictureError(InputError):
    """A picture that is missing or broken."""


def pillow():
    """Pillow's module of pictures.

    Raises:
        InputError: Pillow is not installed.
    """
    try:
        from PIL import Image
    except ImportError:
        raise InputError("pictures: PNG and JPEG are read by Pillow: pip install 'seqjax[data]'.") from None
    return Image


def read_picture(path: str | Path, size: tuple[int, int], *, colour: bool = False) -> np.ndarray:
    """The pixels of a file, resized: (Y, X, C) uint8.

    The camera's note of which side is up is followed; what is transparent is shown on white; of several frames, the
    first is read; 16 bits of grey become 8.

    Args:
        path: PNG, JPEG, or whatever else Pillow reads.
        size: (Y, X).
        colour: C is 3, red, green and blue; else 1, grey.

    Raises:
        PictureError: there is no such file, or it is no whole picture.
        InputError: Pillow is not installed.

    Example:
        >>> read_picture("there/is/none.png", (8, 8))
        Traceback (most recent call last):
        ...
        seqjax.data.picture_files.PictureError: the picture there/is/none.png does not exist.
    """
    image = pillow()
    from PIL import ImageOps

    try:
        with image.open(path) as opened:
            opened.load()
            upright = ImageOps.exif_transpose(opened)
            if upright.mode.startswith(("I", "F")):
                grey = np.asarray(upright, np.float64) / (257 if upright.mode.startswith("I") else 1)
                upright = image.fromarray(np.clip(np.round(grey), 0, 255).astype(np.uint8))
            if upright.has_transparency_data:
                over = upright.convert("RGBA")
                upright = image.alpha_composite(image.new("RGBA", over.size, "white"), over)
            plain = upright.convert("RGB" if colour else "L")
            if plain.size != (size[1], size[0]):
                plain = plain.resize((size[1], size[0]), image.Resampling.BILINEAR, reducing_gap=3.0)
            pixels = np.array(plain, np.uint8)
    except FileNotFoundError:
        raise PictureError(f"the picture {path} does not exist.") from None
    except IsADirectoryError:
        raise PictureError(f"the picture {path} is a folder.") from None
    except Exception as error:  # whatever a broken file makes Pillow raise
        reason = "no format that Pillow knows" if "cannot identify" in str(error) else str(error) or "it cannot be read"
        raise PictureError(f"the picture {path} is broken: {reason.rstrip('.')}.") from None
    return pixels.reshape(*size, -1)


def write_picture(path: str | Path, pixels: np.ndarray) -> None:
    """Write pixels (Y, X, C), numbers from 0 to 1, as a file of the kind its name says.

    Raises:
        InputError: Pillow is not installed.
    """
    flat = np.round(np.clip(pixels, 0, 1) * 255).astype(np.uint8)
    pillow().fromarray(flat[..., 0] if flat.shape[-1] == 1 else flat).save(path)

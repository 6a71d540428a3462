"""What is to be taken away from a picture: noise, and JPEG's damage."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real
from typing import Literal, get_args

from bigsharp.errors import BigsharpError
from bigsharp.image.noise import noise_of
from bigsharp.io.jpeg import quality_of
from bigsharp.io.picture import Jpeg, Picture
from bigsharp.limits import shown
from bigsharp.restoration.restorer import BICUBIC
from bigsharp.weights.file import Task

#: A strength, or what the picture itself says; None leaves it alone.
Strength = float | Literal["auto"] | None

#: What enlarging takes away first.
Clean = Literal["off", "auto", "0", "1", "2", "3"]

#: Noise below this is left alone, unless it is asked for: of clean photographs (BSDS200) one in 40
#: seems to have as much.
_FAINT = 4.0

#: JPEG of this quality and better is left alone, unless it is asked for: at a picture's own size,
#: and before it is enlarged. There, at ×2 on Set5, 95 gained 0.4 dB, and 98 lost 0.1.
_FINE, _FINE_ENLARGED = 90, 97

_HIGHEST = {"denoise": 255, "deblock": 100}


@dataclass(frozen=True)
class Cleaning:
    """What is to be taken away from a picture.

    Attributes
    ----------
    denoise : float or "auto", optional
        Noise of this standard deviation, in grey levels of 255; "auto": as much as there is.
    deblock : float or "auto", optional
        What JPEG of this quality does; "auto": what the file's own tables say.
    share : float
        Of what the models find.
    unasked : bool
        Nobody asked: a picture that is not enlarged is left alone.
    """

    denoise: Strength = None
    deblock: Strength = None
    share: float = 1.0
    unasked: bool = False

    def __post_init__(self) -> None:
        for name, highest in _HIGHEST.items():
            value = getattr(self, name)
            if value in (None, "auto"):
                continue
            number = isinstance(value, Real) and not isinstance(value, bool)
            if not number or not 0 < value <= highest:
                raise BigsharpError(
                    f"`{name}`: a number above 0, at most {highest}, or auto; not {value!r}"
                )

    @classmethod
    def read(cls, denoise: str | None, deblock: str | None) -> Cleaning:
        """What words say; both "auto" where neither is given.

        Raises
        ------
        BigsharpError
            One is no number, or out of range.
        """
        return cls.asked(_strength("denoise", denoise), _strength("deblock", deblock))

    @classmethod
    def asked(cls, denoise: Strength, deblock: Strength) -> Cleaning:
        """What is asked for; both "auto" where neither is."""
        if denoise is None and deblock is None:
            return cls("auto", "auto")
        return cls(denoise, deblock)

    @classmethod
    def before_enlarging(cls, clean: str, model: str) -> Cleaning:
        """What is taken away first: nothing, JPEG's damage by the file's tables, or a level.

        Who asks for plain interpolation gets that alone, unless a level is named.

        Raises
        ------
        BigsharpError
            It is no such word.
        """
        if clean not in get_args(Clean):
            raise BigsharpError(f"`clean`: {', '.join(get_args(Clean))}; not {shown(clean)}")
        if clean == "off" or (clean == "auto" and model == BICUBIC):
            return cls()
        if clean == "auto":
            return cls(deblock="auto", unasked=True)
        return cls(deblock=1, share=(int(clean) + 1) / 4)


def _strength(name: str, words: str | None) -> Strength:
    if words is None or words == "auto":
        return words  # type: ignore[return-value]
    try:
        return float(words)
    except ValueError:
        raise BigsharpError(f"`{name}`: {shown(words)} is no number, nor auto") from None


@dataclass(frozen=True)
class Step:
    """A pass over a picture.

    Attributes
    ----------
    task : {"denoise", "deblock"}
    share : float
        Of what the model finds, that is taken away.
    """

    task: Task
    share: float


def choose_steps(
    picture: Picture, cleaning: Cleaning, scale: float = 1
) -> tuple[list[Step], list[str]]:
    """What to do with a picture before it is enlarged by `scale`, and what to say of it.

    JPEG's damage goes first, as it came last.
    """
    steps, said = [], []
    if cleaning.unasked and scale <= 1:
        return [], []
    if cleaning.deblock is not None:
        fine = _FINE if scale <= 1 else _FINE_ENLARGED
        share, why = _deblock(picture.info.jpeg, cleaning.deblock, fine)
        steps.append(Step("deblock", share * cleaning.share))
        said.append(why)
    if cleaning.denoise is not None:
        share, why = _denoise(picture, cleaning.denoise)
        steps.append(Step("denoise", share * cleaning.share))
        said.append(why)
    return [step for step in steps if step.share > 0], said


def _deblock(jpeg: Jpeg | None, wanted: float | Literal["auto"], fine: int) -> tuple[float, str]:
    quality = None if jpeg is None else quality_of(jpeg)
    if wanted == "auto":
        if quality is None:
            return 0, "no JPEG: nothing to deblock"
        if quality >= fine:
            return 0, f"JPEG of quality {quality}: nothing to deblock"
        return 1, f"JPEG of quality {quality}: deblocked"
    if quality is None or wanted <= quality:
        return 1, "deblocked"
    share = (100 - wanted) / (100 - quality)
    if share == 0:
        return 0, f"JPEG of quality {quality}: nothing to deblock"
    return share, f"JPEG of quality {quality}: deblocked in part"


def _denoise(picture: Picture, wanted: float | Literal["auto"]) -> tuple[float, str]:
    found = noise_of(picture.pixels)
    if wanted == "auto":
        if found < _FAINT:
            return 0, f"noise of about σ {found:.0f}: nothing to denoise"
        return 1, f"noise of about σ {found:.0f}: denoised"
    if wanted >= found:
        return 1, "denoised"
    return wanted / found, f"noise of about σ {found:.0f}: denoised in part"

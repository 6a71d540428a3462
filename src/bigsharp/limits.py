"""The most that a file may ask for: weights and recipes may come from strangers.

All are far beyond what was ever published; a file that asks for more is a mistake, or malice, and
would fill memory or run for ever. Imports nothing of ours.
"""

import reprlib

#: Of a network: layers in a row, channels of each, pixels along a kernel. The largest has 1.2 GB.
LAYERS, CHANNELS, KERNEL = 128, 512, 33

#: Of a scale that something is trained on.
LARGEST_SCALE = 16

#: Of a dictionary: atoms, and features of each.
ATOMS, FEATURES = 8192, 1024

#: Of a forest: trees, splits from a root to a leaf, regressors that its leaves share.
TREES, DEPTH, SHARED = 256, 64, 256

#: Of a recipe: any number; pixels along a patch or the crop that is validated on; patches a batch.
NUMBER, SIDE, BATCH = 1_000_000_000, 2048, 65_536

#: Of a batch, or of the matrices that degrade it: values, an eighth of a gigabyte.
VALUES = 1 << 25

#: Of a list, or of a name's characters; of the characters that a message says of a value.
LENGTH, SAID = 100, 200

#: Bytes of a recipe or a queue; of what a checkpoint says beside its arrays.
TEXT, PICKLE = 1 << 20, 1 << 22


def shown(value: object) -> str:
    """A value out of somebody's file, as text that is never long and never fails to be made."""
    short = reprlib.Repr()
    short.maxstring = short.maxother = SAID
    try:
        return short.repr(value)
    except ValueError:
        return "a number of thousands of digits"

"""What a caller gets who says nothing; imports nothing, so that the command line can show it."""

MODEL = "vdsr"

#: Factor of the command line where neither a factor nor a size is given.
SCALE = 2.0

#: Side of a tile in result pixels, its halo not counted: 0.4 GB of memory, 5 % off the fastest.
TILE = 512

#: Pixels that a picture may have, decoded or made.
MAX_PIXELS = 500_000_000

"""Arrays of pixels: colour, resizing, tiles, transparency. NumPy only; imports nothing of ours."""

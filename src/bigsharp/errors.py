"""The one exception that is meant for a person to read."""


class BigsharpError(Exception):
    """Something the caller can put right; the message says what is wrong and what to do.

    The command line prints it as one line and ends with exit status 2.
    """

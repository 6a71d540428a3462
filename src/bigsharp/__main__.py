"""Run the command line as ``python -m bigsharp``."""

from bigsharp.cli import main

if __name__ == "__main__":
    main()

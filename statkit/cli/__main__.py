"""``python -m statkit.cli``; launchers of several processes also use this entry point."""

import sys

from .commands import main

if __name__ == "__main__":
    sys.exit(main())

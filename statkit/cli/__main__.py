"""``python -m statkit.cli``, which is also how a launcher of several processes starts it."""

import sys

from .commands import main

if __name__ == "__main__":
    sys.exit(main())

"""`python -m interop`."""

import sys

from interop.cli import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

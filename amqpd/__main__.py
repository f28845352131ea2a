"""The program: `amqpd` and `python -m amqpd`."""

import sys

from amqpd.cli import main

__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(main())

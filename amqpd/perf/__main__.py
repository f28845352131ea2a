"""Entry of `python -m amqpd.perf`."""

import sys

from amqpd.perf.command import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

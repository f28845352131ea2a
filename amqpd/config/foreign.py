"""Keys that RabbitMQ knows and amqpd does not, and the nearest known name to a misspelt key.

`rabbitmq_keys.txt` beside this file lists the names of all settings in the configuration schemas of
RabbitMQ 3.10, 3.12, 3.13, 4.0, 4.1 and 4.3 and the plugins that come with them, sorted, one a line,
`$` parts being free. It is read only when a key is met that amqpd does not have.
"""

from pathlib import Path
from typing import Final

from amqpd.config.keys import KEYS, Key
from amqpd.config.values import text

_LISTED: Final = Path(__file__).with_name("rabbitmq_keys.txt")


def rabbitmq_keys() -> list[Key[str]]:
    """All settings of RabbitMQ and its plugins."""
    return [Key(line, text) for line in _LISTED.read_text(encoding="ascii").split()]


def is_rabbitmq_key(key: tuple[str, ...]) -> bool:
    """RabbitMQ has a setting of this name. O(settings of RabbitMQ)."""
    return any(known.free_parts(key) is not None for known in rabbitmq_keys())


def nearest(key: tuple[str, ...]) -> str:
    """The known name that is most like `key`, amqpd's own first; "" if none is."""
    from difflib import get_close_matches  # noqa: PLC0415 (start-up time: errors only)

    own = [row for row in KEYS if not row.name.startswith("(")]
    for known in (own, rabbitmq_keys()):
        names = [_in_the_form_of(key, row.parts) for row in known]
        found = get_close_matches(".".join(key), names, n=1, cutoff=0.75)
        if found:
            return found[0]
    return ""


def _in_the_form_of(key: tuple[str, ...], parts: tuple[str, ...]) -> str:
    """The name made of `parts`, with the words of `key` for its free parts."""
    words = list(key) + [""] * len(parts)
    return ".".join(
        word if part.startswith("$") and word else part
        for part, word in zip(parts, words, strict=False)
    )

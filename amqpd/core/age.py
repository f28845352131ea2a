"""How long a stream keeps its messages, as its `x-max-age` says: a number and a unit, as in 7D."""

from typing import Final

# RabbitMQ's units, a year of 365 days and a month of 30.
_UNITS: Final = ("Y", "M", "D", "h", "m", "s")


def age_fault(text: str) -> str:
    """Return why an age is none, as RabbitMQ says it; "" if it is one."""
    end = 0
    while end < len(text) and "0" <= text[end] <= "9":
        end += 1
    if text[:end].strip("0") == "" or text[end:] not in _UNITS:
        return "invalid_max_age"
    return ""

"""A script made as short as it can be while the brokers still differ."""

from collections.abc import Callable, Sequence

from interop.script.language import Step

Differs = Callable[[Sequence[Step]], int | None]


def shrink(steps: list[Step], differs: Differs) -> list[Step]:
    """Leave out steps, then fields, as long as `differs` gives the index of a difference.

    What comes after the first difference is left out at once.
    """
    index = differs(steps)
    if index is None:
        return steps
    steps = steps[: index + 1]
    steps = _fewer_steps(steps, differs)
    steps = _fewer_fields(steps, differs)
    return _fewer_steps(steps, differs)


def _fewer_steps(steps: list[Step], differs: Differs) -> list[Step]:
    size = max(len(steps) // 2, 1)
    while True:
        at = len(steps)
        while at > 0:
            at = max(at - size, 0)
            shorter = steps[:at] + steps[at + size :]
            index = differs(shorter) if shorter else None
            if index is not None:
                steps = shorter[: index + 1]
                at = min(at, len(steps))
        if size == 1:
            return steps
        size //= 2


def _fewer_fields(steps: list[Step], differs: Differs) -> list[Step]:
    for at in range(len(steps)):
        for step in _simpler(steps[at]):
            changed = [*steps[:at], step, *steps[at + 1 :]]
            if differs(changed) is not None:
                steps = changed
                break
        for name in list(steps[at].fields):
            if name in ("queue", "delivery-tag", "ms", "type", "exchange"):
                continue
            changed = [*steps[:at], steps[at].without(name), *steps[at + 1 :]]
            if differs(changed) is not None:
                steps = changed
    return steps


def _simpler(step: Step) -> list[Step]:
    """The step with one entry less in a table, for each entry; the shortest first."""
    found = []
    for name, table in step.fields.items():
        if isinstance(table, dict) and len(table) > 1:
            for key, value in table.items():
                fields = {**step.fields, name: {key: value}}
                found.append(Step(step.connection, step.channel, step.name, fields))
    return found

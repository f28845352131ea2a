"""Simulation of a whole broker: seeded clients, a network, late syncs, and an oracle beside it.

| module | what it owns |
|---|---|
| `topology` | exchanges, bindings and routing, as plain dictionaries |
| `model` | queues, channels and consumers: what was asked and what that must lead to |
| `commands` | what each command of a client does to the model, or why it is refused |
| `facts` | a journal whose syncs come late, and what a recovery would read from it |
| `observer` | everything that the broker says to one connection, checked against the model |
| `client` | one client: which commands it makes up, and what it knows from what it has read |
| `swarm` | the options of a run, drawn from its seed |
| `world` | clock, network, faults: the steps of a run and its two phases |

The model learns of a command when its last byte is handed to the broker, and of an answer when the
broker writes it, also where a channel's output is still held back for a sync. Rule 1: commands that
take something away travel alone, so that what the broker says in one call can be told apart from
what went before. Rule 2: whatever leaves for a socket has `needs`, the journal position without
which it may not leave; they come from the journal's own facts, not from the broker.
"""

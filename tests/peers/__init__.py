"""A synchronous AMQP 0-9-1 client made for testing brokers, and the distances at which it works.

| module | what it owns |
|---|---|
| `codec` | client-side bytes: frames, methods, properties, tables with chosen tags |
| `errors` | what a broker did instead of answering, and what a scenario expects of it |
| `link` | the two-way stream of bytes below a connection; over a socket |
| `connection` | frames to channels, the handshake in single steps, the end |
| `channel` | calls and their replies, and what comes unasked, in order |
| `peer` | the door for scenarios: connect, names, accounts, the clock |
| `memory` | the broker called directly: one turn per send, a clock that tests move |
| `sim` | the same with split, coalesced and delayed bytes, from a seed |
| `sockets` | a broker behind a socket |
| `embedded` | amqpd with a real listener, inside the test process |
| `rabbit` | any broker by URL |
| `accounts` | the users and vhosts that scenarios log in as |
| `ways` | a byte-level case three ways: whole, byte by byte, with a tail |

Rule 1: nothing sleeps. That nothing comes is shown by a round trip that would have come later.
Rule 2: what comes is taken in the order in which it came, unless a scenario says otherwise.
Rule 3: a client may say anything; names, tags and sizes are not checked here.
"""

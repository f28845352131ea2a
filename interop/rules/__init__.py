"""The conformance index: named rules, each with the script that shows whether a broker keeps it.

| module    | what it owns                                                             |
|-----------|--------------------------------------------------------------------------|
| `book`    | the rules, read from `*.rules` beside it                                  |
| `judge`   | one rule asked of a broker: what was expected, what came                  |
| `table`   | rule × result, as text                                                    |
| `command` | `python -m interop rules`                                                 |

The names without `rabbitmq/` are those of the AMQP 0-9-1 reference (and, for rules that have none
there, `protocol/` and the section of the specification); the words are our own. `rabbitmq/` are
RabbitMQ's extensions, and texts and orders on which clients rely. What is expected was recorded
from RabbitMQ 3.10.8 and read by people; a `*` in an expected line stands for anything.
"""

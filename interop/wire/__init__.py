"""AMQP 0-9-1 as bytes, for a client that hides nothing: what is sent and what comes is shown whole.

| module       | what it owns                                                      |
|--------------|-------------------------------------------------------------------|
| `methods`    | every method's number, name and fields                            |
| `tables`     | field tables, each value with its type                            |
| `codec`      | methods, properties and frames to bytes and back                  |
| `handshake`  | what a client says of itself when it opens a connection            |
| `connection` | one connection over a blocking socket                             |

No client library takes part, so that a client's opinion never hides a broker's.
"""

"""For tests of programs that use a broker: a real one inside the test process.

| module | what it owns |
|---|---|
| `embedded` | `EmbeddedBroker`: a server in a background thread, as a context manager |
| `plugin` | the pytest fixture `amqpd_broker` |
"""

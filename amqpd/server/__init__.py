"""The broker on the network: sockets, TLS, timers, signals, logs.

asyncio is used here and above only.

Reading order:

| module | what it owns |
|---|---|
| `settings` | everything that one server needs to be told, as typed values |
| `startup` | `StartupError`: the one line that a server prints when it cannot start |
| `transport` | `ClientSocket`, and `Turns`: the end-of-turn flush, the broker's one timer |
| `tls` | the TLS context, and the user name that a client certificate stands for |
| `listener` | listening sockets from addresses |
| `watermark` | memory and disk alarms |
| `logs` | structlog, the log file, and what the broker's events look like there |
| `server` | `Server`: a broker with its listeners, from start to stop |
| `definitions_files` | definitions files, read and put into the broker |
| `seeding` | the first users and vhosts of a new data directory |
| `process` | limits, memory and collector of the whole process |
| `run` | the process: loop, signals, first log lines |
"""

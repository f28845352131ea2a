"""Real processes that are killed, and real disks that fail.

| module | what it owns |
|---|---|
| `process` | a broker as a process: start, kill, stop, its log |
| `ledger` | what was promised for every message and name, and what came of it |
| `clients` | pika in threads: publishers, consumers, transactions, topology |
| `rounds` | one directory, many crashes, and the audit in between |
| `restart` | brokers that are restarted once in the middle of many scenarios |
"""

"""Definitions as RabbitMQ writes them: one JSON document of users, vhosts, topology and policies.

| module | what it owns |
|---|---|
| `document` | the text of a definitions file, checked and typed, with the place of every mistake |
| `importing` | a document put into a broker: all of it or nothing |
| `exporting` | a broker's definitions as a document that RabbitMQ reads |

Nothing here opens a file.
"""

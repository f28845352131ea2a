"""What the clients written in Python share. It knows no client library.

| module    | what it owns                                                             |
|-----------|--------------------------------------------------------------------------|
| `harness` | a client's main loop: arguments in, one line of JSON per scenario out     |
| `case`    | one run of one scenario: where to connect, names that nobody else uses    |
| `check`   | comparisons that say what was wrong, refusals that were expected, limits  |
| `samples` | the data that scenarios send: topics, headers, properties, values         |
"""

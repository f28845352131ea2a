"""Scripts: what clients say to a broker, a line each, and what it answers in the same words.

    a1 queue.declare queue=~q durable arguments={"x-max-length": 3}
    a1 basic.publish routing-key=~q body="m1"
    a1 basic.get queue=~q

| module     | what it owns                                                          |
|------------|-----------------------------------------------------------------------|
| `language` | the words: lines to steps, and what was heard to lines                 |
| `names`    | names that differ from run to run, and what they are called in scripts |
| `probe`    | how many messages and consumers queues have                            |
| `player`   | a script played on one broker; what came of each step                  |
"""

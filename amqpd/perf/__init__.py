"""`amqpd perf`: measures amqpd, and any other AMQP 0-9-1 broker in the same way.

    python -m amqpd.perf load       one load, one JSON object of rates and latencies
    python -m amqpd.perf table      every scenario against amqpd and other brokers in alternation
    python -m amqpd.perf start      start to AMQP answering (ms), resident memory at rest
    python -m amqpd.perf idle       resident memory of an idle connection with one channel
    python -m amqpd.perf topic      time of one route among many topic bindings, in-process
    python -m amqpd.perf hash       time of one route to one of many queues, in-process
    python -m amqpd.perf features   priorities, limits, single active consumers, expiry, policies
    python -m amqpd.perf store      many publishers, many durable queues, a long queue that waits
    python -m amqpd.perf fairness   latency of quiet connections beside a greedy one

Linux and the standard library only. Nothing here uses the broker's own codec, so a mistake in it
cannot hide in the measurement.

| module | what it owns |
|---|---|
| `encoding` | the bytes: frames, methods, content, tables, single acknowledgements |
| `target` | where a broker is: address, user, vhost, from a URL |
| `connection` | one blocking connection with channel 1 open |
| `options`, `load` | the load generator: its options; one run and its report |
| `producer`, `consumer`, `crew` | its two roles, and the processes that play them |
| `scenario`, `table`, `render` | the comparison: its rows, its rounds, its text |
| `quiet`, `fairness` | a crowd of small RPC clients, and what they see beside a flood |
| `spawn` | an amqpd of this installation, in a process of its own |
| `machine` | facts about this machine and a running process |
| `start`, `idle`, `topic`, `hash` | one measurement each |
| `command` | the command line |
"""

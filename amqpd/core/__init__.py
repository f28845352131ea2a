"""What messaging means: exchanges, bindings, queues, consumers. No frames, no sockets, no clock.

`vhost` holds the topology and is where a publish enters; `exchange` and its types (`topic`,
`headers`, `hash_exchanges` and others) decide where it goes, by way of `routing`; `queue` keeps it
(`backlog`) and hands it to a `consumer`; what an exchange keeps itself is a `part`, as delayed
messages are (`delay_line`); `facts` are users, vhosts and policies as data; `policy` says which
policy a queue goes by; `ports` are the seams to the outside.
"""

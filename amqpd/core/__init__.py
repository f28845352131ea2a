"""What messaging means: exchanges, bindings, queues, consumers. No frames, no sockets, no clock.

`vhost` holds the topology and is where a publish enters; `exchange` and its types (`topic`,
`headers`) decide where it goes; `queue` keeps it (`backlog`) and hands it to a `consumer`;
`facts` are users, vhosts and policies as data; `policy` says which policy a queue goes by;
`ports` are the seams to the outside.
"""

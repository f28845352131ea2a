"""One peer's conversation: what may be said when, and how frames become commands.

`connection` has the states of a connection and its rules for frames, `channel` those of a channel
and how a method, a header and bodies become one command, `heartbeat` who must be heard when,
`sasl` reads login responses. Nothing here knows a queue.
"""

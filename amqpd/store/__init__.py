"""The durable store: a journal of facts, and pages of what waits too long for memory.

`records` are the facts and their bytes, sealed in `blocks`; `journal` gathers them into groups and
knows which files of it (`segments`) are still needed; `pages` has the middle of long queues;
`checkpoint` frees old segments; `recovery` reads all of it back (`recovered`). Everything touches
files through `volume.Disk`, whose real one is `disk`: the only module here that knows an operating
system.
"""

"""What keeps a server from starting, in one line that says what to change."""


class StartupError(Exception):
    """The server cannot start; the message is one line for the person who started it."""


def reason(error: OSError) -> str:
    """Say why a system call failed, in the system's words and without its number."""
    words = error.strerror or str(error) or type(error).__name__
    return words[:1].lower() + words[1:]

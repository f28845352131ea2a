"""Celery: its own workers, with tasks, retries, times, chords, remote control and events."""

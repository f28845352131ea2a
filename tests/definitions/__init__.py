"""Tests of definitions files."""

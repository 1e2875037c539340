"""Plugins for test runners."""

"""Carries PySOA messages over Redis lists."""

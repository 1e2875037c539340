"""A service that runs unchanged under PySOA 1.4.9 and under PySOA 2."""

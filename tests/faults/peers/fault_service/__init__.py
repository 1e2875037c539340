"""A service whose workers must outlive everything that happens to Redis."""

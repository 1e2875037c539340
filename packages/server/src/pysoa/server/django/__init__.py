"""Django caches and database connections in PySOA servers."""

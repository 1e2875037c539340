"""What service teams write tests with."""

"""Test plans: tests of services written as text."""

"""The language of test fixtures: its directives, data types, paths, variables and comparisons."""

"""The plugins that pytest loads when pysoa-testing is installed."""

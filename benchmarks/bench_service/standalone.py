"""Starts the measured service: ``python -m bench_service.standalone -s bench_service.settings``."""

from __future__ import annotations

from pysoa.server.standalone import simple_main


def main() -> None:
    """Run the service until it is told to stop."""

    def server_getter() -> type:
        from bench_service.service import BenchServer

        return BenchServer

    simple_main(server_getter)


if __name__ == "__main__":
    main()

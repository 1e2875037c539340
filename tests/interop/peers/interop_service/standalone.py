"""``python -m interop_service.standalone -s interop_service.settings``."""

from pysoa.server.standalone import simple_main


def main():
    """Run the service until it is told to stop."""

    def server_getter():
        from interop_service.service import InteropServer

        return InteropServer

    simple_main(server_getter)


if __name__ == "__main__":
    main()

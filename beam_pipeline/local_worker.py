"""A worker process of the local runner: Beam's own, whose messages go to the parent process alone, not to the screen as well."""

import logging

if __name__ == "__main__":
    # Beam logs while it is imported; without a handler that would install one that prints everything from then on.
    logging.getLogger().addHandler(logging.NullHandler())

    from apache_beam.runners.worker import sdk_worker_main

    sdk_worker_main.main([])

"""A worker process of the local runner: Beam's own, quiet, and gone when its parent is."""

import logging
import os
import signal
import sys
import threading
import time

_POLL_SECONDS = 0.5


def _end_with_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_POLL_SECONDS)
    os._exit(1)


if __name__ == "__main__":
    # Ctrl-C reaches every process of the terminal; this one ends with its parent.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()
    if "--verbose" not in sys.argv:
        # What goes wrong in a track is reported to the parent. The rest is gRPC's and Beam's account of a connection's end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    # Beam logs while it is imported; without a handler that would install one that prints everything from then on.
    logging.getLogger().addHandler(logging.NullHandler())

    from apache_beam.runners.worker import sdk_worker_main

    sdk_worker_main.main([])

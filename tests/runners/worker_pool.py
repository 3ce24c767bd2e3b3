"""Beam's pool of Python workers at one address: `python -m tests.runners.worker_pool ADDRESS:PORT`.

Beam's own command listens on every interface.
"""

import logging
import sys
from concurrent.futures import ThreadPoolExecutor

import grpc
from apache_beam.portability.api import beam_fn_api_pb2_grpc
from apache_beam.runners.worker.worker_pool_main import BeamFnExternalWorkerPoolServicer


def serve(address: str) -> None:
    """Starts and stops worker processes as it is asked to, until it is ended by a signal."""
    server = grpc.server(ThreadPoolExecutor())
    pool = BeamFnExternalWorkerPoolServicer(use_process=True, data_buffer_time_limit_ms=-1)
    beam_fn_api_pb2_grpc.add_BeamFnExternalWorkerPoolServicer_to_server(pool, server)
    server.add_insecure_port(address)
    server.start()
    server.wait_for_termination()


if __name__ == "__main__":
    # Importing Beam has set up logging already.
    logging.basicConfig(level=logging.INFO, force=True)
    serve(sys.argv[1])

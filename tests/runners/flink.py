"""A Flink cluster: a JobManager, Beam's job server, and two hosts with a TaskManager and a pool of Python workers each.

A job has one address for worker pools, so that it means another pool on each host. Here a host is a loopback address, and what
the name in that address stands for differs between the TaskManagers.
"""

import json
import os
import socket
import sys
from http.client import HTTPConnection, HTTPException
from itertools import count
from pathlib import Path
from typing import Any

from tests.runners.install import FLINK_JARS, JOB_SERVER_JAR
from tests.runners.processes import Process, free_port, listens, wait_until

_CONFIGURATION = Path(__file__).parent / "flink_conf"
_START_SECONDS = 120
_N_HOSTS = 2
_SLOTS_EACH = 2
_POOL_NAME = "worker-pool"
# What Flink's own start script opens to it (env.java.opts.all in its config.yaml).
_OPENED = (
    *("java.lang", "java.lang.reflect", "java.net", "java.io", "java.nio", "java.text", "java.time", "java.util"),
    *("java.util.concurrent", "java.util.concurrent.atomic", "java.util.concurrent.locks"),
)


class Host:
    """A TaskManager, and the pool that it gets its Python workers from.

    Attributes:
        name: What Flink knows the TaskManager by.
        task_manager: The process.
        pool: The process.
    """

    def __init__(self, number: int, *, folder: Path, pool_port: int, options: list[str]) -> None:
        """Starts both.

        Args:
            number: Of the host, from 1; a host that is started anew has a new one.
            folder: For logs.
            pool_port: Where the pool listens, on an address of the host's own.
            options: Flink's, for the TaskManager.
        """
        self.name = f"host-{number}"
        self._folder, self._pool_port, self._address = folder, pool_port, f"127.0.0.{number + 1}"
        hosts = folder / f"{self.name}.hosts"
        hosts.write_text(f"127.0.0.1 localhost {socket.gethostname()}\n{self._address} {_POOL_NAME}\n", encoding="utf-8")
        self.start_pool()
        self.task_manager = flink_process(
            "runtime.taskexecutor.TaskManagerRunner",
            [*options, "-D", f"taskmanager.resource-id={self.name}"],
            properties=[f"-Djdk.net.hosts.file={hosts}"],
            log=folder / f"{self.name}-task-manager.log",
        )

    def start_pool(self) -> None:
        """Starts the pool, at first or after it was killed."""
        # A pool starts its workers by the name "python", in the folder that it was started in.
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        command = [sys.executable, "-m", "tests.runners.worker_pool", f"{self._address}:{self._pool_port}"]
        self.pool = Process(command, output=self._folder / f"{self.name}-pool.log", env={"PATH": path})

    def is_ready(self) -> bool:
        """Whether the pool can be called; Flink tells of the TaskManager."""
        return listens(self._pool_port, address=self._address)

    def workers_have_begun(self) -> bool:
        """Whether the TaskManager has heard of every worker that it has asked the pool for, and the last one takes data."""
        heard = self.task_manager.output.read_text(encoding="utf-8")
        asked = self.pool.output.read_text(encoding="utf-8").count("Starting worker with command")
        last = heard.rfind("Control client connected")
        return asked == heard.count("Control client connected") and heard.rfind("Data client connected") > last

    def has_died(self) -> bool:
        """Whether one of them has ended."""
        return self.task_manager.status is not None or self.pool.status is not None

    def stop(self) -> None:
        """Ends both."""
        self.task_manager.stop()
        self.pool.stop()


class FlinkCluster:
    """The processes, what Flink's REST interface says, and the options that lead the pipeline to them.

    Attributes:
        hosts: Those that were alive when it was last complete.
    """

    def __init__(self, folder: Path) -> None:
        """Starts nothing yet.

        Args:
            folder: For logs, and what the processes keep for a while.
        """
        self._folder = folder
        self._rest_port, self._job_port, self._pool_port = free_port(), free_port(), free_port()
        self._options = ["-D", f"jobmanager.rpc.port={free_port()}", "-D", f"rest.port={self._rest_port}"]
        self._options += ["-D", f"io.tmp.dirs={folder}"]
        self._numbers = count(1)
        self._masters: list[Process] = []
        self.hosts: list[Host] = []

    def complete(self) -> None:
        """Starts what is missing, and waits until everything is there and free."""
        if not self._masters:
            self._start_masters()
        for host in self.hosts:
            if host.has_died():
                host.stop()
        self.hosts = [host for host in self.hosts if not host.has_died()]
        while len(self.hosts) < _N_HOSTS:
            number = next(self._numbers)
            self.hosts.append(Host(number, folder=self._folder, pool_port=self._pool_port, options=self._options))
        wait_until(self._is_complete, "the Flink cluster is complete and free", seconds=_START_SECONDS)

    def stop(self) -> None:
        """Ends everything."""
        for host in self.hosts:
            host.stop()
        for process in self._masters:
            process.stop()

    def options(self) -> list[str]:
        """What the command line needs to run on this cluster."""
        return [
            *("--runner", "FlinkRunner", "--job_endpoint", f"localhost:{self._job_port}", "--parallelism", str(_N_HOSTS)),
            *("--environment_type", "EXTERNAL", "--environment_config", f"{_POOL_NAME}:{self._pool_port}"),
        ]

    def get(self, path: str) -> Any:
        """What the REST interface answers; an empty dictionary while it does not."""
        connection = HTTPConnection("localhost", self._rest_port, timeout=10)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return json.load(response) if response.status == 200 else {}
        except (OSError, HTTPException):
            return {}
        finally:
            connection.close()

    def newest_job(self) -> dict[str, Any]:
        """The job that started last, as `/jobs/ID` tells of it; empty where there was none yet."""
        jobs = self.get("/jobs/overview").get("jobs")
        return self.get(f"/jobs/{max(jobs, key=lambda job: job['start-time'])['jid']}") if jobs else {}

    def n_failures(self, job: dict[str, Any]) -> int:
        """How often a job failed, whether or not it was started anew."""
        return len(self.get(f"/jobs/{job['jid']}/exceptions")["exceptionHistory"]["entries"])

    def working_host(self, job: dict[str, Any]) -> Host:
        """A host that works for a job, and whose workers have all begun.

        A pool that dies between being asked for a worker and that worker's first call has Beam's Flink runner wait for ever; from
        there to the connection for its data, three minutes.
        """
        hosts = self.hosts_of(job)
        return wait_until(lambda: next(filter(Host.workers_have_begun, hosts), None), "a host's workers have begun", seconds=60)

    def hosts_of(self, job: dict[str, Any]) -> list[Host]:
        """The hosts that work for a job, or did so in the end."""
        vertices = [self.get(f"/jobs/{job['jid']}/vertices/{vertex['id']}") for vertex in job["vertices"]]
        names = {subtask["taskmanager-id"] for vertex in vertices for subtask in vertex["subtasks"]}
        return [host for host in self.hosts if host.name in names]

    def _start_masters(self) -> None:
        main, log = "runtime.entrypoint.StandaloneSessionClusterEntrypoint", self._folder / "job-manager.log"
        self._masters.append(flink_process(main, ["--executionMode", "cluster", *self._options], log=log))
        ports = ["--job-port", str(self._job_port), "--artifact-port", "0", "--expansion-port", "0"]
        command = ["java", "-Xmx512m", "-jar", str(JOB_SERVER_JAR)]
        command += ["--flink-master", f"localhost:{self._rest_port}", "--job-host", "localhost", *ports]
        command += ["--artifacts-dir", str(self._folder / "artifacts")]
        self._masters.append(Process(command, output=self._folder / "job-server.log"))

    def _is_complete(self) -> bool:
        for process in (*self._masters, *(host.task_manager for host in self.hosts), *(host.pool for host in self.hosts)):
            process.check()
        free = {one["id"] for one in self.get("/taskmanagers").get("taskmanagers", ()) if one["freeSlots"] == _SLOTS_EACH}
        return listens(self._job_port) and all(host.name in free and host.is_ready() for host in self.hosts)


def flink_process(main: str, arguments: list[str], *, properties: list[str] | None = None, log: Path) -> Process:
    """Starts one of Flink's programs.

    Args:
        main: Its class, less "org.apache.flink.".
        arguments: Its arguments, besides the folder of the configuration.
        properties: Options of Java.
        log: For all that it says.
    """
    java = ["java", "-Xmx1g", f"-Dlog4j.configurationFile={_CONFIGURATION / 'log4j2.properties'}", *(properties or [])]
    java += [f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in _OPENED]
    command = [*java, "-cp", f"{FLINK_JARS}/*", f"org.apache.flink.{main}", "--configDir", str(_CONFIGURATION), *arguments]
    return Process(command, output=log)

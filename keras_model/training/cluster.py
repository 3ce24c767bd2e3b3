"""Which worker of a training on several machines this process is, by the environment variable TF_CONFIG."""

import json
import os
from dataclasses import dataclass
from typing import Self

from tfrecords.errors import UsageError, quoted

_VARIABLE = "TF_CONFIG"


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """The workers of a training.

    Attributes:
        n_workers: Processes that train one network together; 1 for a training on one machine.
        is_chief: Whether this is the process that writes the run's folder and talks to the user.
    """

    n_workers: int = 1
    is_chief: bool = True

    @classmethod
    def from_environment(cls) -> Self:
        """Reads TF_CONFIG: {"cluster": {"worker": ["host:port", …]}, "task": {"type": "worker", "index": 0}}.

        Raises:
            UsageError: If it is set and does not describe a cluster of workers, of which at most one is called "chief".
        """
        text = os.environ.get(_VARIABLE, "")
        if not text:
            return cls()
        try:
            config = json.loads(text)
            hosts = {kind: list(config["cluster"][kind]) for kind in config["cluster"]}
            kind, index = config["task"]["type"], int(config["task"]["index"])
        except (ValueError, KeyError, TypeError) as error:
            raise UsageError(f"{_VARIABLE} must name cluster and task as TensorFlow documents it, got {quoted(text)}") from error
        if set(hosts) - {"chief", "worker"}:
            raise UsageError(f"{_VARIABLE}: only tasks of type chief and worker take part, got {', '.join(sorted(hosts))}")
        if len(hosts.get("chief", ())) > 1 or kind not in hosts or not 0 <= index < len(hosts[kind]):
            raise UsageError(f"{_VARIABLE}: the task {quoted(kind)} {index} is not in the cluster, or there are several chiefs")
        return cls(n_workers=sum(map(len, hosts.values())), is_chief=index == 0 and ("chief" not in hosts or kind == "chief"))

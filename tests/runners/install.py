"""Installs the engines that the tests beside this file run on: `python -m tests.runners.install`.

They go into the git-ignored folder `.runners`, each under a name with its version; what is there already stays.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

from tfrecords.errors import UsageError

FOLDER = Path(__file__).parent.parent.parent / ".runners"
_BEAM = version("apache-beam")
# Runner and SDK speak a protocol that joins different versions of Beam. This is the newest pair of Flink and Flink runner that
# could be installed with all its dependencies when the tests were written; the variables name another one.
_FLINK = os.environ.get("FLINK_VERSION", "1.19.3")
_FLINK_RUNNER = os.environ.get("FLINK_RUNNER_VERSION", "2.62.0")
_FLINK_SERIES = _FLINK.rpartition(".")[0]

PRISM = FOLDER / f"prism-{_BEAM}" / "prism"
FLINK_JARS = FOLDER / f"flink-{_FLINK}" / "pyflink" / "lib"
JOB_SERVER_JAR = FOLDER / f"flink-{_FLINK_SERIES}-job-server-{_FLINK_RUNNER}" / "job-server.jar"

_JOB_SERVER_CLASS = "org.apache.beam.runners.flink.FlinkJobServerDriver"
_MANIFEST = "META-INF/MANIFEST.MF"

_PROGRAMS = {
    "go": "Prism is built with it (https://go.dev/doc/install)",
    "java": "Flink runs on it (Debian 12: sudo apt-get install openjdk-17-jre-headless)",
    "mvn": "it fetches Beam's Flink runner (Debian 12: sudo apt-get install maven)",
}
_POM = f"""\
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>local</groupId>
  <artifactId>flink-job-server</artifactId>
  <version>1</version>
  <dependencies>
    <dependency>
      <groupId>org.apache.beam</groupId>
      <artifactId>beam-runners-flink-{_FLINK_SERIES}</artifactId>
      <version>{_FLINK_RUNNER}</version>
    </dependency>
  </dependencies>
</project>
"""


def _build_prism(folder: Path) -> None:
    package = f"github.com/apache/beam/sdks/v2/go/cmd/prism@v{_BEAM}"
    subprocess.run(["go", "install", package], env=os.environ | {"GOBIN": str(folder)}, check=True)


def _fetch_flink(folder: Path) -> None:
    """PyFlink's libraries are the jars of Flink's distribution."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    subprocess.run([*pip, "--target", folder, f"apache-flink-libraries=={_FLINK}"], check=True)


def _make_job_server(folder: Path) -> None:
    """Makes one jar of the Flink runner and all that it needs: each job uploads it, and a hundred small ones take long."""
    pom, jars = folder / "pom.xml", folder / "jars"
    pom.write_text(_POM, encoding="utf-8")
    options = ["-DincludeScope=runtime", f"-DoutputDirectory={jars}"]
    subprocess.run(["mvn", "--batch-mode", "--quiet", "--file", pom, "dependency:copy-dependencies", *options], check=True)
    _merge_jars(sorted(jars.glob("*.jar")), folder / JOB_SERVER_JAR.name)
    shutil.rmtree(jars)


def _merge_jars(jars: list[Path], merged: Path) -> None:
    services: dict[str, bytes] = {}
    with ZipFile(merged, "w", ZIP_DEFLATED, compresslevel=1) as target:
        target.writestr(_MANIFEST, f"Manifest-Version: 1.0\nMain-Class: {_JOB_SERVER_CLASS}\nMulti-Release: true\n")
        done = {_MANIFEST}
        for jar in jars:
            with ZipFile(jar) as source:
                for name in set(source.namelist()) - done:
                    if name.startswith("META-INF/services/"):
                        services[name] = services.get(name, b"") + source.read(name) + b"\n"
                    elif not name.endswith(("/", ".SF", ".RSA", ".DSA")):  # folders, and signatures of one jar
                        target.writestr(name, source.read(name))
                        done.add(name)
        for name, content in services.items():
            target.writestr(name, content)


def _install(folder: Path, fill: Callable[[Path], None]) -> None:
    """Fills a folder under a temporary name first, so that one under its own name is whole."""
    if folder.is_dir():
        return
    print(f"Installing {folder.name} into {folder.parent.name}/", flush=True)
    part = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    fill(part)
    part.rename(folder)


def install() -> None:
    """Installs what is not there yet.

    Raises:
        UsageError: If a program is missing that this or the tests need, or one of them failed; what it said is on the screen.
    """
    for program, reason in _PROGRAMS.items():
        if shutil.which(program) is None:
            raise UsageError(f"there is no program {program!r}: {reason}")
    try:
        _install(PRISM.parent, _build_prism)
        _install(FLINK_JARS.parent.parent, _fetch_flink)
        _install(JOB_SERVER_JAR.parent, _make_job_server)
    except subprocess.CalledProcessError as error:
        command = " ".join(map(str, error.cmd))
        raise UsageError(f"exit status {error.returncode} of: {command}") from error


def main() -> int:
    """Installs, or says in one line why not.

    Returns:
        The exit status: 0, or 2 if something is missing.
    """
    try:
        install()
    except UsageError as error:
        print(f"tests.runners.install: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())

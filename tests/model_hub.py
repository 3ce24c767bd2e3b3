"""A server on loopback that speaks the part of the Hugging Face Hub's protocol by which networks come and go."""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from flask import Flask, Response, abort, jsonify, request
from werkzeug.serving import make_server


@dataclass
class ModelHub:
    """What it holds. Repositories of `others` cannot be made.

    Attributes:
        url: For HF_ENDPOINT.
        repositories: The files of each, by their paths.
        commits: The files of each commit.
        cards: Those that it was asked to look at.
    """

    url: str = ""
    repositories: dict[str, dict[str, bytes]] = field(default_factory=dict)
    commits: list[set[str]] = field(default_factory=list)
    cards: list[str] = field(default_factory=list)


def _sha1(data: bytes) -> str:
    return hashlib.sha1(data, usedforsecurity=False).hexdigest()


def _commit_of(files: dict[str, bytes]) -> str:
    return _sha1(repr(sorted(files.items())).encode())


def _app(hub: ModelHub) -> Flask:
    app = Flask(__name__)

    def files_of(name: str) -> dict[str, bytes]:
        if name not in hub.repositories:
            abort(404, response=Response(status=404, headers={"X-Error-Code": "RepoNotFound"}))
        return hub.repositories[name]

    @app.post("/api/repos/create")
    def create() -> Any:
        values = request.get_json()
        if values["organization"] == "others":
            abort(403)
        name = f"{values['organization']}/{values['name']}"
        hub.repositories.setdefault(name, {})
        return jsonify(url=f"{hub.url}/{name}")

    @app.post("/api/validate-yaml")
    def validate() -> Any:
        hub.cards.append(request.get_json()["content"])
        return jsonify(errors=[], warnings=[])

    @app.post("/api/models/<path:name>/preupload/main")
    def preupload(name: str) -> Any:
        files_of(name)
        paths = [file["path"] for file in request.get_json()["files"]]
        return jsonify(files=[{"path": path, "uploadMode": "regular", "shouldIgnore": False} for path in paths])

    @app.post("/api/models/<path:name>/commit/main")
    def commit(name: str) -> Any:
        lines = [json.loads(line) for line in request.get_data().splitlines()]
        changed = {line["value"]["path"]: base64.b64decode(line["value"]["content"]) for line in lines if line["key"] == "file"}
        files_of(name).update(changed)
        hub.commits.append(set(changed))
        oid = _commit_of(files_of(name))
        return jsonify(commitOid=oid, commitUrl=f"{hub.url}/{name}/commit/{oid}")

    @app.get("/api/models/<path:name>/revision/main")
    def about(name: str) -> Any:
        files = files_of(name)
        return jsonify(id=name, sha=_commit_of(files), siblings=[{"rfilename": path} for path in files])

    @app.get("/api/models/<path:name>/tree/<commit>")
    def tree(name: str, commit: str) -> Any:
        files = files_of(name).items()
        return jsonify([{"type": "file", "path": path, "size": len(data), "oid": _sha1(data)} for path, data in files])

    @app.get("/<owner>/<name>/resolve/<commit>/<path:path>")
    def resolve(owner: str, name: str, commit: str, path: str) -> Any:
        data = files_of(f"{owner}/{name}")[path]
        return Response(data, headers={"X-Repo-Commit": commit, "ETag": f'"{_sha1(data)}"'})

    return app


@contextmanager
def serving() -> Iterator[ModelHub]:
    """Runs a Hub without a repository."""
    hub = ModelHub()
    server = make_server("127.0.0.1", 0, _app(hub), threaded=True)
    hub.url = f"http://127.0.0.1:{server.port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield hub
    server.shutdown()
    thread.join()

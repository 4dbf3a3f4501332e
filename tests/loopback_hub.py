"""A Hub on loopback, spoken to by the real huggingface_hub: repositories, commits, branches, tags, LFS,
Range, card checks, Spaces, tokens, private repositories, and failures on demand."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import yaml

TOKEN = "hf_" + "t" * 34
LFS = re.compile(r"\.(safetensors|bin|pt|tar|ckpt|mp4|parquet)$")
LICENSES = {"apache-2.0", "mit", "other", "cc-by-4.0", "cc0-1.0", "openrail"}
REPO = r"(?P<kind>models|datasets|spaces)/(?P<repo>[^/]+/[^/]+)"


@dataclass
class Repository:
    """Files by path of every commit; `refs` are branches, `tags` tags."""

    private: bool = False
    sdk: str | None = None
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)

    def add(self, branch: str, files: dict[str, bytes]) -> str:
        seed = f"{branch} {len(self.commits)} {sorted(files)}"
        sha = hashlib.sha1(seed.encode()).hexdigest()
        self.commits[sha] = files
        self.refs[branch] = sha
        return sha

    def sha(self, revision: str) -> str | None:
        revision = revision.removeprefix("refs/heads/").removeprefix("refs/tags/")
        sha = self.refs.get(revision) or self.tags.get(revision) or revision
        return sha if sha in self.commits else None


@dataclass
class Fault:
    """The next `times` requests of `method` whose path matches are answered with `status`, or, where it is 0,
    cut after half the body."""

    method: str
    path: str
    status: int = 0
    times: int = 1


class LoopbackHub:
    """`repos` by kind ("models", "datasets", "spaces") and id; `log` has method, path and status."""

    def __init__(self) -> None:
        self.user, self.tokens = "tester", {TOKEN: "tester"}
        handler = type("Handler", (_Handler,), {"hub": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler, bind_and_activate=False)
        self.server.server_bind()  # until it starts, who connects is refused at once
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.reset()

    def reset(self) -> None:
        self.repos: dict[tuple[str, str], Repository] = {}
        self.blobs: dict[str, bytes] = {}
        self.log: list[tuple[str, str, int]] = []
        self.faults: list[Fault] = []

    def start(self) -> None:
        self.server.server_activate()
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def files(self, repo: str, revision: str = "main", kind: str = "models") -> dict[str, bytes]:
        found = self.repos[kind, repo]
        return found.commits[found.sha(revision) or ""]

    def put(self, repo: str, files: dict[str, bytes], kind: str = "models", private: bool = False) -> None:
        """A repository as it lies on the Hub."""
        self.repos[kind, repo] = Repository(private)
        self.repos[kind, repo].add("main", files)

    def fault_for(self, method: str, path: str) -> Fault | None:
        for fault in self.faults:
            if fault.times and method == fault.method and re.search(fault.path, path):
                fault.times -= 1
                return fault
        return None


def git_oid(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    hub: LoopbackHub
    protocol_version = "HTTP/1.1"
    fault: Fault | None = None

    def log_message(self, *args: Any) -> None:
        pass

    def reply(self, status: int = 200, body: Any = None, headers: dict[str, str] | None = None) -> None:
        data = body if isinstance(body, bytes) else json.dumps({} if body is None else body).encode()
        self.hub.log.append((self.command, self.path, status))
        self.send_response(status)
        told = {"Content-Type": "application/json", "Content-Length": str(len(data)), **(headers or {})}
        for key, value in told.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        if self.fault is not None:
            self.wfile.write(data[: len(data) // 2])
            self.close_connection = True
        else:
            self.wfile.write(data)

    def refuse(self, status: int, code: str, message: str) -> None:
        self.reply(status, {"error": message}, {"X-Error-Code": code, "X-Error-Message": message})

    def body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        raw = b""
        while size := int(self.rfile.readline().strip() or b"0", 16):
            raw += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return raw

    def route(self) -> None:
        raw, url = self.body(), urlsplit(self.path)
        self.query = parse_qs(url.query)
        self.fault = self.hub.fault_for(self.command, url.path)
        if self.fault is not None and self.fault.status:
            status, self.fault = self.fault.status, None
            return self.refuse(status, "", f"failure {status} on demand")
        for method, pattern, handler in ROUTES:
            if self.command in method.split("|") and (match := re.fullmatch(pattern, url.path)):
                parts = {name: part and unquote(part) for name, part in match.groupdict().items()}
                return handler(self, raw, **parts)
        self.refuse(404, "EntryNotFound", f"no route {self.command} {url.path}")

    do_GET = do_POST = do_HEAD = do_PUT = do_DELETE = route  # noqa: N815

    def caller(self) -> str | None:
        """Who asks, by the token."""
        return self.hub.tokens.get(self.headers.get("Authorization", "").removeprefix("Bearer "))

    def must_write(self) -> bool:
        if self.caller() is None:
            self.refuse(401, "", "Invalid username or password.")
        return self.caller() is not None

    def open(self, kind: str, repo: str) -> Repository | None:
        """A repository the caller may see; answered with 401 or 404 like the Hub's where there is none."""
        found = self.hub.repos.get((kind, repo))
        if found is None or (found.private and self.caller() is None):
            self.refuse(404 if self.caller() else 401, "RepoNotFound", "Repository not found")
            return None
        return found

    def whoami(self, raw: bytes) -> None:
        if self.must_write():
            access = {"accessToken": {"role": "write"}}
            names = dict.fromkeys(("name", "fullname"), self.caller())
            self.reply(200, {"type": "user", "id": "0", **names, "orgs": [], "auth": access})

    def validate_yaml(self, raw: bytes) -> None:
        head = json.loads(raw)["content"].split("---")
        errors = []
        try:
            card = yaml.safe_load(head[1]) if len(head) > 2 else {}
        except yaml.YAMLError as error:
            return self.reply(400, {"errors": [{"message": str(error)}], "warnings": []})
        if card.get("license") not in LICENSES | {None}:
            errors.append({"message": f'"license" must be one of the known, got {card["license"]}'})
        self.reply(400 if errors else 200, {"errors": errors, "warnings": []})

    def create(self, raw: bytes) -> None:
        if not self.must_write():
            return
        asked = json.loads(raw)
        kind = asked.get("type", "model") + "s"
        repo = f"{asked.get('organization') or self.caller()}/{asked['name']}"
        known = (kind, repo) in self.hub.repos
        if not known:
            private = asked.get("visibility") == "private" or bool(asked.get("private"))  # new or old clients
            self.hub.put(repo, {".gitattributes": b""}, kind, private)
            self.hub.repos[kind, repo].sdk = asked.get("sdk")
        prefix = "" if kind == "models" else f"{kind}/"
        self.reply(409 if known else 200, {"url": f"{self.hub.url}/{prefix}{repo}", "name": repo, "id": "0"})

    def info(self, raw: bytes, kind: str, repo: str, rev: str | None = None) -> None:
        found = self.open(kind, repo)
        if found is None:
            return
        sha = found.sha(rev or "main")
        if sha is None:
            return self.refuse(404, "RevisionNotFound", f"Invalid rev id: {rev}")
        names = sorted(found.commits[sha])
        self.reply(200, {"_id": "0", "id": repo, "modelId": repo, "sha": sha, "private": found.private,
                         "disabled": False, "gated": False, "downloads": 0, "likes": 0, "tags": [],
                         "sdk": "gradio", "lastModified": "2026-01-01T00:00:00.000Z",
                         "createdAt": "2026-01-01T00:00:00.000Z",
                         "siblings": [{"rfilename": name} for name in names]})  # fmt: skip

    def entry(self, path: str, data: bytes) -> dict[str, Any]:
        item: dict[str, Any] = {"type": "file", "path": path, "size": len(data), "oid": git_oid(data)}
        if LFS.search(path):
            item["lfs"] = {"oid": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 134}
        return item

    def tree(self, raw: bytes, kind: str, repo: str, rev: str, path: str | None = None) -> None:
        found = self.open(kind, repo)
        if found is None:
            return
        sha = found.sha(rev)
        if sha is None:
            return self.refuse(404, "RevisionNotFound", f"Invalid rev id: {rev}")
        start = f"{path.strip('/')}/" if path and path.strip("/") else ""
        files = {name: data for name, data in found.commits[sha].items() if name.startswith(start)}
        whole = self.query.get("recursive", ["false"])[0].lower() == "true"
        shown = [self.entry(name, data) for name, data in sorted(files.items())
                 if whole or "/" not in name[len(start):]]  # fmt: skip
        folders = {start + name[len(start) :].split("/")[0] for name in files if "/" in name[len(start) :]}
        shown += [{"type": "directory", "path": name, "oid": "0" * 40} for name in sorted(folders)]
        self.reply(200, shown)

    def paths_info(self, raw: bytes, kind: str, repo: str, rev: str) -> None:
        found = self.open(kind, repo)
        if found is None:
            return
        files = found.commits.get(found.sha(rev) or "", {})
        asked = json.loads(raw)["paths"] if raw[:1] == b"{" else parse_qs(raw.decode())["paths"]
        shown = [self.entry(path, files[path]) for path in asked if path in files]
        shown += [
            {"type": "directory", "path": path, "oid": "0" * 40}
            for path in asked
            if any(name.startswith(f"{path}/") for name in files)
        ]
        self.reply(200, shown)

    def all_refs(self, raw: bytes, kind: str, repo: str) -> None:
        found = self.open(kind, repo)
        if found is None:
            return
        told = [
            [{"name": name, "ref": f"{where}{name}", "targetCommit": sha} for name, sha in each.items()]
            for where, each in (("refs/heads/", found.refs), ("refs/tags/", found.tags))
        ]
        self.reply(200, {"branches": told[0], "converts": [], "tags": told[1]})

    def branch(self, raw: bytes, kind: str, repo: str, rev: str) -> None:
        found = self.open(kind, repo) if self.must_write() else None
        if found is None:
            return
        if rev in found.refs:
            return self.refuse(409, "", "Reference already exists")
        found.refs[rev] = found.refs[json.loads(raw or b"{}").get("startingPoint", "main")]
        self.reply(200)

    def tag(self, raw: bytes, kind: str, repo: str, rev: str) -> None:
        found = self.open(kind, repo) if self.must_write() else None
        if found is None:
            return
        name, sha = json.loads(raw)["tag"], found.sha(rev)
        if name in found.tags:
            return self.refuse(409, "", "Tag reference exists already")
        found.tags[name] = str(sha)
        self.reply(200)

    def untag(self, raw: bytes, kind: str, repo: str, rev: str) -> None:
        found = self.open(kind, repo) if self.must_write() else None
        if found is not None:
            found.tags.pop(rev, None)
            self.reply(200)

    def preupload(self, raw: bytes, kind: str, repo: str, rev: str) -> None:
        found = self.open(kind, repo) if self.must_write() else None
        if found is None:
            return
        files = found.commits.get(found.sha(rev) or "", {})
        told = []
        for item in json.loads(raw)["files"]:
            old, large = files.get(item["path"]), bool(LFS.search(item["path"]))
            oid = None if old is None else hashlib.sha256(old).hexdigest() if large else git_oid(old)
            mode = "lfs" if large else "regular"
            told.append({"path": item["path"], "uploadMode": mode, "shouldIgnore": False, "oid": oid})
        self.reply(200, {"files": told})

    def lfs_batch(self, raw: bytes, repo: str, prefix: str | None = None) -> None:
        if not self.must_write():
            return
        objects = json.loads(raw)["objects"]
        for each in objects:
            if each["oid"] not in self.hub.blobs:
                each["actions"] = {"upload": {"href": f"{self.hub.url}/_lfs/{each['oid']}"}}
        self.reply(200, {"transfer": "basic", "objects": objects})

    def lfs_put(self, raw: bytes, oid: str) -> None:
        right = hashlib.sha256(raw).hexdigest() == oid
        if right:
            self.hub.blobs[oid] = raw
        self.reply(200 if right else 400)

    def commit(self, raw: bytes, kind: str, repo: str, rev: str) -> None:
        found = self.open(kind, repo) if self.must_write() else None
        if found is None:
            return
        sha = found.sha(rev)
        if sha is None:
            return self.refuse(404, "RevisionNotFound", f"Invalid rev id: {rev}")
        files = dict(found.commits[sha])
        for line in raw.splitlines():
            operation = json.loads(line)
            value = operation["value"]
            if operation["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif operation["key"] == "lfsFile":
                files[value["path"]] = self.hub.blobs[value["oid"]]
            elif operation["key"] == "deletedFile":
                files.pop(value["path"], None)
        new = found.add(rev, files)
        prefix = "" if kind == "models" else f"{kind}/"
        url = f"{self.hub.url}/{prefix}{repo}/commit/{new}"
        self.reply(200, {"success": True, "commitOid": new, "commitUrl": url, "hookOutput": ""})

    def resolve(self, raw: bytes, repo: str, rev: str, path: str, prefix: str | None = None) -> None:
        found = self.open((prefix or "models/").rstrip("/"), repo)
        if found is None:
            return
        sha = found.sha(rev)
        if sha is None:
            return self.refuse(404, "RevisionNotFound", f"Invalid rev id: {rev}")
        if path not in found.commits[sha]:
            headers = {"X-Error-Code": "EntryNotFound", "X-Error-Message": "Entry not found"}
            return self.reply(404, {"error": "Entry not found"}, {**headers, "X-Repo-Commit": sha})
        data = found.commits[sha][path]
        headers = {"X-Repo-Commit": sha, "Content-Type": "application/octet-stream", "Accept-Ranges": "bytes"}
        if LFS.search(path):
            digest = hashlib.sha256(data).hexdigest()
            headers |= {"X-Linked-Etag": f'"{digest}"', "X-Linked-Size": str(len(data))}
        headers["ETag"] = headers.get("X-Linked-Etag", f'"{git_oid(data)}"')
        if match := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")):
            start, end = int(match[1]), min(int(match[2] or len(data) - 1), len(data) - 1)
            headers["Content-Range"] = f"bytes {start}-{end}/{len(data)}"
            return self.reply(206, data[start : end + 1], headers)
        self.reply(200, data, headers)


_GIT = r"/(?P<prefix>(?:datasets|spaces)/)?(?P<repo>[^/]+/[^/]+)"
ROUTES = [
    ("GET", r"/api/whoami-v2", _Handler.whoami),
    ("POST", r"/api/validate-yaml", _Handler.validate_yaml),
    ("POST", r"/api/repos/create", _Handler.create),
    ("POST", rf"/api/{REPO}/preupload/(?P<rev>.+)", _Handler.preupload),
    ("POST", rf"/api/{REPO}/commit/(?P<rev>.+)", _Handler.commit),
    ("POST", rf"/api/{REPO}/paths-info/(?P<rev>[^/]+)", _Handler.paths_info),
    ("POST", rf"/api/{REPO}/branch/(?P<rev>.+)", _Handler.branch),
    ("POST", rf"/api/{REPO}/tag/(?P<rev>.+)", _Handler.tag),
    ("DELETE", rf"/api/{REPO}/tag/(?P<rev>.+)", _Handler.untag),
    ("GET", rf"/api/{REPO}/refs", _Handler.all_refs),
    ("GET", rf"/api/{REPO}/tree/(?P<rev>[^/]+)(?P<path>/.*)?", _Handler.tree),
    ("GET", rf"/api/{REPO}(?:/revision/(?P<rev>.+))?", _Handler.info),
    ("POST", rf"{_GIT}\.git/info/lfs/objects/batch", _Handler.lfs_batch),
    ("PUT", r"/_lfs/(?P<oid>[0-9a-f]{64})", _Handler.lfs_put),
    ("GET|HEAD", rf"{_GIT}/resolve/(?P<rev>[^/]+)/(?P<path>.+)", _Handler.resolve),
]
HUB = LoopbackHub()  # its address must be known before any library of the Hub is imported

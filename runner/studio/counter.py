"""The studio's endpoints for files: upload policies, uploads, and renders under their signed links."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from anyio.to_thread import run_sync
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, RedirectResponse, Response

from runner.studio import replies
from runner.studio.desk import Desk, Rejected
from runner.studio.families import family_of
from runner.studio.links import EXPIRED, xml_error
from runner.studio.store import Task
from runner.studio.uploads import MOST, Policies, UploadRefused, parts_of
from runner.studio.wires import Cut

_MOST_FILE = 20 * 1024 * 1024  # bytes that a gateway's upload takes
_FORM = 64 * 1024  # bytes of a form besides its file, at most
_NO_RENDER = ("NoSuchKey", "The specified key does not exist.")
_NO_KEY = ("SignatureDoesNotMatch", "Only one auth mechanism allowed; a signed request must carry no Authorization header.")


class Counter:
    """Every method is an endpoint."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.policies = Policies(desk.signer, desk.settings.clock)

    async def policy(self, request: Request) -> Response:
        self.desk.key_of(request)
        model = request.query_params.get("model", "")
        if request.query_params.get("action") != "getPolicy":
            raise Rejected(400, "InvalidParameter", "action must be getPolicy")
        if family_of(model) is None:
            raise Rejected(404, "ModelNotFound", f"Model {model[:100]} does not exist.")
        host = f"{request.url.scheme}://{request.url.netloc}/oss-upload"
        return JSONResponse({"request_id": replies.error("", "")["request_id"], "data": self.policies.make(model, host)})

    async def upload(self, request: Request) -> Response:
        if "authorization" in request.headers:
            raise UploadRefused(403, *_NO_KEY)
        length = request.headers.get("content-length", "0")
        if not length.isdigit() or int(length) > MOST + _FORM:
            raise UploadRefused(400, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed size.")
        upload = self.policies.check(parts_of(request.headers.get("content-type", ""), await request.body()))
        if not await run_sync(self.desk.shelf.keep, upload.key, upload.model, upload.data):
            raise UploadRefused(409, "FileAlreadyExists", "The object you specified already exists and can not be overwritten.")
        return Response(status_code=upload.status)

    async def result(self, request: Request) -> Response:
        if "authorization" in request.headers:
            return _xml(403, *_NO_KEY)
        now = self.desk.settings.clock()
        if no := self.desk.signer.refusal(request.url.path, request.query_params, now):
            return _xml(403, *no)
        if self.desk.faults.take("expired-link"):
            return _xml(403, *EXPIRED)
        path = self._render(self.desk.store.get(request.path_params["task_id"]))
        return await self._film(path) if path else _xml(404, *_NO_RENDER)

    async def landing(self, request: Request) -> Response:
        """The link that a query gave, where it is not yet the signed one; a key is as wrong here as there."""
        if "authorization" in request.headers:
            return _xml(403, *_NO_KEY)
        task = self.desk.store.get(request.path_params["task_id"])
        if task is None or not self._render(task):
            return _xml(404, *_NO_RENDER)
        return RedirectResponse(self.desk.signed(request, task), 302)

    async def content(self, request: Request) -> Response:
        """A render for whoever shows the key."""
        self.desk.key_of(request)
        task = self.desk.alive(request.path_params["task_id"])
        if task is None:
            raise Rejected(404, "task_not_exist", "The task does not exist.")
        path = self._render(task)
        if path is None or self.desk.faults.take("content-400"):
            raise Rejected(400, "invalid_request_error", f"The video is not ready, the task is {task.status}.")
        if self.desk.faults.take("content-redirect"):
            other = "127.0.0.1" if request.url.hostname == "localhost" else "localhost"
            return RedirectResponse(self.desk.signed(request, task, f"{other}:{request.url.port}"), 302)
        return await self._film(path, cut="content-cut", headers={"Cache-Control": "public, max-age=86400"})

    async def publish(self, request: Request) -> Response:
        """A gateway's upload: one file, which then lies under a link that needs no key."""
        self.desk.key_of(request)
        length = request.headers.get("content-length", "0")
        if not length.isdigit() or int(length) > _MOST_FILE + _FORM:
            raise Rejected(413, "BadRequest.TooLarge", "The file is larger than 20 MB.")
        parts = parts_of(request.headers.get("content-type", ""), await request.body())
        file = next((part for part in parts if part.name == "file"), None)
        if file is None:
            raise Rejected(400, "BadRequest.EmptyInput", "The form has no field named file.")
        if len(file.data) > _MOST_FILE:
            raise Rejected(413, "BadRequest.TooLarge", "The file is larger than 20 MB.")
        name = await run_sync(self.desk.shelf.publish, file.data, file.file)
        return JSONResponse({"url": f"{request.url.scheme}://{request.url.netloc}/files/{name}"})

    async def file(self, request: Request) -> Response:
        path = self.desk.shelf.published(request.path_params["name"])
        if path is None:
            raise Rejected(404, "NotFound", "There is no such file.")
        return FileResponse(path)

    def _render(self, task: Task | None) -> Path | None:
        path = self.desk.lab.renders / task.file if task and task.file else None
        return path if path and path.exists() else None

    async def _film(self, path: Path, *, cut: str = "truncate", headers: Mapping[str, str] | None = None) -> Response:
        """A render, whole, in ranges, or as a fault has it; `cut` is the one that breaks it off."""
        if self.desk.faults.take("short-file"):
            data = await run_sync(path.read_bytes)
            return Response(data[: len(data) // 2], headers=headers, media_type="video/mp4")
        whole = FileResponse(path, headers=headers, media_type="video/mp4")
        return Cut(whole) if self.desk.faults.take(cut) else whole


async def upload_refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, UploadRefused)  # noqa: S101 - the application's table says so
    return _xml(error.status, error.code, error.message)


def _xml(status: int, code: str, message: str) -> Response:
    return Response(xml_error(code, message), status, media_type="application/xml")

"""The studio's endpoints for files: upload policies, uploads, and renders under their signed links."""

from __future__ import annotations

from anyio.to_thread import run_sync
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response

from runner.studio import replies
from runner.studio.desk import Desk, Rejected
from runner.studio.families import family_of
from runner.studio.links import EXPIRED, xml_error
from runner.studio.uploads import MOST, Policies, UploadRefused, parts_of
from runner.studio.wires import Cut

_FORM = 64 * 1024  # bytes of a form besides its file, at most
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
        task = self.desk.store.get(request.path_params["task_id"])
        path = self.desk.lab.renders / task.file if task and task.file else None
        if path is None or not path.exists():
            return _xml(404, "NoSuchKey", "The specified key does not exist.")
        if self.desk.faults.take("short-file"):
            data = await run_sync(path.read_bytes)
            return Response(data[: len(data) // 2], media_type="video/mp4")
        whole = FileResponse(path, media_type="video/mp4")
        return Cut(whole) if self.desk.faults.take("truncate") else whole


async def upload_refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, UploadRefused)  # noqa: S101 - the application's table says so
    return _xml(error.status, error.code, error.message)


def _xml(status: int, code: str, message: str) -> Response:
    return Response(xml_error(code, message), status, media_type="application/xml")

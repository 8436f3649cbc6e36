"""A user's devices, and all data stored about the user (docs/protocol.md, section 6)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from pyramid.response import Response

from ..errors import BackendUnavailable
from ..messages import DeviceBody, DeviceChange, DeviceList, KnownDeviceBody, PairedDeviceBody, checked_label, encode
from ..request import Request
from ..service.personal import Document, Pages
from . import cornice_service
from .validators import Body, no_body, user

devices = cornice_service("devices", "/devices")
one_device = cornice_service("device", "/devices/{device}")
account = cornice_service("account", "/account")

change = Body(DeviceChange)


@devices.get(validators=(user,))
def list_devices(request: Request) -> DeviceList:
    """List the caller's live devices, and those with a credential."""
    account, services = request.validated["account"], request.services
    live = [DeviceBody.of(item) for item in services.devices.list(account.id)]
    paired = [PairedDeviceBody.of(item) for item in services.pairings.list(account)]
    return DeviceList(live, paired, [KnownDeviceBody.of(item) for item in services.device_names.list(account.id)])


@one_device.patch(validators=(user, change))
def rename_device(request: Request) -> KnownDeviceBody:
    """Give a device another label."""
    label, device = checked_label(change.of(request).label), request.matchdict["device"]
    validated = request.validated
    return KnownDeviceBody.of(request.services.device_names.rename(validated["account"].id, device, label, validated["requester"]))


@one_device.delete(validators=(user, no_body))
def sign_out_device(request: Request) -> Response:
    """Sign a device out."""
    request.services.devices.sign_out(request.validated["account"].id, request.matchdict["device"], request.validated["requester"])
    return Response(status=204)


@account.get(validators=(user,))
def get_account(request: Request) -> Response:
    """Return all data stored about the caller, streamed in parts."""
    parts = request.services.personal.document(request.validated["account"])
    return Response(app_iter=_Document(parts), content_type="application/json", charset=None)


class _Document:
    """The body of ``messages.AccountDocument``, which is written while its parts are read. The server always closes it.

    :param parts: keys and values; a value may be an iterator of pages. The constructor raises an error of the first part; if a
        backend fails later, the object ends there with ``"complete": false``.
    """

    def __init__(self, parts: Document) -> None:
        self._parts = parts
        self._first = next(parts)

    def __iter__(self) -> Iterator[bytes]:
        complete = True
        yield b"{"
        try:
            for name, value in chain([self._first], self._parts):
                yield encode(name) + b":"
                yield from _list(value) if isinstance(value, Iterator) else [encode(value)]
                yield b","
        except BackendUnavailable:
            complete = False
        yield b'"complete":' + encode(complete) + b"}"

    def close(self) -> None:
        """Stop reading the parts."""
        self._parts.close()


def _list(pages: Pages) -> Iterator[bytes]:
    """Yield a JSON list, which is closed even if a page cannot be read."""
    yield b"["
    try:
        separator = b""
        for page in pages:
            if page:
                yield separator + encode(page)[1:-1]
                separator = b","
    except BackendUnavailable:
        yield b"],"
        raise
    yield b"]"


@account.delete(validators=(user, no_body))
def delete_account(request: Request) -> Response:
    """Erase the caller's account."""
    request.services.accounts.erase(request.validated["account"], request.validated["requester"])
    return Response(status=204)

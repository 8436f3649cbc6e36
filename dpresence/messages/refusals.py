"""The error object of HTTP responses and frames (docs/protocol.md, section 7)."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from msgspec import UNSET, Meta, Struct, UnsetType

from ..errors import Details, Refused, errno_table
from .fields import or_unset

Errno = Annotated[int, Meta(extra_json_schema={"enum": sorted(errno_table())})]


class Refusal(Struct, kw_only=True):
    """The error object, the body of every HTTP error with an errno (section 7).

    :param errno: number in the table of section 7, by which programs decide.
    :param error: one sentence for people; it may change.
    :param details: for programs: a word, a request id, or the PUIDs that do not exist. Omitted without any.
    :param retry_after: seconds until a retry may succeed. Omitted where waiting does not help.
    """

    result: Literal["KO"] = "KO"
    errno: Errno
    error: str
    details: Details | UnsetType = UNSET
    retry_after: int | UnsetType = UNSET

    @classmethod
    def of(cls, refused: Refused) -> Self:
        """Return the error object of a refusal."""
        details: Details | UnsetType = UNSET if refused.details is None else refused.details
        return cls(errno=refused.errno, error=refused.error, details=details, retry_after=or_unset(refused.retry_after))


class KoReply(Refusal, kw_only=True):
    """The answer to a frame that was refused: the error object (sections 3, 5 and 7).

    :param ticket: the next ticket of a device. Only in the first answer after a sign-in that asked for it.
    :param id: the ``id`` of the frame. Omitted if the frame had none.
    """

    ticket: str | UnsetType = UNSET
    id: str | int | UnsetType = UNSET

    @classmethod
    def to(cls, frame_id: str | int | None, refused: Refused, ticket: str | UnsetType = UNSET) -> Self:
        """Return the answer to a frame."""
        reply = cls.of(refused)
        reply.ticket, reply.id = ticket, or_unset(frame_id)
        return reply

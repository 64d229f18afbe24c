"""The server's errors as Python classes, and the few that only a client can meet.

Each class of the server has its SQLSTATE here; the docstring is the default message.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg


class Error(Exception):
    """hartonomous error"""

    sqlstate: str | None = "ZH000"

    def __init__(
        self,
        message: str | None = None,
        detail: str | None = None,
        hint: str | None = None,
        sqlstate: str | None = None,
    ) -> None:
        self.message = message or type(self).__doc__ or ""
        self.detail = detail
        self.hint = hint
        self.sqlstate = sqlstate or type(self).sqlstate
        super().__init__(self.message)

    def __str__(self) -> str:
        parts = [self.message]
        parts += [f"DETAIL: {self.detail}"] if self.detail else []
        parts += [f"HINT: {self.hint}"] if self.hint else []
        return "\n".join(parts)


class NoTenant(Error):
    """the current role belongs to no tenant"""

    sqlstate = "ZH001"


class NotPermitted(Error):
    """this operation is not permitted"""

    sqlstate = "ZH002"


class NotAuthenticated(Error):
    """key or token is not valid"""

    sqlstate = "ZH003"


class RateLimited(Error):
    """rate limit is reached"""

    sqlstate = "ZH004"

    @property
    def retry_after(self) -> float:
        """Seconds after which the call would have been admitted."""
        found = re.match(r"retry after (\d+\.\d+) s", self.detail or "")
        return float(found[1]) if found else 0.0


class SecretUnavailable(Error):
    """secret cannot be encrypted or decrypted"""

    sqlstate = "ZH005"


class HistoryNotKept(Error):
    """history is not kept so far back"""

    sqlstate = "ZH008"


class ArtifactNotFound(Error):
    """no such artifact"""

    sqlstate = "ZH010"


class InvalidContent(Error):
    """content cannot be stored as given"""

    sqlstate = "ZH011"


class ContentMalformed(Error):
    """content cannot be parsed"""

    sqlstate = "ZH012"


class AtomMissing(Error):
    """an atom that a composite names is missing or damaged"""

    sqlstate = "ZH013"


class UploadIncomplete(Error):
    """parts of an upload do not make the expected content"""

    sqlstate = "ZH014"


class UploadNotFound(Error):
    """no such upload"""

    sqlstate = "ZH015"


class MetadataInvalid(Error):
    """metadata fail their schema"""

    sqlstate = "ZH016"


class PathUndecided(Error):
    """the search for a way between artifacts was given up"""

    sqlstate = "ZH019"


class ModelNotFound(Error):
    """no such model"""

    sqlstate = "ZH020"


class ModelExists(Error):
    """a model of this name and version exists already"""

    sqlstate = "ZH021"


class ModelIncomplete(Error):
    """model is not complete"""

    sqlstate = "ZH022"


class TensorMismatch(Error):
    """tensor does not have the expected dtype, shape or range"""

    sqlstate = "ZH023"


class ArchitectureUnsupported(Error):
    """model architecture is not supported"""

    sqlstate = "ZH024"


class ModelCorrupt(Error):
    """model files contradict each other"""

    sqlstate = "ZH025"


class TokenizerInvalid(Error):
    """tokenizer cannot be used"""

    sqlstate = "ZH030"


class EmbeddingUnsupported(Error):
    """model cannot embed"""

    sqlstate = "ZH031"


class PredictionInvalid(Error):
    """model's prediction is not finite"""

    sqlstate = "ZH032"


class MemoryExceeded(Error):
    """memory that inference may take is exceeded"""

    sqlstate = "ZH033"


class VectorInvalid(Error):
    """vector does not have the expected dimensions or is not finite"""

    sqlstate = "ZH040"


class FilterInvalid(Error):
    """search filter is not valid"""

    sqlstate = "ZH041"


class EvaluationNotFound(Error):
    """no such evaluation set"""

    sqlstate = "ZH045"


class VersionMismatch(Error):
    """client, extension and server package have different versions"""

    sqlstate = "ZH050"


class FeatureNotYet(Error):
    """feature is not available in this version"""

    sqlstate = "0A000"


class InvalidParameter(Error):
    """invalid parameter value"""

    sqlstate = "22023"


SERVER_ERRORS: dict[str, type[Error]] = {str(cls.sqlstate): cls for cls in Error.__subclasses__()}


class ConnectionFailed(Error):
    """the server cannot be reached, or the connection was lost"""

    sqlstate = None


class ExportIncomplete(Error):
    """the export was cut off or changed: its last line does not vouch for the others"""

    sqlstate = None


class ExtensionMissing(Error):
    """the database does not have the extension hartonomous"""

    sqlstate = None


@contextmanager
def translated() -> Iterator[None]:
    """Raises what psycopg raises as one of these classes."""
    try:
        yield
    except psycopg.Error as error:
        raise from_psycopg(error) from error
    except UnicodeEncodeError as error:
        raise InvalidContent(
            f"text has a lone surrogate at character {error.start}, which UTF-8 cannot hold",
            hint="decode the text from its real encoding, or pass its bytes to ingest",
        ) from error


def from_psycopg(error: psycopg.Error) -> Error:
    state = error.sqlstate
    message = error.diag.message_primary or str(error).strip()
    message = re.sub(r"^(spiexceptions\.\w+|plpy\.\w+): ", "", message)  # of SQL that the server's Python called
    detail, hint = error.diag.message_detail, error.diag.message_hint
    if state in SERVER_ERRORS:
        cls = SERVER_ERRORS[state]
        return cls(message.removeprefix(f"{cls.__name__}: "), detail, hint)
    if state is None and "NUL" in message:
        return InvalidContent(
            "text contains a NUL character, which PostgreSQL texts cannot hold", hint="ingest it as bytes: ingest"
        )
    if _is_connection_loss(error):
        return ConnectionFailed(
            "the connection to the server failed or was lost",
            detail=message,
            hint="check the server and the connection string, then run the same again; finished steps are kept",
        )
    if state == "42883" and message.startswith("function hartonomous."):
        return FeatureNotYet(
            f"the server has no {message.partition('(')[0]} with these arguments",
            hint="check the arguments and select hartonomous.version(); alter extension hartonomous update",
        )
    if state == "3F000":
        return ExtensionMissing(hint="create extension hartonomous cascade")
    if state == "42501":
        groups = "of hartonomous_reader, _writer, _worker and _admin, a higher one: the reference names the least"
        return NotPermitted(message, detail, hint or f"the role needs membership in another group role; {groups}")
    return Error(message, detail, hint, sqlstate=state)


def _is_connection_loss(error: psycopg.Error) -> bool:
    if not isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError)):
        return False
    state = error.sqlstate
    return state is None or state.startswith(("08", "28", "57P")) or state == "3D000"

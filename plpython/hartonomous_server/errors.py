"""Every error the extension raises: one class per SQLSTATE of class ZH; the docstring is the default message.

PL/Python reports an exception that derives from ``plpy.Error`` with its ``sqlstate``, ``detail`` and ``hint``, and
prefixes the message with the class name.
"""

from __future__ import annotations

try:
    from plpy import Error as _Base
except ImportError:  # imported outside a server: unit tests, documentation
    _Base = Exception


class Error(_Base):
    """hartonomous error"""

    sqlstate = "ZH000"

    def __init__(self, message: str | None = None, detail: str | None = None, hint: str | None = None) -> None:
        super().__init__(message or type(self).__doc__)
        self.detail = detail
        self.hint = hint

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        cls.__module__ = "builtins"  # so that the server prints "ModelNotFound: ...", not the module path


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

"""Errors of model calls, each with a name of its own."""

from __future__ import annotations

from typing import Final

#: What a provider's words are where it refuses without any.
NOTHING_SAID: Final = "nothing"


class ModelFailed(ValueError):
    """A model did not answer as it should; the text is one plain sentence.

    :param status: the HTTP status that the provider answered with, where there was one.
    :param details: all that the provider said, for who looks for the parameter that it refused; never shown.
    """

    def __init__(self, message: str, *, status: int | None = None, details: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.details = details or message


class ModelNotInstalled(ModelFailed):
    """What reaches this provider is not installed; the text says what to install."""


class ModelNotChosen(ModelFailed):
    """Neither the flow nor the settings name a provider or a model."""


class ModelKeyMissing(ModelFailed):
    """No API key is set; the text names the variable."""


class ModelKeyRefused(ModelFailed):
    """The provider does not accept the API key."""


class ModelRefused(ModelFailed):
    """The provider does not accept the request."""


class ModelBusy(ModelFailed):
    """The provider accepts no more requests for now (429), also after the retries."""


class ModelBroken(ModelFailed):
    """The provider failed (5xx), also after the retries."""


class ModelUnreachable(ModelFailed):
    """No connection to the provider came about."""


class ModelTimedOut(ModelFailed):
    """The provider did not answer in time."""


class ModelSaidNothing(ModelFailed):
    """The answer is empty; the text says why, as far as the provider does."""


class ModelAnswerInvalid(ModelFailed):
    """The provider's answer broke off or cannot be read."""

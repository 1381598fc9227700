"""The Flask extension: a runner beside a site's own views."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from flask import Flask

from flowrunner.building import build_runner
from flowrunner.errors import SettingsInvalid
from flowrunner.runner import Runner
from flowrunner.settings import PREFIX
from flowrunner.web.blueprint import make_blueprint
from flowrunner.web.routes import API_PARTS

EXTENSION: Final = "flowrunner"


class FlowRunner:
    """Mounts a runner in a Flask app. The object holds no app: one may serve several.

    :param app: an app to mount it in at once; else call :meth:`init_app`.
    :param url_prefix: where its routes lie in the app.
    :param name: name of the runner, for several in one app; another name than the first has
        settings of its own prefix, ``<NAME>_FLOWRUNNER_``.
    :param identity: says who sends a request: a callable that takes it and returns an
        :class:`~flowrunner.Identity` or None.
    :param db: the site's ``SQLAlchemy`` object, to keep the data on its database.
    :param plugins: plugin objects, or component classes of the site's own.
    :param settings: settings by lower-case name without prefix; they beat the configuration.
    """

    def __init__(
        self,
        app: Flask | None = None,
        *,
        url_prefix: str = "",
        name: str = EXTENSION,
        identity: Callable[[Any], Any] | None = None,
        db: Any = None,
        plugins: Iterable[Any] = (),
        **settings: Any,
    ) -> None:
        self.url_prefix = url_prefix
        self.name = name
        self._identity = identity
        self._db = db
        self._plugins = tuple(plugins)
        self._settings = {key.upper(): value for key, value in settings.items()}
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> Runner:
        """Read the configuration, build the runner and mount its routes; the only place that does.

        :raises SettingsInvalid: if this app has a runner of that name already.
        :raises FlowRunnerError: in one sentence, what must be changed.
        """
        runners = app.extensions.setdefault(EXTENSION, {})
        if self.name in runners:
            raise SettingsInvalid(
                f"This app has a runner named {self.name!r} already; give the second one another name:"
                " FlowRunner(name=...)."
            )
        prefix = PREFIX if self.name == EXTENSION else f"{self.name.upper().replace('-', '_')}_{PREFIX}"
        runner = build_runner(
            app, plugins=self._plugins, overrides=self._settings, prefix=prefix, db=self._db, identify=self._identity
        )
        runners[self.name] = runner
        app.register_blueprint(
            make_blueprint(runner, name=self.name, parts=API_PARTS), url_prefix=self.url_prefix or None
        )
        return runner

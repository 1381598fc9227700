"""The Flask extension: mount a runner beside a site's own views."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from os import PathLike
from typing import Any, Final

from flask import Blueprint, Flask

from flowrunner.errors import SettingsInvalid
from flowrunner.memory import MemoryBackend
from flowrunner.memory.context import ask_outside_of_runs
from flowrunner.runner import Runner
from flowrunner.settings.reading import PREFIX
from flowrunner.site.building import Wishes, build_runner, load_plugins
from flowrunner.site.callers import read_offer
from flowrunner.site.closing import close_unheld
from flowrunner.site.current import memory_of_sender
from flowrunner.site.mounting import Place, mount
from flowrunner.site.refusals import read_folders, refuse_arguments, refuse_target
from flowrunner.web.mounts import EXTENSION, runners_of

__all__ = ["EXTENSION", "FlowRunner", "stand_alone"]

#: Where the routes lie in a site that says nothing else.
USUAL_PLACE: Final = "/flowrunner"


class FlowRunner:
    """Mounts a runner in a Flask app. The object keeps no app, so one object may serve several.

    :param app: a Flask app, or one of its blueprints, to initialize at once; otherwise call :meth:`init_app`.
    :param url_prefix: URL prefix of the routes; ``/`` for an app that has no other views.
    :param name: name of the runner, if the app has several; a runner with another name has
        its own settings, with the prefix ``<NAME>_FLOWRUNNER_``, and its own data folder.
    :param subdomain: subdomain of its routes, as for a Flask blueprint; the app must match subdomains.
    :param identity: identifies the caller: a callable that takes the request and returns
        an :class:`~flowrunner.Identity`, a user id, or None. See ``flowrunner.integrations.identity``.
        Known users may run flows; an ``Identity(..., author=True)`` may also create them.
    :param flows: the flows offered to users known by ``identity``: names or ids, or a callable that takes an
        identity and a :class:`~flowrunner.flows.model.Flow`; default: all flows in the folders.
    :param guard: checks each request first: a callable that takes the request and returns None or
        True to allow it, False to refuse it, or a response; it may also ``abort``.
    :param db: the site's ``SQLAlchemy`` object, to keep the data on its PostgreSQL server.
    :param memory: name of a memory backend, or a backend.
    :param flows_dir: folder of flow files, or several; relative to the app's own folder.
    :param plugins: component classes and plugins of the site.
    :param settings: settings by lower-case name without prefix. All arguments are defaults: the app's
        configuration takes precedence.
    :raises SettingsInvalid: saying what must be changed.
    """

    def __init__(
        self,
        app: Flask | Blueprint | None = None,
        *,
        url_prefix: str = USUAL_PLACE,
        name: str = EXTENSION,
        subdomain: str | None = None,
        identity: Callable[[Any], Any] | None = None,
        flows: Iterable[str] | Callable[[Any, Any], Any] | None = None,
        guard: Callable[[Any], Any] | None = None,
        db: Any = None,
        memory: str | MemoryBackend | None = None,
        flows_dir: str | PathLike[str] | Iterable[str | PathLike[str]] | None = None,
        plugins: Iterable[Any] = (),
        **settings: Any,
    ) -> None:
        refuse_arguments(name, url_prefix, subdomain, identity=identity, guard=guard, memory=memory, plugins=plugins)
        self.name = name
        self.url_prefix = "" if url_prefix == "/" else url_prefix.rstrip("/")
        self.subdomain = subdomain
        self._identity = identity
        self._offer = read_offer(flows)
        self._guard = guard
        self._db = db
        self._memory = memory
        self._flows_dir = None if flows_dir is None else read_folders(flows_dir)
        self._plugins = tuple(plugins)
        self._settings = {key.upper(): value for key, value in settings.items()}
        self._alone = False
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask | Blueprint) -> Runner | None:
        """Read the configuration, create the runner and register its routes. Nothing is opened yet:

        databases and folders are opened on first use, or by ``runner.open()``.

        :param app: an app; or a blueprint of the site, and then all this happens for each app in
            which that blueprint is registered, below its prefix and behind its ``before_request``.
        :returns: the runner; None for a blueprint.
        :raises SettingsInvalid: if it cannot be mounted there, such as under a name that is taken.
        :raises FlowRunnerError: saying what must be changed.
        """
        refuse_target(app, self.subdomain)
        if isinstance(app, Blueprint):
            app.record(self._join_with_blueprint)
            return None
        return self._join(app, Place(self.url_prefix, self.subdomain))

    def _join_with_blueprint(self, state: Any) -> None:
        self._join(state.app, Place.in_blueprint(state, self.url_prefix))

    def _join(self, app: Flask, place: Place) -> Runner:
        runners = runners_of(app)
        prefix = PREFIX if self.name == EXTENSION else f"{self.name.upper().replace('-', '_')}_{PREFIX}"
        self._refuse_second(app, runners, prefix)
        given = self._arguments(app)
        manager, settings = load_plugins(
            app.config,
            plugins=self._plugins,
            prefix=prefix,
            overrides=given if self._alone else None,
            defaults=None if self._alone else given,
        )
        check_app = getattr(self._identity, "check_app", None)
        if check_app is not None:
            check_app(app)
        memory = self._memory if not isinstance(self._memory, str) else None
        wishes = Wishes(db=self._db, identify=self._identity, offer=self._offer, memory=memory, alone=self._alone)
        runner = build_runner(app, manager, settings, wishes)
        try:
            mount(app, runner, name=self.name, place=place, guard=self._guard)
        except BaseException:
            runner.close()
            raise
        close_unheld(runner)
        return runner

    def _refuse_second(self, app: Flask, runners: dict[str, Runner], prefix: str) -> None:
        if self.name in runners:
            raise SettingsInvalid(
                f"This app already has a runner named {self.name!r}; pass another name: FlowRunner(name=...)."
            )
        for name, other in runners.items():
            if other.settings.prefix == prefix:
                raise SettingsInvalid(
                    f"The runners {name!r} and {self.name!r} would both read settings with the prefix {prefix}; pass"
                    " another name."
                )
        if self.name in app.blueprints:
            raise SettingsInvalid(
                f"This app already has a blueprint named {self.name!r}; pass another name: FlowRunner(name=...)."
            )

    def _arguments(self, app: Flask) -> dict[str, Any]:
        found = dict(self._settings)
        if isinstance(self._memory, str):
            found["MEMORY"] = self._memory
        if self._flows_dir is not None:
            from pathlib import Path

            base = Path.cwd() if self._alone else Path(app.root_path)
            found["FLOWS_DIR"] = tuple(str(base / Path(folder).expanduser()) for folder in self._flows_dir)
        return found


def stand_alone(**settings: Any) -> FlowRunner:
    """Return an extension for a stand-alone app, with the routes at the root.

    :param settings: as those of :class:`FlowRunner`; folders are relative to the working folder.
    """
    made = FlowRunner(url_prefix="/", **settings)
    made._alone = True
    return made


ask_outside_of_runs(memory_of_sender)

"""Ready-made identity callables for ``FlowRunner(identity=...)``.

Each function returns a callable that takes a request and returns an :class:`~flowrunner.Identity`,
or None for nobody. A request of nobody may still carry an API key. Who is known may run flows and
talk to them; who may make flows, and have variables and keys, is for the site to say.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from flowrunner.addresses import network_of
from flowrunner.errors import FlowRunnerError, SettingsInvalid, TooMany
from flowrunner.identity import VISITOR, Identity
from flowrunner.memory.message import new_id, utc_now
from flowrunner.shares import WrongKeys

if TYPE_CHECKING:
    from flask import Flask, Request, Response
    from itsdangerous import TimestampSigner

Identify = Callable[["Request"], Identity | None]
SaysOfUser = Callable[[Any], bool]


def flask_login(*, admin: SaysOfUser | None = None, author: SaysOfUser | None = None) -> Identify:
    """Take the user that Flask-Login knows; the owner is what its ``get_id()`` returns.

    :param admin: says of a user whether they may see everybody's conversations; by default nobody may.
    :param author: says of a user whether they may make and change flows; by default nobody may.
    """

    def identify(request: Request) -> Identity | None:
        from flask import current_app
        from flask_login import current_user

        if not hasattr(current_app, "login_manager"):
            raise FlowRunnerError("identity.flask_login() needs Flask-Login: call login_manager.init_app(app).")
        user = current_user._get_current_object()
        if user is None or not user.is_authenticated:
            return None
        found = user.get_id()
        if found is None:
            return None
        admins, authors = bool(admin and admin(user)), bool(author and author(user))
        return Identity(str(found), admin=admins, author=authors, name=_name_of(user))

    return identify


def flask_security(*, admin_role: str | None = None, author_role: str | None = None) -> Identify:
    """Take the user that Flask-Security knows: by session, or by its own authentication token.

    The owner is the user's ``id``, and their ``fs_uniquifier`` only if they have none: that changes
    with the password, and conversations should not be lost with it.

    :param admin_role: name of the role that may see everybody's conversations; by default none may.
    :param author_role: name of the role that may make and change flows; by default none may.
    """

    def identify(request: Request) -> Identity | None:
        from flask_security import current_user

        user = current_user._get_current_object()
        if user is None or not user.is_authenticated or not getattr(user, "is_active", True):
            return None
        found = next((getattr(user, n) for n in ("id", "fs_uniquifier") if getattr(user, n, None)), None)
        admin = admin_role is not None and user.has_role(admin_role)
        author = author_role is not None and user.has_role(author_role)
        if found is None:
            return None
        return Identity(str(found), admin=bool(admin), author=bool(author), name=_name_of(user))

    return identify


def http_basic(
    check: Callable[[str, str], bool] | Mapping[str, str],
    *,
    admins: Sequence[str] = (),
    authors: Sequence[str] = (),
    max_wrong: int = 30,
) -> Identify:
    """Take the name of HTTP Basic authentication, if its password is right.

    :param check: takes name and password and says whether they belong together; or a mapping of
        names to password hashes, as ``werkzeug.security.generate_password_hash`` makes them.
    :param admins: names that may see everybody's conversations.
    :param authors: names that may make and change flows.
    :param max_wrong: wrong passwords that one address may send to a process in a minute; 0: any number. Over that,
        only who was let in from there before is, until the address has been quiet for as long as the answer says.
    """
    fits = _check_hashes(check) if isinstance(check, Mapping) else check
    wrong, known = WrongKeys(max_wrong), _LetIn()

    def identify(request: Request) -> Identity | None:
        given = request.authorization
        if given is None or given.type != "basic" or not given.username:
            return None
        password, address = given.password or "", network_of(request.remote_addr)
        wait = wrong.wait(address)
        if wait and not known.has(address, given.username, password):
            # Not even looked at: a right guess must not be told from a wrong one.
            raise TooMany(
                f"Too many wrong passwords from your address: try again in {wait} second{'s' * (wait != 1)}.",
                retry_after=wait,
            )
        if not fits(given.username, password):
            wrong.note(address)
            return None
        if max_wrong:
            known.note(address, given.username, password)
        name = given.username
        return Identity(name, admin=name in admins, author=name in authors, name=name)

    return identify


class _LetIn:
    """Who was let in of late, from where; of their passwords a digest that nobody else can make."""

    _MOST: Final = 10_000

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._digests: OrderedDict[bytes, None] = OrderedDict()
        self._lock = threading.Lock()

    def has(self, *words: str) -> bool:
        return self._digest(words) in self._digests

    def note(self, *words: str) -> None:
        digest = self._digest(words)
        with self._lock:
            self._digests[digest] = None
            self._digests.move_to_end(digest)
            if len(self._digests) > self._MOST:
                self._digests.popitem(last=False)

    def _digest(self, words: Sequence[str]) -> bytes:
        said = "\0".join(words).encode("utf-8", "surrogatepass")
        return hashlib.blake2b(said, key=self._key, digest_size=16).digest()


def _check_hashes(hashes: Mapping[str, str]) -> Callable[[str, str], bool]:
    kept = dict(hashes)

    def fits(name: str, password: str) -> bool:
        from werkzeug.security import check_password_hash, generate_password_hash

        if name not in kept:
            # As much work as for a name that is there, so that time does not tell which are.
            generate_password_hash(password)
            return False
        return check_password_hash(kept[name], password)

    return fits


def jwt(
    key: Any,
    *,
    algorithms: Sequence[str],
    audience: str | None = None,
    issuer: str | None = None,
    claim: str = "sub",
    admin_claim: str | None = None,
    author_claim: str | None = None,
    leeway: float = 0.0,
) -> Identify:
    """Take a claim of a signed token in ``Authorization: Bearer``; wants the package PyJWT.

    A token that is expired, forged or meant for somebody else makes nobody known.

    :param key: the key that proves signatures: a secret, a public key, or a function that takes the
        token and returns its key (such as ``lambda token: jwks.get_signing_key_from_jwt(token).key``).
    :param algorithms: algorithms that are believed, such as ``["RS256"]``; never taken from the token.
    :param audience: what the token must be meant for; a token that names an audience is refused without it.
    :param issuer: who must have made it.
    :param claim: the claim that is the owner.
    :param admin_claim: a claim that, if it is true, lets the caller see everybody's conversations.
    :param author_claim: a claim that, if it is true, lets the caller make and change flows.
    :param leeway: seconds by which clocks may differ.
    :raises FlowRunnerError: if no algorithm is named.
    """
    if not algorithms or isinstance(algorithms, str) or "none" in {name.lower() for name in algorithms}:
        raise FlowRunnerError("jwt(algorithms=[...]): list the accepted algorithms, such as ['RS256'].")

    def identify(request: Request) -> Identity | None:
        import jwt as pyjwt

        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        token = token.strip()
        # An API key of ours comes as a bearer token too, and has no dots.
        if scheme.lower() != "bearer" or token.count(".") != 2:
            return None
        try:
            proof = key(token) if callable(key) else key
            claims = pyjwt.decode(
                token,
                proof,
                algorithms=list(algorithms),
                audience=audience,
                issuer=issuer,
                leeway=leeway,
                options={"require": ["exp", claim]},
            )
        except pyjwt.PyJWTError:
            return None
        owner = claims[claim]
        if not isinstance(owner, (str, int)) or isinstance(owner, bool) or owner == "":
            return None
        admin = admin_claim is not None and claims.get(admin_claim) is True
        author = author_claim is not None and claims.get(author_claim) is True
        return Identity(str(owner), admin=admin, author=author, name=str(claims.get("name", "")))

    return identify


def visitors(*, cookie: str = "flowrunner_visitor", days: int = 30) -> Identify:
    """Take every browser for somebody of its own, without a login: for chat on public pages.

    The first request gets a signed cookie with a random id; who has lost it has lost their
    conversations. The cookie is as strict as the site's own (``SESSION_COOKIE_SAMESITE``,
    ``SESSION_COOKIE_SECURE`` and so on). Wants the app's ``SECRET_KEY``, or nothing is mounted. Since
    anybody gets as many cookies as they ask for, limits count visitors together.

    :param cookie: name of the cookie.
    :param days: how long it is kept after its last use.
    """
    place = f"flowrunner.visitor.{cookie}"

    def identify(request: Request) -> Identity:
        # Not in flask.g: where an app context stays pushed, all requests have the same one.
        visitor = request.environ.get(place)
        if visitor is None:
            visitor = request.environ[place] = _read_visitor(request, cookie, days * 86400)
        return Identity(visitor, name="visitor", nameless=True, address=network_of(request.remote_addr))

    identify.check_app = _want_secret_key  # type: ignore[attr-defined]
    return identify


def _want_secret_key(app: Flask) -> None:
    """Refuse an app that could sign no cookie.

    :raises SettingsInvalid: if it has no SECRET_KEY.
    """
    if not app.secret_key:
        raise SettingsInvalid(
            "identity.visitors() signs a cookie: set the app's SECRET_KEY before FlowRunner(app) or init_app(app)."
        )


def _read_visitor(request: Request, cookie: str, seconds: int) -> str:
    """Return the visitor's id, a new one where there is none; the cookie is sent again once a day."""
    from datetime import timedelta

    from itsdangerous import BadSignature

    signer = _visitor_signer()
    try:
        kept, signed_at = signer.unsign(request.cookies.get(cookie, ""), max_age=seconds, return_timestamp=True)
        visitor = kept.decode()
        if utc_now() - signed_at < timedelta(days=1):
            return visitor
    except BadSignature:
        visitor = f"{VISITOR}{new_id()}"
    _send_cookie(cookie, signer.sign(visitor).decode(), seconds, secure=request.is_secure)
    return visitor


def _visitor_signer() -> TimestampSigner:
    import hashlib

    from flask import current_app
    from itsdangerous import TimestampSigner

    if not current_app.secret_key:
        raise FlowRunnerError("identity.visitors() signs a cookie and needs the app's SECRET_KEY.")
    keys = [*(current_app.config.get("SECRET_KEY_FALLBACKS") or ()), current_app.secret_key]
    return TimestampSigner(keys, salt="flowrunner-visitor", key_derivation="hmac", digest_method=hashlib.sha256)


def _send_cookie(name: str, value: str, seconds: int, *, secure: bool) -> None:
    from flask import after_this_request, current_app

    sessions = current_app.session_interface
    secure = secure or sessions.get_cookie_secure(current_app)
    # Browsers take an answer that says nothing for Lax; we say it.
    strictness = sessions.get_cookie_samesite(current_app) or "Lax"
    path, domain = sessions.get_cookie_path(current_app), sessions.get_cookie_domain(current_app)

    @after_this_request
    def send(response: Response) -> Response:
        response.set_cookie(
            name,
            value,
            max_age=seconds,
            httponly=True,
            samesite=strictness,
            secure=secure,
            path=path,
            domain=domain,
            partitioned=sessions.get_cookie_partitioned(current_app),
        )
        return response


def everybody(owner: str = "everybody", *, author: bool = False) -> Identify:
    """Take all who come for the same one user, who shares all conversations: for a site behind a login of its own.

    :param owner: the one user's id.
    :param author: whether everybody may make and change flows.
    """
    shared = Identity(owner, name=owner, author=author)
    return lambda request: shared


def first_of(*recipes: Identify) -> Identify:
    """Ask several recipes, and take the first that knows somebody: such as a login, else a token.

    :param recipes: recipes, in the order in which they are asked.
    """

    def identify(request: Request) -> Identity | None:
        return next((found for recipe in recipes if (found := recipe(request)) is not None), None)

    def check_app(app: Flask) -> None:
        for recipe in recipes:
            if hasattr(recipe, "check_app"):
                recipe.check_app(app)

    identify.check_app = check_app  # type: ignore[attr-defined]
    return identify


def _name_of(user: Any) -> str:
    for member in ("username", "name", "email"):
        found = getattr(user, member, None)
        if isinstance(found, str) and found:
            return found
    return ""

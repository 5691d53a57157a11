"""The ASGI app in front of all apps: each request is checked, let in by a cookie, and passed on; the rest is refused.

There is no other way to an app. What a request brings is judged by `guard.py` and `sessions.py`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import Literal

import anyio
import msgspec
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from patter_core.aio.foreign import as_exception
from patter_core.app import VISITOR, Visitor
from patter_core.apps.access import AppAccess
from patter_core.apps.guard import Guard, RequestFacts, facts_of
from patter_core.apps.headers import with_security
from patter_core.apps.pages import apps_page, entry_page, static_file
from patter_core.apps.sessions import Links, PasswordGate, Session, Sessions, Tried
from patter_core.server.connections import note_proof

__all__ = ["Front"]

_log = logging.getLogger("patter.apps")

_OWN = "/-/"
"""Below this path the core itself answers."""
_LONGEST_PROOF = 4096
_PROOF_WITHIN = 5.0


class Proof(msgspec.Struct, frozen=True):
    """What a browser sends to be let in: one of the two."""

    token: str = ""
    password: str = ""

    def __repr__(self) -> str:
        return "<Proof>"


class Front:
    """Serves the apps.

    Args:
        apps: by the first part of their path. With "", there is one alone, at the root.
        titles: of the apps, by name.
        access: who is let in, as resolved.
        key: for cookies.
        authenticate: in place of link and password: returns the user's name for a request's scope, "" for strangers.
            The server that calls the app then checks `Host`, too.
        on_link_used: called when the link was used, and another one is valid.
    """

    def __init__(
        self,
        apps: Mapping[str, ASGIApp],
        *,
        titles: Mapping[str, str],
        access: AppAccess,
        key: bytes,
        authenticate: Callable[[Scope], str] | None = None,
        on_link_used: Callable[[], None] = lambda: None,
    ) -> None:
        self.links = Links()
        self._apps = apps
        self._titles = titles
        self._access = access
        self._guard = Guard(access, any_host=authenticate is not None)
        self._sessions = Sessions(key, access.session)
        self._gate = PasswordGate(access.password, time.monotonic())
        self._authenticate = authenticate
        self._on_link_used = on_link_used

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request or WebSocket, as an ASGI application."""
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        facts = facts_of(scope, self._access.trusted_header)
        refusal = self._guard.refusal(facts)
        if refusal:
            await _send_answer(_error(403, refusal), scope, receive, send)
            return
        root = scope.get("root_path", "")
        path = scope["path"].removeprefix(root) or "/"
        if path.startswith(_OWN):
            answer = await self._own(path.removeprefix(_OWN), facts, scope, receive)
            await _send_answer(answer, scope, receive, send)
            return
        visitor = self._visitor(facts, scope)
        if visitor is None:
            await _send_answer(self._entry(facts, root), scope, receive, send)
            return
        note_proof(scope)
        await self._pass_on(path, {**scope, VISITOR: visitor}, receive, send)

    # --- who it is -------------------------------------------------------------------------------------------------

    def _visitor(self, facts: RequestFacts, scope: Scope) -> Visitor | None:
        """Returns who is let in; None for strangers."""
        if self._authenticate is not None:
            return self._authenticated(scope)
        is_local = self._guard.is_local(facts)
        if facts.trusted and not is_local:
            return self._as_visitor(facts.trusted)
        session = self._session(facts)
        if session is None or (session.way == "link" and not is_local):
            return None
        return self._as_visitor("")

    def _authenticated(self, scope: Scope) -> Visitor | None:
        assert self._authenticate is not None  # the caller has looked
        try:
            user = str(self._authenticate(scope) or "")
        except BaseException as error:  # noqa: BLE001 - the user's code: where it fails, there is no way in
            _log.error("What decides who may use an app failed; the request is refused.", exc_info=as_exception(error))
            return None
        return self._as_visitor(user) if user else None

    def _as_visitor(self, user: str) -> Visitor:
        unmasked = self._access.unmasked
        return Visitor(user, unmasked if isinstance(unmasked, bool) else user in unmasked)

    def _session(self, facts: RequestFacts) -> Session | None:
        now, name = time.time(), _cookie_name(facts)
        for given, value in facts.cookies:
            if given == name and (session := self._sessions.read(value, now)) is not None:
                return session
        return None

    # --- our own pages ---------------------------------------------------------------------------------------------

    def _entry(self, facts: RequestFacts, root: str) -> Response:
        if self._authenticate is not None or not facts.accepts_html or facts.method != "GET":
            return _error(401, "Sign in first.")
        page = entry_page(root, has_password=bool(self._access.password), is_local=self._guard.is_local(facts))
        return HTMLResponse(page, status_code=401)

    async def _own(self, name: str, facts: RequestFacts, scope: Scope, receive: Receive) -> Response:
        if facts.is_socket:
            return _error(404, "There is nothing here.")
        if name == "session" and facts.method == "POST" and self._authenticate is None:
            return await self._let_in(facts, Request(scope, receive))
        if name == "logout" and facts.method == "POST":
            session = self._session(facts)
            if session is not None:
                self._sessions.end(session)
            answer = Response(status_code=204)
            answer.delete_cookie(_cookie_name(facts), path=_cookie_path(scope))
            return answer
        if facts.method != "GET":
            return _error(405, "That cannot be done here.")
        return static_file(name) or _error(404, "There is nothing here.")

    async def _let_in(self, facts: RequestFacts, request: Request) -> Response:
        proof = await _read_proof(request)
        if proof is None:
            return _error(400, "A token or a password is expected, as JSON.")
        if proof.token:
            if not self._guard.is_local(facts) or not self.links.use(proof.token):
                return _error(403, "This link was used, or is not of this server. It prints a new one after each use.")
            self._on_link_used()
            return self._with_cookie("link", facts, request.scope)
        if not self._access.password:
            return _error(403, "There is no password. Use the link that the server printed.")
        match self._gate.tried(proof.password, time.monotonic()):
            case Tried.TOO_SOON:
                return _error(429, "Too many passwords were tried. Wait a minute.", {"retry-after": "60"})
            case Tried.WRONG:
                _log.warning("Someone tried a wrong password for the apps.")
                return _error(403, "The password is wrong.")
            case Tried.RIGHT:
                return self._with_cookie("password", facts, request.scope)

    def _with_cookie(self, way: Literal["link", "password"], facts: RequestFacts, scope: Scope) -> Response:
        answer = Response(status_code=204)
        answer.set_cookie(
            _cookie_name(facts),
            self._sessions.begin(way, time.time()),
            max_age=int(self._access.session),
            path=_cookie_path(scope),
            secure=facts.is_secure,
            httponly=True,
            samesite="strict",
        )
        return answer

    # --- the apps --------------------------------------------------------------------------------------------------

    async def _pass_on(self, path: str, scope: Scope, receive: Receive, send: Send) -> None:
        root, name, is_socket = scope.get("root_path", ""), "", scope["type"] == "websocket"
        if "" not in self._apps:
            name, slash, _ = path[1:].partition("/")
            if name not in self._apps or not slash:
                await _send_answer(self._list(name, root), scope, receive, send)
                return
        inner = {**scope, "root_path": f"{root}/{name}" if name else root}
        guarded = send if is_socket else _Guarded(send)
        try:
            await self._apps[name](inner, receive, guarded)
        except Exception:  # the plugin boundary: what the app failed to do stays with this request
            _log.exception("The app %s failed.", name or next(iter(self._titles), ""))
            if is_socket:
                raise  # the server closes the socket
            if isinstance(guarded, _Guarded) and not guarded.started:
                await _send_answer(_error(500, "The app failed. The server's log says why."), scope, receive, send)

    def _list(self, name: str, root: str) -> Response:
        if name in self._apps:
            return RedirectResponse(f"{root}/{name}/", status_code=307)
        if name:
            return _error(404, "There is no such app.")
        if len(self._apps) == 1:
            return RedirectResponse(f"{root}/{next(iter(self._apps))}/", status_code=307)
        return HTMLResponse(apps_page(root, self._titles))


async def _send_answer(answer: Response, scope: Scope, receive: Receive, send: Send) -> None:
    """Sends an answer of our own; a WebSocket is refused with status 403, whatever the answer is."""
    if scope["type"] == "websocket":
        await receive()  # websocket.connect
        await send({"type": "websocket.close", "code": 1008})  # before it was accepted
        return
    await answer(scope, receive, _Guarded(send))


class _Guarded:
    """Sends an answer with our headers."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.started = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            message = {**message, "headers": with_security(message.get("headers", ()))}
        await self._send(message)


async def _read_proof(request: Request) -> Proof | None:
    body = bytearray()
    with anyio.move_on_after(_PROOF_WITHIN):
        async for part in request.stream():
            body += part
            if len(body) > _LONGEST_PROOF:
                return None
        try:
            return msgspec.json.decode(body, type=Proof)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None
    return None


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


def _error(status: int, text: str, headers: Mapping[str, str] | None = None) -> Response:
    body = msgspec.json.encode({"error": text})
    return Response(body, status_code=status, headers=headers, media_type="application/json")


def _cookie_name(facts: RequestFacts) -> str:
    """Returns the cookie's name. Servers on several ports of a host get each other's cookies: the port is in it."""
    return f"patter-apps-{facts.port}" if facts.port else "patter-apps"


def _cookie_path(scope: Scope) -> str:
    return f"{scope.get('root_path', '')}/"

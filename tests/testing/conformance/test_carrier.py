"""`check_carrier`: a sound carrier keeps its contract; each with one mistake fails, for the reason that is its own."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from patter_core.errors import ConformanceError
from patter_core.testing import check_carrier
from patter_core.testing.emulator import CarrierEmulator

pytestmark = pytest.mark.anyio

Write = Callable[..., Callable[[], CarrierEmulator]]

TAKE = "    def take(self, message: Message) -> Sequence[MediaEvent]:\n"
DECODE = "    def decode(self, message):\n        return {}\n\n"

# What it does wrong: the file, the sound text, what stands there instead, and what the check must say of it.
MISTAKES = {
    "is made for another core": (
        "carrier.py",
        'name: ClassVar[str] = "acme"',
        'name: ClassVar[str] = "acme"; api_version: ClassVar[int] = 99',
        "made for another version of the contract",
    ),
    "has no usable name": ("carrier.py", 'name: ClassVar[str] = "acme"', 'name = "Acme Inc."', "no usable name"),
    "shows its key in its own checks": (
        "carrier.py",
        "    def token_secret(self)",
        (
            "    async def check(self):\n"
            "        from patter_core.checks import CheckResult, Level\n"
            "        return [CheckResult(Level.OK, f'The key {self.api_key} is valid.')]\n\n"
            "    def token_secret(self)"
        ),
        "in a CheckResult",
    ),
    "makes no codec": (
        "carrier.py",
        "        return AcmeCodec()\n",
        "        raise KeyError('codec')\n",
        "got: KeyError: 'codec'",
    ),
    "shows its key": ("carrier.py", 'field(default="", repr=False)', 'field(default="")', "in repr(carrier)"),
    "makes up its token secret": (
        "carrier.py",
        'hmac.digest(self.api_key.encode(), b"patter: stream tokens", "sha256")',
        '__import__("os").urandom(32)',
        "different token secrets",
    ),
    "has a token secret that is none": (
        "carrier.py",
        'hmac.digest(self.api_key.encode(), b"patter: stream tokens", "sha256")',
        'b"secret"',
        "token_secret() returns no key material",
    ),
    "has no voice webhook": ("carrier.py", '{"voice": self._voice}', '{"Voice": self._voice}', "“voice”, and names"),
    "shares one codec": (
        "carrier.py",
        "return AcmeCodec()",
        'return globals().setdefault("codec", AcmeCodec())',
        "share one codec",
    ),
    "dies of a malformed message": (
        "wire.py",
        TAKE,
        DECODE.format("self.take(msgspec.json.decode(message, type=Message))") + TAKE,
        "decode() raised",
    ),
    "dies of bad audio": ("wire.py", "except AudioError:", "except KeyError:", "decode() raised"),
    "repeats what was said": (
        "wire.py",
        "return Faults.NOT_BASE64",
        "return (type(Faults.LATE[0])(message.value[:90]),)",
        "stands in MediaFault.problem",
    ),
    "says nothing of a binary message": (
        "wire.py",
        TAKE,
        DECODE.format("None if isinstance(message, bytes) else super().decode(message)") + TAKE,
        "something else than a sequence",
    ),
    "takes any key": (
        "wire.py",
        "return self.key(message.value)",
        "return (type(self.key('1')[0])(message.value),)",
        "is not a key of a telephone",
    ),
    "believes anybody": (
        "signing.py",
        "    for url in request.candidate_urls:\n",
        "    for url in request.candidate_urls[-1:]:\n        return url\n",
        "is not refused",
    ),
    "raises something else for a forgery": (
        "signing.py",
        "raise WebhookRefused(",
        "raise ValueError if request.body else WebhookRefused(",
        "raises something else than WebhookRefused",
    ),
    "signs the address alone": (
        "signing.py",
        'url.encode() + b"\\n" + body',
        "url.encode()",
        "in its body",
    ),
    "makes up the call's id": (
        "carrier.py",
        "call_id=ring.call_id,",
        'call_id=ring.call_id + __import__("secrets").token_hex(4),',
        "does not reach the engine",
    ),
    "holds audio back": (
        "wire.py",
        'return _text(Message("audio", chunk.base64))',
        'return _text(Message("audio", chunk.base64)) if chunk.size > 5 else ""',
        "encode_audio() returns something else than a message",
    ),
    "loses audio": (
        "wire.py",
        'return _text(Message("audio", chunk.base64))',
        'return _text(Message("audio", AudioChunk(chunk.data[:300], ULAW_8000).base64))',
        "not what the agent said",
    ),
    "forgets the names of marks": (
        "wire.py",
        'return (_text(Message("mark", name)),)',
        'return (_text(Message("mark")),)',
        "What the caller heard is not reported as it was",
    ),
    "cannot fall silent": ("wire.py", 'return (_text(Message("clear")),)', "return ()", "goes on hearing the agent"),
    "hears no keys": ("wire.py", 'case "key":', 'case "keys":', "keys that the caller pressed do not arrive"),
    "misses the end": ("wire.py", "return self.close_stream()", "return ()", "taken for something else"),
    "finds fault with sound messages": (
        "wire.py",
        "return (MediaMark(message.value),)",
        "return (MediaMark(message.value), *Faults.LATE)",
        "finds fault with sound messages",
    ),
    "does not hang up": (
        "carrier.py",
        "    async def hang_up(self, leg: Leg) -> None:\n",
        "    async def hang_up(self, leg: Leg) -> None:\n        return\n",
        "the call stays up",
    ),
    "does not know that a call is over": (
        "rest.py",
        "if error.status not in _GONE:",
        "if error:",
        "hang_up() of a call that is over is an error",
    ),
    "passes on an error of the network": (
        "rest.py",
        "                raise\n",
        "                raise ConnectionError from None\n",
        "something else than CarrierRequestFailed",
    ),
    "puts its key into an error": (
        "rest.py",
        'action="hang up"',
        "action=str(self._headers)",
        "in the text of an error",
    ),
    "logs what it is sent": (
        "carrier.py",
        "        url = verify(request, self.api_key)\n",
        (
            "        url = verify(request, self.api_key)\n"
            '        __import__("logging").getLogger(__name__).debug("asked: %s", request.body)\n'
        ),
        "in a log line",
    ),
}


async def test_what_patter_new_writes_is_sound(write: Write) -> None:
    await check_carrier(write("carrier"))


@pytest.mark.slow
@pytest.mark.parametrize(("file", "sound", "broken", "said"), MISTAKES.values(), ids=MISTAKES.keys())
async def test_one_with_a_mistake_is_told_which(write: Write, file: str, sound: str, broken: str, said: str) -> None:
    with pytest.raises(ConformanceError) as caught:
        await check_carrier(write("carrier", file, sound, broken), patience=0.6)
    assert said in str(caught.value)

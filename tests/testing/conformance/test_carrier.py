"""`check_carrier`: a sound carrier keeps its contract; each with one mistake fails, for the reason that is its own."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

import pytest

from patter_core.errors import ConformanceError
from patter_core.testing import check_carrier
from patter_core.testing.emulator import CarrierEmulator
from tests.testing.conformance.told import told

pytestmark = pytest.mark.anyio

Write = Callable[..., Callable[[], CarrierEmulator]]

SLOWLY = "__import__('time').sleep(0.05)"
MARK = '        return (_text(Message("mark", name)),)\n'
VOICE = "    async def _voice(self, request: WebhookRequest, router: CallRouter) -> WebhookResponse:\n"
HANG_UP = "    async def hang_up(self, leg: Leg) -> None:\n"
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
    "shows its key, encoded": (
        "carrier.py",
        "    def token_secret(self)",
        (
            "    def __repr__(self):\n"
            "        import base64\n"
            "        return f'Acme({base64.b64encode(b\"user:\" + self.api_key.encode())!r})'\n\n"
            "    def token_secret(self)"
        ),
        "in repr(carrier)",
    ),
    "raises a group": (
        "rest.py",
        "        try:\n            await self.request(",
        (
            "        if self:\n            raise ExceptionGroup('two', [ExceptionGroup('one', [KeyError('what')])])\n"
            "        try:\n            await self.request("
        ),
        "got: KeyError: 'what'",
    ),
    "makes up its token secret": (
        "carrier.py",
        'hmac.digest(self.api_key.encode(), b"patter: stream tokens", "sha256")',
        '__import__("os").urandom(32)',
        "different token secrets",
    ),
    "has one token secret for all": (
        "carrier.py",
        'hmac.digest(self.api_key.encode(), b"patter: stream tokens", "sha256")',
        'hmac.digest(b"acme", b"patter: stream tokens", "sha256")',
        "Two accounts have the same token secret.",
    ),
    "has a token secret that is none": (
        "carrier.py",
        'hmac.digest(self.api_key.encode(), b"patter: stream tokens", "sha256")',
        'b"secret"',
        "token_secret() returns no key material",
    ),
    "has no voice webhook": ("carrier.py", '{"voice": Webhook', '{"Voice": Webhook', "“voice”, and names"),
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
        "A message of agent audio has another length than what encode_audio() was given.",
    ),
    "pads audio": (
        "wire.py",
        'return _text(Message("audio", chunk.base64))',
        'return _text(Message("audio", AudioChunk(chunk.data + bytes(-chunk.size % 160), ULAW_8000).base64))',
        "A message of agent audio has another length than what encode_audio() was given.",
    ),
    "cuts audio anew": (
        "wire.py",
        '        return _text(Message("audio", chunk.base64))',
        (
            '        audio = self.__dict__.pop("rest", b"") + chunk.data\n'
            "        self.rest = audio[160:]\n"
            '        return _text(Message("audio", AudioChunk(audio[:160], ULAW_8000).base64))'
        ),
        "A message of agent audio has another length than what encode_audio() was given.",
    ),
    "is wrong about its format": (
        "wire.py",
        "return MediaOutput(format=ULAW_8000)",
        "return MediaOutput(format=__import__('patter_core.audio').audio.PCM16_16000)",
        "A message of agent audio has another length than what encode_audio() was given.",
    ),
    "changes audio": (
        "wire.py",
        'return _text(Message("audio", chunk.base64))',
        'return _text(Message("audio", AudioChunk(chunk.data[::-1], ULAW_8000).base64))',
        "got: 500 ms of ulaw_8000, other audio from byte",
    ),
    "starts its stream twice": (
        "wire.py",
        'return self.open_stream("", MediaOpened(call_id=message.value, format=ULAW_8000))',
        'return 2 * self.open_stream("", MediaOpened(call_id=message.value, format=ULAW_8000))',
        "A media stream starts more than once",
    ),
    "takes its own marks for the carrier's": (
        "wire.py",
        MARK,
        (
            f'        self.__dict__.setdefault("early", []).append(MediaMark(name))\n{MARK}\n'
            "    def decode(self, message):\n"
            '        return (*super().decode(message), *self.__dict__.pop("early", ()))\n'
        ),
        "A mark came back before its audio can have been played.",
    ),
    "sends what the carrier does not know": (
        "wire.py",
        MARK,
        MARK.replace(",)\n", ', _text(Message("beat")))\n'),
        "got: 400 unknown message",
    ),
    "declares what it has not": (
        "carrier.py",
        '    api_key: str = dataclasses.field(default="", repr=False)',
        (
            "    from patter_core.telephony.control import Capability\n"
            "    capabilities = frozenset({Capability.RECORD})\n"
            '    api_key: str = dataclasses.field(default="", repr=False)'
        ),
        "The capability record is declared, and start_recording() is not written.",
    ),
    "declares a part without the whole": (
        "carrier.py",
        '    api_key: str = dataclasses.field(default="", repr=False)',
        (
            "    from patter_core.telephony.control import Capability\n"
            "    capabilities = frozenset({Capability.PRICE})\n"
            '    api_key: str = dataclasses.field(default="", repr=False)'
        ),
        "The capability price is declared without look_up",
    ),
    "declares a part of a part without it": (
        "carrier.py",
        '    api_key: str = dataclasses.field(default="", repr=False)',
        (
            "    from patter_core.telephony.control import Capability\n"
            "    capabilities = frozenset({Capability.HUMAN_DETECTION})\n"
            '    api_key: str = dataclasses.field(default="", repr=False)'
        ),
        "The capability human_detection is declared without machine_detection",
    ),
    "forgets the names of marks": (
        "wire.py",
        'return (_text(Message("mark", name)),)',
        'return (_text(Message("mark")),)',
        "What the caller heard is not reported as it was",
    ),
    "cannot fall silent": ("wire.py", 'return (_text(Message("clear")),)', "return ()", "goes on hearing the agent"),
    "hears no keys": (
        "wire.py",
        'case "key":',
        'case "keys":',
        "[carrier: two calls at once] The keys that the caller pressed do not arrive",
    ),
    "misses the end": ("wire.py", "return self.close_stream()", "return ()", "taken for something else"),
    "finds fault with sound messages": (
        "wire.py",
        "return (MediaMark(message.value),)",
        "return (MediaMark(message.value), *Faults.LATE)",
        "finds fault with sound messages",
    ),
    "does not hang up": (
        "carrier.py",
        HANG_UP,
        f"{HANG_UP}        return\n",
        "[carrier: hanging up a live call] hang_up() returns, and the call stays up.",
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


# Methods that hold the event loop: likewise. Each is found at once.
SLOW = {
    "decode()": ("wire.py", TAKE, DECODE.format(f"({SLOWLY}, super().decode(message))[1]") + TAKE),
    "encode_audio()": (
        "wire.py",
        'return _text(Message("audio", chunk.base64))',
        f'{SLOWLY}\n        return _text(Message("audio", chunk.base64))',
    ),
    "encode_mark()": ("wire.py", MARK, f"        {SLOWLY}\n{MARK}"),
    "verify_upgrade()": (
        "carrier.py",
        "        verify(request, self.api_key)\n\n",
        f"        {SLOWLY}\n        verify(request, self.api_key)\n\n",
    ),
    "The handler “voice”": ("carrier.py", VOICE, f"{VOICE}        {SLOWLY}\n"),
    "hang_up()": ("carrier.py", HANG_UP, f"{HANG_UP}        {SLOWLY.replace('0.05', '0.5')}\n"),
}


async def test_what_patter_new_writes_is_sound(write: Write) -> None:
    await check_carrier(write("carrier"))


@pytest.mark.slow
@pytest.mark.parametrize(("file", "sound", "broken", "said"), MISTAKES.values(), ids=MISTAKES.keys())
async def test_one_with_a_mistake_is_told_which(write: Write, file: str, sound: str, broken: str, said: str) -> None:
    emulator = write("carrier", file, sound, broken)
    await told(lambda patience: check_carrier(emulator, patience=patience), said)


@pytest.mark.slow
@pytest.mark.parametrize(("method", "file", "sound", "broken"), [(name, *text) for name, text in SLOW.items()])
async def test_a_method_that_holds_the_event_loop_is_found_at_once(
    write: Write, method: str, file: str, sound: str, broken: str
) -> None:
    began = time.monotonic()
    with pytest.raises(ConformanceError) as caught:
        await check_carrier(write("carrier", file, sound, broken))
    assert f"{method} holds the event loop, and with it every call." in str(caught.value)
    assert re.search(r"got: (5\d|6\d|7\d|5\d\d) ms", str(caught.value))
    assert time.monotonic() - began < 8

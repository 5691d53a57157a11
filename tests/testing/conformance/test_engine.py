"""`check_engine`: a sound engine keeps its contract; each with one mistake fails, for the reason that is its own."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from patter_core.errors import EngineError
from patter_core.testing import check_engine
from patter_core.testing.emulator import EngineEmulator
from tests.testing.conformance.continuous import FlowEmulator
from tests.testing.conformance.told import told

pytestmark = pytest.mark.anyio

Write = Callable[..., Callable[[], EngineEmulator]]

# What it does wrong: the file, the sound text, what stands there instead, and what the check must say of it.
MISTAKES = {
    "shows its key": ("engine.py", 'field(default="", repr=False)', 'field(default="")', "in repr(engine)"),
    "logs its key": (
        "engine.py",
        "        socket = await EngineSocket.open(",
        (
            '        __import__("logging").getLogger(__name__).debug("with %s", self.api_key)\n'
            "        socket = await EngineSocket.open("
        ),
        "in a log line",
    ),
    "speaks in another format than it says": (
        "session.py",
        "AudioChunk.from_base64(base64, self._format)",
        "AudioChunk.from_base64(base64, AudioFormat(self._format.encoding, 11_025))",
        "in another format than output_format",
    ),
    "reads no audio": (
        "session.py",
        "case wire.Audio(base64=base64):",
        "case wire.Ready(conversation_id=base64):",
        "The agent does not greet",
    ),
    "leaves a cancelled connection open": (
        "engine.py",
        (
            "        except BaseException:  # cancellation, too: nothing else closes the socket yet\n"
            "            await socket.aclose()\n"
        ),
        "        except BaseException:\n",
        "A cancelled open() leaves something open",
    ),
    "dies of a malformed message": (
        "wire.py",
        "except (msgspec.DecodeError, UnicodeError, RecursionError):",
        "except KeyError:",
        "events() raises something else than an EngineError",
    ),
    "ends over a malformed message": (
        "session.py",
        "            case _:\n                return []",
        '            case _:\n                raise SocketClosed(1011, "what was that?")',
        "One malformed message ends the conversation",
    ),
    "is deaf": (
        "session.py",
        "self._socket.send_audio(wire.encode(wire.Audio(chunk.base64)))",
        "pass",
        "The agent does not answer speech",
    ),
    "begins no turns": (
        "session.py",
        "return [ResponseStart(said, str(turn)), TranscriptOutput(said, str(turn))]",
        "return [TranscriptOutput(said, str(turn))]",
        "Agent audio comes before its turn has begun.",
    ),
    "begins a turn twice": (
        "session.py",
        "return [ResponseStart(said, str(turn)), TranscriptOutput(said, str(turn))]",
        "return 2 * [ResponseStart(said, str(turn))] + [TranscriptOutput(said, str(turn))]",
        "A turn begins before the one before is done.",
    ),
    "ends no turns": (
        "session.py",
        "return [ResponseDone(str(turn))]",
        "return []",
        "and the turn is not done.",
    ),
    "ends a turn twice": (
        "session.py",
        "return [ResponseDone(str(turn))]",
        "return 2 * [ResponseDone(str(turn))]",
        "A turn is done that is not open.",
    ),
    "tells twice what the caller says": (
        "session.py",
        "return [TranscriptInput(said)]",
        "return 2 * [TranscriptInput(said)]",
        "What the caller says is told twice.",
    ),
    "tells twice what the agent says": (
        "session.py",
        "return [ResponseStart(said, str(turn)), TranscriptOutput(said, str(turn))]",
        "return [ResponseStart(said, str(turn))] + 2 * [TranscriptOutput(said, str(turn))]",
        "What the agent says is told twice.",
    ),
    "leaves out the blanks of words": (
        "session.py",
        "return [ResponseStart(said, str(turn)), TranscriptOutput(said, str(turn))]",
        (
            'word = __import__("patter_core.events", fromlist=["Word"]).Word\n'
            "                words = tuple(word(text=one, start_ms=0.0, end_ms=1.0) for one in said.split())\n"
            "                return [ResponseStart(said, str(turn)), TranscriptOutput(said, str(turn), words=words)]"
        ),
        "The words of what the agent says are not its text.",
    ),
    "raises a group": (
        "session.py",
        "            for event in self._events_of(text):\n",
        (
            "            raise ExceptionGroup('two', [ExceptionGroup('one', [KeyError('what')])])\n"
            "            for event in self._events_of(text):\n"
        ),
        "got: KeyError: 'what'",
    ),
    "sends slowly": (
        "session.py",
        "        self._socket.send_audio(",
        "        __import__('time').sleep(0.05)\n        self._socket.send_audio(",
        "send_audio() holds the event loop, and with it every call.",
    ),
    "reads slowly": (
        "session.py",
        "        match wire.decode(text):",
        "        __import__('time').sleep(0.05)\n        match wire.decode(text):",
        "events() holds the event loop, and with it every call.",
    ),
    "stands still once": (
        "session.py",
        "        self._socket.send(wire.encode(wire.Key(digit)))",
        "        __import__('time').sleep(0.5)",
        "send_dtmf() holds the event loop, and with it every call.",
    ),
    "hears no interruption": (
        "session.py",
        "return [Interruption(str(turn))]",
        "return []",
        "interruption is never reported",
    ),
    "goes on after an interruption": (
        "session.py",
        "            for event in self._events_of(text):\n",
        (
            "            import anyio\n"
            "            batch = self._events_of(text)\n"
            "            with anyio.move_on_after(0.5):\n"
            "                while True:\n"
            "                    batch += self._events_of(await self._socket.receive())\n"
            "            batch.sort(key=lambda event: not isinstance(event, Interruption))\n"
            "            for event in batch:\n"
        ),
        "audio of what was interrupted follows",
    ),
    "gives audio that comes late": (
        "session.py",
        "case wire.Audio(turn=turn) if turn <= self._void:",
        "case wire.Audio(turn=turn) if turn < 0:",
        "late audio of what was interrupted follows",
    ),
    "begins a turn for audio that comes late": (
        "session.py",
        "return []  # it was on its way",
        "return [ResponseStart(), AudioChunk(bytes(800), self._format)]  # it was on its way",
        "late audio of what was interrupted follows",
    ),
    "reports an interruption twice": (
        "session.py",
        "return [Interruption(str(turn))]",
        "return 2 * [Interruption(str(turn))]",
        "An interruption is reported more than once.",
    ),
    "is silent after an interruption": (
        "session.py",
        "self._void = turn",
        "self._void = 1_000",
        "The agent does not answer speech.",
    ),
    "declares a capability that it has not": (
        "session.py",
        "def say(self",
        "def says(self",
        "The capability say is declared, and say() is not written.",
    ),
    "has a capability that it does not declare": (
        "engine.py",
        ", EngineCapability.SAY",
        "",
        "say() takes a text, and PROMPT or SAY is not declared",
    ),
    "takes results of tools that it does not call": (
        "session.py",
        "    def say(self",
        "    def send_tool_result(self, result):\n        pass\n\n    def say(self",
        "send_tool_result() takes a result, and OWN_TOOLS or TOOLS is not declared",
    ),
    "greets again on a call that goes on": (
        "engine.py",
        "not (setup.first_message or setup.resumed)",
        "not setup.first_message",
        "The agent greets on a call that goes on.",
    ),
    "declares a capability by its name": (
        "engine.py",
        "frozenset({EngineCapability.TURNS, EngineCapability.SAY})",
        'frozenset({"turns", "say"})',
        "`capabilities` is not a frozenset of EngineCapability.",
    ),
    "sends nothing of what is to be said": (
        "session.py",
        "self._socket.send(wire.encode(wire.Say(text)))",
        "pass",
        "The capability say is declared, and nothing arrives.",
    ),
    "cuts what is to be said": (
        "session.py",
        "wire.Say(text)",
        "wire.Say(text.splitlines()[0])",
        "The capability say is declared, and nothing arrives.",
    ),
    "does not say what is to be said": (
        "session.py",
        "self._socket.send(wire.encode(wire.Say(text)))",
        "raise SystemExit(3)",
        "say() raises.",
    ),
    "returns something from say()": (
        "session.py",
        "self._socket.send(wire.encode(wire.Say(text)))",
        "return self._socket",
        "say() is not synchronous",
    ),
    "raises when the agent ends the conversation": (
        "session.py",
        "if closed.code == 1000 or self._closed:",
        "if self._closed:",
        "The agent ends the conversation, and events() raises.",
    ),
    "waits after the agent has ended the conversation": (
        "session.py",
        "return  # the agent ended the conversation, or we did",
        "await __import__('anyio').sleep_forever() if not self._closed else None\n                    return",
        "The conversation is over, and events() never ends.",
    ),
    "loses the last words": (
        "session.py",
        "                text = await self._socket.receive()\n",
        (
            "                if self._socket._connection.lost:\n"
            "                    return\n"
            "                text = await self._socket.receive()\n"
        ),
        "What the agent said before the conversation ended is lost.",
    ),
    "takes a failure for the agent's end": (
        "session.py",
        "if closed.code == 1000 or self._closed:",
        "if closed.code in (1000, 1011) or self._closed:",
        "The service fails, and events() ends as if the agent had ended the conversation.",
    ),
    "keeps everything": (
        "session.py",
        "        self._socket.send_audio(wire.encode",
        '        self.__dict__.setdefault("kept", []).append(chunk.data)\n        self._socket.send_audio(wire.encode',
        "kept without bound",
    ),
    "does not count what it drops": ("session.py", "return self._socket.dropped", "return 0", "is not counted"),
    "leaves a task": (
        "session.py",
        "        await self._socket.aclose()",
        (
            "        import asyncio\n"
            "        self.left = asyncio.get_running_loop().create_task(asyncio.sleep(60))\n"
            "        await self._socket.aclose()"
        ),
        " tasks: ",
    ),
    "never closes its socket": (  # found by a cancelled open() that was ready before, or else by events() that goes on
        "session.py",
        "        await self._socket.aclose()",
        "        pass",
        "leaves something open|goes on after aclose",
    ),
    "takes every end for a good one": (
        "session.py",
        "if closed.code == 1000 or self._closed:",
        "if closed:",
        "ends as if the agent had ended the conversation",
    ),
    "passes on an error of the socket": (
        "session.py",
        "                raise\n",
        '                raise OSError("gone") from None\n',
        "events() raises something else than an EngineError",
    ),
    "can be closed once only": (
        "session.py",
        "        self._closed = True\n",
        "        if self._closed:\n            raise RuntimeError('closed already')\n        self._closed = True\n",
        "aclose() raises.\n  expected: no exception\n  got: RuntimeError: closed already",
    ),
    "bills nothing in particular": (
        "session.py",
        "    async def aclose(self",
        "    def unbilled(self):\n        return ['some']\n\n    async def aclose(self",
        "unbilled() gives something else than Usage.|'some'",
    ),
    "bills less than nothing": (
        "session.py",
        "    async def aclose(self",
        (
            "    def unbilled(self):\n"
            "        usage = __import__('patter_core.events', fromlist=['Usage']).Usage\n"
            "        return [usage(part='engine', vendor='acme', amounts={'seconds': -1.0})]\n\n"
            "    async def aclose(self"
        ),
        "unbilled() gives a negative amount.",
    ),
    "cannot say what was used": (
        "session.py",
        "    async def aclose(self",
        "    def unbilled(self):\n        raise SystemExit(3)\n\n    async def aclose(self",
        "unbilled() raises.",
    ),
    "ends the process": (
        "session.py",
        "            for event in self._events_of(text):\n",
        "            raise SystemExit(3)\n            for event in self._events_of(text):\n",
        "expected: EngineError\n  got: ForeignFault: It raised SystemExit",
    ),
    "awaits a task that was cancelled": (
        "engine.py",
        "        socket = await EngineSocket.open(",
        (
            "        task = __import__('asyncio').ensure_future(anyio.sleep(60))\n"
            "        task.cancel()\n"
            "        await task\n"
            "        socket = await EngineSocket.open("
        ),
        "It raised CancelledError, without being cancelled",
    ),
    "fails in its own checks": (
        "engine.py",
        "    async def open(self",
        "    async def check(self):\n        raise SystemExit(3)\n\n    async def open(self",
        "check() raises.",
    ),
    "returns text from its own checks": (
        "engine.py",
        "    async def open(self",
        "    async def check(self):\n        return ['The key is valid.']\n\n    async def open(self",
        "check() returns no CheckResult.",
    ),
    "declares its options for one call as a list": (
        "engine.py",
        '    name: ClassVar[str] = "acme"',
        '    call_options = ["branch"]\n    name: ClassVar[str] = "acme"',
        "`call_options` is no mapping.|['branch']",
    ),
    "declares an option for one call that no user can set": (
        "engine.py",
        '    name: ClassVar[str] = "acme"',
        '    call_options = {"branch": list}\n    name: ClassVar[str] = "acme"',
        "declares an option that a user cannot set.|'branch': <class 'list'>",
    ),
    "passes on an error of the network": (
        "engine.py",
        "from patter_core.net.websocket import EngineSocket\n",
        (
            "from patter_core.net.websocket import EngineSocket as Sound\n"
            "class EngineSocket(Sound):\n"
            "    @classmethod\n"
            "    async def open(cls, *args, **options):\n"
            "        try:\n"
            "            return await Sound.open(*args, **options)\n"
            "        except EngineError:\n"
            "            raise ConnectionError from None\n"
        ),
        "open() raises something else than an EngineError",
    ),
}


async def test_what_patter_new_writes_is_sound(write: Write) -> None:
    await check_engine(write("engine"))


@pytest.mark.slow
async def test_an_engine_whose_output_never_stops_is_sound() -> None:
    await check_engine(FlowEmulator)


async def test_silence_that_never_stops_is_no_greeting() -> None:
    await told(
        lambda patience: check_engine(lambda: FlowEmulator(is_mute=True), patience=patience),
        "The agent does not greet.",
    )


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::ResourceWarning")  # some mistakes are sockets that nobody closes
@pytest.mark.parametrize(("file", "sound", "broken", "said"), MISTAKES.values(), ids=MISTAKES.keys())
async def test_one_with_a_mistake_is_told_which(write: Write, file: str, sound: str, broken: str, said: str) -> None:
    emulator = write("engine", file, sound, broken)
    await told(lambda patience: check_engine(emulator, patience=patience), *said.split("|"))


def unending(make: Callable[[], EngineEmulator]) -> Callable[[], EngineEmulator]:
    """The emulator of a service whose agent cannot end a conversation."""
    emulator: type[EngineEmulator] = type("Unending", (type(make()),), {"agent_ends": False, "end": EngineEmulator.end})
    return emulator


@pytest.mark.slow
async def test_a_service_whose_agent_cannot_end_a_conversation_is_tried_by_its_failures(write: Write) -> None:
    await check_engine(unending(write("engine")))
    file, sound, broken, said = MISTAKES["loses the last words"]
    lossy = unending(write("engine", file, sound, broken))
    await told(lambda patience: check_engine(lossy, patience=patience), said)


async def test_an_emulator_without_an_end_is_told_what_to_set(write: Write) -> None:
    emulator = type("Endless", (type(write("engine")()),), {"end": EngineEmulator.end})()
    with pytest.raises(EngineError, match=r"Endless has no `end`(?s:.*)agent_ends = False"):
        await emulator.end()

"""`python -m tests.bench.frame TRANSPORT FRAMES`: an engine's socket reads so many frames, and writes one for each.

For counting instructions, which other work on the machine does not change: the difference between two numbers of
frames, `valgrind --tool=callgrind python -m tests.bench.frame picows 3000`, is what frames cost, the peer's part and
the kernel's left out in neither.
"""

from __future__ import annotations

import asyncio
import sys

from patter_core.net.engine_opening import WebsocketsTransport
from patter_core.net.transport import in_use
from patter_core.net.websocket import EngineSocket
from patter_core.registry import Registry
from tests.bench.lean import LeanSocket, listen

_FRAME = b'{"type": "audio", "audio_event": {"audio_base_64": "' + b"A" * 216 + b'", "event_id": 1}}'


async def main(name: str, frames: int) -> None:
    """Sends each frame when the one before has come back."""
    in_use.set(WebsocketsTransport() if name == "websockets" else Registry.discover().transport(name)())
    done, left = asyncio.Event(), frames

    def accepted(peer: LeanSocket) -> None:
        def again(_: bytes) -> None:
            nonlocal left
            left -= 1
            if left > 0:
                peer.send(_FRAME)
            else:
                done.set()

        peer.on_text = again

    server, port = await listen(accepted)
    async with server:
        engine = await EngineSocket.open(f"ws://127.0.0.1:{port}/")
        engine.deliver(engine.send_audio, lambda _: done.set())
        engine.send_audio(_FRAME)
        await done.wait()
        await engine.aclose()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))

"""A slow and lossy cable: joins two TAP devices, each frame late by so much and lost with that probability.

`slow_link.py <tap> <tap> <delay in seconds> <loss, 0 to 1>` makes the devices, and they go with it. In a process of its
own, so that the load does not hold the frames up.
"""

import asyncio
import ctypes
import fcntl
import os
import random
import signal
import struct
import sys
from contextlib import suppress
from functools import partial

TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454CA, 0x0002, 0x1000
"""<linux/if_tun.h>. Without offloads announced, the kernel finishes checksums and cuts large packets by itself."""

PR_SET_PDEATHSIG = 1
LARGEST_FRAME_BYTES = 2048


async def main(names: list[str], delay_seconds: float, loss: float) -> None:
    loop = asyncio.get_running_loop()
    one, other = map(_tap, names)
    for source, sink in ((one, other), (other, one)):
        loop.add_reader(source, partial(_forward, loop, source, sink, delay_seconds, loss))
    await asyncio.Event().wait()


def _tap(name: str) -> int:
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI))
    return device


def _forward(loop: asyncio.AbstractEventLoop, source: int, sink: int, delay_seconds: float, loss: float) -> None:
    frame = os.read(source, LARGEST_FRAME_BYTES)
    if random.random() >= loss:  # noqa: S311  # no secret
        loop.call_later(delay_seconds, _deliver, sink, frame)


def _deliver(sink: int, frame: bytes) -> None:
    with suppress(OSError):  # the device is not up yet, or its queue is full: lost, as frames are
        os.write(sink, frame)


if __name__ == "__main__":
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    asyncio.run(main(sys.argv[1:3], float(sys.argv[3]), float(sys.argv[4])))

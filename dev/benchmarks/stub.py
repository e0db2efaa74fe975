"""A server that costs next to nothing: the pages are rendered once, so that a benchmark measures its client.

``python -m dev.benchmarks.stub --records 100000 --size 1000 --latency-ms 0`` prints its port and serves
``/token`` and ``/api/asset/v1/assets`` until it is terminated.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
from typing import Any
from urllib.parse import parse_qs, urlsplit


def asset(number: int, chance: random.Random) -> dict[str, Any]:
    """Return a record of about 1 KB, in the shape of the Assets API."""
    serial = f"ACM{number:09d}X{chance.randrange(10**6):06d}"
    return {
        "id": f"00000000-0000-0000-0000-{number:012d}",
        "assetType": chance.choice(["MACHINE", "VEHICLE", "ATTACHMENT"]),
        "type": chance.choice(["Excavator/Mini", "Loader/Wheel", "Lift/Scissor"]),
        "name": f"EX-{number}",
        "externalReference": f"ERP-{chance.randrange(10**7)}",
        "brand": chance.choice(["Acme", "Brickworks", "Northlift"]),
        "model": f"X{chance.randrange(100)}",
        "serialNumber": serial,
        "productionYear": 2000 + number % 26,
        "productionDate": None,
        "ownerAccountId": f"{chance.getrandbits(128):032x}",
        "createdAt": f"2024-{1 + number % 12:02d}-{1 + number % 28:02d}T08:00:00Z",
        "hidden": False,
        "permissions": {"edit": False},
        "telematicsDevices": [
            {"id": str(chance.randrange(10**6)), "serialNumber": str(chance.randrange(10**7))}
            for _ in range(2)
        ],
        "customFields": {f"field{index}": f"{chance.getrandbits(64):016x}" for index in range(14)},
    }


class Stub:
    """The collection, rendered."""

    def __init__(self, records: int, size: int, latency_s: float) -> None:
        self.records = records
        self.size = size
        self.latency_s = latency_s
        chance = random.Random(1)
        page = [asset(number, chance) for number in range(size)]
        # What stands before the id of the first record, and what behind it.
        self.content = json.dumps(page, separators=(",", ":")).encode().split(page[0]["id"].encode(), 1)

    def page(self, number: int) -> bytes:
        """Return one page; all have the same records, but for the id of the first. Pages of a real collection differ."""
        pages = -(-self.records // self.size)
        head = {"totalPages": pages, "totalElements": self.records, "number": number, "size": self.size}
        content = f"11111111-0000-0000-0000-{number:012d}".encode().join(self.content)
        return json.dumps(head)[:-1].encode() + b',"content":' + content + b"}"

    async def answer(self, target: str) -> bytes:
        """Return the body for a request target."""
        parts = urlsplit(target)
        if parts.path == "/token":
            return b'{"token_type":"Bearer","expires_in":3600,"access_token":"t0ken","scope":"api"}'
        if self.latency_s:
            await asyncio.sleep(self.latency_s)
        return self.page(int(parse_qs(parts.query).get("page", ["0"])[0]))

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection."""
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                lines = head.decode("latin-1").split("\r\n")
                length = next(
                    (
                        int(line.partition(":")[2])
                        for line in lines
                        if line.lower().startswith("content-length")
                    ),
                    0,
                )
                if length:
                    await reader.readexactly(length)
                body = await self.answer(lines[0].split(" ")[1])
                writer.write(
                    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
                    % len(body)
                )
                writer.write(body)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


async def main() -> None:
    """Serve until terminated."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--size", type=int, default=1000)
    parser.add_argument("--latency-ms", type=float, default=0.0)
    options = parser.parse_args()
    stub = Stub(options.records, options.size, options.latency_ms / 1000)
    server = await asyncio.start_server(stub.serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())

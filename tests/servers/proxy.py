"""A forwarding proxy for tests: http requests, CONNECT tunnels and SOCKS5, in a thread, on an ephemeral port.

with Proxy() as proxy, Proxy(user="u", password="p") as guarded:
    ... proxy.url("http") ... guarded.url("socks5h")
    assert proxy.seen == ["GET http://127.0.0.1:…/a.jpg HTTP/1.1", "CONNECT …", "SOCKS5 127.0.0.1:…"]
"""

from __future__ import annotations

import asyncio
import base64
import threading
from urllib.parse import urlsplit


class Proxy:
    """``seen`` has one line for each request that was let through; ``refused`` counts the others."""

    def __init__(self, user: str = "", password: str = "") -> None:
        self.seen: list[str] = []
        self.heads: list[str] = []
        self.refused = 0
        self._user, self._password = user, password
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server: asyncio.Server = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result()
        self.port: int = self._server.sockets[0].getsockname()[1]

    def url(self, scheme: str, *, with_login: bool = True) -> str:
        login = f"{self._user}:{self._password}@" if self._user and with_login else ""
        return f"{scheme}://{login}127.0.0.1:{self.port}"

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def __enter__(self) -> Proxy:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    async def _stop(self) -> None:
        self._server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _listen(self) -> asyncio.Server:
        return await asyncio.start_server(self._serve, "127.0.0.1", 0)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            first = await reader.readexactly(1)
            if first == b"\x05":
                await self._socks(reader, writer)
            else:
                await self._http(first, reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _http(self, start: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = (start + await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            start = b""
            line, _, fields = head.partition("\r\n")
            login = base64.b64encode(f"{self._user}:{self._password}".encode()).decode()
            if self._user and f"proxy-authorization: basic {login}".lower() not in fields.lower():
                self.refused += 1
                answer = b"HTTP/1.1 407 Login\r\nContent-Length: 0\r\nProxy-Authenticate: Basic\r\n\r\n"
                writer.write(answer)
                continue
            self.seen.append(line)
            self.heads.append(head)
            method, target, _ = line.split(" ")
            if method == "CONNECT":
                host, _, port = target.rpartition(":")
                other = await asyncio.open_connection(host, int(port))
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                await self._join(reader, writer, *other)
                return
            parts = urlsplit(target)
            there, back = await asyncio.open_connection(parts.hostname, parts.port or 80)
            kept = [
                field for field in fields.split("\r\n") if field and not field.lower().startswith("proxy-")
            ]
            path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            request = "\r\n".join([f"{method} {path} HTTP/1.1", *kept, "Connection: close", "", ""])
            back.write(request.encode("latin-1"))
            # The next request is one of this proxy again, even where the server would keep the connection.
            answer = await there.readuntil(b"\r\n\r\n")
            writer.write(answer[:-2] + b"Connection: close\r\n\r\n")
            await self._join(reader, writer, there, back)
            return

    async def _socks(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        methods = await reader.readexactly((await reader.readexactly(1))[0])
        wanted = 2 if self._user else 0
        writer.write(bytes([5, wanted if wanted in methods else 255]))
        if wanted not in methods:
            self.refused += 1
            return
        if self._user:
            await reader.readexactly(1)
            given = [await reader.readexactly((await reader.readexactly(1))[0]) for _ in range(2)]
            right = given == [self._user.encode(), self._password.encode()]
            writer.write(bytes([1, 0 if right else 1]))
            if not right:
                self.refused += 1
                return
        kind = (await reader.readexactly(4))[3]
        if kind == 1:
            host = ".".join(map(str, await reader.readexactly(4)))
        else:
            host = (await reader.readexactly((await reader.readexactly(1))[0])).decode()
        port = int.from_bytes(await reader.readexactly(2), "big")
        self.seen.append(f"SOCKS5 {host}:{port}")
        other = await asyncio.open_connection(host, port)
        writer.write(b"\x05\x00\x00\x01" + bytes(6))
        await self._join(reader, writer, *other)

    async def _join(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        there: asyncio.StreamReader,
        back: asyncio.StreamWriter,
    ) -> None:
        async def copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            while data := await source.read(65536):
                sink.write(data)
                await sink.drain()
            sink.close()

        await asyncio.gather(copy(reader, back), copy(there, writer), return_exceptions=True)

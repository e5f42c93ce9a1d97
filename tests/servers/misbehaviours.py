"""What a server can do wrong, one small resource each; the path chooses, the query has parameters.

/status/NNN?lines=…          that status; every ``line=`` is a header line: ?line=Retry-After:%201
/flaky/NAME?fail=2&status=503   fails that often, then 200 and a small body, or what is at ``then=PATH``
/slow?seconds=1              answers after that time
/later/NAME?hints=1          answers what is put there, once it is put; with ``hints`` it says so before (103)
/hang-before-headers         accepts, reads, never answers
/hang-in-body?size=1000      headers and half of the body, then silence
/drip-headers?interval=0.2   a byte at a time, for ever
/drip-body?interval=0.2&bytes=1&size=1000000
/pause-in-body?seconds=1     half, a pause, the other half
/limited/NAME?per_second=5&retry_after=1   beyond that many a second (a window that slides): 429
/reset  /reset-in-body       connection reset instead of an answer, or in the middle of it
/close  /close-in-body       connection closed likewise
/long-body?size=N            N bytes with Content-Length
/endless-body                no Content-Length, never ends
/unsized?size=N              N bytes, ended by closing the connection
/huge-length                 announces 100 GB
/lying-gzip                  Content-Encoding gzip, body is not
/gzip-bomb?megabytes=N       that many zero bytes, gzipped
/encoded/gzip|deflate|…      an honest small body with that Content-Encoding (unknown names: plain bytes)
/broken-chunks  /chunked     a chunk size that is no number; a right chunked body
/header-flood                header lines for ever
/long-header?size=N          one header line of N bytes
/not-http                    answers in another protocol
/redirect?to=URL&status=302  one hop
/redirect-chain/N            N hops, then 200
/redirect-loop               to itself
/redirect-nowhere            302 without Location
/slow-redirect?seconds=1     to itself, each time after that time
/early-hints                 an interim answer (103) before the real one
/error-that-hangs            404 that announces a body and never sends it
/robots?tag=…                200 with an X-Robots-Tag header for each ``tag=``
/empty                       200, no body
/large-error?size=N&status=404   an error page of N bytes
"""

from __future__ import annotations

import asyncio
import gzip
import socket
import struct
import urllib.parse
import zlib
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.servers.process import Connection

SMALL_BODY = b"\xff\xd8\xff" + b"a small body " * 20
Parameters = dict[str, list[str]]
Misbehaviour = Callable[["Connection", str, Parameters], Awaitable[None]]
MISBEHAVIOURS: dict[str, Misbehaviour] = {}


def at(*prefixes: str) -> Callable[[Misbehaviour], Misbehaviour]:
    def register(behaviour: Misbehaviour) -> Misbehaviour:
        MISBEHAVIOURS.update(dict.fromkeys(prefixes, behaviour))
        return behaviour

    return register


def find_misbehaviour(path: str) -> Callable[[Connection, str, str], Awaitable[None]]:
    first = path.split("/")[1]
    behaviour = MISBEHAVIOURS.get(first, not_found)

    def run(connection: Connection, path: str, query: str) -> Awaitable[None]:
        return behaviour(connection, path, urllib.parse.parse_qs(query, keep_blank_values=True))

    return run


def number(parameters: Parameters, name: str, default: float) -> float:
    return float(parameters.get(name, [str(default)])[0])


def last_part(path: str) -> str:
    return path.rsplit("/", 1)[1]


def reset(connection: Connection) -> None:
    raw = connection.transport.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.transport.abort()


async def forever() -> None:
    await asyncio.Event().wait()


async def not_found(connection: Connection, path: str, parameters: Parameters) -> None:
    await connection.respond(404, [], b"nothing here")


@at("status")
async def status(connection: Connection, path: str, parameters: Parameters) -> None:
    await connection.respond(int(last_part(path)), parameters.get("line", []), b"a status")


@at("flaky")
async def flaky(connection: Connection, path: str, parameters: Parameters) -> None:
    if connection.site.counts[path] <= number(parameters, "fail", 1):
        await connection.respond(
            int(number(parameters, "status", 503)), parameters.get("line", []), b"not yet"
        )
    elif "then" in parameters:
        answer, _ = connection.site.resources[parameters["then"][0]]
        await connection.send(answer)
    else:
        await connection.respond(200, [], SMALL_BODY)


@at("limited")
async def limited(connection: Connection, path: str, parameters: Parameters) -> None:
    """Keeps the time of every request, whatever its answer, for ``ImageServer.times``."""
    now, limit = asyncio.get_running_loop().time(), int(number(parameters, "per_second", 5))
    connection.site.times[path].append(now)
    accepted = connection.site.accepted[path]
    if len(accepted) >= limit and now - accepted[-limit] < 1.0:
        lines = [f"Retry-After: {value}" for value in parameters.get("retry_after", [])]
        await connection.respond(int(number(parameters, "status", 429)), lines, b"too many")
    else:
        accepted.append(now)
        await connection.respond(200, [], SMALL_BODY)


@at("slow")
async def slow(connection: Connection, path: str, parameters: Parameters) -> None:
    await asyncio.sleep(number(parameters, "seconds", 1))
    await connection.respond(200, [], SMALL_BODY)


@at("later")
async def later(connection: Connection, path: str, parameters: Parameters) -> None:
    if "hints" in parameters:
        await connection.send(b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n")
    while path not in connection.site.resources:
        await asyncio.sleep(0.02)
    answer, _ = connection.site.resources[path]
    await connection.send(answer)


@at("answers-when-open")
async def answer_when_open(connection: Connection, path: str, parameters: Parameters) -> None:
    """The first twenty are answered at once, nobody else before this many connections are open."""
    if connection.site.counts[path] > 20:
        while connection.site.peak < number(parameters, "connections", 2):
            await asyncio.sleep(0.02)
    await connection.respond(200, [], SMALL_BODY)


@at("hang-before-headers")
async def hang_before_headers(connection: Connection, path: str, parameters: Parameters) -> None:
    await forever()


@at("hang-in-body", "pause-in-body", "reset-in-body", "close-in-body")
async def interrupt_body(connection: Connection, path: str, parameters: Parameters) -> None:
    size = int(number(parameters, "size", 1000))
    body = (SMALL_BODY * (size // len(SMALL_BODY) + 1))[:size]
    await connection.send(f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n".encode() + body[: size // 2])
    await asyncio.sleep(0.05)  # so that the client has seen the first half
    if path.startswith("/hang"):
        await forever()
    elif path.startswith("/reset"):
        reset(connection)
    elif path.startswith("/close"):
        connection.transport.close()
    else:
        await asyncio.sleep(number(parameters, "seconds", 1))
        await connection.send(body[size // 2 :])


@at("drip-headers")
async def drip_headers(connection: Connection, path: str, parameters: Parameters) -> None:
    await connection.send(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    while True:
        await connection.send(b"a")
        await asyncio.sleep(number(parameters, "interval", 0.2))


@at("drip-body")
async def drip_body(connection: Connection, path: str, parameters: Parameters) -> None:
    size, step = int(number(parameters, "size", 1_000_000)), int(number(parameters, "bytes", 1))
    await connection.send(f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n".encode())
    for start in range(0, size, step):
        await connection.send(b"d" * min(step, size - start))
        await asyncio.sleep(number(parameters, "interval", 0.2))


@at("reset")
async def reset_at_once(connection: Connection, path: str, parameters: Parameters) -> None:
    reset(connection)


@at("close")
async def close_at_once(connection: Connection, path: str, parameters: Parameters) -> None:
    connection.transport.close()


@at("long-body", "large-error")
async def long_body(connection: Connection, path: str, parameters: Parameters) -> None:
    usual = 404 if path.startswith("/large-error") else 200
    size, code = int(number(parameters, "size", 1_000_000)), int(number(parameters, "status", usual))
    await connection.send(f"HTTP/1.1 {code} Sized\r\nContent-Length: {size}\r\n\r\n".encode())
    await send_bytes(connection, size)


@at("unsized")
async def unsized(connection: Connection, path: str, parameters: Parameters) -> None:
    await connection.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
    await send_bytes(connection, int(number(parameters, "size", 1_000_000)))
    connection.transport.close()


@at("endless-body")
async def endless_body(connection: Connection, path: str, parameters: Parameters) -> None:
    await connection.send(b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\n\r\n")
    while True:
        await send_bytes(connection, 1 << 20)


async def send_bytes(connection: Connection, size: int) -> None:
    block = bytes(range(256)) * 256
    for start in range(0, size, len(block)):
        await connection.send(block[: size - start])


@at("huge-length")
async def huge_length(connection: Connection, path: str, parameters: Parameters) -> None:
    await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000000\r\n\r\nstart")
    await forever()


@at("lying-gzip")
async def lying_gzip(connection: Connection, path: str, parameters: Parameters) -> None:
    await connection.respond(200, ["Content-Encoding: gzip"], SMALL_BODY)


@at("gzip-bomb")
async def gzip_bomb(connection: Connection, path: str, parameters: Parameters) -> None:
    squeezer = zlib.compressobj(wbits=31)
    megabytes = int(number(parameters, "megabytes", 100))
    parts = [squeezer.compress(bytes(1 << 20)) for _ in range(megabytes)]
    await connection.respond(200, ["Content-Encoding: gzip"], b"".join(parts) + squeezer.flush())


@at("encoded")
async def encoded(connection: Connection, path: str, parameters: Parameters) -> None:
    encoding = last_part(path)
    body = {"gzip": gzip.compress, "deflate": zlib.compress}.get(encoding, bytes)(SMALL_BODY)
    await connection.respond(200, [f"Content-Encoding: {encoding}"], body)


@at("broken-chunks")
async def broken_chunks(connection: Connection, path: str, parameters: Parameters) -> None:
    await connection.send(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\nno number\r\nabcd\r\n"
    )
    await forever()


@at("chunked")
async def chunked(connection: Connection, path: str, parameters: Parameters) -> None:
    await connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    for start in range(0, len(SMALL_BODY), 100):
        part = SMALL_BODY[start : start + 100]
        await connection.send(f"{len(part):x}\r\n".encode() + part + b"\r\n")
    await connection.send(b"0\r\n\r\n")


@at("header-flood")
async def header_flood(connection: Connection, path: str, parameters: Parameters) -> None:
    await connection.send(b"HTTP/1.1 200 OK\r\n")
    while True:
        await connection.send(b"X-Flood: " + b"f" * 1000 + b"\r\n")


@at("long-header")
async def long_header(connection: Connection, path: str, parameters: Parameters) -> None:
    await connection.respond(200, ["X-Long: " + "l" * int(number(parameters, "size", 1000))], SMALL_BODY)


@at("not-http")
async def not_http(connection: Connection, path: str, parameters: Parameters) -> None:
    await connection.send(b"SSH-2.0-OpenSSH_9.2\r\n")
    connection.transport.close()


@at("redirect")
async def redirect(connection: Connection, path: str, parameters: Parameters) -> None:
    code = int(number(parameters, "status", 302))
    await connection.respond(code, [f"Location: {parameters['to'][0]}"], b"over there")


@at("redirect-chain")
async def redirect_chain(connection: Connection, path: str, parameters: Parameters) -> None:
    hops = int(last_part(path))
    if hops:
        await connection.respond(302, [f"Location: /redirect-chain/{hops - 1}"], b"on")
    else:
        await connection.respond(200, [], SMALL_BODY)


@at("redirect-loop")
async def redirect_loop(connection: Connection, path: str, parameters: Parameters) -> None:
    await connection.respond(301, ["Location: /redirect-loop"], b"round")


@at("redirect-nowhere")
async def redirect_nowhere(connection: Connection, path: str, parameters: Parameters) -> None:
    await connection.respond(302, [], b"where?")


@at("slow-redirect")
async def slow_redirect(connection: Connection, path: str, parameters: Parameters) -> None:
    seconds = number(parameters, "seconds", 1)
    await asyncio.sleep(seconds)
    await connection.respond(302, [f"Location: /slow-redirect?seconds={seconds}"])


@at("early-hints")
async def early_hints(connection: Connection, path: str, parameters: Parameters) -> None:
    await connection.send(b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n")
    await connection.respond(200, [], SMALL_BODY)


@at("error-that-hangs")
async def error_that_hangs(connection: Connection, path: str, parameters: Parameters) -> None:
    await connection.send(b"HTTP/1.1 404 Not Found\r\nContent-Length: 100\r\n\r\n")
    await forever()


@at("robots")
async def robots(connection: Connection, path: str, parameters: Parameters) -> None:
    await connection.respond(200, [f"X-Robots-Tag: {tag}" for tag in parameters.get("tag", [])], SMALL_BODY)


@at("empty")
async def empty(connection: Connection, path: str, parameters: Parameters) -> None:
    await connection.respond(200, [])

"""A real SMTP server that misbehaves as it is told: `mail_server.py PORT DIRECTORY [--tls CERT KEY] [--auth] [WAY...]`.

Each mail that it takes is a file in DIRECTORY, headers and all. Ways: `greylist` (451 at the first try of each recipient),
`refuse-bad` (550 for recipients that begin with `bad`), `stall` (no answer to the first mail, ever), `drop` (the first
connection is cut amid its mail), `forget` (the first mail is taken and the connection cut before the answer),
`busy` (421 to every mail). Each login is a line of DIRECTORY/logins. It prints `ready` when connections are taken.
"""

import argparse
import asyncio
import pathlib
import ssl

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

parser = argparse.ArgumentParser()
parser.add_argument("port", type=int)
parser.add_argument("directory", type=pathlib.Path)
parser.add_argument("--tls", nargs=2)
parser.add_argument("--auth", action="store_true")
parser.add_argument("ways", nargs="*")
args = parser.parse_args()


class Handler:
    def __init__(self):
        self.taken = 0
        self.seen = set()
        self.once = set(args.ways) & {"stall", "drop", "forget", "cut"}

    async def handle_RCPT(self, server, session, envelope, address, options):
        if "busy" in args.ways:
            return "421 come back later"
        if "refuse-bad" in args.ways and address.startswith("bad"):
            return "550 5.1.1 there is nobody of that name"
        if "greylist" in args.ways and address not in self.seen:
            self.seen.add(address)
            return "451 4.7.1 greylisted, come back later"
        envelope.rcpt_tos.append(address)
        return "250 ok"

    async def handle_DATA(self, server, session, envelope):
        if "stall" in self.once:
            self.once.remove("stall")
            await asyncio.sleep(3_600)
        if "drop" in self.once:
            self.once.remove("drop")
            server.transport.abort()
            return "451 never said"
        if "slow" in args.ways:
            await asyncio.sleep(0.2)
        self.taken += 1
        to = ",".join(envelope.rcpt_tos).encode()
        path = args.directory / f"{self.taken:04}.part"
        path.write_bytes(b"X-Envelope-To: " + to + b"\r\n" + envelope.content)
        path.rename(path.with_suffix(".eml"))
        if "forget" in self.once:
            self.once.remove("forget")
            server.transport.abort()
        answer = f"250 taken as {self.taken}"
        if "slow" in args.ways:
            await asyncio.sleep(0.2)
        return answer


class Server(SMTP):
    async def smtp_DATA(self, arg):
        if "cut" not in self.event_handler.once:
            return await super().smtp_DATA(arg)
        self.event_handler.once.remove("cut")
        await self.push("354 end with a line of one dot")
        await self._reader.readuntil(b"\r\n")
        self.transport.abort()


def authenticate(server, session, envelope, mechanism, data):
    with (args.directory / "logins").open("a") as logins:
        logins.write("login\n")
    right = isinstance(data, LoginPassword) and (data.login, data.password) == (b"highwater", b"hush hush")
    return AuthResult(success=right, handled=False)


async def main():
    context = None
    if args.tls:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*args.tls)
    handler = Handler()

    def protocol():
        return Server(
            handler,
            hostname="mail.test",
            tls_context=context,
            require_starttls=bool(context),
            authenticator=authenticate,
            auth_required=args.auth,
            auth_require_tls=True,
        )

    server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", args.port)
    print("ready", flush=True)
    async with server:
        await server.serve_forever()


asyncio.run(main())

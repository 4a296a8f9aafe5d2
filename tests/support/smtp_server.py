"""A real mail server (aiosmtpd) for tests: `smtp_server.py FOLDER [starttls] [login]`.

Listens on a free port of 127.0.0.1 and says so in its first line of output, as JSON. Each accepted mail is one further line:
the envelope, whether it came encrypted, who was logged in, and what Python's own mail parser makes of it.

With `starttls` it takes no mail before STARTTLS; the certificate that signs its own is written to FOLDER/ca.pem.
With `login` it takes no mail before AUTH as `bell` with the password `p@ss/w#rd`.
Ends when its standard input does.
"""

import asyncio
import email
import email.policy
import json
import logging
import pathlib
import ssl
import sys

import trustme
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

# aiosmtpd warns of what it does itself at each login.
logging.getLogger("mail.log").setLevel(logging.ERROR)

USER = LoginPassword(b"bell", b"p@ss/w#rd")


def say(**fields):
    print(json.dumps(fields), flush=True)


def authenticate(server, session, envelope, mechanism, data):
    return AuthResult(success=data == USER, handled=False, auth_data=data)


class Mailbox:
    async def handle_DATA(self, server, session, envelope):
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
        leaves = [part for part in mail.walk() if not part.is_multipart()]
        say(
            sender=envelope.mail_from,
            recipients=envelope.rcpt_tos,
            encrypted=session.ssl is not None,
            user=session.auth_data.login.decode() if session.authenticated else None,
            headers=[[name, str(value)] for name, value in mail.items()],
            kind=mail.get_content_type(),
            parts=[[part.get_content_type(), part.get_content()] for part in leaves],
            defects=[str(defect) for part in mail.walk() for defect in part.defects],
            longest_line=max(len(line) for line in envelope.content.split(b"\r\n")),
        )
        return "250 taken"


def tls_context(folder):
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    return context


async def serve(folder, wants):
    tls = tls_context(folder) if "starttls" in wants else None
    login = "login" in wants

    def connection():
        return SMTP(
            Mailbox(),
            hostname="mail.test",
            tls_context=tls,
            require_starttls=tls is not None,
            authenticator=authenticate if login else None,
            auth_required=login,
            auth_require_tls=tls is not None,
        )

    loop = asyncio.get_running_loop()
    server = await loop.create_server(connection, "127.0.0.1", 0)
    say(port=server.sockets[0].getsockname()[1])
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


asyncio.run(serve(pathlib.Path(sys.argv[1]), sys.argv[2:]))

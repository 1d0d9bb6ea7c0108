# What alerts are sent to, for tests: an HTTP endpoint shaped like Slack's incoming webhooks, and a mail server that asks
# for STARTTLS and a password. Each message becomes one line of JSON in <folder>/messages. While <folder>/refuse exists,
# HTTP answers 503. Usage: alert_receivers.py <folder> <HTTP port> <SMTP port>; certificate in <folder>/tls.{pem,key}.
import json
import os
import ssl
import sys
import threading
import time
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

folder, http_port, smtp_port = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
lock = threading.Lock()


def note(channel, key, subject, text):
    with lock, open(os.path.join(folder, "messages"), "a") as out:
        out.write(json.dumps({"channel": channel, "key": key, "subject": subject, "text": text,
                              "at": "%.3f" % time.time()}) + "\n")


class Hook(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        refused = os.path.exists(os.path.join(folder, "refuse"))
        if not refused:
            text = json.loads(body)["text"]
            note(self.path.strip("/"), self.headers.get("Idempotency-Key", ""), text.split("\n")[0], text)
        answer = b"no" if refused else b"ok"
        self.send_response(503 if refused else 200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


class Mailbox:
    async def handle_DATA(self, server, session, envelope):
        mail = message_from_bytes(envelope.content, policy=policy.default)
        note("mail:" + ",".join(envelope.rcpt_tos), mail["Message-ID"], mail["Subject"], mail.get_content())
        return "250 taken"


def check(server, session, envelope, mechanism, data):
    return AuthResult(success=data.login == b"runtail" and data.password == b"mail-password")


context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(os.path.join(folder, "tls.pem"), os.path.join(folder, "tls.key"))
Controller(Mailbox(), hostname="127.0.0.1", port=smtp_port, tls_context=context, require_starttls=True,
           auth_required=True, authenticator=check).start()
server = ThreadingHTTPServer(("127.0.0.1", http_port), Hook)
open(os.path.join(folder, "ready"), "w").close()
server.serve_forever()

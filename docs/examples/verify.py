"""A subscriber in Python: accepts events and verifies that they were sent by receiptd.

    python3 -m venv venv && venv/bin/pip install standardwebhooks
    WEBHOOK_SECRET=whsec_... venv/bin/python verify.py 8000

It uses the official library of the Standard Webhooks convention. An event that
is not signed with the secret, was modified in transit or is more than five
minutes old is answered 401. Three rules for your own subscriber:

- verify the bytes of the body as they arrived, before parsing them;
- store `webhook-id`: an event may arrive more than once, with the same id;
- answer 2xx as soon as the event is stored, and process it afterwards.
"""

import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from standardwebhooks import Webhook, WebhookVerificationError

BODY_MAX = 1024 * 1024


class Subscriber(BaseHTTPRequestHandler):
    # Keep the connection open for the next event.
    protocol_version = "HTTP/1.1"
    # Close idle connections, which occupy a thread.
    timeout = 60
    seen = set()  # store the ids in your database instead

    def do_POST(self):
        length = int(self.headers.get("content-length") or 0)
        if length > BODY_MAX:
            self.close_connection = True
            return self.answer(413)
        body = self.rfile.read(length)
        try:
            event = webhook.verify(body, dict(self.headers))
        except (WebhookVerificationError, ValueError) as error:
            print(f"refused: {error}", flush=True)
            return self.answer(401)
        if self.headers["webhook-id"] in self.seen:
            print(f"{event['id']} again", flush=True)
        else:
            self.seen.add(self.headers["webhook-id"])
            print(f"{event['id']} {event['type']}", flush=True)
        self.answer(204)

    def answer(self, status):
        self.send_response(status)
        if status != 204:
            self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    webhook = Webhook(os.environ["WEBHOOK_SECRET"])
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Subscriber)
    print(f"listening on http://127.0.0.1:{server.server_port}/", flush=True)
    server.serve_forever()

"""Uses a Python client generated from the OpenAPI document: adds a channel, reports on a
message through the webhook and reads the message back.

Usage: api_client.py PUBLIC_URL OPERATOR_URL ADMIN_TOKEN (with receiptd_client in PYTHONPATH)
"""

import base64
import sys

from receiptd_client import AuthenticatedClient
from receiptd_client.api.channels import add_channel
from receiptd_client.api.messages import show_message
from receiptd_client.api.webhook import report_message
from receiptd_client.models import ChannelRequest, ChannelRequestIntegrator, TwilioReport

public, operator, token = sys.argv[1:]
SID = "SM0123456789abcdef0123456789abcdef"
api = AuthenticatedClient(base_url=operator, token=token, raise_on_unexpected_status=True)
created = add_channel.sync(
    client=api,
    body=ChannelRequest(
        id="generated-client",
        integrator=ChannelRequestIntegrator.TWILIO,
        name="Service desk",
        user="webhook",
    ),
)
pair = f"{created.credential.user}:{created.password}".encode()
webhook = AuthenticatedClient(
    base_url=public,
    prefix="Basic",
    token=base64.b64encode(pair).decode(),
    raise_on_unexpected_status=True,
)
for status in ("sent", "delivered"):
    report = TwilioReport(
        message_sid=SID,
        message_status=status,
        to="whatsapp:+15550100001",
        from_="whatsapp:+15550109999",
    )
    answer = report_message.sync_detailed("generated-client", client=webhook, body=report)
    assert answer.status_code == 204, answer
message = show_message.sync("generated-client", SID, client=api)
assert message.status == "delivered", message
assert message.counters.reports == 2, message
assert message.first_reported_at.tzinfo is not None, message
print("a generated client reports and reads messages")

// A subscriber in JavaScript: accepts events and verifies that they were sent by receiptd.
//
//     npm install standardwebhooks
//     WEBHOOK_SECRET=whsec_... node verify.mjs 8000
//
// It uses the official library of the Standard Webhooks convention. An event that is not
// signed with the secret, was modified in transit or is more than five minutes old is
// answered 401. Three rules for your own subscriber:
//
// - verify the bytes of the body as they arrived, before parsing them;
// - store `webhook-id`: an event may arrive more than once, with the same id;
// - answer 2xx as soon as the event is stored, and process it afterwards.

import { createServer } from "node:http";
import process from "node:process";
import { Webhook } from "standardwebhooks";

const BODY_MAX = 1024 * 1024;
const webhook = new Webhook(process.env.WEBHOOK_SECRET);
const seen = new Set(); // store the ids in your database instead

async function bodyOf(request) {
  const pieces = [];
  let length = 0;
  for await (const piece of request) {
    length += piece.length;
    if (length > BODY_MAX) return undefined;
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
}

function statusOf(body, headers) {
  let event;
  try {
    event = webhook.verify(body, headers);
  } catch (error) {
    console.log(`refused: ${error.message}`);
    return 401;
  }
  if (seen.has(headers["webhook-id"])) {
    console.log(`${event.id} again`);
  } else {
    seen.add(headers["webhook-id"]);
    console.log(`${event.id} ${event.type}`);
  }
  return 204;
}

const server = createServer(async (request, response) => {
  try {
    const body = await bodyOf(request);
    if (body === undefined) {
      response.writeHead(413, { connection: "close" }).end();
    } else {
      response.writeHead(statusOf(body, request.headers)).end();
    }
  } catch {
    // The sender closed the connection.
    response.destroy();
  }
});

server.listen(Number(process.argv[2]), "127.0.0.1", () => {
  console.log(`listening on http://127.0.0.1:${server.address().port}/`);
});

// A subscriber in JavaScript: takes events and checks that they come from receiptd.
//
//     npm install standardwebhooks
//     WEBHOOK_SECRET=whsec_... node verify.mjs 8000
//
// It uses the official library of the Standard Webhooks convention. An event that is not
// signed with the secret, was changed on its way or is more than five minutes old is
// answered 401. Three things matter in a subscriber of your own:
//
// - check the bytes of the body as they came, before anything parses them;
// - remember `webhook-id`: an event may come more than once, with the same id;
// - answer 2xx as soon as the event is safe, and work on it afterwards.

import { createServer } from "node:http";
import process from "node:process";
import { Webhook } from "standardwebhooks";

const BODY_MAX = 1024 * 1024;
const webhook = new Webhook(process.env.WEBHOOK_SECRET);
const seen = new Set(); // a real subscriber keeps the ids in its database

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
    // The sender went away.
    response.destroy();
  }
});

server.listen(Number(process.argv[2]), "127.0.0.1", () => {
  console.log(`listening on http://127.0.0.1:${server.address().port}/`);
});

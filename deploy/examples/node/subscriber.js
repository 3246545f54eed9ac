// Follow the feed of an institution, with the NATS client for Node and nothing else.
//
//     npm ci
//     node subscriber.js ville-besancon --server nats://127.0.0.1:4222 --seed ../ville-besancon.nk
//
// Prints each event, the ledger's own bytes, one a line; otherwise as ../subscriber.py, which says more.
// The server may be a ws:// or wss:// address; NODE_EXTRA_CA_CERTS names who vouches for one that nobody knows.

import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { setTimeout } from "node:timers/promises";
import { parseArgs } from "node:util";

const PREFIX = "JS.LEDGER.API";

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    server: { type: "string", default: "nats://127.0.0.1:4222" },
    seed: { type: "string" },
    place: { type: "string" },
    from: { type: "string" },
    once: { type: "boolean", default: false },
  },
});
const isOverWeb = /^wss?:/.test(values.server);
if (isOverWeb) globalThis.WebSocket ??= (await import("ws")).WebSocket; // Node has one of its own since 22.
const { connect, NatsError, nkeyAuthenticator } = await import(isOverWeb ? "nats.ws" : "nats");

const [institution] = positionals;
if (!institution) throw new Error("whose feed? node subscriber.js INSTITUTION");
const place = values.place ?? `${institution}.place`;

let done = existsSync(place) ? JSON.parse(readFileSync(place, "utf8")) : { number: 0, sequence: 0 };
// Number n stands at sequence n or later: the stream has the messages of the others too.
if (values.from) done = { number: Number(values.from) - 1, sequence: Number(values.from) - 1 };

function keep(number, sequence) {
  done = { number, sequence };
  writeFileSync(`${place}.new`, JSON.stringify(done));
  renameSync(`${place}.new`, place);
}

const seed = readFileSync(values.seed ?? `${institution}.nk`, "utf8").trim();
const bus = await connect({
  servers: values.server,
  authenticator: nkeyAuthenticator(new TextEncoder().encode(seed)),
  maxReconnectAttempts: -1,
});

// Have everything after `sequence` of the stream delivered, whether it was before or not.
async function beginAfter(sequence) {
  const subject = `${PREFIX}.CONSUMER.RESET.FEED.${institution}`;
  const { error } = (await bus.request(subject, JSON.stringify({ seq: sequence + 1 }))).json();
  if (error) throw new Error(`the server does not begin again at ${sequence + 1}: ${error.description}`);
}

async function follow() {
  const consumer = await bus.jetstream({ apiPrefix: PREFIX }).consumers.get("FEED", institution);
  await beginAfter(done.sequence);
  let missed = 0;
  for (;;) {
    let came = 0;
    let late = false;
    try {
      for await (const message of await consumer.fetch({ max_messages: 100, expires: values.once ? 1000 : 5000 })) {
        came += 1;
        const number = Number(message.headers.get("Registre-Number"));
        if (late) continue;
        if (number > done.number + 1) {
          if (missed === number) throw new Error(`after number ${done.number} comes ${number}: a gap, tell the ledger`);
          missed = number;
          late = true;
          continue;
        }
        if (number === done.number + 1) {
          process.stdout.write(`${message.string()}\n`);
          keep(number, message.seq); // Before the acknowledgement, so that nothing is lost in between.
        }
        message.ack();
      }
    } catch (error) {
      // The server stops, or is away: the connection comes back by itself, unless it is closed.
      if (!(error instanceof NatsError) || bus.isClosed()) throw error;
      console.error(error.message);
      await setTimeout(1000);
      continue;
    }
    // Perhaps only late: once more, from the last one that we have.
    if (late) await beginAfter(done.sequence);
    if (values.once && came === 0) return;
  }
}

try {
  await follow();
} finally {
  await bus.drain();
}

// The proofs of the official TypeScript client, version 2 (`DpopSession`, `withDpop`).
//
//     dpop-client.mjs ALG
//
// It makes a key for ALG and prints `key THUMBPRINT`. Commands on stdin, each answered by a line:
//
//     token TOKEN            the token that requests have from now on; `ok`
//     request METHOD URL     one request; `answer STATUS`, and the number of requests that were sent for it
//     repeat                 the last request that was sent, as it was; `answer STATUS 1`
import { DpopSession, withDpop } from '@modelcontextprotocol/client';
import { createInterface } from 'node:readline';

const session = await DpopSession.create({ alg: process.argv[2] });
let token;
let sent = 0;
let last;
const recorded = (input, init) => {
  sent += 1;
  last = [input, init];
  return fetch(input, init);
};
const withProof = withDpop(session, () => token)(recorded);
console.log(`key ${session.thumbprint}`);

for await (const line of createInterface({ input: process.stdin })) {
  const [command, ...rest] = line.split(' ');
  sent = 0;
  if (command === 'token') {
    [token] = rest;
    console.log('ok');
    continue;
  }
  const [method, url] = rest;
  const response = command === 'repeat' ? await recorded(...last) : await withProof(url, { method });
  await response.text();
  console.log(`answer ${response.status} ${sent}`);
}

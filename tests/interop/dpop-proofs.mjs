// Proofs made with npm `dpop`.
//
//   dpop-proofs.mjs ALG
//
// It makes a key for ALG and prints `key THUMBPRINT`. For each line `METHOD URL [TOKEN]` on stdin it prints
// `proof PROOF`.
import { createInterface } from 'node:readline';
import { calculateThumbprint, generateKeyPair, generateProof } from 'dpop';

const keys = await generateKeyPair(process.argv[2]);
console.log(`key ${await calculateThumbprint(keys.publicKey)}`);

for await (const line of createInterface({ input: process.stdin })) {
  const [method, url, token] = line.split(' ');
  console.log(`proof ${await generateProof(keys, url, method, undefined, token)}`);
}

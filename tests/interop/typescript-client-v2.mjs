// The official TypeScript client, version 2, without a browser: see contract.mjs and typescript.mjs.
import { Client, StreamableHTTPClientTransport, UnauthorizedError } from '@modelcontextprotocol/client';
import { runWith } from './typescript.mjs';

const sdk = { Client, StreamableHTTPClientTransport, UnauthorizedError };
// It checks the issuer in the answer (RFC 9207) as well, so it wants all of it.
await runWith(sdk, 'interop-typescript-v2', (transport, answer) => transport.finishAuth(answer));

// The official TypeScript SDK, version 1, without a browser: see contract.mjs and typescript.mjs.
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { UnauthorizedError } from '@modelcontextprotocol/sdk/client/auth.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { runWith } from './typescript.mjs';

const sdk = { Client, StreamableHTTPClientTransport, UnauthorizedError };
await runWith(sdk, 'interop-typescript', (transport, answer) => transport.finishAuth(answer.get('code')));

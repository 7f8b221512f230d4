// The official TypeScript SDK, version 1, without a browser: see contract.mjs.
//
// With `--forget-refresh-tokens` it has none to refresh with, as with an authorization server that issues none.
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { UnauthorizedError } from '@modelcontextprotocol/sdk/client/auth.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { option } from './contract.mjs';
import { runWith } from './typescript.mjs';

const sdk = { Client, StreamableHTTPClientTransport, UnauthorizedError };
const settings = { keepsRefreshTokens: !option('--forget-refresh-tokens') };
await runWith(sdk, 'interop-typescript', settings, (transport, answer) => transport.finishAuth(answer.get('code')));

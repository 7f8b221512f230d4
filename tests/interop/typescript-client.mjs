// The official TypeScript client against a protected MCP server, without a browser.
//
//   node typescript-client.mjs URL
//
// Prints one JSON object: {"tools": [names], "whoami": text, "steps": ["METHOD URL STATUS", ...]}.
// `steps` holds every request in the order it was sent, without query strings (they are random);
// STATUS is `-` where no answer had come when the script ended.
import { randomBytes } from 'node:crypto';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { UnauthorizedError } from '@modelcontextprotocol/sdk/client/auth.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';

const TIME_LIMIT_MS = 60_000;
// Nothing listens there: the code is read from the redirect itself.
const REDIRECT_URL = 'http://127.0.0.1:8976/callback';

function fail(message) {
  console.error(`typescript-client: ${message}`);
  process.exit(1);
}

const steps = [];
async function recordingFetch(input, init) {
  const url = new URL(input instanceof Request ? input.url : input);
  const step = { text: `${init?.method ?? 'GET'} ${url.origin}${url.pathname}`, status: '-' };
  steps.push(step);
  const response = await fetch(input, init);
  step.status = response.status;
  return response;
}

/** Keeps everything in memory, and takes the place of the browser. */
class Provider {
  #state = randomBytes(16).toString('base64url');
  redirectUrl = REDIRECT_URL;
  // No scope: what the client asks for must come from the server's challenge or metadata.
  clientMetadata = {
    client_name: 'interop-typescript',
    redirect_uris: [REDIRECT_URL],
    grant_types: ['authorization_code'],
    response_types: ['code'],
    token_endpoint_auth_method: 'none',
  };

  state() { return this.#state; }
  clientInformation() { return this.client; }
  saveClientInformation(client) { this.client = client; }
  tokens() { return this.saved; }
  saveTokens(tokens) { this.saved = tokens; }
  codeVerifier() { return this.verifier; }
  saveCodeVerifier(verifier) { this.verifier = verifier; }

  async redirectToAuthorization(url) {
    const response = await recordingFetch(url, { redirect: 'manual' });
    const location = response.headers.get('location');
    if (!location) {
      throw new Error(`the authorization endpoint answered ${response.status} and no redirect: ${await response.text()}`);
    }
    if (!location.startsWith(`${REDIRECT_URL}?`)) throw new Error(`redirected elsewhere: ${location}`);
    const answer = new URL(location).searchParams;
    if (answer.has('error')) throw new Error(`authorization refused: ${location}`);
    if (answer.get('state') !== this.#state) throw new Error('the redirect carries another state');
    this.code = answer.get('code');
    if (!this.code) throw new Error(`no code in the redirect: ${location}`);
  }
}

if (process.argv.length !== 3) fail('usage: node typescript-client.mjs URL');
const server = new URL(process.argv[2]);
const show = () => steps.map(({ text, status }) => `${text} ${status}`);
setTimeout(() => fail(`not finished within ${TIME_LIMIT_MS / 1000} s; steps: ${show().join(', ')}`), TIME_LIMIT_MS).unref();

try {
  const provider = new Provider();
  const newTransport = () => new StreamableHTTPClientTransport(server, { authProvider: provider, fetch: recordingFetch });
  const client = new Client({ name: 'interop-typescript', version: '1.0.0' });

  const first = newTransport();
  await client.connect(first).then(
    () => { throw new Error('connected without a token: the server is not protected'); },
    (error) => { if (!(error instanceof UnauthorizedError)) throw error; },
  );
  await first.finishAuth(provider.code);

  // The SDK wants a fresh transport once authorization is finished.
  await client.connect(newTransport());
  const { tools } = await client.listTools();
  const result = await client.callTool({ name: 'whoami', arguments: {} });
  const whoami = result.content.map((part) => part.text).join('');
  if (result.isError) throw new Error(`whoami failed: ${whoami}`);
  await client.close();
  console.log(JSON.stringify({ tools: tools.map((tool) => tool.name), whoami, steps: show() }));
  process.exit(0); // not waiting for pooled connections
} catch (error) {
  fail(`${error.stack ?? error}\nsteps: ${show().join(', ')}`);
}

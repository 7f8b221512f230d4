// npm `better-auth` with its OAuth provider as the authorization server of one protected resource.
//
//   node better-auth.mjs --resource URL
//
// The first line on stdout is `issuer URL`, the second `client ID SECRET`: a client that gets tokens for itself
// (client_secret_basic, client_credentials, scope `mcp:read`). Tokens for the resource are JWTs, signed with EdDSA;
// with a DPoP proof for the token endpoint they are bound to its key. It runs until its standard input ends.
import { createServer } from 'node:http';
import { parseArgs } from 'node:util';
import { oauthProvider } from '@better-auth/oauth-provider';
import { betterAuth } from 'better-auth';
import { memoryAdapter } from 'better-auth/adapters/memory';
import { toNodeHandler } from 'better-auth/node';
import { jwt } from 'better-auth/plugins';

const { values: options } = parseArgs({ options: { resource: { type: 'string' } } });
if (!options.resource) {
  console.error('usage: node better-auth.mjs --resource URL');
  process.exit(2);
}

let handle;
const server = createServer((request, response) => handle(request, response));
server.listen(0, '127.0.0.1', async () => {
  const baseURL = `http://127.0.0.1:${server.address().port}`;
  const tables = ['user', 'session', 'account', 'verification', 'jwks', 'oauthClient', 'oauthAccessToken',
    'oauthRefreshToken', 'oauthConsent', 'oauthResource', 'oauthClientResource', 'oauthClientAssertion'];
  const auth = betterAuth({
    baseURL,
    secret: 'R7vJ2nWq9sLx4TzK8mYc3FbHd6GpAeU5',
    database: memoryAdapter(Object.fromEntries(tables.map((table) => [table, []]))),
    emailAndPassword: { enabled: true },
    telemetry: { enabled: false },
    logger: { level: 'error' },
    plugins: [
      jwt({ disableSettingJwtHeader: true }),
      oauthProvider({
        loginPage: '/login', consentPage: '/consent', scopes: ['mcp:read'],
        resources: [options.resource], enforcePerClientResources: false, clientPrivileges: () => true,
        silenceWarnings: { oauthAuthServerConfig: true, openidConfig: true },
      }),
    ],
  });
  handle = toNodeHandler(auth);
  // Clients are made by users.
  const { headers } = await auth.api.signUpEmail({
    returnHeaders: true, body: { name: 'admin', email: 'admin@example.com', password: 'correct horse battery' },
  });
  const client = await auth.api.adminCreateOAuthClient({
    headers: new Headers({ cookie: headers.getSetCookie().map((cookie) => cookie.split(';')[0]).join('; ') }),
    body: {
      client_name: 'interop', redirect_uris: ['https://app.example/callback'], grant_types: ['client_credentials'],
      token_endpoint_auth_method: 'client_secret_basic', client_credentials_scopes: ['mcp:read'],
    },
  });
  console.log(`issuer ${baseURL}/api/auth`);
  console.log(`client ${client.client_id} ${client.client_secret}`);
});
process.stdin.on('end', () => process.exit(0)).resume();

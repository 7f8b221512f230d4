// npm `oidc-provider` as the authorization server of one protected resource.
//
//   node oidc-provider.mjs --port PORT --resource URL
//
// PORT 0 picks a free port. The first line on stdout is `issuer http://127.0.0.1:PORT`; discovery, key set and
// token endpoint are where its metadata says. It runs until its standard input ends.
//
// Tokens: POST to the token endpoint (`/token`) with HTTP Basic `interop` : `interop-secret` and the form
//   grant_type=client_credentials & scope=mcp:read mcp:write & resource=URL
// gives an RFC 9068 JWT whose `aud` is that URL. `resource=https://elsewhere.example/mcp` gives a good token for
// somebody else (wrong audience), any other one `invalid_target`; leaving `resource` out gives an opaque token.
//
// Over TLS (the command `tls`) the client `mtls`, with the same secret, has its tokens bound to the certificate that
// it shows (RFC 8705).
//
// Introspection (`/token/introspection`, plain or with `Accept: application/token-introspection+jwt`) is for these:
//   mcp@example.com:1   secret `s3:cret + 100%`   client_secret_basic, each form-encoded
//   mcp-post            the same secret           client_secret_post
//   mcp-key             the key that `key` tells  private_key_jwt, ES256
// Revocation (`/token/revocation`) is for the client that the token was issued to, `interop`.
//
// Commands on standard input, one a line, each answered by one line on stdout:
//   ttl SECONDS    lifetime of the tokens issued from now on (600 at the start)   answer: ttl SECONDS
//   alg NAME       their algorithm: RS256 (at the start), PS256, ES256, ES384, EdDSA    answer: alg NAME
//   format KIND    tokens for a resource: jwt (at the start) or opaque            answer: format KIND
//   tls CERT KEY   listens for TLS too, with these files, and asks clients for certificates    answer: tls PORT
//   key            the private key of mcp-key, PKCS#8 in DER                      answer: key BASE64
//   backchannel URL [session]   where `app` is told of logouts: of the session, or of the user    answer: backchannel
//   acr NAME       class of the sign-ins from now on (none at the start)          answer: acr NAME
//   login NAME USER  signs USER in to `app` in a browser NAME, for a token     answer: token JWT
//   logout NAME    signs out in that browser                                   answer: logout, and told STATUS or told nobody
//   rotate         new keys take the place of the old ones                        answer: rotated
//   rotate keep    new keys sign, the old ones stay in the key set                answer: rotated
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { errors, Provider } from 'oidc-provider';
import { APP, Session } from './oidc-provider-session.mjs';

const ELSEWHERE = 'https://elsewhere.example/mcp';
const KEY_KINDS = {
  RS256: ['rsa', { modulusLength: 2048 }],
  PS256: ['rsa', { modulusLength: 2048 }],
  ES256: ['ec', { namedCurve: 'P-256' }],
  ES384: ['ec', { namedCurve: 'P-384' }],
  EdDSA: ['ed25519'],
};

const { values: options } = parseArgs({ options: { port: { type: 'string' }, resource: { type: 'string' } } });
if (!options.port || !options.resource) {
  console.error('usage: node oidc-provider.mjs --port PORT --resource URL');
  process.exit(2);
}

let ttl = 600;
let alg = 'RS256';
let format = 'jwt';
let acr;
let keys = [];
let handle;
let backchannel = {};
let told = 'nobody';
const sessions = new Map();

const ID = 'mcp@example.com:1';
const SECRET = 's3:cret + 100%';
const clientKey = generateKeyPairSync('ec', { namedCurve: 'P-256' });

function resourceServer(id, method, more) {
  return {
    client_id: id, token_endpoint_auth_method: method, introspection_signed_response_alg: 'ES256',
    grant_types: [], response_types: [], redirect_uris: [], ...more,
  };
}

function newKeys() {
  return Object.entries(KEY_KINDS).map(([name, parameters]) => ({
    ...generateKeyPairSync(...parameters).privateKey.export({ format: 'jwk' }), alg: name, use: 'sig',
  }));
}

function rotate(issuer, kept) {
  keys = [...newKeys(), ...kept]; // the first key that fits signs
  provide(issuer);
}

/** Keys and clients of a provider are fixed when it is made, so new ones mean a new provider behind the same issuer. */
function provide(issuer) {
  const provider = new Provider(issuer, {
    jwks: { keys },
    cookies: { keys: [randomBytes(32).toString('hex')] },
    scopes: ['mcp:read', 'mcp:write'],
    clients: [{
      client_id: 'interop', client_secret: 'interop-secret', token_endpoint_auth_method: 'client_secret_basic',
      grant_types: ['client_credentials'], response_types: [], redirect_uris: [],
    },
    {
      client_id: 'mtls', client_secret: 'interop-secret', token_endpoint_auth_method: 'client_secret_basic',
      grant_types: ['client_credentials'], response_types: [], redirect_uris: [],
      tls_client_certificate_bound_access_tokens: true,
    },
    { client_id: APP.id, client_secret: APP.secret, redirect_uris: [APP.redirectUri], ...backchannel },
    resourceServer(ID, 'client_secret_basic', { client_secret: SECRET }),
    resourceServer('mcp-post', 'client_secret_post', { client_secret: SECRET }),
    resourceServer('mcp-key', 'private_key_jwt', {
      jwks: { keys: [clientKey.publicKey.export({ format: 'jwk' })] }, token_endpoint_auth_signing_alg: 'ES256',
    })],
    ttl: { ClientCredentials: () => ttl },
    // Access tokens name the session, where a client is told of its end, and how its user signed in.
    extraTokenClaims: (context, token) => {
      const code = context.oidc.entities.AuthorizationCode;
      return { sid: token.sid, ...(code && { auth_time: code.authTime, acr }) };
    },
    // Without the dispatcher that refuses loopback addresses.
    fetch: (url, { dispatcher, ...request }) => fetch(url, request),
    features: {
      backchannelLogout: { enabled: true },
      clientCredentials: { enabled: true },
      introspection: { enabled: true },
      jwtIntrospection: { enabled: true },
      mTLS: {
        enabled: true, certificateBoundAccessTokens: true,
        getCertificate: (context) => context.req.socket.getPeerX509Certificate?.()?.toString(),
      },
      revocation: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_context, resource) => {
          if (resource !== options.resource && resource !== ELSEWHERE) throw new errors.InvalidTarget();
          return {
            audience: resource, scope: 'mcp:read mcp:write', accessTokenFormat: format,
            ...(format === 'jwt' && { jwt: { sign: { alg } } }),
          };
        },
      },
    },
  });
  const tell = (status) => { told = status; };
  provider.on('backchannel.success', () => tell('200'));
  provider.on('backchannel.error', (_context, error) => tell(error.response?.status ?? error.message));
  handle = provider.callback();
}

const server = http.createServer((request, response) => handle(request, response));
server.listen(Number(options.port), '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  rotate(issuer, []);
  console.log(`issuer ${issuer}`);

  const commands = createInterface({ input: process.stdin });
  commands.on('line', async (line) => {
    const [command, value, more] = line.trim().split(/\s+/);
    if (command === 'ttl' && Number(value) > 0) {
      ttl = Number(value);
      console.log(`ttl ${ttl}`);
    } else if (command === 'alg' && value in KEY_KINDS) {
      alg = value;
      console.log(`alg ${alg}`);
    } else if (command === 'format' && ['jwt', 'opaque'].includes(value)) {
      format = value;
      console.log(`format ${format}`);
    } else if (command === 'acr') {
      acr = value;
      console.log(`acr ${acr}`);
    } else if (command === 'tls') {
      const tls = https.createServer({
        cert: readFileSync(value), key: readFileSync(more), requestCert: true, rejectUnauthorized: false,
      }, (request, response) => handle(request, response));
      tls.listen(0, '127.0.0.1', () => console.log(`tls ${tls.address().port}`));
    } else if (command === 'key') {
      console.log(`key ${clientKey.privateKey.export({ format: 'der', type: 'pkcs8' }).toString('base64')}`);
    } else if (command === 'backchannel') {
      backchannel = { backchannel_logout_uri: value, backchannel_logout_session_required: more === 'session' };
      provide(issuer);
      console.log('backchannel');
    } else if (command === 'login') {
      const session = new Session(issuer);
      sessions.set(value, session);
      console.log(`token ${await session.signIn(more, options.resource)}`);
    } else if (command === 'logout') {
      told = 'nobody';
      await sessions.get(value).signOut();
      console.log(`logout, and told ${told}`);
    } else if (command === 'rotate') {
      rotate(issuer, value === 'keep' ? keys : []);
      console.log('rotated');
    } else {
      console.log(`unknown command: ${line}`);
    }
  });
  commands.on('close', () => process.exit(0));
});

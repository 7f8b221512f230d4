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
// Commands on standard input, one a line, each answered by one line on stdout:
//   ttl SECONDS    lifetime of the tokens issued from now on (600 at the start)   answer: ttl SECONDS
//   alg NAME       their algorithm: RS256 (at the start), PS256, ES256, ES384, EdDSA    answer: alg NAME
//   rotate         new keys take the place of the old ones                        answer: rotated
//   rotate keep    new keys sign, the old ones stay in the key set                answer: rotated
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import http from 'node:http';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { errors, Provider } from 'oidc-provider';

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
let keys = [];
let handle;

function newKeys() {
  return Object.entries(KEY_KINDS).map(([name, parameters]) => ({
    ...generateKeyPairSync(...parameters).privateKey.export({ format: 'jwk' }), alg: name, use: 'sig',
  }));
}

/** The keys of a provider are fixed when it is made, so new keys mean a new provider behind the same issuer. */
function rotate(issuer, kept) {
  keys = [...newKeys(), ...kept]; // the first key that fits signs
  const provider = new Provider(issuer, {
    jwks: { keys },
    cookies: { keys: [randomBytes(32).toString('hex')] },
    scopes: ['mcp:read', 'mcp:write'],
    clients: [{
      client_id: 'interop', client_secret: 'interop-secret', token_endpoint_auth_method: 'client_secret_basic',
      grant_types: ['client_credentials'], response_types: [], redirect_uris: [],
    }],
    ttl: { ClientCredentials: () => ttl },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_context, resource) => {
          if (resource !== options.resource && resource !== ELSEWHERE) throw new errors.InvalidTarget();
          return { audience: resource, scope: 'mcp:read mcp:write', accessTokenFormat: 'jwt', jwt: { sign: { alg } } };
        },
      },
    },
  });
  handle = provider.callback();
}

const server = http.createServer((request, response) => handle(request, response));
server.listen(Number(options.port), '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  rotate(issuer, []);
  console.log(`issuer ${issuer}`);

  const commands = createInterface({ input: process.stdin });
  commands.on('line', (line) => {
    const [command, value] = line.trim().split(/\s+/);
    if (command === 'ttl' && Number(value) > 0) {
      ttl = Number(value);
      console.log(`ttl ${ttl}`);
    } else if (command === 'alg' && value in KEY_KINDS) {
      alg = value;
      console.log(`alg ${alg}`);
    } else if (command === 'rotate') {
      rotate(issuer, value === 'keep' ? keys : []);
      console.log('rotated');
    } else {
      console.log(`unknown command: ${line}`);
    }
  });
  commands.on('close', () => process.exit(0));
});

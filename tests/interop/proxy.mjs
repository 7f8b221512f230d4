// A loopback proxy for clients that cannot send a token themselves.
//
//   node proxy.mjs --listen PORT --target URL --token-file FILE
//
// Passes every request on to the same path at the origin of URL, with `Authorization: Bearer <token>` added
// where it has no such header. PORT 0 picks a free port; `listening PORT` on stdout says which. The file is
// read for every request, so that a test can renew the token during a long run.
import { readFileSync } from 'node:fs';
import http from 'node:http';
import { parseArgs } from 'node:util';

const { values: options } = parseArgs({
  options: { listen: { type: 'string' }, target: { type: 'string' }, 'token-file': { type: 'string' } },
});
if (!options.listen || !options.target || !options['token-file']) {
  console.error('usage: node proxy.mjs --listen PORT --target URL --token-file FILE');
  process.exit(2);
}
const target = new URL(options.target);

// They describe one connection, and there are two.
const HOP_BY_HOP = new Set(['connection', 'keep-alive']);

/** Raw header list (name, value, name, value, ...) through `change`, order, case and duplicates kept. */
function mapHeaders(raw, change) {
  const mapped = [];
  for (let i = 0; i < raw.length; i += 2) {
    if (HOP_BY_HOP.has(raw[i].toLowerCase())) continue;
    mapped.push(raw[i], change(raw[i].toLowerCase(), raw[i + 1]));
  }
  return mapped;
}

const proxy = http.createServer((request, response) => {
  const ownPort = new RegExp(`:${proxy.address().port}$`);
  // Only the port: what a client says about the host must reach the server, which may have to refuse it.
  const headers = mapHeaders(request.rawHeaders, (name, value) =>
    name === 'host' || name === 'origin' ? value.replace(ownPort, `:${target.port}`) : value);
  if (!request.headers.authorization) {
    headers.push('Authorization', `Bearer ${readFileSync(options['token-file'], 'utf8').trim()}`);
  }

  // A connection of its own for each request: a pooled one may be closed by the server just when it is reused.
  const upstream = http.request({
    agent: false, host: target.hostname, port: target.port, method: request.method, path: request.url, headers,
  });
  upstream.on('response', (answer) => {
    response.writeHead(answer.statusCode, answer.statusMessage, mapHeaders(answer.rawHeaders, (_, value) => value));
    response.flushHeaders(); // an event stream begins before its first event
    answer.pipe(response);
    answer.on('error', () => response.destroy());
  });
  upstream.on('error', (error) => {
    if (response.headersSent) return response.destroy();
    response.writeHead(502, { 'Content-Type': 'text/plain' }).end(`proxy: ${error.message}\n`);
  });
  response.on('close', () => upstream.destroy()); // a client that hangs up cancels its request
  request.pipe(upstream);
});
proxy.requestTimeout = 0; // the time limits are those of the client and the server
proxy.listen(Number(options.listen), '127.0.0.1', () => console.log(`listening ${proxy.address().port}`));

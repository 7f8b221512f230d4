// What the clients in JavaScript share: every request recorded, and what a host has to bring.
//
// By itself it is a browser for programs that want to open one:
//
//   node browser.mjs FILE URL
//
// adds URL to FILE as a line, and follows it wherever it leads, the program's own callback included.
import { randomBytes } from 'node:crypto';
import { appendFileSync, chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

// Nothing listens there: the code is read from the redirect itself.
const REDIRECT_URL = 'http://127.0.0.1:8976/callback';

/** The scope that an authorization request asks for. */
export const scopeOf = (url) => new URL(url).searchParams.get('scope') ?? '';

/** Sees every request, those of the authorization flow included. */
export class Recorder {
  #steps = [];
  /** The `scope` of every authorization request, in order. */
  authorizations = [];

  fetch = async (input, init) => {
    const url = new URL(input instanceof Request ? input.url : input);
    const method = init?.method ?? (input instanceof Request ? input.method : 'GET');
    const step = { text: `${method} ${url.origin}${url.pathname}`, status: '-' };
    this.#steps.push(step);
    const response = await fetch(input, init);
    step.status = response.status;
    return response;
  };

  opened(url) { this.authorizations.push(scopeOf(url)); }

  /** "METHOD URL STATUS" of each, without query strings. */
  get steps() { return this.#steps.map(({ text, status }) => `${text} ${status}`); }
}

/** Keeps everything in memory, and takes the place of the browser. */
export class Provider {
  #state = randomBytes(16).toString('base64url');
  #recorder;
  #keepsRefreshTokens;
  redirectUrl = REDIRECT_URL;

  constructor(name, recorder, { keepsRefreshTokens = true } = {}) {
    this.#recorder = recorder;
    this.#keepsRefreshTokens = keepsRefreshTokens;
    // No scope: what the client asks for must come from the server's challenge or metadata.
    this.clientMetadata = {
      client_name: name,
      redirect_uris: [REDIRECT_URL],
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      token_endpoint_auth_method: 'none',
    };
  }

  state() { return this.#state; }
  clientInformation() { return this.client; }
  saveClientInformation(client) { this.client = client; }
  tokens() { return this.saved; }
  saveTokens({ refresh_token, ...tokens }) {
    this.saved = this.#keepsRefreshTokens && refresh_token ? { ...tokens, refresh_token } : tokens;
  }
  codeVerifier() { return this.verifier; }
  saveCodeVerifier(verifier) { this.verifier = verifier; }
  storedState() { return this.#state; }
  discoveryState() { return this.discovered; }
  saveDiscoveryState(discovered) { this.discovered = discovered; }

  async redirectToAuthorization(url) {
    this.#recorder.opened(url);
    const response = await this.#recorder.fetch(url, { redirect: 'manual' });
    const location = response.headers.get('location');
    if (!location) {
      throw new Error(`the authorization endpoint answered ${response.status} and no redirect: ${await response.text()}`);
    }
    if (!location.startsWith(`${REDIRECT_URL}?`)) throw new Error(`redirected elsewhere: ${location}`);
    this.answer = new URL(location).searchParams;
    if (this.answer.has('error')) throw new Error(`authorization refused: ${location}`);
    if (this.answer.get('state') !== this.#state) throw new Error('the redirect carries another state');
    if (!this.answer.get('code')) throw new Error(`no code in the redirect: ${location}`);
  }

  /** The answer of the authorization endpoint, once. */
  takeAnswer() {
    const { answer } = this;
    if (!answer) throw new Error('there was no authorization');
    this.answer = undefined;
    return answer;
  }
}

/** A browser for other programs, in this folder: the command to open a URL with, and what it opened. */
export function browserIn(folder) {
  const command = path.join(folder, 'browser');
  const opened = path.join(folder, 'opened');
  writeFileSync(opened, '');
  const quoted = [process.execPath, fileURLToPath(import.meta.url), opened].map((part) => `'${part}'`);
  writeFileSync(command, `#!/bin/sh\nexec ${quoted.join(' ')} "$1"\n`);
  chmodSync(command, 0o755);
  const urls = () => readFileSync(opened, 'utf8').split('\n').filter(Boolean);
  return { command, urls };
}

/** A port that was free a moment ago. */
export function freePort() {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [file, url] = process.argv.slice(2);
  appendFileSync(file, `${url}\n`);
  const answer = await fetch(url, { redirect: 'manual' });
  const callback = answer.headers.get('location');
  if (!callback) process.exit(1);
  // A user takes a while to consent, and programs count on it: some listen only after they opened the browser.
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const page = await fetch(callback).catch(() => undefined);
    if (page) process.exit(page.ok ? 0 : 1);
    await setTimeout(100);
  }
  process.exit(1);
}

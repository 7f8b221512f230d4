// What the clients in JavaScript share: every request recorded, and what a host has to bring.
//
// By itself it is a browser for programs that want to open one:
//
//   node browser.mjs FILE URL
//
// adds URL to FILE as a line, and follows it wherever it leads, the program's own callback included.
import { randomBytes, randomInt } from 'node:crypto';
import { appendFileSync, chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

// Nothing listens there: the code is read from the redirect itself.
const REDIRECT_URL = 'http://127.0.0.1:8976/callback';

/** The scope that an authorization request asks for. */
export const scopeOf = (url) => new URL(url).searchParams.get('scope') ?? '';

/** For whom the access token is that a request has: `?` where it does not say. */
function audienceOf(headers) {
  const token = new Headers(headers).get('authorization')?.match(/^Bearer (.+)$/)?.[1];
  if (!token) return undefined;
  try {
    return JSON.parse(Buffer.from(token.split('.')[1], 'base64url')).aud;
  } catch {
    return '?';
  }
}

/** Sees every request, those of the authorization flow included. */
export class Recorder {
  #steps = [];
  #unanswered = new Set();
  /** The `scope` of every authorization request, in order. */
  authorizations = [];

  fetch = (input, init) => {
    const answer = this.#ask(input, init).finally(() => this.#unanswered.delete(answer));
    this.#unanswered.add(answer);
    return answer;
  };

  /** Waits until all requests have an answer that were sent so far. */
  async answered() { await Promise.allSettled(this.#unanswered); }

  async #ask(input, init) {
    const request = input instanceof Request ? input : undefined;
    const { origin, pathname } = new URL(request?.url ?? input);
    const step = {
      method: init?.method ?? request?.method ?? 'GET',
      url: origin + pathname,
      audience: audienceOf(init?.headers ?? request?.headers),
      status: '-',
    };
    this.#steps.push(step);
    const response = await fetch(input, init);
    step.status = response.status;
    return response;
  }

  opened(url) { this.authorizations.push(scopeOf(url)); }

  /** As the contract has it. */
  get seen() {
    return {
      authorizations: this.authorizations,
      steps: this.#steps.map(({ method, url, status }) => `${method} ${url} ${status}`),
      presented: this.#steps.filter(({ audience }) => audience)
        .map(({ url, audience, status }) => `${url} ${audience} ${status}`),
    };
  }
}

/** What a host keeps, in memory: one registration, which the SDKs drop at another authorization server, and the rest
 * for each server, or for each origin. */
export class Store {
  #kept = new Map();
  #byOrigin;

  constructor({ byOrigin = false } = {}) { this.#byOrigin = byOrigin; }

  of(url) {
    const key = this.#byOrigin ? url.origin : url.href;
    if (!this.#kept.has(key)) this.#kept.set(key, {});
    return this.#kept.get(key);
  }
}

/** A host's part of the flow at one server, with what it keeps of that; it takes the place of the browser. */
export class Provider {
  #state = randomBytes(16).toString('base64url');
  #recorder;
  #store;
  #kept;
  #keepsRefreshTokens;
  redirectUrl = REDIRECT_URL;

  constructor(name, recorder, url, {
    store = new Store(), keepsRefreshTokens = true, keepsDiscovery = true,
  } = {}) {
    this.#recorder = recorder;
    this.#store = store;
    this.#kept = store.of(url);
    this.#keepsRefreshTokens = keepsRefreshTokens;
    // A host need not.
    if (!keepsDiscovery) this.discoveryState = this.saveDiscoveryState = undefined;
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
  clientInformation() { return this.#store.client; }
  saveClientInformation(client) { this.#store.client = client; }
  tokens() { return this.#kept.tokens; }
  saveTokens({ refresh_token, ...tokens }) {
    this.#kept.tokens = this.#keepsRefreshTokens && refresh_token ? { ...tokens, refresh_token } : tokens;
  }
  codeVerifier() { return this.#kept.verifier; }
  saveCodeVerifier(verifier) { this.#kept.verifier = verifier; }
  storedState() { return this.#state; }
  discoveryState() { return this.#kept.discovered; }
  saveDiscoveryState(discovered) { this.#kept.discovered = discovered; }

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

/** Whether a server can listen there now. */
const isFree = (port) => new Promise((resolve) => {
  const server = createServer();
  server.once('error', () => resolve(false));
  server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
});

/**
 * A port that was free a moment ago. Below those that the tests choose, and connections are given by themselves; above
 * the last one that `fetch` refuses, 10080.
 */
export async function freePort() {
  for (;;) {
    const port = randomInt(11_000, 20_000);
    if (await isFree(port)) return port;
  }
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

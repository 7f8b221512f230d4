// The browser of a user of `oidc-provider`, and the client that the user signs in to.
import { createHash, randomBytes } from 'node:crypto';

export const APP = { id: 'app', secret: 'app-secret', redirectUri: 'https://app.example/callback' };

/** A session at the provider: a jar of cookies, and what is done with it. */
export class Session {
  constructor(issuer) {
    this.issuer = issuer;
    this.cookies = new Map();
  }

  async request(url, form) {
    const headers = { cookie: [...this.cookies].map(([name, value]) => `${name}=${value}`).join('; ') };
    const body = form && new URLSearchParams(form);
    const response = await fetch(url, { method: form ? 'POST' : 'GET', headers, body, redirect: 'manual' });
    for (const cookie of response.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(cookie);
      if (value) this.cookies.set(name, value); else this.cookies.delete(name);
    }
    return response;
  }

  /** Signs in, consents, and exchanges the code: an access token for the resource. */
  async signIn(user, resource) {
    const verifier = randomBytes(32).toString('base64url');
    const parameters = new URLSearchParams({
      client_id: APP.id, response_type: 'code', redirect_uri: APP.redirectUri, scope: 'openid mcp:read', resource,
      code_challenge: createHash('sha256').update(verifier).digest('base64url'), code_challenge_method: 'S256',
    });
    const metadata = await (await fetch(`${this.issuer}/.well-known/openid-configuration`)).json();
    let url = `${metadata.authorization_endpoint}?${parameters}`;
    const forms = [{ prompt: 'login', login: user, password: 'any' }, { prompt: 'consent' }];
    for (let steps = 0; !url.startsWith(APP.redirectUri); steps += 1) {
      const form = url.includes('/interaction/') ? forms.shift() : undefined;
      const response = await this.request(url, form);
      if (steps > 10 || response.status !== 303) throw new Error(`${url}: ${response.status} ${await response.text()}`);
      url = new URL(response.headers.get('location'), this.issuer).href;
    }
    const response = await fetch(metadata.token_endpoint, {
      method: 'POST',
      headers: { authorization: `Basic ${Buffer.from(`${APP.id}:${APP.secret}`).toString('base64')}` },
      body: new URLSearchParams({
        grant_type: 'authorization_code', code: new URL(url).searchParams.get('code'),
        redirect_uri: APP.redirectUri, code_verifier: verifier, resource,
      }),
    });
    const answer = await response.json();
    if (!answer.access_token) throw new Error(JSON.stringify(answer));
    return answer.access_token;
  }

  /** Signs out, which the provider tells its clients before it answers. */
  async signOut() {
    const page = await (await this.request(`${this.issuer}/session/end`)).text();
    const [, xsrf] = /name="xsrf" value="([^"]+)"/.exec(page);
    const response = await this.request(`${this.issuer}/session/end/confirm`, { xsrf, logout: 'yes' });
    if (response.status !== 303) throw new Error(`${response.status} ${await response.text()}`);
  }
}

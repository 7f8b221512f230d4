// MCP Inspector's web page in Debian's Chromium, clicked as its user does: see contract.mjs.
//
// `steps` is empty: the page's own server sends the requests.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { freePort, scopeOf } from './browser.mjs';
import { run } from './contract.mjs';

const INSPECTOR = 'node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js';
const CHROMIUM = '/usr/bin/chromium';

/** Ends the page's own server. */
let end = () => {};

/** Starts the page's own server for a server of MCP, and returns the address of the page. */
async function served(url, folder) {
  const { PATH } = process.env;
  const inspector = fileURLToPath(new URL(INSPECTOR, import.meta.url));
  const child = spawn(process.execPath, [inspector, '--web', '--server-url', url.href, '--transport', 'http'], {
    env: {
      PATH, HOME: folder, CLIENT_PORT: `${await freePort()}`, MCP_SANDBOX_PORT: '0', MCP_AUTO_OPEN_ENABLED: 'false',
      MCP_INSPECTOR_SECRET_STORE: 'file',
    },
    cwd: folder,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  // It waits for its connections to end when it is asked to.
  end = () => child.kill('SIGKILL');
  process.on('exit', end);
  for await (const line of createInterface({ input: child.stdout })) {
    const address = line.match(/http:\S+API_TOKEN=\S+/);
    if (address) return address[0];
  }
  throw new Error('the server of the page ended');
}

await run(async (url, report) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'interop-inspector-web-'));
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  const opened = [];
  report(() => ({ authorizations: opened.map(scopeOf), steps: [], presented: [] }));

  // In a container of root's its sandbox cannot start; only pages of loopback are opened.
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox'] });
  const page = await browser.newPage();
  page.setDefaultTimeout(30_000);
  const isSignIn = (request) => request.isNavigationRequest()
    && new URL(request.url()).searchParams.has('code_challenge');
  page.on('request', (request) => { if (isSignIn(request)) opened.push(request.url()); });
  // The page is at its callback for a moment: the wait for it begins before what leads there.
  const callback = () => page.waitForURL(({ pathname }) => pathname === '/oauth/callback', { waitUntil: 'commit' });
  await page.goto(await served(url, folder));
  // What is clicked lies under a drawn switch, so that it is not waited for by itself.
  const connect = page.getByLabel('Connect or disconnect').first();
  await connect.waitFor();
  const connected = callback();
  // A click is lost while the page is set up.
  while (!opened.length) {
    await connect.click({ force: true });
    await page.waitForRequest(isSignIn, { timeout: 8_000 }).catch(() => {});
  }
  await connected;

  const named = (tool) => page.getByText(tool, { exact: true }).first();
  const execute = page.getByRole('button', { name: 'Execute Tool' });
  const authorize = page.getByRole('dialog').getByRole('button', { name: 'Authorize' });
  const result = page.locator('pre').first();
  const executed = async () => {
    await execute.click();
    await authorize.or(result).first().waitFor();
  };
  const names = /^(get_notes|write_note)$/;
  return {
    tools: async () => {
      // The page is drawn anew once it is connected, and then shows its servers again.
      const tab = page.getByText('Tools', { exact: true }).first();
      while (!(await named('get_notes').isVisible())) {
        await tab.click({ force: true, timeout: 2_000 }).catch(() => {});
        await named('get_notes').waitFor({ timeout: 2_000 }).catch(() => {});
      }
      return page.getByText(names).allInnerTexts();
    },
    call: async (tool) => {
      // Another one in between puts the last result away.
      const another = (await page.getByText(names).allInnerTexts()).find((name) => name !== tool);
      await named(another).click();
      await named(tool).click();
      await executed();
      if (await authorize.isVisible()) {
        await Promise.all([callback(), authorize.click()]);
        // It comes back to the tool, which its user starts again.
        await executed();
      }
      return (await result.innerText()).trim();
    },
    // This program may be ended as soon as it has said what it saw.
    close: async () => { await browser.close(); end(); rmSync(folder, { recursive: true, force: true }); },
  };
});

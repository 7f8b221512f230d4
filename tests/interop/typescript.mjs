// What hosts do with the official TypeScript SDK, which has the same shape in both its versions.
//
// With `--by-origin` it keeps one set of tokens for all servers of an origin. With `--forget-discovery` it looks for the
// metadata of a server each time. With `--forget-refresh-tokens` it has none to refresh with, as with an authorization
// server that issues none.
import { Provider, Recorder, Store } from './browser.mjs';
import { option, run, text } from './contract.mjs';

/**
 * Runs the contract. `finish(transport, answer)` hands the answer of the authorization endpoint, as
 * `URLSearchParams`, to the SDK.
 */
export function runWith({ Client, StreamableHTTPClientTransport, UnauthorizedError }, name, finish) {
  const settings = {
    store: new Store({ byOrigin: option('--by-origin') }),
    keepsDiscovery: !option('--forget-discovery'),
    keepsRefreshTokens: !option('--forget-refresh-tokens'),
  };
  return run(async (url, report) => {
    const recorder = new Recorder();
    report(() => recorder.seen);
    const provider = new Provider(name, recorder, url, settings);
    const newTransport = () => new StreamableHTTPClientTransport(url, { authProvider: provider, fetch: recorder.fetch });
    const client = new Client({ name, version: '1.0.0' });

    let transport = newTransport();
    const isConnected = await client.connect(transport).then(
      () => true,
      (error) => { if (!(error instanceof UnauthorizedError)) throw error; },
    );
    if (!isConnected) {
      await finish(transport, provider.takeAnswer());
      // The SDK wants a fresh transport once authorization is finished.
      transport = newTransport();
      await client.connect(transport);
    }
    if (!provider.tokens() && !option('--anonymous')) {
      throw new Error('connected without a token: the server is not protected');
    }

    // Once the user agreed, the same again.
    const authorized = async (ask) => {
      try {
        return await ask();
      } catch (error) {
        if (!(error instanceof UnauthorizedError)) throw error;
        await finish(transport, provider.takeAnswer());
        return await ask();
      }
    };
    return {
      tools: async () => (await authorized(() => client.listTools())).tools.map((tool) => tool.name),
      call: async (tool) => text(await authorized(() => client.callTool({ name: tool, arguments: {} }))),
      close: () => client.close(),
    };
  });
}

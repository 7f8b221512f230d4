// What hosts do with the official TypeScript SDK, which has the same shape in both its versions.
import { Provider, Recorder } from './browser.mjs';
import { run, text } from './contract.mjs';

/**
 * Runs the contract. `finish(transport, answer)` hands the answer of the authorization endpoint, as
 * `URLSearchParams`, to the SDK.
 */
export function runWith({ Client, StreamableHTTPClientTransport, UnauthorizedError }, name, settings, finish) {
  return run(async (url, report) => {
    const recorder = new Recorder();
    report(() => ({ authorizations: recorder.authorizations, steps: recorder.steps }));
    const provider = new Provider(name, recorder, settings);
    const newTransport = () => new StreamableHTTPClientTransport(url, { authProvider: provider, fetch: recorder.fetch });
    const client = new Client({ name, version: '1.0.0' });

    let transport = newTransport();
    await client.connect(transport).then(
      () => { throw new Error('connected without a token: the server is not protected'); },
      (error) => { if (!(error instanceof UnauthorizedError)) throw error; },
    );
    await finish(transport, provider.takeAnswer());
    // The SDK wants a fresh transport once authorization is finished.
    transport = newTransport();
    await client.connect(transport);

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

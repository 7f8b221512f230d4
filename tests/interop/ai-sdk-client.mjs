// `@ai-sdk/mcp`, whose tools are those that the server lists, without a browser: see contract.mjs.
import { auth, createMCPClient, UnauthorizedError } from '@ai-sdk/mcp';
import { Provider, Recorder, Store } from './browser.mjs';
import { run, text } from './contract.mjs';

const store = new Store();

await run(async (url, report) => {
  const recorder = new Recorder();
  report(() => recorder.seen);
  const provider = new Provider('interop-ai-sdk', recorder, url, { store });
  // What it wants to be kept beside the tokens.
  provider.saveAuthorizationServerInformation = (information) => { provider.server = information; };
  provider.authorizationServerInformation = () => provider.server;
  // It listens and asks at once, each without a token, and opens another page where the second 401 comes after the
  // first was opened: the first waits for both.
  const open = provider.redirectToAuthorization.bind(provider);
  provider.redirectToAuthorization = async (page) => {
    await recorder.answered();
    await open(page);
  };
  const authorized = async (ask) => {
    try {
      return await ask();
    } catch (error) {
      if (!(error instanceof UnauthorizedError)) throw error;
      const answer = provider.takeAnswer();
      await auth(provider, {
        serverUrl: url,
        authorizationCode: answer.get('code'),
        callbackState: answer.get('state'),
        fetchFn: recorder.fetch,
      });
      return await ask();
    }
  };
  const transport = { type: 'http', url: url.href, authProvider: provider, fetch: recorder.fetch };
  const client = await authorized(() => createMCPClient({ transport }));
  const tools = await authorized(() => client.tools());
  return {
    tools: () => Object.keys(tools),
    // As a model's call is carried out.
    call: async (tool) => text(await authorized(() => tools[tool].execute({}, { toolCallId: tool, messages: [] }))),
    close: () => client.close(),
  };
});

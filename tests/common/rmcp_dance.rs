//! The client of rmcp finds its way to a token, from nothing but the URL of a server.

use reqwest::redirect::Policy;
use rmcp::service::{ClientInitializeError, RoleClient, RunningService};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::auth::{
    AuthClient, AuthorizationManager, AuthorizationRequest, InMemoryCredentialStore, OAuthState,
};
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::{ServiceExt, model::CallToolRequestParams};

/// Nothing listens there: the code is read from the redirect itself.
const REDIRECT_URL: &str = "http://127.0.0.1:8976/callback";

/// A client with a token for the server.
pub type Authorized = AuthClient<reqwest::Client>;

/// Discovers, registers, is authorized, and opens a session with its token.
pub async fn dance(url: &str, challenge: Option<&str>) -> RunningService<RoleClient, ()> {
    connect(url, authorize(url, challenge).await).await
}

/// Discovers, registers, and is authorized.
///
/// With a challenge the client starts from there; without, it asks the server for one.
pub async fn authorize(url: &str, challenge: Option<&str>) -> Authorized {
    authorize_with(url, challenge, InMemoryCredentialStore::new()).await
}

/// The same, and keeps the credentials in this store, of which every clone is the same.
pub async fn authorize_with(
    url: &str,
    challenge: Option<&str>,
    store: InMemoryCredentialStore,
) -> Authorized {
    let mut oauth = OAuthState::Unauthorized(manager(url, store).await);
    let mut request = AuthorizationRequest::new(REDIRECT_URL).with_client_name("rmcp");
    if let Some(challenge) = challenge {
        request = request.with_challenge(challenge);
    }
    oauth
        .start_authorization(request)
        .await
        .expect("discovery and registration");

    let page = oauth.get_authorization_url().await.expect("a URL");
    let callback = redirect_of(&page).await;
    oauth
        .handle_callback_url(&callback)
        .await
        .expect("a token for the code");

    let manager = oauth.into_authorization_manager().expect("authorized");
    AuthClient::new(reqwest::Client::new(), manager)
}

/// The client that the credentials of a store make, or `None` if there are none.
pub async fn restore(url: &str, store: InMemoryCredentialStore) -> Option<Authorized> {
    let mut manager = manager(url, store).await;
    let is_authorized = manager.initialize_from_store().await.expect("a store");
    is_authorized.then(|| AuthClient::new(reqwest::Client::new(), manager))
}

async fn manager(url: &str, store: InMemoryCredentialStore) -> AuthorizationManager {
    let mut manager = AuthorizationManager::new(url).await.expect("a client");
    manager.set_credential_store(store);
    manager
}

/// Opens a session.
pub async fn connect(url: &str, client: Authorized) -> RunningService<RoleClient, ()> {
    let config = StreamableHttpClientTransportConfig::with_uri(url);
    let transport = StreamableHttpClientTransport::with_client(client, config);
    ().serve(transport).await.expect("a session")
}

/// Opens a session with this token, or without one.
pub async fn connect_with(
    url: &str,
    token: Option<&str>,
) -> Result<RunningService<RoleClient, ()>, ClientInitializeError> {
    let mut config = StreamableHttpClientTransportConfig::with_uri(url);
    if let Some(token) = token {
        config = config.auth_header(token);
    }
    let transport = StreamableHttpClientTransport::from_config(config);
    ().serve(transport).await
}

/// What a browser would do with the authorization endpoint: here it redirects at once.
pub async fn redirect_of(page: &str) -> String {
    let browser = reqwest::Client::builder().redirect(Policy::none());
    let response = browser.build().expect("a browser").get(page).send();
    let response = response.await.expect("an answer");
    let location = response.headers().get("location").expect("a redirect");
    let location = location.to_str().expect("ASCII").to_owned();
    assert!(location.starts_with(REDIRECT_URL), "{location}");
    location
}

/// The names of the tools, and what `whoami` says.
pub async fn ask(client: &RunningService<RoleClient, ()>) -> (Vec<String>, String) {
    let tools = client.list_all_tools().await.expect("tools");
    let names = tools.iter().map(|tool| tool.name.to_string()).collect();
    let call = CallToolRequestParams::new("whoami");
    let result = client.call_tool(call).await.expect("a result");
    let text = result.content[0].as_text().expect("a text");
    (names, text.text.clone())
}

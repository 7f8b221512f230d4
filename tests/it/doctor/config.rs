//! What a configuration file expects, against what is deployed.

use tower_mcp_auth::config::Config;
use tower_mcp_auth::doctor::{Options, Report, examine};

use super::assert_codes;
use super::server::Fake;

async fn against(server: &Fake, config: &str, token: Option<&str>) -> Report {
    let config = config
        .replace("RESOURCE", &server.url)
        .replace("ISSUER", server.issuer.url());
    let config = Config::from_toml(&config).unwrap();
    let mut options = Options::new(&server.url).unwrap().config(&config).unwrap();
    if let Some(token) = token {
        options = options.token(token).unwrap();
    }
    examine(options).await
}

const SAME: &str = r#"
    resource = "RESOURCE"
    [[authorization_servers]]
    issuer = "ISSUER"
    insecure_http_on_loopback = true
"#;

#[tokio::test]
async fn the_server_is_compared_with_the_file() {
    let server = Fake::good().await;
    for (name, config, codes) in [
        ("the same", SAME, &[][..]),
        (
            "another resource",
            &SAME.replace("RESOURCE", "https://mcp.example.com/mcp"),
            &["configuration_differs"],
        ),
        (
            "another issuer",
            "resource = 'RESOURCE'\nauthorization_servers.a.issuer = 'https://auth.example.com'",
            &["configuration_differs"],
        ),
        // Files and secrets are where the server is, not here.
        (
            "secrets that are not here",
            &format!(
                "{SAME}\njwks_file = '/nowhere/jwks.json'\n\
                 introspection = {{ client_id = 'a', client_secret = {{ env = 'NOWHERE' }} }}"
            ),
            &[],
        ),
    ] {
        assert_codes(&against(&server, config, None).await, codes, name);
    }
}

#[tokio::test]
async fn a_token_is_judged_by_the_audiences_of_the_file() {
    let server = Fake::good().await;
    let token = server
        .issuer
        .token()
        .audience("api://mcp")
        .scope("mcp:read")
        .sign();
    let report = against(&server, SAME, Some(&token)).await;
    assert_codes(
        &report,
        &["foreign_audience_accepted"],
        "the resource alone",
    );
    let config = format!("{SAME}\naudience = ['api://mcp']");
    assert_codes(
        &against(&server, &config, Some(&token)).await,
        &[],
        "its own",
    );
}

#[test]
fn a_file_without_authorization_servers_is_no_help() {
    let config = Config::from_toml("resource = 'https://mcp.example.com/mcp'").unwrap();
    let options = Options::new("https://mcp.example.com/mcp").unwrap();
    let error = options.config(&config).unwrap_err();
    assert_eq!(error.path(), "authorization_servers");
}

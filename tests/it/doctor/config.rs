//! What a configuration file expects, against what is deployed.

use tower_mcp_auth::config::Config;
use tower_mcp_auth::doctor::{Judgement, Options, Report, examine};

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

#[tokio::test]
async fn a_token_is_judged_by_the_issuers_and_clients_of_the_file() {
    let server = Fake::good().await;
    let row = |report: &Report, name: &str| {
        let row = report.token.iter().find(|row| row.name == name);
        row.map(|row| row.judgement)
    };
    let elsewhere = "https://tokens.example.com";
    let token = server
        .issuer
        .token()
        .claim("iss", elsewhere)
        .audience(&server.url)
        .scope("mcp:read")
        .sign();
    let config = format!("{SAME}\ntoken_issuer = '{elsewhere}'");
    let report = against(&server, &config, Some(&token)).await;
    assert_eq!(row(&report, "iss"), Some(Judgement::Good));
    assert_eq!(row(&report, "signature"), Some(Judgement::Good));
    let report = against(&server, SAME, Some(&token)).await;
    assert_eq!(row(&report, "iss"), Some(Judgement::Bad));

    let token = server
        .issuer
        .token()
        .without_claim("aud")
        .client_id("agent")
        .scope("mcp:read")
        .sign();
    for (clients, codes) in [
        ("client_ids = ['agent']", &[][..]),
        ("dangerously_accept_every_client_of_this_issuer = true", &[]),
        ("client_ids = ['other']", &["foreign_audience_accepted"]),
        ("", &["foreign_audience_accepted"]),
    ] {
        let report = against(&server, &format!("{SAME}\n{clients}"), Some(&token)).await;
        assert_codes(&report, codes, clients);
    }
}

#[tokio::test]
async fn a_token_is_judged_by_what_the_file_says_of_the_tenant() {
    let server = Fake::good().await;
    let (base, tenant) = server.url.rsplit_once('/').unwrap();
    let config = format!(
        "[[authorization_servers]]\nissuer = 'ISSUER'\ninsecure_http_on_loopback = true\n\
         [[authorization_servers]]\nissuer = 'https://auth.example.com'\n\
         [resources.all]\nurl = '{base}/{{tenant}}'\ntenants = ['{tenant}']\n\
         tenant_settings.{tenant} = {{ authorization_servers = ['https://auth.example.com'], \
         required_scopes = ['mcp:all'] }}"
    );
    let token = server
        .issuer
        .token()
        .audience(&server.url)
        .scope("mcp:read")
        .sign();
    let report = against(&server, &config, Some(&token)).await;
    for (name, judgement) in [("iss", Judgement::Bad), ("scope", Judgement::Unknown)] {
        let row = report.token.iter().find(|row| row.name == name).unwrap();
        assert_eq!(row.judgement, judgement, "{row:?}");
    }
}

#[test]
fn a_file_without_authorization_servers_is_no_help() {
    let config = Config::from_toml("resource = 'https://mcp.example.com/mcp'").unwrap();
    let options = Options::new("https://mcp.example.com/mcp").unwrap();
    let error = options.config(&config).unwrap_err();
    assert_eq!(error.path(), "authorization_servers");
}

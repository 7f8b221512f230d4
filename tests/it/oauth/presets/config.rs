//! What cannot work is an error before anything is served, and names the setting.

use serde_json::json;
use tower_mcp_auth::oauth::presets::{
    auth0, authentik, clerk, cloudflare_access, cognito, descope, entra, firebase, github_actions,
    gitlab_ci, google, hydra, keycloak, kubernetes, logto, okta, ping_one, spiffe, stytch,
    supabase, workos, zitadel,
};
use tower_mcp_auth::oauth::{AuthorizationServer, Introspection};
use tower_mcp_auth::{ConfigError, OAuthLayer};

use crate::oauth::presets::support::{ISSUER, RESOURCE};

fn server() -> AuthorizationServer {
    AuthorizationServer::new(ISSUER).unwrap()
}

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, ConfigError>, setting: &str, text: &str) {
    let error = result.unwrap_err();
    assert_eq!(error.setting(), setting, "{error}");
    assert!(error.to_string().contains(text), "{error}");
}

const TAG: &str = "32eafc7626e974616deaf0dc3ce63d7bcbed58a2731e84d06bc3cdf1b53c4228";
const GUID: &str = "72f988bf-86f1-41af-91ab-2d7cd011db47";

#[test]
fn a_preset_takes_no_value_that_would_make_another_url() {
    for domain in [
        "",
        "acme",
        "https://acme.example.com",
        "acme.example.com/",
        "acme.example.com/x",
        "ACME.example.com",
        "acme.example.com:8443",
        "u@acme.example.com",
        "acme.example.com?x",
        "acme.example.com#x",
        "acme .com",
    ] {
        refused(auth0::server(domain), "auth0 domain", "host");
        refused(okta::server(domain, "default"), "okta domain", "host");
        refused(clerk::server(domain), "clerk domain", "host");
        refused(stytch::server(domain, "p"), "stytch domain", "host");
        refused(workos::server(domain), "authkit domain", "host");
        refused(logto::server(domain), "logto domain", "host");
        refused(zitadel::server(domain, "1"), "zitadel domain", "host");
        refused(ping_one::server(domain, "e"), "pingone domain", "host");
        refused(
            cloudflare_access::server(domain, TAG),
            "cloudflare team domain",
            "host",
        );
    }
    for id in ["", ".", "..", "a/b", "a b", "a?b", "a#b", "a%2fb", "é"] {
        refused(
            okta::server("a.okta.com", id),
            "okta authorization server",
            "1 to 128",
        );
        refused(
            keycloak::server("https://id.example.com", id),
            "keycloak realm",
            "1 to 128",
        );
        refused(
            authentik::server("https://id.example.com", id, "c"),
            "authentik slug",
            "1 to 128",
        );
        refused(descope::server(id, "m"), "descope project", "1 to 128");
        refused(descope::server("p", id), "descope MCP server", "1 to 128");
        refused(supabase::server(id), "supabase project", "1 to 128");
        refused(
            ping_one::server("auth.pingone.eu", id),
            "pingone environment",
            "1 to 128",
        );
        refused(
            zitadel::server("a.zitadel.cloud", id),
            "zitadel project id",
            "1 to 128",
        );
    }
    for tenant in [
        "",
        "common",
        "organizations",
        "contoso.onmicrosoft.com",
        "72F988BF-86F1-41AF-91AB-2D7CD011DB47",
        "{tenantid}",
    ] {
        refused(entra::v2(tenant, GUID), "entra tenant", "GUID");
        refused(entra::v1(tenant, "api://x"), "entra tenant", "GUID");
        refused(entra::tenants([tenant], GUID), "entra tenants", "GUID");
    }
    refused(entra::v2(GUID, "my-app"), "entra client id", "GUID");
    refused(entra::v1(GUID, ""), "audience", "empty");
    refused(entra::tenants([""; 0], GUID), "entra tenants", "no tenant");
    refused(entra::tenants([GUID, GUID], GUID), "entra tenants", "twice");
    refused(
        cognito::server("eu-central-1", "us-east-1_AbC"),
        "cognito pool id",
        "region",
    );
    refused(cognito::server("", "x"), "cognito region", "1 to 128");
    refused(
        keycloak::server("http://id.example.com", "acme"),
        "issuer",
        "https",
    );
    refused(
        keycloak::server("https://id.example.com?x", "acme"),
        "keycloak base URL",
        "query",
    );
    refused(
        keycloak::server("https://id.example.com/realms/acme", "acme"),
        "keycloak base URL",
        "realm already",
    );
    refused(hydra::server("id.example.com"), "issuer", "absolute URL");
    refused(
        stytch::server("login.example.com", ""),
        "stytch project id",
        "empty",
    );
    refused(google::server([""; 0]), "client_ids", "empty");
    refused(google::server([""]), "client_ids", "environment");
}

#[test]
fn the_org_server_of_okta_is_explained() {
    let error = okta::org_server("acme.okta.com").unwrap_err().to_string();
    for part in [
        "https://acme.okta.com",
        "cannot be checked",
        "custom authorization server",
    ] {
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn client_ids_are_a_list_and_not_everybody() {
    refused(server().client_ids([""; 0]), "client_ids", "empty");
    refused(server().client_ids(["a", ""]), "client_ids", "environment");
    let everybody = "dangerously_accept_every_client_of_this_issuer";
    let all = server()
        .dangerously_accept_every_client_of_this_issuer()
        .unwrap();
    refused(all.client_ids(["a"]), "client_ids", everybody);
    let listed = server().client_ids(["a"]).unwrap();
    refused(
        listed.dangerously_accept_every_client_of_this_issuer(),
        everybody,
        "client_ids",
    );
    refused(server().client_claim(""), "client_claim", "empty");
}

#[test]
fn an_audience_that_all_tokens_have_cannot_be_expected() {
    refused(server().ignore_audience(""), "ignore_audience", "empty");
    let shared = server().ignore_audience("account").unwrap();
    refused(shared.audience("account"), "audience", "client_ids");
    let expected = server().audience("account").unwrap();
    refused(
        expected.ignore_audience("account"),
        "audience",
        "client_ids",
    );
    let preset = supabase::server("abc").unwrap();
    refused(preset.audience("authenticated"), "audience", "client_ids");
    let preset = keycloak::server("https://id.example.com", "acme").unwrap();
    refused(preset.audience("account"), "audience", "client_ids");
    let preset = stytch::server("login.example.com", "project-1").unwrap();
    refused(preset.audience("project-1"), "audience", "client_ids");
    refused(
        descope::server("P1", "M1").unwrap().audience("P1"),
        "audience",
        "client_ids",
    );
}

#[test]
fn claims_and_mappings_that_mean_nothing_are_refused() {
    refused(server().require_claim("", ["x"]), "require_claim", "name");
    refused(
        server().require_claim("org", [""; 0]),
        "require_claim",
        "no value",
    );
    let map = |path: &[&str], mapping: &[(&str, &str)]| {
        server().scopes_from_claim(path.iter().copied(), mapping.iter().copied())
    };
    let setting = "scopes_from_claim";
    refused(map(&[], &[("a", "b")]), setting, "path");
    refused(map(&["x", ""], &[("a", "b")]), setting, "path");
    refused(map(&["x"], &[]), setting, "list is empty");
    refused(map(&["x"], &[("", "b")]), setting, "role is empty");
    refused(map(&["x"], &[("a", "")]), setting, "not scopes");
    refused(map(&["x"], &[("a", "b\"c")]), setting, "not scopes");
    refused(map(&["x"], &[("a", "b"), ("a", "c")]), setting, "twice");
}

#[test]
fn tenants_have_keys_of_their_own_and_no_introspection() {
    let tenants = || entra::tenants([GUID], GUID).unwrap();
    let keys = json!({"keys": []}).to_string();
    refused(tenants().jwks(keys), "jwks", "several tenants");
    let introspection = Introspection::discovered()
        .client_secret_basic("a", "b")
        .unwrap();
    refused(
        tenants().introspection(introspection),
        "introspection",
        "several tenants",
    );
    let builder = OAuthLayer::builder(RESOURCE)
        .unwrap()
        .authorization_server(tenants())
        .unwrap()
        .authorization_server(entra::v2(GUID, GUID).unwrap())
        .unwrap();
    refused(builder.build(), "authorization_server", "two servers");
}

#[test]
fn shared_issuers_ask_for_the_owners_of_tokens() {
    let none: [u64; 0] = [];
    let gitlab = "https://gitlab.com";
    for (made, setting) in [
        (github_actions::owners(none), "github owner ids"),
        (github_actions::repositories(none), "github repository ids"),
        (gitlab_ci::namespaces(gitlab, none), "gitlab namespace ids"),
        (gitlab_ci::projects(gitlab, none), "gitlab project ids"),
        (
            kubernetes::server(kubernetes::DEFAULT_ISSUER, [""; 0]),
            "kubernetes service accounts",
        ),
    ] {
        refused(made, setting, "there is none");
    }
    let plain = gitlab_ci::projects("http://gitlab.example.com", [1]);
    refused(plain, "issuer", "https");
    for account in [
        "",
        "planner",
        "/planner",
        "agents/",
        "agents/planner/x",
        "*/planner",
        "*/*",
        "agents/plan*",
        "agents/**",
        "Agents/planner",
        "agents:planner/x",
        "agents/a:b",
        "agents/a b",
        "a.b/planner",
        "system:serviceaccount:agents:planner",
        "\u{430}gents/planner",
    ] {
        for made in [
            kubernetes::server(kubernetes::DEFAULT_ISSUER, [account]),
            kubernetes::in_cluster(kubernetes::DEFAULT_ISSUER, ["agents/planner", account]),
        ] {
            refused(made, "kubernetes service accounts", "namespace/name");
        }
    }
    let bundle = "https://spire.example.org/bundle";
    let long = "a".repeat(256);
    for domain in [
        "",
        "spiffe://example.org",
        "example.org/agent",
        "Example.org",
        "example.org:443",
        "user@example.org",
        "ex\u{430}mple.org",
        &long,
    ] {
        for made in [
            spiffe::trust_domain(domain, bundle),
            spiffe::trust_domain_with_issuer(domain, bundle, "https://oidc.example.org"),
        ] {
            refused(made, "spiffe trust domain", "no name of a trust domain");
        }
    }
    let plain = spiffe::trust_domain("example.org", "http://spire.example.org/bundle");
    refused(plain, "jwks_uri", "https");
    let issuer = spiffe::trust_domain_with_issuer("example.org", bundle, "oidc.example.org");
    refused(issuer, "issuer", "absolute URL");
    for tag in ["", "my-app", "32EAFC7626E974616DEAF0DC3CE63D7B", &TAG[..31]] {
        let made = cloudflare_access::server("acme.cloudflareaccess.com", tag);
        refused(made, "cloudflare audience tag", "AUD tag");
    }
    for project in ["", "Acme Project", "acme/x", "acme.project", "abc"] {
        let made = firebase::server(project);
        refused(made, "firebase project id", "no id of a project");
    }
}

#[test]
fn a_trust_domain_is_not_introspected() {
    let introspection = Introspection::at("https://spire.example.org/introspect").unwrap();
    let introspection = introspection.client_secret_basic("a", "b").unwrap();
    let server = spiffe::trust_domain("example.org", "https://spire.example.org/bundle");
    let server = server.unwrap().introspection(introspection).unwrap();
    refused(
        OAuthLayer::new(RESOURCE, server),
        "introspection",
        "no server",
    );
}

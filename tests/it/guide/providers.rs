//! The pages of identity providers: their good token passes, and their refusals are as they say.

use std::collections::BTreeSet;
use std::fs;

use bytes::Bytes;
use http::{Request, Response};
use serde_json::{Value, json};
use tower_mcp_auth::oauth::presets::{
    auth0, authentik, clerk, cloudflare_access, cognito, descope, entra, firebase, github_actions,
    gitlab_ci, hydra, keycloak, kubernetes, logto, okta, ping_one, spiffe, stytch, supabase,
    workos, zitadel,
};
use tower_mcp_auth::oauth::{AuthorizationServer, Fetch, FetchFuture};
use tower_mcp_auth::{Clock, ConfigError, OAuthLayer};

use crate::oauth::presets::fixture::{ES256, RS256, Signer};
use crate::oauth::support::{Guarded, RESOURCE, START, changed};

type Made = Result<AuthorizationServer, ConfigError>;

/// The server of a page, and what makes its good token a refused one.
type Row = (&'static str, Made, &'static [(&'static str, &'static str)]);

const ID_TOKEN: &str = r#"{
    "scope": null, "scp": null, "azp": null, "azpacr": null, "uid": null, "nonce": "n"
}"#;
const OTHER: &str = r#"{"aud": "https://files.example.com"}"#;

fn rows() -> Vec<Row> {
    vec![
        (
            "auth0",
            auth0::server("acme.eu.auth0.com"),
            &[(OTHER, "audience_mismatch"), (ID_TOKEN, "wrong_token_type")],
        ),
        (
            "authentik",
            authentik::server("https://id.example.com", "mcp", "hnNNgTkvRjJ1bPTbz7dY"),
            &[
                (r#"{"iss": "https://id.example.com/"}"#, "issuer_mismatch"),
                (ID_TOKEN, "wrong_token_type"),
            ],
        ),
        (
            "clerk",
            clerk::server("acme.clerk.accounts.dev").map(|made| made.audience_is_the_resource()),
            &[(r#"{"aud": null}"#, "missing_audience")],
        ),
        (
            "cloudflare-access",
            cloudflare_access::server(
                "acme.cloudflareaccess.com",
                "32eafc7626e974616deaf0dc3ce63d7bcbed58a2731e84d06bc3cdf1b53c4228",
            ),
            &[
                (r#"{"type": "org"}"#, "claim_mismatch"),
                (r#"{"aud": ["f8612530"]}"#, "audience_mismatch"),
            ],
        ),
        (
            "cognito",
            cognito::server("eu-central-1", "eu-central-1_AbCdEfGhI")
                .and_then(|made| made.client_ids(["5bk1ouhgsqlvc7l0tqmnab9p3e"])),
            &[
                (r#"{"client_id": "other"}"#, "client_mismatch"),
                (r#"{"token_use": "id", "scope": null}"#, "wrong_token_type"),
            ],
        ),
        (
            "descope",
            descope::server(
                "P2aBcDeFgHiJkLmNoPqRsTuVwXyZ",
                "MS3aBcDeFgHiJkLmNoPqRsTuVwXyZ",
            ),
            &[
                (OTHER, "audience_mismatch"),
                (
                    r#"{"aud": "P2aBcDeFgHiJkLmNoPqRsTuVwXyZ"}"#,
                    "missing_audience",
                ),
            ],
        ),
        (
            "entra",
            entra::v2(
                "8eaef023-2b34-4da1-9baa-8bc8c9d6a490",
                "6e74172b-be56-4843-9ff4-e66a39bb12e3",
            ),
            &[
                (ID_TOKEN, "wrong_token_type"),
                (
                    r#"{"aud": "00000003-0000-0000-c000-000000000000"}"#,
                    "audience_mismatch",
                ),
                (
                    r#"{"iss": "https://sts.windows.net/8eaef023-2b34-4da1-9baa-8bc8c9d6a490/"}"#,
                    "issuer_mismatch",
                ),
            ],
        ),
        (
            "firebase",
            firebase::server("acme-project").and_then(|made| made.require_claim("plan", ["pro"])),
            &[
                (r#"{"plan": null}"#, "claim_mismatch"),
                (
                    r#"{"iss": "https://session.firebase.google.com/acme-project"}"#,
                    "issuer_mismatch",
                ),
            ],
        ),
        (
            "github-actions",
            github_actions::owners([9919])
                .and_then(|made| made.require_subject(["repo:github/docs:ref:refs/heads/main"])),
            &[
                (r#"{"repository_owner_id": "1"}"#, "claim_mismatch"),
                (
                    r#"{"sub": "repo:github/docs:pull_request"}"#,
                    "claim_mismatch",
                ),
                (
                    r#"{"aud": "https://github.com/github"}"#,
                    "audience_mismatch",
                ),
            ],
        ),
        (
            "gitlab-ci",
            gitlab_ci::projects("https://gitlab.com", [278_964])
                .and_then(|made| made.require_claim("ref_protected", ["true"])),
            &[
                (r#"{"ref_protected": "false"}"#, "claim_mismatch"),
                (
                    r#"{"iss": "https://gitlab.example.com"}"#,
                    "issuer_mismatch",
                ),
            ],
        ),
        (
            "hydra",
            hydra::server("https://id.example.com"),
            &[
                (r#"{"aud": []}"#, "audience_mismatch"),
                (r#"{"iss": "https://id.example.com/"}"#, "issuer_mismatch"),
            ],
        ),
        (
            "keycloak",
            keycloak::server("https://id.example.com", "acme"),
            &[
                (r#"{"aud": "account"}"#, "missing_audience"),
                (OTHER, "audience_mismatch"),
                (r#"{"typ": "Refresh"}"#, "wrong_token_type"),
            ],
        ),
        (
            "kubernetes",
            kubernetes::server(kubernetes::DEFAULT_ISSUER, ["agents/planner"]),
            &[
                (
                    r#"{"sub": "system:serviceaccount:agents:other"}"#,
                    "claim_mismatch",
                ),
                (
                    r#"{"aud": ["https://kubernetes.default.svc.cluster.local"]}"#,
                    "missing_audience",
                ),
                (r#"{"iss": "kubernetes/serviceaccount"}"#, "issuer_mismatch"),
            ],
        ),
        (
            "logto",
            logto::server("acme.logto.app"),
            &[(
                r#"{"aud": "urn:logto:organization:org_1"}"#,
                "audience_mismatch",
            )],
        ),
        (
            "okta",
            okta::server("acme.okta.com", "aus1a2b3c4d5e6f7g8h9"),
            &[
                (r#"{"aud": "api://default"}"#, "audience_mismatch"),
                (r#"{"iss": "https://acme.okta.com"}"#, "issuer_mismatch"),
            ],
        ),
        (
            "ping-one",
            ping_one::server("auth.pingone.eu", "b1a2c3d4-5e6f-4a7b-8c9d-0e1f2a3b4c5d"),
            &[
                (
                    r#"{"aud": ["https://api.pingone.eu"]}"#,
                    "audience_mismatch",
                ),
                (ID_TOKEN, "wrong_token_type"),
            ],
        ),
        (
            "spiffe",
            spiffe::trust_domain("example.org", "https://spire.example.org/bundle")
                .and_then(|made| made.require_subject(["spiffe://example.org/agents/*"])),
            &[
                (r#"{"sub": "spiffe://example.org/web"}"#, "claim_mismatch"),
                (r#"{"iss": "https://oidc.example.org"}"#, "issuer_mismatch"),
                (OTHER, "audience_mismatch"),
            ],
        ),
        (
            "stytch",
            stytch::server(
                "login.example.com",
                "project-live-9f5e7b7c-1c2d-4e3f-8a9b-0c1d2e3f4a5b",
            )
            .and_then(|made| {
                made.client_ids(["connected-app-live-d731954d-dab3-4a2b-bdee-07f3ad1be888"])
            }),
            &[
                (r#"{"client_id": "other"}"#, "client_mismatch"),
                (r#"{"scope": null}"#, "wrong_token_type"),
                (
                    r#"{"iss": "stytch.com/project-live-9f5e7b7c"}"#,
                    "issuer_mismatch",
                ),
            ],
        ),
        (
            "supabase",
            supabase::server("abcdefghijklmnopqrst")
                .and_then(|made| made.client_ids(["9a8b7c6d-5e4f-3a2b-1c0d-9e8f7a6b5c4d"])),
            &[
                (r#"{"client_id": null}"#, "missing_client"),
                (r#"{"client_id": "other"}"#, "client_mismatch"),
                (r#"{"role": "anon"}"#, "claim_mismatch"),
            ],
        ),
        (
            "workos",
            workos::server("acme.authkit.app"),
            &[
                (
                    r#"{"aud": "client_01JP8BD0CZ401TDF9X54NT5ZEK"}"#,
                    "audience_mismatch",
                ),
                (r#"{"iss": "https://api.workos.com"}"#, "issuer_mismatch"),
            ],
        ),
        (
            "zitadel",
            zitadel::server("acme.zitadel.cloud", "69234237810729019"),
            &[(
                r#"{"aud": ["165699244046811651@mcp"]}"#,
                "audience_mismatch",
            )],
        ),
    ]
}

/// All documents are one that names the issuer and the keys; all other places have the keys.
#[derive(Debug)]
struct Everywhere {
    issuer: String,
    key: Value,
}

impl Fetch for Everywhere {
    fn fetch(&self, request: Request<Bytes>, _: usize) -> FetchFuture {
        let path = request.uri().path();
        let is_document = path.contains("/.well-known/o");
        let answer = if is_document {
            let jwks_uri = format!("{}/keys", self.issuer.trim_end_matches('/'));
            json!({"issuer": self.issuer, "jwks_uri": jwks_uri})
        } else {
            json!({"keys": [self.key]})
        };
        Box::pin(async move { Ok(Response::new(answer.to_string().into())) })
    }
}

fn page(name: &str) -> String {
    let path = format!("docs/identity-providers/{name}.md");
    fs::read_to_string(common::root().join(path)).unwrap()
}

/// What stands between the first of these and the next of those.
fn between<'t>(text: &'t str, begin: &str, end: &str) -> &'t str {
    let (_, rest) = text.split_once(begin).expect(begin);
    rest.split_once(end).expect(end).0
}

#[tokio::test]
async fn the_good_token_of_a_page_passes_and_its_refusals_are_as_it_says() {
    for (name, server, refusals) in rows() {
        let (server, page) = (server.unwrap(), page(name));
        let claims: Value = serde_json::from_str(between(&page, "```json\n", "```")).unwrap();
        let refused = between(&page, "## Troubleshooting", "All codes:");
        let signer: &Signer = if name == "supabase" { &ES256 } else { &RS256 };
        let mut key = signer.jwk("k");
        key["use"] = json!(if name == "spiffe" { "jwt-svid" } else { "sig" });
        let clock = Clock::manual(START);
        let layer = OAuthLayer::builder(RESOURCE)
            .unwrap()
            .fetch(Everywhere {
                issuer: server.issuer().to_owned(),
                key,
            })
            .authorization_server(server)
            .unwrap()
            .clock(clock.clone())
            .build()
            .unwrap();
        let guarded = Guarded::of(layer, clock);
        let typ = if name == "clerk" { "at+jwt" } else { "JWT" };
        let header = json!({"kid": "k", "typ": typ});
        let now = START.as_secs();
        let times = json!({"iat": now - 60, "exp": now + 3540});
        let claims = changed(claims, &times);
        let answer = guarded.bearer(&signer.sign(&header, &claims)).await;
        assert_eq!(answer.reason(), "accepted", "{name}: {}", answer.detail());
        for (changes, reason) in refusals {
            let changes = serde_json::from_str(changes).unwrap();
            let claims = changed(claims.clone(), &changes);
            let answer = guarded.bearer(&signer.sign(&header, &claims)).await;
            let detail = answer.detail();
            assert_eq!(answer.reason(), *reason, "{name}, {changes}: {detail}");
            assert!(refused.contains(&format!("`{reason}`")), "{name}: {reason}");
        }
    }
}

#[test]
fn every_preset_has_a_page_with_the_same_heads_and_reasons_that_there_are() {
    let root = common::root();
    let names = |folder: &str, end: &str| -> BTreeSet<String> {
        let entries = fs::read_dir(root.join(folder)).unwrap();
        let names = entries.filter_map(|entry| {
            let name = entry.unwrap().file_name().into_string().unwrap();
            Some(name.strip_suffix(end)?.replace('-', "_"))
        });
        names.collect()
    };
    let mut presets = names("src/oauth/presets", ".rs");
    for other in ["mod", "needs_audience", "shape"] {
        assert!(presets.remove(other), "{other}");
    }
    let pages = names("docs/identity-providers", ".md");
    assert_eq!(pages, presets);

    let reasons = fs::read_to_string(root.join("docs/reason-codes.md")).unwrap();
    let overview = fs::read_to_string(root.join("docs/identity-providers.md")).unwrap();
    for name in pages {
        let file = name.replace('_', "-");
        let text = page(&file);
        let mut rest = &*text;
        for head in [
            "\n```rust\n",
            "\n## Setup\n",
            "\n## Verification\n",
            "\n## Troubleshooting\n",
        ] {
            (_, rest) = rest.split_once(head).expect(&name);
        }
        assert!(text.contains(&format!("presets::{name};")), "{name}");
        assert!(overview.contains(&format!("][identity-providers/{file}.md]")));
        let module = fs::read_to_string(root.join(format!("src/oauth/presets/{name}.rs")));
        let link = format!("(crate::guide::identity_providers::{name})");
        assert!(module.unwrap().contains(&link), "{name}");
        let rows = rest.lines().filter(|line| line.starts_with("| `"));
        let mut count = 0;
        for row in rows {
            // Then which claim, or with what in the detail.
            let mut cell = row[2..].split(" | ").next().unwrap();
            for end in [" at ", " with "] {
                cell = cell.split(end).next().unwrap();
            }
            let codes = cell.split('`').skip(1).step_by(2);
            for code in codes {
                assert!(
                    reasons.contains(&format!("\n| `{code}` |")),
                    "{name}: {code}"
                );
            }
            count += 1;
        }
        assert!(count >= 2, "{name}: {count}");
    }
}

//! Issuers that everybody shares: jobs, pods, and what an edge or an app signs in.

use std::path::PathBuf;

use serde_json::{Value, json};
use tower_mcp_auth::OAuthLayer;
use tower_mcp_auth::oauth::AuthorizationServer;
use tower_mcp_auth::oauth::presets::{
    cloudflare_access, firebase, github_actions, gitlab_ci, kubernetes,
};

use crate::oauth::presets::fixture::{Provider, RS256};
use crate::oauth::presets::support::{Guarded, Page, RESOURCE, START, Web};

const TAG: &str = "32eafc7626e974616deaf0dc3ce63d7bcbed58a2731e84d06bc3cdf1b53c4228";

/// What refuses each of these presets' tokens, of any maker.
fn hostile() -> Vec<(&'static str, Value, &'static str)> {
    vec![
        ("at_hash", json!({"at_hash": "x"}), "wrong_token_type"),
        ("c_hash", json!({"c_hash": "x"}), "wrong_token_type"),
        ("events", json!({"events": {}}), "wrong_token_type"),
        ("ID token", json!({"token_use": "id"}), "wrong_token_type"),
        (
            "refresh",
            json!({"tokenType": "refresh"}),
            "wrong_token_type",
        ),
        ("bound", json!({"cnf": {"jkt": "x"}}), "bound_token"),
        (
            "other audience",
            json!({"aud": "sts.amazonaws.com"}),
            "audience_mismatch",
        ),
        ("no audience", json!({"aud": null}), "missing_audience"),
        (
            "audience of another type",
            json!({"aud": {"a": RESOURCE}}),
            "malformed_token",
        ),
        ("no issuer", json!({"iss": null}), "missing_issuer"),
        (
            "other issuer",
            json!({"iss": "https://evil.example.com"}),
            "issuer_mismatch",
        ),
        ("expired", json!({"exp": START.as_secs() - 61}), "expired"),
        ("no end", json!({"exp": null}), "missing_exp"),
        ("actor", json!({"act": "x"}), "malformed_token"),
    ]
}

fn with_hostile(
    rows: Vec<(&'static str, Value, &'static str)>,
) -> Vec<(&'static str, Value, &'static str)> {
    [rows, hostile()].concat()
}

fn github() -> Provider {
    let issuer = "https://token.actions.githubusercontent.com";
    Provider {
        signer: &RS256,
        document: (
            "https://token.actions.githubusercontent.com/.well-known/openid-configuration",
            json!({
                "issuer": issuer,
                "jwks_uri": format!("{issuer}/.well-known/jwks"),
                "subject_types_supported": ["public", "pairwise"],
                "response_types_supported": ["id_token"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "scopes_supported": ["openid"],
            }),
        ),
        key: json!({"alg": "RS256", "x5t": "f0Ei6Kcq1K5DW2mCbYvNeyXqlpo"}),
        header: json!({"typ": "JWT", "kid": "example-key-id", "x5t": "example-thumbprint"}),
        claims: json!({
            "jti": "example-id",
            "sub": "repo:octo-org/octo-repo:environment:prod",
            "environment": "prod",
            "aud": RESOURCE,
            "ref": "refs/heads/main",
            "sha": "example-sha",
            "repository": "octo-org/octo-repo",
            "repository_owner": "octo-org",
            "actor_id": "12",
            "repository_visibility": "private",
            "repository_id": "74",
            "repository_owner_id": "65",
            "run_id": "example-run-id",
            "runner_environment": "github-hosted",
            "actor": "octocat",
            "workflow": "example-workflow",
            "event_name": "workflow_dispatch",
            "ref_type": "branch",
            "job_workflow_ref": "octo-org/octo-automation/.github/workflows/oidc.yml@refs/heads/main",
            "iss": issuer,
            "nbf": START.as_secs() - 60,
        }),
    }
}

#[tokio::test]
async fn github_actions_of_these_owners_or_repositories_pass() {
    let provider = github();
    let owner = || github_actions::owners([1, 65]).unwrap();
    let repository = || github_actions::repositories([74]).unwrap();
    for server in [owner(), repository()] {
        let who = provider.is_accepted_by(server).await;
        let id = "oauth|iss=https://token.actions.githubusercontent.com\
                  |sub=repo:octo-org/octo-repo:environment:prod";
        assert_eq!(who.id().as_str(), id);
        assert!(who.scopes().is_empty());
    }
    provider
        .judge(
            owner(),
            with_hostile(vec![
                (
                    "other owner",
                    json!({"repository_owner_id": "66"}),
                    "claim_mismatch",
                ),
                (
                    "longer id",
                    json!({"repository_owner_id": "655"}),
                    "claim_mismatch",
                ),
                (
                    "with a zero",
                    json!({"repository_owner_id": "065"}),
                    "claim_mismatch",
                ),
                (
                    "a number",
                    json!({"repository_owner_id": 65}),
                    "claim_mismatch",
                ),
                (
                    "a fraction",
                    json!({"repository_owner_id": "65.0"}),
                    "claim_mismatch",
                ),
                (
                    "full width",
                    json!({"repository_owner_id": "\u{ff16}5"}),
                    "claim_mismatch",
                ),
                (
                    "no id",
                    json!({"repository_owner_id": null}),
                    "claim_mismatch",
                ),
                (
                    "in another case",
                    json!({"repository_owner_id": null, "Repository_owner_id": "65"}),
                    "claim_mismatch",
                ),
                (
                    "the name of another",
                    json!({"repository_owner": "evil", "repository_owner_id": "66"}),
                    "claim_mismatch",
                ),
                (
                    "default audience",
                    json!({"aud": "https://github.com/octo-org"}),
                    "audience_mismatch",
                ),
            ]),
        )
        .await;
    provider
        .judge(
            repository(),
            with_hostile(vec![
                (
                    "other repository",
                    json!({"repository_id": "75"}),
                    "claim_mismatch",
                ),
                ("a number", json!({"repository_id": 74}), "claim_mismatch"),
                ("no id", json!({"repository_id": null}), "claim_mismatch"),
                (
                    "owner of that id",
                    json!({"repository_owner_id": "74", "repository_id": "65"}),
                    "claim_mismatch",
                ),
            ]),
        )
        .await;
    // Which runs, by whole segments; both forms of subjects.
    let main = owner()
        .require_subject([
            "repo:octo-org/octo-repo:ref:refs/heads/main",
            "repo:octo-org@65/octo-repo@74:ref:refs/heads/main",
        ])
        .unwrap();
    provider
        .judge(
            main,
            vec![
                (
                    "named",
                    json!({"sub": "repo:octo-org/octo-repo:ref:refs/heads/main"}),
                    "accepted",
                ),
                (
                    "immutable",
                    json!({"sub": "repo:octo-org@65/octo-repo@74:ref:refs/heads/main"}),
                    "accepted",
                ),
                (
                    "other branch",
                    json!({"sub": "repo:octo-org/octo-repo:ref:refs/heads/main2"}),
                    "claim_mismatch",
                ),
                (
                    "pull request",
                    json!({"sub": "repo:octo-org/octo-repo:pull_request"}),
                    "claim_mismatch",
                ),
                (
                    "other repository",
                    json!({"sub": "repo:octo-org/octo-repo-evil:ref:refs/heads/main"}),
                    "claim_mismatch",
                ),
                (
                    "other id",
                    json!({"sub": "repo:octo-org@66/octo-repo@74:ref:refs/heads/main"}),
                    "claim_mismatch",
                ),
            ],
        )
        .await;
    // An audience that is no URL, too: the ids say what the token is.
    let named = owner().audience("mcp-server").unwrap();
    provider
        .judge(
            named,
            vec![
                ("the name", json!({"aud": "mcp-server"}), "accepted"),
                ("a list", json!({"aud": ["x", "mcp-server"]}), "accepted"),
                (
                    "unmarked",
                    json!({"aud": "mcp-server", "repository_id": null}),
                    "wrong_token_type",
                ),
                ("the resource", json!({}), "audience_mismatch"),
            ],
        )
        .await;
}

fn gitlab() -> Provider {
    Provider {
        signer: &RS256,
        document: (
            "https://gitlab.example.com/.well-known/openid-configuration",
            json!({
                "issuer": "https://gitlab.example.com",
                "authorization_endpoint": "https://gitlab.example.com/oauth/authorize",
                "token_endpoint": "https://gitlab.example.com/oauth/token",
                "jwks_uri": "https://gitlab.example.com/oauth/discovery/keys",
                "id_token_signing_alg_values_supported": ["RS256"],
            }),
        ),
        key: json!({"alg": "RS256"}),
        header: json!({"typ": "JWT", "kid": "kewiQq9jiC84CvSsJYOB-N6A8WFLSV20Mb-y7IlWDSQ"}),
        claims: json!({
            "namespace_id": "72",
            "namespace_path": "my-group",
            "project_id": "20",
            "project_path": "my-group/my-project",
            "user_id": "1",
            "user_login": "sample-user",
            "user_email": "sample-user@example.com",
            "user_access_level": "developer",
            "pipeline_id": "574",
            "pipeline_source": "push",
            "job_id": "302",
            "ref": "feature-branch-1",
            "ref_type": "branch",
            "ref_path": "refs/heads/feature-branch-1",
            "ref_protected": "false",
            "runner_id": 1,
            "runner_environment": "self-hosted",
            "sha": "714a629c0b401fdce83e847fc9589983fc6f46bc",
            "jti": "235b3a54-b797-45c7-ae9a-f72d7bc6ef5b",
            "iss": "https://gitlab.example.com",
            "nbf": START.as_secs() - 65,
            "sub": "project_path:my-group/my-project:ref_type:branch:ref:feature-branch-1",
            "aud": RESOURCE,
        }),
    }
}

#[tokio::test]
async fn gitlab_jobs_of_these_namespaces_or_projects_pass() {
    let provider = gitlab();
    let url = "https://gitlab.example.com/";
    let namespace = || gitlab_ci::namespaces(url, [72]).unwrap();
    let project = || gitlab_ci::projects(url, [19, 20]).unwrap();
    for server in [namespace(), project()] {
        let who = provider.is_accepted_by(server).await;
        assert_eq!(
            who.subject(),
            Some("project_path:my-group/my-project:ref_type:branch:ref:feature-branch-1")
        );
    }
    let person = json!({
        "aud": "0d3e1a", "sub": "42", "namespace_id": null, "project_id": null, "job_id": null,
        "auth_time": START.as_secs() - 60, "sub_legacy": "x", "groups_direct": ["my-group"],
    });
    let person_for_us = json!({
        "sub": "42", "namespace_id": null, "project_id": null, "job_id": null,
    });
    provider
        .judge(
            namespace(),
            with_hostile(vec![
                (
                    "other namespace",
                    json!({"namespace_id": "73"}),
                    "claim_mismatch",
                ),
                ("a number", json!({"namespace_id": 72}), "claim_mismatch"),
                (
                    "no namespace",
                    json!({"namespace_id": null}),
                    "claim_mismatch",
                ),
                (
                    "its path alone",
                    json!({"namespace_id": null, "namespace_path": "72"}),
                    "claim_mismatch",
                ),
                ("who signed in", person, "claim_mismatch"),
                (
                    "who signed in, for us",
                    person_for_us.clone(),
                    "claim_mismatch",
                ),
                (
                    "other instance",
                    json!({"iss": "https://gitlab.com"}),
                    "issuer_mismatch",
                ),
            ]),
        )
        .await;
    provider
        .judge(
            project(),
            with_hostile(vec![
                (
                    "other project",
                    json!({"project_id": "21"}),
                    "claim_mismatch",
                ),
                (
                    "namespace of that id",
                    json!({"project_id": "72", "namespace_id": "20"}),
                    "claim_mismatch",
                ),
                ("who signed in, for us", person_for_us, "claim_mismatch"),
            ]),
        )
        .await;
    let protected = project().require_claim("ref_protected", ["true"]).unwrap();
    provider
        .judge(
            protected,
            vec![
                ("protected", json!({"ref_protected": "true"}), "accepted"),
                (
                    "a boolean",
                    json!({"ref_protected": true}),
                    "claim_mismatch",
                ),
                ("not protected", json!({}), "claim_mismatch"),
            ],
        )
        .await;
}

/// Files as a pod has them.
struct Pod {
    token: PathBuf,
    authorities: PathBuf,
}

impl Pod {
    fn new(name: &str) -> Self {
        let path = |file: &str| {
            let name = format!("tower-mcp-auth-{name}-{file}-{}", std::process::id());
            std::env::temp_dir().join(name)
        };
        let pod = Self {
            token: path("token"),
            authorities: path("ca"),
        };
        std::fs::write(&pod.token, "first.token\n").unwrap();
        std::fs::write(&pod.authorities, include_str!("../fixtures/ca.pem")).unwrap();
        pod
    }

    fn given_to(&self, server: AuthorizationServer) -> AuthorizationServer {
        let server = server.jwks_bearer_token_file(&self.token).unwrap();
        server
            .jwks_root_certificates_file(&self.authorities)
            .unwrap()
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.token);
        let _ = std::fs::remove_file(&self.authorities);
    }
}

const KUBERNETES_KEYS: &str = "https://kubernetes.default.svc/openid/v1/jwks";

fn cluster() -> Provider {
    Provider {
        signer: &RS256,
        document: (
            "https://kubernetes.default.svc/.well-known/openid-configuration",
            json!({"issuer": kubernetes::DEFAULT_ISSUER, "jwks_uri": KUBERNETES_KEYS}),
        ),
        key: json!({"alg": "RS256"}),
        header: json!({"kid": "OAjVVaejWFc0Yt9ykr0_8lMMuRNs67OXTWHsN02Pkyw"}),
        claims: json!({
            "aud": [RESOURCE],
            "iss": kubernetes::DEFAULT_ISSUER,
            "jti": "e51f1fbc-4733-4b85-a59f-ba80c0523874",
            "kubernetes.io": {
                "namespace": "agents",
                "node": {"name": "node-1", "uid": "517eb86e-b863-451b-bf70-86cb61439a3a"},
                "pod": {"name": "planner-0", "uid": "0d8b260e-ef0e-45fb-be8e-ff44f97722e8"},
                "serviceaccount": {"name": "planner", "uid": "e6a8680e-d103-4cce-80ea-03acbbeacf7d"},
            },
            "nbf": START.as_secs() - 60,
            "sub": "system:serviceaccount:agents:planner",
        }),
    }
}

#[tokio::test]
async fn kubernetes_service_accounts_pass_by_name_or_by_namespace() {
    let pod = Pod::new("accounts");
    let provider = cluster();
    let server = |accounts: &[&str]| {
        let server = kubernetes::in_cluster(kubernetes::DEFAULT_ISSUER, accounts).unwrap();
        pod.given_to(server)
    };
    let who = provider.is_accepted_by(server(&["agents/planner"])).await;
    assert_eq!(who.subject(), Some("system:serviceaccount:agents:planner"));
    assert_eq!(who.claims()["kubernetes.io"]["namespace"], "agents");
    let account = |name: &str| json!({"sub": format!("system:serviceaccount:{name}")});
    provider
        .judge(
            server(&["agents/planner", "tools/runner"]),
            with_hostile(vec![
                ("the other one", account("tools:runner"), "accepted"),
                ("mixed", account("agents:runner"), "claim_mismatch"),
                ("other name", account("agents:planner2"), "claim_mismatch"),
                (
                    "other namespace",
                    account("agents2:planner"),
                    "claim_mismatch",
                ),
                ("beginning", account("agents:plan"), "claim_mismatch"),
                ("more", account("agents:planner:x"), "claim_mismatch"),
                (
                    "a node",
                    json!({"sub": "system:node:agents:planner"}),
                    "claim_mismatch",
                ),
                ("no subject", json!({"sub": null}), "claim_mismatch"),
                (
                    "for the API server",
                    json!({"aud": [kubernetes::DEFAULT_ISSUER]}),
                    "missing_audience",
                ),
                (
                    "and for it",
                    json!({"aud": [kubernetes::DEFAULT_ISSUER, RESOURCE]}),
                    "accepted",
                ),
                (
                    "old kind",
                    json!({"iss": "kubernetes/serviceaccount", "exp": null, "aud": null}),
                    "issuer_mismatch",
                ),
            ]),
        )
        .await;
    provider
        .judge(
            server(&["agents/*"]),
            vec![
                ("any", account("agents:whoever"), "accepted"),
                ("none", account("agents:"), "claim_mismatch"),
                (
                    "other namespace",
                    account("agents2:planner"),
                    "claim_mismatch",
                ),
                ("inner colon", account("agents:a:b"), "claim_mismatch"),
            ],
        )
        .await;
    // Further patterns narrow: they let no further subject in.
    let narrowed = server(&["agents/*"]).require_subject([
        "system:serviceaccount:*:planner",
        "system:serviceaccount:tools:runner",
    ]);
    provider
        .judge(
            narrowed.unwrap(),
            vec![
                ("planner", json!({}), "accepted"),
                ("runner", account("tools:runner"), "claim_mismatch"),
                ("other", account("agents:other"), "claim_mismatch"),
                ("elsewhere", account("evil:planner"), "claim_mismatch"),
            ],
        )
        .await;
    // An audience of one's own; not that which the tokens of all pods have.
    let named = server(&["agents/planner"]).audience("mcp-server").unwrap();
    provider
        .judge(
            named,
            vec![
                ("named", json!({"aud": ["mcp-server"]}), "accepted"),
                (
                    "unmarked",
                    json!({"aud": ["mcp-server"], "kubernetes.io": null}),
                    "wrong_token_type",
                ),
            ],
        )
        .await;
    for audience in [kubernetes::DEFAULT_ISSUER, "https://kubernetes.default.svc"] {
        let error = server(&["a/b"]).audience(audience).unwrap_err();
        assert_eq!(error.setting(), "audience");
    }
}

#[tokio::test]
async fn kubernetes_keys_are_fetched_with_the_token_as_it_is_now() {
    let pod = Pod::new("rotation");
    let provider = cluster();
    let web = provider.web();
    let server = kubernetes::in_cluster(kubernetes::DEFAULT_ISSUER, ["agents/planner"]).unwrap();
    let guarded = Guarded::with_server(&web, pod.given_to(server));
    let token = provider.token(&json!({}));
    guarded.bearer(&token).await.assert(200, "accepted");
    let sent = || {
        let headers = web.last(KUBERNETES_KEYS).headers;
        assert!(headers["authorization"].is_sensitive());
        headers["authorization"].to_str().unwrap().to_owned()
    };
    assert_eq!(sent(), "Bearer first.token");
    // Nothing else was asked for: no discovery, which would show the token to who knows whom.
    assert_eq!(web.log(), [KUBERNETES_KEYS]);
    std::fs::write(&pod.token, "second.token").unwrap();
    guarded.layer.warm_up().await.unwrap();
    assert_eq!(sent(), "Bearer second.token");
    // A file that is not there is our trouble, and says which one it is.
    std::fs::remove_file(&pod.token).unwrap();
    let error = guarded.layer.warm_up().await.unwrap_err();
    assert_eq!(error.reason(), "keys_unavailable");
    assert!(
        error.detail().unwrap().contains("rotation-token"),
        "{error:?}"
    );
    for (content, why) in [("", "no token"), (" \n", "no token"), ("a b", "no token")] {
        std::fs::write(&pod.token, content).unwrap();
        guarded.advance(60);
        let error = guarded.layer.warm_up().await.unwrap_err();
        let detail = error.detail().unwrap();
        assert!(detail.contains(why), "{detail}");
        assert!(!detail.contains("first.token") && !detail.contains("second.token"));
    }
}

#[tokio::test]
async fn kubernetes_keys_of_a_public_issuer_are_discovered() {
    let issuer = "https://oidc.eks.eu-central-1.amazonaws.com/id/5BD7A0E6";
    let mut provider = cluster();
    provider.document = (
        "https://oidc.eks.eu-central-1.amazonaws.com/id/5BD7A0E6/.well-known/openid-configuration",
        json!({"issuer": issuer, "jwks_uri": format!("{issuer}/keys")}),
    );
    provider.claims["iss"] = json!(issuer);
    let server = kubernetes::server(issuer, ["agents/planner"]).unwrap();
    provider.is_accepted_by(server).await;
}

fn cloudflare() -> Provider {
    let issuer = "https://acme.cloudflareaccess.com";
    Provider {
        signer: &RS256,
        document: (
            "https://acme.cloudflareaccess.com/.well-known/openid-configuration",
            json!({"issuer": issuer, "jwks_uri": format!("{issuer}/cdn-cgi/access/certs")}),
        ),
        key: json!({"alg": "RS256"}),
        header: json!({
            "typ": "JWT",
            "kid": "9338abe1baf2fe492f646a736f25afbf7b025e35c627be4f60c414d4c73069b8",
        }),
        claims: json!({
            "aud": [TAG],
            "email": "user@example.com",
            "nbf": START.as_secs() - 60,
            "iss": issuer,
            "type": "app",
            "identity_nonce": "6ei69kawdKzMIAPF",
            "sub": "7335d417-61da-459d-899c-0a01c76a2f94",
            "country": "US",
        }),
    }
}

#[tokio::test]
async fn cloudflare_tokens_of_the_application_pass_and_those_of_the_session_do_not() {
    let provider = cloudflare();
    let server = || cloudflare_access::server("acme.cloudflareaccess.com", TAG).unwrap();
    let who = provider.is_accepted_by(server()).await;
    assert_eq!(who.subject(), Some("7335d417-61da-459d-899c-0a01c76a2f94"));
    assert_eq!(who.client_id(), None);
    let service = json!({
        "sub": "", "common_name": "e367826f93b8d71185e03fe518aff3b4.access", "email": null,
        "identity_nonce": null, "country": null, "nbf": null,
    });
    let guarded = provider.guard(server());
    for jti in ["1", "2"] {
        let mut claims = service.clone();
        claims["jti"] = json!(jti);
        let answer = guarded.bearer(&provider.token(&claims)).await;
        answer.assert(200, "accepted");
        // One service token is one principal.
        let id = "oauth|iss=https://acme.cloudflareaccess.com\
                  |client=e367826f93b8d71185e03fe518aff3b4.access";
        assert_eq!(answer.principal.unwrap(), id);
    }
    let other = TAG.replace('3', "4");
    provider
        .judge(
            server(),
            with_hostile(vec![
                (
                    "session of the team",
                    json!({"type": "org"}),
                    "claim_mismatch",
                ),
                ("no type", json!({"type": null}), "claim_mismatch"),
                (
                    "type in another case",
                    json!({"type": "App"}),
                    "claim_mismatch",
                ),
                (
                    "type of another type",
                    json!({"type": ["app"]}),
                    "malformed_token",
                ),
                (
                    "other application",
                    json!({"aud": [other]}),
                    "audience_mismatch",
                ),
                ("no application", json!({"aud": []}), "audience_mismatch"),
                (
                    "the resource",
                    json!({"aud": [RESOURCE]}),
                    "audience_mismatch",
                ),
                (
                    "other team",
                    json!({"iss": "https://globex.cloudflareaccess.com"}),
                    "issuer_mismatch",
                ),
                (
                    "common name of another type",
                    json!({"common_name": 5}),
                    "malformed_token",
                ),
            ]),
        )
        .await;
    // Two without any name are two.
    let nameless = |jti: &str| json!({"sub": "", "jti": jti});
    let one = guarded.bearer(&provider.token(&nameless("1"))).await;
    let two = guarded.bearer(&provider.token(&nameless("2"))).await;
    assert_ne!(one.principal.unwrap(), two.principal.unwrap());
}

fn firebase_project() -> Provider {
    let issuer = "https://securetoken.google.com/acme-project";
    Provider {
        signer: &RS256,
        document: (
            "https://securetoken.google.com/acme-project/.well-known/openid-configuration",
            json!({
                "issuer": issuer,
                "jwks_uri": "https://www.googleapis.com/service_accounts/v1/jwk/securetoken@system.gserviceaccount.com",
                "response_types_supported": ["id_token"],
                "id_token_signing_alg_values_supported": ["RS256"],
            }),
        ),
        key: json!({"alg": "RS256"}),
        header: json!({"typ": "JWT", "kid": "fake_kid_12345"}),
        claims: json!({
            "iss": issuer,
            "aud": "acme-project",
            "auth_time": START.as_secs() - 3600,
            "user_id": "u1",
            "sub": "u1",
            "email": "user@example.com",
            "email_verified": true,
            "firebase": {"identities": {}, "sign_in_provider": "google.com"},
        }),
    }
}

#[tokio::test]
async fn firebase_users_of_the_project_pass() {
    let provider = firebase_project();
    let server = || firebase::server("acme-project").unwrap();
    let who = provider.is_accepted_by(server()).await;
    assert_eq!(who.subject(), Some("u1"));
    let now = START.as_secs();
    provider
        .judge(
            server(),
            with_hostile(vec![
                ("at once", json!({"auth_time": now - 60}), "accepted"),
                ("as a fraction", json!({"auth_time": 1.5}), "accepted"),
                ("no sign-in", json!({"auth_time": null}), "claim_mismatch"),
                (
                    "sign-in to come",
                    json!({"auth_time": now + 61}),
                    "claim_mismatch",
                ),
                (
                    "after iat",
                    json!({"auth_time": now - 59}),
                    "claim_mismatch",
                ),
                ("as a text", json!({"auth_time": "1"}), "claim_mismatch"),
                ("negative", json!({"auth_time": -1}), "claim_mismatch"),
                ("a list", json!({"auth_time": [1]}), "claim_mismatch"),
                ("no iat", json!({"iat": null}), "claim_mismatch"),
                (
                    "iat to come",
                    json!({"iat": now + 61, "auth_time": now + 61}),
                    "issued_in_the_future",
                ),
                ("no subject", json!({"sub": null}), "missing_subject"),
                ("empty subject", json!({"sub": ""}), "missing_subject"),
                (
                    "its user alone",
                    json!({"sub": null, "user_id": "u1"}),
                    "missing_subject",
                ),
                (
                    "other project",
                    json!({"iss": "https://securetoken.google.com/globex", "aud": "globex"}),
                    "issuer_mismatch",
                ),
                (
                    "other audience",
                    json!({"aud": "globex"}),
                    "audience_mismatch",
                ),
                (
                    "the resource",
                    json!({"aud": RESOURCE}),
                    "audience_mismatch",
                ),
                (
                    "session cookie",
                    json!({"iss": "https://session.firebase.google.com/acme-project"}),
                    "issuer_mismatch",
                ),
                (
                    "number of the project",
                    json!({"aud": "123456789"}),
                    "audience_mismatch",
                ),
            ]),
        )
        .await;
    let verified = server().require_claim("email_verified", [true]).unwrap();
    provider
        .judge(
            verified,
            vec![
                ("verified", json!({}), "accepted"),
                (
                    "not verified",
                    json!({"email_verified": false}),
                    "claim_mismatch",
                ),
            ],
        )
        .await;
}

#[tokio::test]
async fn no_token_is_taken_for_one_of_another_issuer_though_one_key_signs_all() {
    let pod = Pod::new("confusion");
    let servers = || {
        let kubernetes = kubernetes::in_cluster(kubernetes::DEFAULT_ISSUER, ["agents/planner"]);
        [
            github_actions::owners([65]).unwrap(),
            gitlab_ci::projects("https://gitlab.example.com", [20]).unwrap(),
            pod.given_to(kubernetes.unwrap()),
            cloudflare_access::server("acme.cloudflareaccess.com", TAG).unwrap(),
            firebase::server("acme-project").unwrap(),
        ]
    };
    let providers = [
        github(),
        gitlab(),
        cluster(),
        cloudflare(),
        firebase_project(),
    ];
    let web = Web::new();
    for provider in &providers {
        let keys = providers.iter().map(|one| RS256.jwk(one.kid()));
        let set = json!({"keys": keys.collect::<Vec<_>>()});
        web.set(provider.jwks_uri(), Page::Json(set));
    }
    let guarded = Guarded::with_servers(&web, servers());
    for provider in &providers {
        let issuer = &provider.claims["iss"];
        let answer = guarded.bearer(&provider.token(&json!({}))).await;
        answer.assert(200, "accepted");
        for other in &providers {
            if &other.claims["iss"] == issuer {
                continue;
            }
            // All its claims, and for whom it is, under the name of another.
            let token = provider.token(&json!({"iss": other.claims["iss"]}));
            let answer = guarded.bearer(&token).await;
            assert_eq!(answer.status.as_u16(), 401, "{issuer}: {answer:?}");
            let token = provider.token(&json!({
                "iss": other.claims["iss"], "aud": other.claims["aud"],
            }));
            let answer = guarded.bearer(&token).await;
            assert_eq!(answer.status.as_u16(), 401, "{issuer}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn issuers_of_workloads_are_not_in_the_metadata() {
    let metadata = async |servers: Vec<AuthorizationServer>| {
        let mut builder = OAuthLayer::builder(RESOURCE).unwrap();
        for server in servers {
            builder = builder.authorization_server(server).unwrap();
        }
        let layer = builder.build().unwrap();
        let request = http::Request::get("/").body(()).unwrap();
        let response = tower::ServiceExt::oneshot(layer.metadata_service(), request).await;
        let body = http_body_util::BodyExt::collect(response.unwrap().into_body()).await;
        serde_json::from_slice::<Value>(&body.unwrap().to_bytes()).unwrap()
    };
    let workload = || github_actions::owners([65]).unwrap();
    let alone = metadata(vec![workload()]).await;
    assert_eq!(alone.get("authorization_servers"), None);
    assert_eq!(alone["resource"], RESOURCE);
    let auth = "https://auth.example.com";
    let both = metadata(vec![workload(), AuthorizationServer::new(auth).unwrap()]).await;
    assert_eq!(both["authorization_servers"], json!([auth]));
}

//! The doctor: checks a live MCP server from outside, as each kind of client does.
//!
//! It says what is wrong, why, and which line to change.
//!
//! It is what the program `mcp-auth-doctor` runs, and works on servers of any maker.
//! `docs/doctor.md` in the package has the program, the form of its output, and the table of
//! [codes](Code).
//!
//! ```
//! use axum::{Router, routing::post};
//! use tower_mcp_auth::OAuthLayer;
//! use tower_mcp_auth::doctor::{Options, Severity, examine};
//! use tower_mcp_auth::oauth::AuthorizationServer;
//! use tower_mcp_auth::testing::Issuer;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let issuer = Issuer::start().await?;
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! let url = format!("http://{}/mcp", listener.local_addr()?);
//! let server = AuthorizationServer::insecure_http_on_loopback(issuer.url())?;
//! let app: Router = Router::new()
//!     .route("/mcp", post(async || "{}"))
//!     .layer(OAuthLayer::new(&url, server)?);
//! tokio::spawn(async { axum::serve(listener, app).await });
//!
//! // A good server.
//! let report = examine(Options::new(&url)?).await;
//! assert!(report.codes(Severity::Warning).is_empty(), "{report}");
//!
//! // The same under a URL that it does not know itself by.
//! let report = examine(Options::new(url.replace("127.0.0.1", "localhost"))?).await;
//! assert!(report.codes(Severity::Fault).contains(&"resource_host"), "{report}");
//! assert_eq!(report.exit_code(), 1);
//! # Ok(())
//! # }
//! ```
//!
//! # Requests it sends
//!
//! - The endpoint: `initialize` and a request of revision 2026-07-28 without a token, a stream by
//!   `GET`, tokens that it makes up (in the header, in the query, and a JWT without signature), a
//!   preflight.
//! - The metadata at the URL that the challenge names, at that of RFC 9728 section 3.1, and at the
//!   root.
//! - Of each authorization server they name, four at most, its metadata and its keys.
//! - With a [token](Options::token): a session and `tools/list`.
//!
//! It registers no client, asks for no token and calls no tool. Redirects are not followed; each
//! request takes 10 seconds at most, 5 of them to connect, and all together two minutes. Before an
//! answer 32 interim responses and 256 KiB are read, of its head 64 KiB, of a body 1 MiB. Documents
//! of a server at a public address are not followed to private ones.

mod challenge;
mod client;
mod clocks;
mod code;
mod codes;
mod connection;
mod cors;
mod endpoint;
mod explain;
mod failure;
mod findings;
mod forged;
mod keys;
mod lines;
mod metadata;
mod options;
mod print;
mod probes;
mod report;
mod resource;
mod scrub;
mod servers;
mod session;
mod stream;
mod token;

use std::sync::Arc;

use secrecy::ExposeSecret;

use self::client::Client;
use self::endpoint::Endpoint;
use self::findings::Findings;
use self::scrub::Scrub;
use self::token::Against;
use crate::util::{one_line, quoted};

pub use self::code::{Code, Severity};
pub use self::explain::{explain, list_codes};
pub use self::options::Options;
pub use self::report::{Finding, Judgement, Maker, Report, Row, SeenClock, SeenKey, Verdict};

/// Looks at a server, and tells what it found. It takes a few seconds, and two minutes at most.
///
/// # Panics
/// Outside of a Tokio runtime with I/O and time enabled.
pub async fn examine(options: Options) -> Report {
    let metadata_url = metadata::place(&options.url);
    let mut findings = Findings::new(&options.written, metadata_url.as_str());
    let mut report = Report {
        format: 1,
        url: one_line(&options.written, 1024),
        verdict: Verdict::Unseen,
        made_with: Maker::Other,
        findings: Vec::new(),
        token: Vec::new(),
        claims: std::collections::BTreeMap::new(),
        keys: Vec::new(),
        clocks: Vec::new(),
    };
    let client = Client::new(
        options.clock.clone(),
        options.may_follow_private,
        &options.roots,
    );
    look(&Arc::new(client), &options, &mut findings, &mut report).await;
    report.made_with = findings.maker;
    report.findings = findings.ranked();
    if report.verdict != Verdict::Unseen {
        let is_fault = |own: &Finding| own.severity == Severity::Fault;
        report.verdict = match report.findings.iter().any(is_fault) {
            true => Verdict::Faulty,
            false => Verdict::Good,
        };
    }
    if let Some(token) = &options.token {
        report.forget(&Scrub::of(token.expose_secret()));
    }
    report
}

async fn look(
    client: &Arc<Client>,
    options: &Options,
    findings: &mut Findings,
    report: &mut Report,
) {
    let endpoint = endpoint::look(client, options, findings).await;
    if endpoint.is_unseen {
        return;
    }
    report.verdict = Verdict::Good;
    if !endpoint.goes_on {
        return;
    }
    let metadata = metadata::look(client, options, &endpoint, findings).await;
    compare(options, &metadata, findings);
    let servers = servers::look(client, options, &metadata, findings).await;
    report.clocks = clocks::look(&report.url, endpoint.ahead, &servers, findings);
    forged::look(client, options, &endpoint, &metadata, findings).await;
    let asked = asked_scopes(&endpoint);
    let now = i64::try_from(options.clock.now().as_secs()).unwrap_or(i64::MAX);
    let judged = token::judge(&Against {
        options,
        metadata: &metadata,
        servers: &servers,
        scopes: &asked,
        now: now.saturating_add(endpoint.ahead.unwrap_or_default()),
    });
    if let Some(judged) = judged {
        let mut known = asked;
        known.extend(metadata.scopes.iter().cloned());
        session::look(client, options, &judged, &known, findings).await;
        report.token = judged.rows;
        report.claims = judged.claims;
    }
    cors::look(client, options, &endpoint, metadata.url.as_ref(), findings).await;
    let sets = servers.into_iter().filter_map(|server| server.keys);
    report.keys = sets.flat_map(|set| set.seen).collect();
}

/// The scopes that the challenge names.
fn asked_scopes(endpoint: &Endpoint) -> Vec<String> {
    let scope = endpoint
        .challenge
        .as_ref()
        .and_then(|own| own.param("scope"));
    let scopes = scope.unwrap_or_default().split_whitespace();
    scopes.map(str::to_owned).collect()
}

/// Compares what the server says with what its configuration says.
fn compare(options: &Options, metadata: &metadata::Metadata, findings: &mut Findings) {
    let Some(expected) = &options.expected else {
        return;
    };
    let all = quoted(&expected.resources.join(" "));
    let is_configured = |own: &str| {
        let mut resources = expected.resources.iter();
        resources.any(|resource| resource::is_same(resource, own))
    };
    if !is_configured(&options.written) {
        let url = quoted(&options.written);
        findings.add(
            codes::CONFIGURATION_DIFFERS,
            format!("the file has {all}, and the URL is {url}"),
        );
    } else if let Some(own) = metadata
        .resource
        .as_deref()
        .filter(|own| !is_configured(own))
    {
        let own = quoted(own);
        findings.add(
            codes::CONFIGURATION_DIFFERS,
            format!("the file has {all}, and the server says it is {own}"),
        );
    }
    let mut named = metadata.issuers.iter();
    if let Some(own) = named.find(|own| !expected.advertised.contains(*own)) {
        let (own, all) = (quoted(own), quoted(&expected.advertised.join(" ")));
        findings.add(
            codes::CONFIGURATION_DIFFERS,
            format!("the file has the issuers {all}, and the server names {own}"),
        );
    }
}

impl Report {
    /// Takes out what repeats the token.
    fn forget(&mut self, scrub: &Scrub) {
        scrub.clean(&mut self.url);
        for finding in &mut self.findings {
            for text in [&mut finding.what, &mut finding.cause, &mut finding.fix] {
                scrub.clean(text);
            }
            finding.evidence.iter_mut().for_each(|own| scrub.clean(own));
        }
        for row in &mut self.token {
            scrub.clean(&mut row.expected);
            scrub.clean(&mut row.got);
        }
        self.claims.values_mut().for_each(|own| scrub.clean(own));
        for key in &mut self.keys {
            scrub.clean(&mut key.issuer);
            scrub.clean(&mut key.kind);
            for text in [&mut key.kid, &mut key.why].into_iter().flatten() {
                scrub.clean(text);
            }
        }
        self.clocks
            .iter_mut()
            .for_each(|own| scrub.clean(&mut own.of));
    }
}

//! Debian's `mod_oauth2` for Apache beside this crate: the same requests with the same proofs.
//!
//! Whatever the module refuses is refused here, but for what its release cannot read. What is refused
//! here alone is listed, with the section that asks for it.

use std::process::Stdio;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use serde_json::json;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};
use tower::{Layer, ServiceExt, service_fn};
use tower_mcp_auth::jose::Algorithm;
use tower_mcp_auth::oauth::AuthorizationServer;
use tower_mcp_auth::oauth::binding::DpopMode;
use tower_mcp_auth::testing::{DpopKey, DpopProofBuilder, Issuer};
use tower_mcp_auth::{AuthError, Clock, OAuthLayer};

use crate::programs::free_port;
use crate::redis::engine::Folder;

const MODULES: &str = "/usr/lib/apache2/modules";

/// Apache on a free port, with tokens of this issuer alone.
struct Apache {
    port: u16,
    _child: Child,
    _folder: Folder,
}

impl Apache {
    async fn start(issuer: &Issuer) -> Self {
        let (port, folder) = (free_port().await, Folder::new());
        let root = folder.0.display();
        let key = issuer.jwks()["keys"][0].to_string().replace('"', "\\\"");
        let modules = [
            "mpm_event",
            "authn_core",
            "authz_core",
            "authz_user",
            "oauth2",
        ];
        let modules =
            modules.map(|name| format!("LoadModule {name}_module {MODULES}/mod_{name}.so\n"));
        let config = format!(
            r#"
            ServerName 127.0.0.1
            Listen 127.0.0.1:{port}
            {}
            PidFile {root}/pid
            DefaultRuntimeDir {root}
            ErrorLog {root}/log
            DocumentRoot {root}/pages
            TraceEnable off
            <Location />
                AuthType oauth2
                OAuth2TokenVerify jwk "{key}" type=dpop&verify.iss=skip&dpop.iat.slack.before=300&dpop.iat.slack.after=300
                OAuth2AcceptTokenIn header name=Authorization&type=DPoP
                Require valid-user
            </Location>
            "#,
            modules.concat()
        );
        std::fs::create_dir(folder.0.join("pages")).expect("a folder");
        std::fs::write(folder.0.join("pages/mcp"), "ok").expect("a page");
        let path = folder.0.join("apache.conf");
        std::fs::write(&path, config).expect("a file");
        let child = Command::new("/usr/sbin/apache2")
            .args(["-X", "-d"])
            .arg(&folder.0)
            .arg("-f")
            .arg(&path)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("tests/interop/install.sh installs it");
        let listens = async {
            while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
                sleep(Duration::from_millis(20)).await;
            }
        };
        let listens = timeout(Duration::from_secs(30), listens).await;
        listens.expect("it listens");
        Self {
            port,
            _child: child,
            _folder: folder,
        }
    }
}

/// A request: what is in it besides the token.
struct Case {
    what: &'static str,
    proofs: Vec<String>,
    module: bool,
    /// `accepted`, or why it is refused here.
    here: &'static str,
}

async fn here(layer: &OAuthLayer, token: &str, proofs: &[String]) -> String {
    let inner = service_fn(async |_: Request<Full<Bytes>>| {
        Ok::<_, std::convert::Infallible>(Response::new(Full::<Bytes>::default()))
    });
    let request = Request::get("/mcp").header("authorization", format!("DPoP {token}"));
    let request = proofs
        .iter()
        .fold(request, |request, proof| request.header("dpop", proof));
    let request = request.body(Full::default()).expect("a request");
    let response = layer.layer(inner).oneshot(request).await;
    let response = response.expect("a response");
    let error = response.extensions().get::<AuthError>();
    error.map_or("accepted", AuthError::reason).to_owned()
}

async fn at_module(url: &str, token: &str, proofs: &[String]) -> bool {
    let request = reqwest::Client::new().get(url);
    let request = request.header("authorization", format!("DPoP {token}"));
    let request = proofs
        .iter()
        .fold(request, |request, proof| request.header("dpop", proof));
    let status = request.send().await.expect("an answer").status().as_u16();
    assert!([200, 401].contains(&status), "{status}");
    status == 200
}

#[tokio::test]
#[ignore = "needs apache2 and libapache2-mod-oauth2"]
async fn what_mod_oauth2_refuses_is_refused_here() {
    let issuer = Issuer::builder().algorithms([Algorithm::RS256]);
    let issuer = issuer.start().await.expect("an issuer");
    let apache = Apache::start(&issuer).await;
    let url = format!("http://127.0.0.1:{}/mcp", apache.port);
    let server = AuthorizationServer::insecure_http_on_loopback(issuer.url());
    let server = server.expect("a server").dpop(DpopMode::Required);
    let layer = OAuthLayer::new(&url, server).expect("a layer");

    let keys = [
        Algorithm::ES256,
        Algorithm::RS256,
        Algorithm::PS256,
        Algorithm::EdDSA,
    ];
    let keys = keys.map(DpopKey::for_algorithm);
    let [key, rsa, pss, eddsa] = &keys;
    let thief = DpopKey::generate();
    let token = |key: &DpopKey| issuer.token().audience(&url).bound_to(key).sign();
    let bound = token(key);
    let now = Clock::system().now();
    let proof = || key.proof("GET", &url).access_token(&bound);
    let aged = |ago: u64| proof().issued_at(now - Duration::from_secs(ago));
    let ahead = |by: u64| proof().issued_at(now + Duration::from_secs(by));
    let once = |proof: DpopProofBuilder| vec![proof.sign()];
    let case = |what, proofs, module, here| Case {
        what,
        proofs,
        module,
        here,
    };
    let private = || {
        let mut jwk = key.jwk();
        jwk["d"] = json!("AQAB");
        jwk
    };
    let same = once(proof());
    let twice = once(proof().claim("jti", "twice"));
    let mut cases = vec![
        case("good", once(proof()), true, "accepted"),
        case("270 s old", once(aged(270)), true, "accepted"),
        case("270 s ahead", once(ahead(270)), true, "accepted"),
        case(
            "typ in capitals",
            once(proof().header("typ", "DPoP+JWT")),
            true,
            "accepted",
        ),
        case("no proof", vec![], false, "missing_dpop_proof"),
        case(
            "no JWT",
            vec!["x".to_owned()],
            false,
            "malformed_dpop_proof",
        ),
        case(
            "typ",
            once(proof().header("typ", "JWT")),
            false,
            "malformed_dpop_proof",
        ),
        case(
            "no typ",
            once(proof().without_header("typ")),
            false,
            "malformed_dpop_proof",
        ),
        case(
            "none",
            once(proof().header("alg", "none")),
            false,
            "malformed_dpop_proof",
        ),
        case(
            "HS256",
            once(proof().header("alg", "HS256")),
            false,
            "malformed_dpop_proof",
        ),
        case(
            "no jwk",
            once(proof().without_header("jwk")),
            false,
            "malformed_dpop_proof",
        ),
        case(
            "another algorithm",
            once(proof().header("alg", "RS256")),
            false,
            "malformed_dpop_proof",
        ),
        case(
            "htm",
            once(proof().claim("htm", "POST")),
            false,
            "dpop_method_mismatch",
        ),
        case(
            "htu",
            once(proof().claim("htu", format!("{url}/x"))),
            false,
            "dpop_uri_mismatch",
        ),
        case(
            "host",
            once(proof().claim("htu", "http://evil.example/mcp")),
            false,
            "dpop_uri_mismatch",
        ),
        case("330 s old", once(aged(330)), false, "dpop_time_mismatch"),
        case("330 s ahead", once(ahead(330)), false, "dpop_time_mismatch"),
        case(
            "forged",
            once(proof().signed_with(&thief)),
            false,
            "invalid_dpop_signature",
        ),
        case(
            "of a thief",
            once(thief.proof("GET", &url).access_token(&bound)),
            false,
            "dpop_key_mismatch",
        ),
        case(
            "two headers",
            vec![proof().sign(), proof().sign()],
            false,
            "duplicate_dpop_proof",
        ),
        case(
            "private key",
            once(proof().header("jwk", private())),
            false,
            "malformed_dpop_proof",
        ),
        // Without htm or htu the process of the module ends by a signal: these are not sent to it.
        case(
            "no iat",
            once(proof().without_claim("iat")),
            false,
            "malformed_dpop_proof",
        ),
        case("used first", same.clone(), true, "accepted"),
        case("used again", same, false, "replayed_dpop_proof"),
    ];
    // RFC 9449 section 4.3, checks 3, 8, 11 and 12a, as far as this release of the module has none:
    // it knows a proof again, and not its jti.
    cases.extend([
        case("jti first", twice, true, "accepted"),
        case(
            "jti again",
            once(proof().claim("jti", "twice").claim("x", 1)),
            true,
            "replayed_dpop_proof",
        ),
        case(
            "no jti",
            once(proof().without_claim("jti")),
            true,
            "malformed_dpop_proof",
        ),
        case(
            "no ath",
            once(proof().without_claim("ath")),
            true,
            "malformed_dpop_proof",
        ),
        case(
            "ath",
            once(proof().claim("ath", "x")),
            true,
            "dpop_token_mismatch",
        ),
        case(
            "htm in small letters",
            once(proof().claim("htm", "get")),
            true,
            "dpop_method_mismatch",
        ),
        // RFC 7515 section 4.1.11.
        case(
            "crit",
            once(proof().header("crit", json!(["x"]))),
            true,
            "malformed_dpop_proof",
        ),
    ]);
    // What the module does not read as RFC 9449 and RFC 7515 do: `htu` without its query and in any
    // spelling, and `typ` with its prefix.
    cases.extend([
        case(
            "htu with a query",
            once(proof().claim("htu", format!("{url}?a=b"))),
            false,
            "accepted",
        ),
        case(
            "htu with dots",
            once(proof().claim("htu", url.replace("/mcp", "/x/../mcp"))),
            false,
            "accepted",
        ),
        case(
            "typ with a prefix",
            once(proof().header("typ", "application/dpop+jwt")),
            false,
            "accepted",
        ),
    ]);
    let mut told = Vec::new();
    for Case {
        what,
        proofs,
        module,
        here: expected,
    } in &cases
    {
        let here = here(&layer, &bound, proofs).await;
        let there = at_module(&url, &bound, proofs).await;
        if (&*here, there) != (*expected, *module) {
            told.push(format!("{what}: here {here}, module {there}"));
        }
    }
    assert!(told.is_empty(), "{told:#?}");

    // Algorithms: of those of the module each; and EdDSA, which it does not have.
    for (key, module) in [(rsa, true), (pss, true), (eddsa, false)] {
        let token = token(key);
        let proof = [key.proof("GET", &url).access_token(&token).sign()];
        assert_eq!(here(&layer, &token, &proof).await, "accepted");
        assert_eq!(at_module(&url, &token, &proof).await, module);
    }
}

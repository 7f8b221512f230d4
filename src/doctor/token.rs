//! The token, judged row by row against what the server says it expects.

use std::borrow::Cow;
use std::collections::BTreeMap;

use secrecy::ExposeSecret;

use super::code::Code;
use super::codes;
use super::metadata::Metadata;
use super::options::Options;
use super::report::{Judgement, Row};
use super::resource::is_same;
use super::servers::Server;
use crate::jose::{
    Alg, Compact, Family, Header, HeaderBuffer, PayloadBuffer, SignatureBuffer, TokenLimits, Typ,
    may_be_jws, select,
};
use crate::oauth::ExpectedServer;
use crate::token::{ClaimReader, ScopeClaim, is_other_kind};
use crate::util::one_line;

/// What clocks may differ by before a time counts.
const LEEWAY: i64 = 60;
/// The longest value in a row.
const MOST_CHARS: usize = 160;

/// What was read of the token, and how it was judged.
#[derive(Debug, Default)]
pub(super) struct Judged {
    pub(super) rows: Vec<Row>,
    pub(super) claims: BTreeMap<&'static str, String>,
    /// What servers must refuse it for, with what was seen and what stands for `{got}`.
    pub(super) faults: Vec<Fault>,
    pub(super) scopes: Vec<String>,
    pub(super) is_opaque: bool,
}

#[derive(Debug)]
pub(super) struct Fault {
    pub(super) code: Code,
    pub(super) evidence: String,
    pub(super) got: String,
}

/// What the token is compared with.
pub(super) struct Against<'e> {
    pub(super) options: &'e Options,
    pub(super) metadata: &'e Metadata,
    pub(super) servers: &'e [Server],
    /// Those of the challenge, if it names any.
    pub(super) scopes: &'e [String],
    /// By the clock of the server, in seconds since 1970.
    pub(super) now: i64,
}

impl Judged {
    fn row(&mut self, name: &'static str, expected: &str, got: &str, judgement: Judgement) {
        self.rows.push(Row {
            name,
            expected: one_line(expected, MOST_CHARS),
            got: one_line(got, MOST_CHARS),
            judgement,
        });
    }

    /// A row that is bad for the reason that the code names, or good.
    fn check(&mut self, name: &'static str, expected: &str, got: &str, fault: Option<Code>) {
        let judgement = match fault {
            Some(_) => Judgement::Bad,
            None => Judgement::Good,
        };
        self.row(name, expected, got, judgement);
        if let Some(code) = fault {
            let got = one_line(got, MOST_CHARS);
            self.faults.push(Fault {
                code,
                evidence: format!(
                    "{name}: {got}; expected: {}",
                    one_line(expected, MOST_CHARS)
                ),
                got,
            });
        }
    }
}

/// Judges the token, if there is one.
pub(super) fn judge(against: &Against<'_>) -> Option<Judged> {
    let token = against.options.token.as_ref()?.expose_secret().as_bytes();
    let mut judged = Judged::default();
    if !may_be_jws(token) {
        judged.is_opaque = true;
        judged.row("form", "a JWT", "opaque", Judgement::Unknown);
        return Some(judged);
    }
    const LIMITS: TokenLimits = TokenLimits {
        token: 64 * 1024,
        header: 16 * 1024,
    };
    let (mut header_buffer, mut payload_buffer) =
        (HeaderBuffer::default(), PayloadBuffer::default());
    let compact = match Compact::parse(token, LIMITS) {
        Ok(compact) => compact,
        Err(error) => return Some(malformed(judged, error.description())),
    };
    let header = compact.header(&mut header_buffer);
    let payload = compact.payload(&mut payload_buffer);
    let (header, payload) = match (header, payload) {
        (Ok(header), Ok(payload)) => (header, payload),
        (Err(error), _) | (_, Err(error)) => {
            return Some(malformed(
                judged,
                error.detail().unwrap_or(error.description()),
            ));
        }
    };
    let mut claims = ClaimReader::default();
    if let Err(error) = claims.read(payload, &ScopeClaim::default()) {
        return Some(malformed(
            judged,
            error.detail().unwrap_or(error.description()),
        ));
    }
    let mut others = ClaimReader::default();
    let scp = ScopeClaim {
        name: Cow::Borrowed("scp"),
    };
    let scp = others
        .read(payload, &scp)
        .ok()
        .and_then(|()| others.scope.take());
    let scopes = claims.scope.as_deref().or(scp.as_deref());
    let scopes = scopes.unwrap_or_default();
    judged.scopes = scopes.split_whitespace().map(str::to_owned).collect();
    judged.row("form", "a JWT", "a JWT", Judgement::Good);
    kind(&mut judged, &header, &claims);
    issuer(&mut judged, &claims, against);
    audience(&mut judged, &claims, against);
    times(&mut judged, &claims, against.now);
    signature(&mut judged, &compact, &header, &claims, against);
    scope(&mut judged, against);
    binding(&mut judged, &claims);
    report_claims(&mut judged, &header, &claims);
    Some(judged)
}

fn malformed(mut judged: Judged, why: &str) -> Judged {
    judged.check("form", "a JWT", why, Some(codes::TOKEN_MALFORMED));
    judged
}

fn kind(judged: &mut Judged, header: &Header<'_>, claims: &ClaimReader<'_>) {
    const EXPECTED: &str = "at+jwt, JWT, or none";
    match &header.typ {
        Typ::AtJwt => judged.check("typ", EXPECTED, "at+jwt", None),
        Typ::Jwt => judged.check("typ", EXPECTED, "JWT", None),
        Typ::Absent => judged.check("typ", EXPECTED, "none", None),
        Typ::Other(other) => {
            let short = Typ::short(other).to_ascii_lowercase();
            let is_known = is_other_kind(&short) || short.ends_with("+jwt");
            match is_known {
                true => judged.check("typ", EXPECTED, other, Some(codes::TOKEN_WRONG_KIND)),
                false => judged.row("typ", EXPECTED, other, Judgement::Unknown),
            }
        }
    }
    if header.typ == Typ::AtJwt {
        return;
    }
    let by_use = claims.token_use.as_deref().filter(|own| is_other_kind(own));
    let mark = match (&claims.other_kind, by_use) {
        (Some(other), _) => other.refusal().detail().map(str::to_owned),
        (None, Some(own)) => Some(format!("token_use is {own}")),
        (None, None) if claims.has_nonce && !claims.has_scope => {
            Some("it has a `nonce` and no scope, as ID tokens have".to_owned())
        }
        _ => None,
    };
    if let Some(mark) = mark {
        judged.check(
            "kind",
            "an access token",
            &mark,
            Some(codes::TOKEN_WRONG_KIND),
        );
    }
}

fn issuer(judged: &mut Judged, claims: &ClaimReader<'_>, against: &Against<'_>) {
    let mut expected: Vec<&str> = against.metadata.issuers.iter().map(|own| &**own).collect();
    expected.extend(
        against
            .servers
            .iter()
            .filter_map(|own| own.named.as_deref()),
    );
    if let Some(configured) = &against.options.expected {
        let servers = configured.servers.iter();
        expected = servers.map(|own| &*own.token_issuer).collect();
    }
    expected.dedup();
    let got = claims.iss.as_deref().unwrap_or("none");
    let list = expected.join(" or ");
    if expected.is_empty() {
        return judged.row("iss", "", got, Judgement::Unknown);
    }
    let fault = (!expected.contains(&got)).then_some(codes::TOKEN_ISSUER);
    judged.check("iss", &list, got, fault);
}

fn audience(judged: &mut Judged, claims: &ClaimReader<'_>, against: &Against<'_>) {
    let own = against.metadata.resource.as_deref();
    let mut expected = vec![own.unwrap_or(&against.options.written)];
    let got: Vec<&str> = claims.aud.iter().collect();
    if let Some(configured) = &against.options.expected {
        expected = configured.audiences.iter().map(|own| &**own).collect();
        let client = claims.client_id.as_deref().or(claims.azp.as_deref());
        let issuer = claims.iss.as_deref();
        let takes_client = |own: &ExpectedServer| {
            Some(&*own.token_issuer) == issuer && own.clients.check(client).is_ok()
        };
        if got.is_empty() && configured.servers.iter().any(takes_client) {
            let client = format!("none, and the client {}", client.unwrap_or_default());
            return judged.check("aud", "one, or a client that needs none", &client, None);
        }
    }
    let is_it = |aud: &&&str| expected.iter().any(|own| own == *aud || is_same(own, aud));
    let fault = match got.is_empty() {
        true => Some(codes::TOKEN_AUDIENCE_MISSING),
        false => (!got.iter().any(|aud| is_it(&aud))).then_some(codes::TOKEN_AUDIENCE),
    };
    let all = match got.is_empty() {
        true => "none".to_owned(),
        false => got.join(", "),
    };
    judged.check("aud", &expected.join(" or "), &all, fault);
}

fn times(judged: &mut Judged, claims: &ClaimReader<'_>, now: i64) {
    let seconds = |at: std::time::Duration| i64::try_from(at.as_secs()).unwrap_or(i64::MAX);
    let apart = |at: i64| at.saturating_sub(now);
    match claims.exp.map(seconds) {
        None => {
            let missing = Some(codes::TOKEN_TIMES_MISSING);
            judged.check("exp", "a time to come", "none", missing);
        }
        Some(exp) => {
            let fault = (apart(exp) <= -LEEWAY).then_some(codes::TOKEN_EXPIRED);
            judged.check(
                "exp",
                "a time to come",
                &describe_time(exp, apart(exp)),
                fault,
            );
        }
    }
    for (name, at) in [("nbf", claims.nbf), ("iat", claims.iat)] {
        if let Some(at) = at.map(seconds) {
            let fault = (apart(at) > LEEWAY).then_some(codes::TOKEN_NOT_YET_VALID);
            judged.check(
                name,
                "a time that is past",
                &describe_time(at, apart(at)),
                fault,
            );
        }
    }
}

fn describe_time(at: i64, apart: i64) -> String {
    match apart < 0 {
        true => format!("{at}, {} s ago by the server's clock", -apart),
        false => format!("{at}, in {apart} s by the server's clock"),
    }
}

fn signature(
    judged: &mut Judged,
    compact: &Compact<'_>,
    header: &Header<'_>,
    claims: &ClaimReader<'_>,
    against: &Against<'_>,
) {
    const EXPECTED: &str = "an asymmetric algorithm, RS256 or ES256 say";
    let alg = match &header.alg {
        Alg::Known(alg) if alg.family() != Family::Hmac => *alg,
        other => {
            let name = match other {
                Alg::Known(alg) => alg.name(),
                Alg::Unknown(name) => name,
                Alg::Absent => "none",
            };
            return judged.check("alg", EXPECTED, name, Some(codes::TOKEN_ALGORITHM));
        }
    };
    judged.check("alg", EXPECTED, alg.name(), None);
    let iss = claims.iss.as_deref().unwrap_or_default();
    let configured = against.options.expected.iter().flat_map(|own| &own.servers);
    // Where its keys are published, if the file says that this is elsewhere.
    let publisher = configured
        .filter(|own| own.token_issuer == iss)
        .map(|own| &*own.issuer)
        .next();
    let publisher = publisher.unwrap_or(iss);
    let is_its = |own: &&Server| own.issuer == publisher || own.named.as_deref() == Some(iss);
    let keys = against.servers.iter().find(is_its);
    let Some(keys) = keys.and_then(|server| server.keys.as_ref()) else {
        return judged.row(
            "signature",
            "",
            "its keys were not seen",
            Judgement::Unknown,
        );
    };
    let kid = header.kid.as_deref();
    let named = kid.unwrap_or("none");
    let Ok(candidates) = select(&keys.usable, kid, alg) else {
        let fault = Some(codes::TOKEN_KEY_UNKNOWN);
        let ids: Vec<&str> = keys.usable.iter().filter_map(|key| key.kid()).collect();
        return judged.check("kid", &ids.join(" or "), named, fault);
    };
    judged.check("kid", "a published key", named, None);
    let mut buffer = SignatureBuffer::default();
    let holds = compact.signature(&mut buffer).is_ok_and(|signature| {
        let message = compact.signing_input();
        let mut tried = candidates.iter();
        tried.any(|index| keys.usable[index].verify(alg, message, signature))
    });
    let (got, fault) = match holds {
        true => ("it holds", None),
        false => ("it does not hold", Some(codes::TOKEN_SIGNATURE)),
    };
    judged.check("signature", "by a published key", got, fault);
}

fn scope(judged: &mut Judged, against: &Against<'_>) {
    let mut wanted: Vec<&str> = against.scopes.iter().map(|own| &**own).collect();
    if let Some(configured) = &against.options.expected {
        wanted.extend(configured.scopes.iter().map(|own| &**own));
    }
    let lacking = wanted
        .iter()
        .any(|scope| !judged.scopes.iter().any(|own| own == scope));
    let got = match judged.scopes.is_empty() {
        true => "none".to_owned(),
        false => judged.scopes.join(" "),
    };
    // A challenge names what to ask for at first, which is more than each request needs.
    let judgement = match lacking {
        true => Judgement::Unknown,
        false => Judgement::Good,
    };
    judged.row("scope", &wanted.join(" "), &got, judgement);
}

fn binding(judged: &mut Judged, claims: &ClaimReader<'_>) {
    let Some(confirmation) = &claims.confirmation else {
        return;
    };
    let (got, fault) = match (&confirmation.jkt, &confirmation.x5t_s256) {
        (_, Some(_)) => ("bound to a certificate", Some(codes::TOKEN_BOUND)),
        (Some(_), None) => ("bound to a key (DPoP)", Some(codes::TOKEN_BOUND)),
        (None, None) => ("bound in an unknown way", Some(codes::TOKEN_BOUND)),
    };
    judged.check("cnf", "none, for a bearer token", got, fault);
}

/// The claims that matter.
fn report_claims(judged: &mut Judged, header: &Header<'_>, claims: &ClaimReader<'_>) {
    let seconds = |at: Option<std::time::Duration>| at.map(|at| at.as_secs().to_string());
    let aud: Vec<&str> = claims.aud.iter().collect();
    let typ = match &header.typ {
        Typ::AtJwt => Some("at+jwt".to_owned()),
        Typ::Jwt => Some("JWT".to_owned()),
        Typ::Other(other) => Some(other.to_string()),
        Typ::Absent => None,
    };
    let alg = match &header.alg {
        Alg::Known(alg) => Some(alg.name().to_owned()),
        Alg::Unknown(name) => Some(name.to_string()),
        Alg::Absent => None,
    };
    let all = [
        ("typ", typ),
        ("alg", alg),
        ("kid", header.kid.as_deref().map(str::to_owned)),
        ("iss", claims.iss.as_deref().map(str::to_owned)),
        ("aud", Some(aud.join(" ")).filter(|aud| !aud.is_empty())),
        ("exp", seconds(claims.exp)),
        ("nbf", seconds(claims.nbf)),
        ("iat", seconds(claims.iat)),
        (
            "scope",
            Some(judged.scopes.join(" ")).filter(|own| !own.is_empty()),
        ),
        ("client_id", claims.client_id.as_deref().map(str::to_owned)),
        ("azp", claims.azp.as_deref().map(str::to_owned)),
    ];
    for (name, value) in all {
        if let Some(value) = value {
            judged.claims.insert(name, one_line(&value, MOST_CHARS));
        }
    }
}

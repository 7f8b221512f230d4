//! Why a request has no answer, and what that is called.

use std::error::Error;
use std::io;
use std::time::{Duration, UNIX_EPOCH};

use tokio_rustls::rustls::pki_types::UnixTime;
use tokio_rustls::rustls::{self, CertificateError, InvalidMessage};

use super::code::Code;
use super::codes;
use crate::util::{one_line, quoted};

/// Of what is told of a failure, in characters.
const MOST_TOLD: usize = 256;
/// Of the names of a certificate.
const MOST_NAMES: usize = 5;

/// Why nothing came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// It was not sent: the address is not one to follow.
    NotFollowed(&'static str),
    /// The certificate; the code says how.
    Certificate(Code, String),
    /// What else is of TLS.
    Tls(String),
    /// So many interim responses, the last with this status, and what did not follow.
    Interim(usize, u16, String),
    Connection(String),
    /// There was a connection, and no answer of HTTP on it.
    Answer(String),
    /// In seconds.
    Timeout(u64),
    /// The time for all requests was over.
    Late,
}

impl Failure {
    pub(super) fn text(&self) -> String {
        match self {
            Self::NotFollowed(why) => format!("not asked: {why}"),
            // A certificate is a text of the server's.
            Self::Certificate(_, why) => one_line(why, MOST_TOLD),
            Self::Tls(why) => format!("TLS: {}", one_line(why, MOST_TOLD)),
            Self::Interim(count, status, why) => {
                format!("{count} interim responses ({status}), and {why}")
            }
            Self::Connection(why) => format!("no connection: {}", one_line(why, MOST_TOLD)),
            Self::Answer(why) => format!("no answer of HTTP: {}", one_line(why, MOST_TOLD)),
            Self::Timeout(seconds) => format!("no answer within {seconds} s"),
            Self::Late => "the two minutes for all requests are over".to_owned(),
        }
    }

    /// What it is called where the endpoint fails so.
    pub(super) fn code(&self) -> Code {
        match self {
            Self::Certificate(code, _) => *code,
            Self::Tls(_) => codes::TLS_FAILING,
            Self::Interim(..) => codes::INTERIM_RESPONSES,
            _ => codes::UNREACHABLE,
        }
    }

    /// Of a connection, and of what runs on it.
    pub(super) fn of(error: &(dyn Error + 'static)) -> Self {
        match tls(error) {
            Some(rustls::Error::InvalidCertificate(error)) => Self::certificate(error),
            Some(rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType)) => {
                Self::Tls("the server does not speak it at this port: plain http, perhaps".into())
            }
            Some(error) => Self::Tls(error.to_string()),
            None => Self::Connection(innermost(error)),
        }
    }

    fn certificate(error: &CertificateError) -> Self {
        let named = |code, why: String| Self::Certificate(code, format!("the certificate {why}"));
        match error {
            CertificateError::UnknownIssuer => named(
                codes::CERTIFICATE_AUTHORITY_UNKNOWN,
                "is of no authority that is known here (`--ca FILE` adds one)".to_owned(),
            ),
            CertificateError::BadSignature => named(
                codes::CERTIFICATE_AUTHORITY_UNKNOWN,
                "names an authority that is known here, and was signed with another key".to_owned(),
            ),
            CertificateError::NotValidForName => {
                named(codes::CERTIFICATE_HOST, "is for other hosts".to_owned())
            }
            CertificateError::NotValidForNameContext { presented, .. } => named(
                codes::CERTIFICATE_HOST,
                format!("is for {}", hosts(presented)),
            ),
            CertificateError::Expired => named(codes::CERTIFICATE_EXPIRED, "expired".to_owned()),
            CertificateError::ExpiredContext { not_after, .. } => named(
                codes::CERTIFICATE_EXPIRED,
                format!("expired on {}", date(*not_after)),
            ),
            CertificateError::NotValidYet => named(
                codes::CERTIFICATE_NOT_YET_VALID,
                "is not valid yet".to_owned(),
            ),
            CertificateError::NotValidYetContext { not_before, .. } => named(
                codes::CERTIFICATE_NOT_YET_VALID,
                format!("is not valid before {}", date(*not_before)),
            ),
            // The error of webpki itself is not in reach.
            other if other.to_string().contains("CaUsedAsEndEntity") => {
                named(codes::CERTIFICATE_IS_AUTHORITY, "has `CA:TRUE`".to_owned())
            }
            other => Self::Tls(format!("the certificate is not valid: {other}")),
        }
    }

    /// Why nothing can be judged here: the authorities of the system cannot be read, say.
    pub(super) fn no_tls(why: &str) -> Self {
        let why = format!("no authority is known here (`--ca FILE` adds one): {why}");
        Self::Certificate(codes::CERTIFICATE_AUTHORITY_UNKNOWN, why)
    }
}

/// As rustls writes them: `DnsName("example.com")`, `IpAddress(127.0.0.1)`.
fn hosts(presented: &[String]) -> String {
    let plain = |own: &String| {
        let inner = own.split_once('(').map_or(&**own, |(_, inner)| inner);
        quoted(inner.trim_end_matches(')').trim_matches('"'))
    };
    match presented.len() {
        0 => "no host at all".to_owned(),
        all => {
            let some: Vec<String> = presented.iter().take(MOST_NAMES).map(plain).collect();
            let more = if all > MOST_NAMES { ", …" } else { "" };
            format!("{}{more}", some.join(", "))
        }
    }
}

fn date(time: UnixTime) -> String {
    // What no date can be written of is as far off as this.
    const LAST: u64 = 253_402_300_799;
    let time = UNIX_EPOCH + Duration::from_secs(time.as_secs().min(LAST));
    httpdate::fmt_http_date(time)
}

fn tls<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e rustls::Error> {
    let mut cause = error;
    loop {
        if let Some(found) = cause.downcast_ref() {
            return Some(found);
        }
        // The source of an I/O error is that of what it holds.
        let held = cause
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        cause = match held {
            Some(held) => held,
            None => cause.source()?,
        };
    }
}

fn innermost(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn why_nothing_came_back_is_one_line_that_is_cut() {
        // Certificates name thousands of hosts, as they like.
        let nasty = "\u{1b}[2J\n".repeat(10_000);
        let named = CertificateError::NotValidForNameContext {
            expected: "localhost".try_into().unwrap(),
            presented: vec![nasty.clone(); 100],
        };
        for failure in [
            Failure::certificate(&named),
            Failure::Tls(nasty.clone()),
            Failure::Connection(nasty),
        ] {
            let text = failure.text();
            assert!(
                text.len() < 400 && !text.contains(char::is_control),
                "{text:?}"
            );
        }
    }

    #[test]
    fn hosts_of_a_certificate_are_written_plainly() {
        let names =
            |all: &[&str]| hosts(&all.iter().map(|own| (*own).to_owned()).collect::<Vec<_>>());
        assert_eq!(names(&[]), "no host at all");
        assert_eq!(
            names(&["DnsName(\"example.com\")", "IpAddress(127.0.0.1)"]),
            "\"example.com\", \"127.0.0.1\""
        );
    }
}

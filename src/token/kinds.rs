//! The marks by which makers of authorization servers tell kinds of tokens apart.
//!
//! They stand beside the header `typ` and `token_use`.
//!
//! One key signs them all, as a rule: an ID token or a refresh token is told from an access
//! token by what it says of itself, or not at all. Names and values compare without regard to
//! ASCII case. What is not listed here says nothing, and passes: `Bearer`, `DPoP`, `access`,
//! `app` and the like mark access tokens, and makers name others as they like.

use crate::error::{AuthError, Reason};
use crate::json::object::Value;
use crate::util::quoted;

/// How a claim tells the kind of its token.
#[derive(Clone, Copy)]
enum Mark {
    /// By its text, one of [`OTHERS`]. It has this meaning and no other, so that what is no
    /// text is refused.
    Kind,
    /// The same, by a word that claims of another meaning use too: what is no text says nothing.
    Word,
    /// By being there.
    Presence,
    /// By `true`.
    Flag,
    /// By this text.
    Is(&'static str),
}

/// The claims, in lower case.
const MARKS: [(&str, Mark); 36] = [
    // Keycloak: `Bearer`, `DPoP`, `ID`, `Refresh`, `Offline`, `Logout`.
    ("typ", Mark::Kind),
    // flask-jwt-extended: `access` and `refresh`; Cloudflare Access: `app`.
    ("type", Mark::Kind),
    // djangorestframework-simplejwt: `access` and `refresh`; Casdoor: `access-token`.
    ("token_type", Mark::Kind),
    ("token-type", Mark::Kind),
    ("tokentype", Mark::Kind),
    // ForgeRock: `access_token`, `id_token`, `refresh_token`.
    ("tokenname", Mark::Kind),
    ("token_name", Mark::Kind),
    // Cognito's, in other spellings; in its own it is judged by itself.
    ("token_use", Mark::Kind),
    ("token-use", Mark::Kind),
    ("tokenuse", Mark::Kind),
    ("token_usage", Mark::Word),
    ("tokenusage", Mark::Word),
    ("token_kind", Mark::Word),
    ("tokenkind", Mark::Word),
    ("token_purpose", Mark::Word),
    ("tokenpurpose", Mark::Word),
    ("kind", Mark::Word),
    ("use", Mark::Word),
    ("usage", Mark::Word),
    ("purpose", Mark::Word),
    // FusionAuth: `at`.
    ("tty", Mark::Word),
    // Spring Security OAuth: the id of the access token that a refresh token belongs to.
    ("ati", Mark::Presence),
    // OpenID Connect Core sections 3.1.3.6 and 3.3.2.11, FAPI, RFC 8417.
    ("at_hash", Mark::Presence),
    ("c_hash", Mark::Presence),
    ("s_hash", Mark::Presence),
    ("events", Mark::Presence),
    ("refresh", Mark::Flag),
    ("is_refresh", Mark::Flag),
    ("isrefresh", Mark::Flag),
    ("refresh_token", Mark::Flag),
    ("refreshtoken", Mark::Flag),
    ("is_refresh_token", Mark::Flag),
    ("isrefreshtoken", Mark::Flag),
    // Descope: `DS` is a session token, `DSR` the one that renews it.
    ("drn", Mark::Is("dsr")),
    ("token_class", Mark::Word),
    ("tokenclass", Mark::Word),
];

/// The kinds that are no access tokens, in lower case and with nothing but letters and digits.
const OTHERS: [&str; 36] = [
    "id",
    "idtoken",
    "identity",
    "identitytoken",
    "serializedid",
    "refresh",
    "refreshtoken",
    "rt",
    "offline",
    "offlinetoken",
    "offlinerefresh",
    "logout",
    "logouttoken",
    "backchannellogout",
    "authorizationcode",
    "authcode",
    "devicecode",
    "usercode",
    "initialaccesstoken",
    "registrationaccesstoken",
    "authorizationresponse",
    "clientassertion",
    "clientauthentication",
    "secevent",
    "tokenintrospection",
    "passwordreset",
    "resetpassword",
    "resetcredentials",
    "executeactions",
    "emailverification",
    "verifyemail",
    "emailconfirmation",
    "confirmemail",
    "accountactivation",
    "magiclink",
    "invitation",
];

/// What a token says of itself that an access token does not.
#[derive(Debug)]
pub(crate) enum OtherKind {
    /// The claim, and its value, escaped.
    Says(&'static str, String),
    /// A claim that only other kinds have.
    Has(&'static str),
    /// A claim that tells kinds apart and is no text: nothing can be told by it.
    NotText(&'static str),
}

impl OtherKind {
    pub(crate) fn refusal(&self) -> AuthError {
        match self {
            Self::Says(claim, value) => {
                crate::token::wrong_kind(format!("the claim {claim} is {value}"))
            }
            Self::Has(claim) => crate::token::wrong_kind(format!(
                "the claim {claim} belongs to another kind of token"
            )),
            Self::NotText(claim) => AuthError::new(Reason::MALFORMED_TOKEN)
                .with_detail(format!("the claim {claim} is not a string")),
        }
    }
}

/// What a claim says of the kind of its token; it is not null.
pub(crate) fn judge(name: &str, value: &Value<'_>) -> Option<OtherKind> {
    let (claim, mark) = find_mark(name)?;
    match (mark, value) {
        (Mark::Presence, _) => Some(OtherKind::Has(claim)),
        (Mark::Kind | Mark::Word, Value::Text(text)) => {
            is_other(text).then(|| OtherKind::Says(claim, quoted(text)))
        }
        (Mark::Kind, _) => Some(OtherKind::NotText(claim)),
        (Mark::Word, Value::ArrayOf(text)) => {
            is_other(text).then(|| OtherKind::Says(claim, quoted(text)))
        }
        (Mark::Flag, Value::Boolean(true)) => Some(OtherKind::Says(claim, "true".to_owned())),
        (Mark::Is(own), Value::Text(text)) => text
            .eq_ignore_ascii_case(own)
            .then(|| OtherKind::Says(claim, quoted(text))),
        _ => None,
    }
}

/// Whether a claim of this name tells kinds of tokens apart.
pub(crate) fn is_mark(name: &str) -> bool {
    find_mark(name).is_some()
}

/// Whether this is the name of a kind that is no access token.
pub(crate) fn is_other(kind: &str) -> bool {
    const URN: &str = "urn:ietf:params:oauth:token-type:";
    const MEDIA: &str = "application/";
    const JWT: &str = "+jwt";

    let mut kind = kind.as_bytes();
    for prefix in [URN, MEDIA] {
        match kind.split_at_checked(prefix.len()) {
            Some((start, rest)) if start.eq_ignore_ascii_case(prefix.as_bytes()) => kind = rest,
            _ => {}
        }
    }
    match kind
        .len()
        .checked_sub(JWT.len())
        .map(|at| kind.split_at(at))
    {
        Some((start, end)) if end.eq_ignore_ascii_case(JWT.as_bytes()) => kind = start,
        _ => {}
    }
    let folded = kind.iter().filter(|byte| byte.is_ascii_alphanumeric());
    let folded = folded.map(u8::to_ascii_lowercase);
    // Letters beyond ASCII are other words.
    kind.is_ascii() && OTHERS.iter().any(|other| folded.clone().eq(other.bytes()))
}

fn find_mark(name: &str) -> Option<(&'static str, Mark)> {
    // Nearly all claims have another length, or another first letter at that length.
    let first = name.as_bytes().first()?;
    if FIRST_LETTERS.get(name.len())? & letter(*first) == 0 {
        return None;
    }
    let mut marks = MARKS.iter();
    marks
        .find(|(own, _)| own.eq_ignore_ascii_case(name))
        .copied()
}

/// A bit for each letter, without regard to its case.
const fn letter(byte: u8) -> u32 {
    1 << (byte & 31)
}

/// The first letters of the marks, by their lengths.
const FIRST_LETTERS: [u32; 18] = {
    let mut letters = [0; 18];
    let mut at = 0;
    while at < MARKS.len() {
        let name = MARKS[at].0.as_bytes();
        letters[name.len()] |= letter(name[0]);
        at += 1;
    }
    letters
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mark_is_found_in_any_case_and_no_other_name_is() {
        for (name, _) in MARKS {
            for spelling in [name.to_owned(), name.to_ascii_uppercase()] {
                assert!(is_mark(&spelling), "{spelling}");
            }
            for other in [format!("{name}x"), format!("x{name}"), name[1..].to_owned()] {
                let listed = MARKS.iter().any(|(own, _)| *own == other);
                assert_eq!(is_mark(&other), listed, "{other}");
            }
        }
        for other in [
            "",
            "sub",
            "scope",
            "t\u{fc}p",
            "azp",
            "a name that is very long",
        ] {
            assert!(!is_mark(other), "{other}");
        }
    }
}

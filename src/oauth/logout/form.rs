//! The form that a logout token is posted in.

use std::borrow::Cow;

use url::form_urlencoded;

/// The only parameter that counts; others are ignored (OpenID Connect Back-Channel Logout 1.0
/// section 2.5).
const LOGOUT_TOKEN: &str = "logout_token";

/// The logout token in a body. The error is for the sender.
pub(super) fn logout_token(body: &[u8]) -> Result<Cow<'_, str>, &'static str> {
    if !is_encoded(body) {
        return Err("the body has a percent sign without two hexadecimal digits");
    }
    let pairs = form_urlencoded::parse(body);
    let mut tokens = pairs.filter(|(name, _)| name == LOGOUT_TOKEN);
    let token = tokens.next().filter(|(_, token)| !token.is_empty());
    // RFC 6749 section 3.1: a parameter is there once, and one without a value is not there.
    match (token, tokens.next()) {
        (_, Some(_)) => Err("the parameter logout_token is there twice"),
        (Some((_, token)), None) => Ok(token),
        (None, None) => Err("the parameter logout_token is missing"),
    }
}

/// Whether each percent sign begins an encoded byte. Lenient readers pass over others, each in a
/// way of its own.
fn is_encoded(body: &[u8]) -> bool {
    let mut parts = body.split(|byte| *byte == b'%');
    parts.next();
    parts.all(|part| {
        let digits = part.get(..2).unwrap_or_default();
        digits.len() == 2 && digits.iter().all(u8::is_ascii_hexdigit)
    })
}

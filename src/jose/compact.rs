//! The compact serialization (RFC 7515 section 7.1) and the JOSE header.

use std::borrow::Cow;

use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::algorithm::Algorithm;
use super::limits::TokenLimits;
use crate::credential::is_filler_word;
use crate::error::{AuthError, Reason};
use crate::json::object::{Refused, is_object, read_object};
use crate::util::base64url;

/// A token taken apart: nothing of it is read or verified.
pub(crate) struct Compact<'t> {
    header: &'t [u8],
    /// What was signed: header, dot, payload.
    signing_input: &'t [u8],
    payload: &'t [u8],
    signature: &'t [u8],
}

/// The members of the JOSE header that mean something here. `jwk`, `jku`, `x5u`, `x5c`,
/// `x5t` and all others are skipped: a token does not say which key it is checked with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Header<'h> {
    pub(crate) alg: Alg,
    pub(crate) kid: Option<Cow<'h, str>>,
    pub(crate) typ: Typ,
}

/// Where a part of a token is decoded to: on the stack, up to the usual size of such parts.
/// There the memory is near; what is made for a token that is kept is seldom.
pub(crate) struct Buffer<const USUAL: usize> {
    usual: [u8; USUAL],
    longer: Vec<u8>,
}

pub(crate) type HeaderBuffer = Buffer<384>;
pub(crate) type PayloadBuffer = Buffer<1024>;
pub(crate) type SignatureBuffer = Buffer<256>;

/// The longest signature in bytes: of an RSA key of 8192 bits.
const LONGEST_SIGNATURE: usize = 1024;

impl<const USUAL: usize> Default for Buffer<USUAL> {
    fn default() -> Self {
        Self {
            usual: [0; USUAL],
            longer: Vec::new(),
        }
    }
}

impl<const USUAL: usize> Buffer<USUAL> {
    fn decode(&mut self, text: &[u8], what: &str) -> Result<&[u8], AuthError> {
        let length = base64url::decoded_len(text.len());
        let out = if length <= USUAL {
            &mut self.usual
        } else {
            self.longer.resize(length, 0);
            &mut self.longer[..]
        };
        base64url::decode(text, out).ok_or_else(|| not_base64(what))
    }
}

/// The `alg` header (RFC 7515 section 4.1.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Alg {
    #[default]
    Absent,
    Known(Algorithm),
    /// `none` among them.
    Unknown(Box<str>),
}

/// The `typ` header (RFC 7515 section 4.1.9), as far as an access token can be told by it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Typ {
    #[default]
    Absent,
    /// RFC 9068.
    AtJwt,
    Jwt,
    Other(Box<str>),
}

impl Typ {
    /// A type as it is compared: without regard to case, and without "application/", which may
    /// be left out where no other slash follows. ASCII only: look-alikes are other types.
    pub(crate) fn short(typ: &str) -> &str {
        match typ.split_at_checked("application/".len()) {
            Some((prefix, rest)) if prefix.eq_ignore_ascii_case("application/") => rest,
            _ => typ,
        }
    }

    fn of(typ: &str) -> Self {
        let short = Self::short(typ);
        if short.eq_ignore_ascii_case("at+jwt") {
            Self::AtJwt
        } else if short.eq_ignore_ascii_case("JWT") {
            Self::Jwt
        } else {
            Self::Other(typ.into())
        }
    }
}

impl<'t> Compact<'t> {
    /// Takes a token apart. Sizes and dots are judged before anything is decoded.
    pub(crate) fn parse(token: &'t [u8], limits: TokenLimits) -> Result<Self, AuthError> {
        limits.check_token(token)?;
        let (first, second) = two_dots(token).ok_or_else(|| not_compact(token))?;
        let header = &token[..first];
        limits.check_header(header)?;
        Ok(Self {
            header,
            signing_input: &token[..second],
            payload: &token[first + 1..second],
            signature: &token[second + 1..],
        })
    }

    /// The header, decoded to `buffer` and read.
    pub(crate) fn header<'b>(&self, buffer: &'b mut HeaderBuffer) -> Result<Header<'b>, AuthError> {
        Header::read(self.header_text(buffer)?)
    }

    /// The text of the header, decoded to `buffer`.
    pub(crate) fn header_text<'b>(
        &self,
        buffer: &'b mut HeaderBuffer,
    ) -> Result<&'b str, AuthError> {
        let json = buffer.decode(self.header, "header")?;
        std::str::from_utf8(json).map_err(|_| refused(Refused::NotOneObject, "header"))
    }

    /// The header as it was sent.
    #[cfg(feature = "oauth")]
    pub(crate) fn header_part(&self) -> &'t [u8] {
        self.header
    }

    pub(crate) fn signing_input(&self) -> &'t [u8] {
        self.signing_input
    }

    /// The payload, decoded to `buffer`, as far as claims can be read from it.
    pub(crate) fn payload<'b>(&self, buffer: &'b mut PayloadBuffer) -> Result<&'b str, AuthError> {
        let payload = buffer.decode(self.payload, "payload")?;
        // All at once: string by string it costs several times as much.
        std::str::from_utf8(payload).map_err(|_| refused(Refused::NotOneObject, "claims"))
    }

    /// The bytes of the signature, decoded to `buffer`.
    pub(crate) fn signature<'b>(
        &self,
        buffer: &'b mut SignatureBuffer,
    ) -> Result<&'b [u8], AuthError> {
        if base64url::decoded_len(self.signature.len()) > LONGEST_SIGNATURE {
            return Err(not_base64("signature"));
        }
        buffer.decode(self.signature, "signature")
    }
}

/// Whether a token may be a JWS: its first character can stand for the start of a JSON object,
/// and it has three parts. Of most tokens that are none the first character says so, which
/// spares the search of all of it for dots.
#[cfg(feature = "oauth")]
pub(crate) fn may_be_jws(token: &[u8]) -> bool {
    jws_header(token).is_some()
}

/// What must be the header, if it is one.
fn jws_header(token: &[u8]) -> Option<&[u8]> {
    if !begins_like_object(token) {
        return None;
    }
    let (end, _) = two_dots(token)?;
    Some(&token[..end])
}

/// The first letter is the first six bits: those of `{`, a space, a tab or line feed, or a
/// carriage return. The last two of either alphabet are those of no character of JSON; what is
/// no letter loose readers pass over.
pub(crate) fn begins_like_object(token: &[u8]) -> bool {
    match token.first() {
        Some(b'e' | b'I' | b'C' | b'D') => true,
        Some(b'-' | b'_' | b'+' | b'/') | None => false,
        Some(other) => !other.is_ascii_alphanumeric(),
    }
}

/// Where the two dots of a token with three parts are.
fn two_dots(token: &[u8]) -> Option<(usize, usize)> {
    let mut dots = memchr::memchr_iter(b'.', token);
    let two = (dots.next()?, dots.next()?);
    dots.next().is_none().then_some(two)
}

/// Whether a token is a JWS by its shape: three parts, and the first is a JSON object. What
/// is not belongs to the provider that can say what it means. A first part that is too long for a
/// header is not decoded: it is a header that is refused.
pub(crate) fn is_jws(token: &[u8], limits: TokenLimits) -> bool {
    let Some(header) = jws_header(token) else {
        return false;
    };
    if !limits.fits_header(header) {
        return true;
    }
    let json = base64url::decode_to_vec(header).or_else(|| decode_loosely(header));
    json.is_some_and(|json| is_object(&json))
}

/// As a loose reader would, who passes over what is no letter and over bits left over, and to
/// whom it does not matter which alphabet it is. To know a JWS by, never to read one.
fn decode_loosely(part: &[u8]) -> Option<Vec<u8>> {
    const LOOSE: GeneralPurpose = GeneralPurpose::new(
        &URL_SAFE,
        GeneralPurposeConfig::new()
            .with_decode_allow_trailing_bits(true)
            .with_decode_padding_mode(DecodePaddingMode::Indifferent),
    );
    let url_safe = part.iter().filter_map(|byte| match byte {
        b'+' => Some(b'-'),
        b'/' => Some(b'_'),
        letter @ (b'-' | b'_') => Some(*letter),
        other => other.is_ascii_alphanumeric().then_some(*other),
    });
    let mut letters: Vec<u8> = url_safe.collect();
    if letters.len() % 4 == 1 {
        letters.pop();
    }
    LOOSE.decode(letters).ok()
}

fn not_compact(token: &[u8]) -> AuthError {
    match memchr::memchr_iter(b'.', token).count() {
        4 => AuthError::new(Reason::ENCRYPTED_TOKEN)
            .with_detail("five parts: encrypted tokens are not accepted"),
        0 if is_filler_word(token) => AuthError::new(Reason::NOT_A_JWT).with_detail(
            "a word of programs for nothing (`undefined`, `null`): the variable of the client has \
             no token",
        ),
        0 => AuthError::new(Reason::NOT_A_JWT).with_detail(
            "one part instead of three: an opaque token, for which there is `Introspection`, or \
             a credential of another kind",
        ),
        dots => AuthError::new(Reason::NOT_A_JWT)
            .with_detail(format!("{} parts instead of three", dots + 1)),
    }
}

/// What a token is refused for that has such JSON; `part` is the part of it.
pub(crate) fn refused(fault: Refused, part: &str) -> AuthError {
    let reason = match fault {
        Refused::Duplicate => Reason::DUPLICATE_TOKEN_MEMBER,
        _ => Reason::MALFORMED_TOKEN,
    };
    AuthError::new(reason).with_detail(format!("{part}: {fault}"))
}

fn not_base64(what: &str) -> AuthError {
    AuthError::new(Reason::MALFORMED_TOKEN).with_detail(format!("the {what} is not base64url"))
}

impl<'h> Header<'h> {
    /// Reads what a token says of itself.
    pub(crate) fn read(json: &'h str) -> Result<Self, AuthError> {
        let mut header = Self::default();
        let mut refused = None;
        let read = read_object(json, |name, value| {
            match name {
                "alg" => {
                    let alg = value.text("alg")?;
                    header.alg = match Algorithm::from_name(&alg) {
                        Some(known) => Alg::Known(known),
                        None => Alg::Unknown(alg.into()),
                    };
                }
                "kid" => header.kid = Some(value.text("kid")?),
                "typ" => header.typ = Typ::of(&value.text("typ")?),
                // RFC 7515 section 4.1.11: a recipient that does not understand a critical member
                // must refuse. This crate understands none, whatever the value.
                "crit" => {
                    refused = Some((Reason::CRITICAL_HEADER, "crit: no extension is understood"));
                }
                // RFC 7797: an unencoded payload is no JWT (RFC 7519 section 7.2).
                "b64" => match value.boolean("b64")? {
                    true => {}
                    false => refused = Some((Reason::UNENCODED_PAYLOAD, "b64 is false")),
                },
                _ => {}
            }
            Ok(())
        });
        read.map_err(|refused| self::refused(refused, "header"))?;
        match refused {
            Some((reason, detail)) => Err(AuthError::new(reason).with_detail(detail)),
            None => Ok(header),
        }
    }
}

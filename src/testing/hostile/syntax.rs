//! Tokens that are good but for how they are written.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};

use super::attack::{Attack, Class, Refusal};
use super::forge::{Draft, Forge, Signer};
use super::kit::Kit;
use super::shot::Shot;

type Row<'f> = (String, Draft<'f>);

pub(super) const fn attack(
    name: &'static str,
    description: &'static str,
    source: &'static str,
    refusal: Refusal,
    shots: fn(&Kit<'_>) -> Vec<Shot>,
) -> Attack {
    Attack {
        name,
        class: Class::Syntax,
        description,
        source,
        refusal,
        shots,
    }
}

pub(super) const ATTACKS: &[Attack] = &[
    attack(
        "duplicate_member",
        "a member twice, of which two readers may take different ones",
        "RFC 7515 section 4; RFC 7519 section 4",
        Refusal::Challenge,
        |kit| kit.forged(duplicates),
    ),
    attack(
        "broken_json",
        "a header or claims that are not one object of JSON in UTF-8",
        "RFC 7519 section 7.2; RFC 8725 section 3.7",
        Refusal::Challenge,
        |kit| kit.forged(broken),
    ),
    attack(
        "wrong_parts",
        "a good token with a part too many, or too few",
        "RFC 7515 section 3.1",
        Refusal::Malformed,
        parts,
    ),
    attack(
        "base64_spelling",
        "a good token in another spelling of base64url",
        "RFC 7515 section 2; RFC 4648 section 3.5",
        Refusal::Malformed,
        spelled,
    ),
    attack(
        "bytes_in_token",
        "a good token with a space, a control character or a letter of another alphabet",
        "RFC 6750 section 2.1",
        Refusal::Malformed,
        bytes,
    ),
    attack(
        "echoed_text",
        "quotes and line ends in texts of a token, which must not come back",
        "Spring, FastMCP and agentgateway descriptions; RFC 6750 section 3",
        Refusal::Challenge,
        echoed,
    ),
];

fn duplicates(forge: &Forge) -> Vec<Row<'_>> {
    let draft = || forge.draft();
    let mut rows = vec![
        (
            "alg, none first".to_owned(),
            draft().header_starts(r#""alg":"none","#),
        ),
        (
            "kid, another first".to_owned(),
            draft().header_starts(r#""kid":"x","#),
        ),
        (
            "exp, a later one first".to_owned(),
            draft().claims_start(r#""exp":99999999999,"#),
        ),
        (
            "exp, an escaped name".to_owned(),
            draft().claims_end(r#","\u0065xp":99999999999"#),
        ),
        (
            "sub, admin last".to_owned(),
            draft().claims_end(r#","sub":"admin""#),
        ),
        (
            "scope twice".to_owned(),
            draft().claims_end(r#","scope":"a","scope":"b""#),
        ),
    ];
    for name in ["aud", "iss"] {
        if forge.claim(name).is_some() {
            let other = format!(r#""{name}":"https://evil.example""#);
            let first = draft().claims_start(&format!("{other},"));
            rows.push((format!("{name}, another first"), first));
            rows.push((
                format!("{name}, another last"),
                draft().claims_end(&format!(",{other}")),
            ));
        }
    }
    // Where the good one has none, there would be one of each only.
    let has = |name: &str| forge.claim(name).is_some();
    rows.retain(|(label, _)| {
        (has("sub") || !label.starts_with("sub"))
            && (forge.has_key_id() || !label.starts_with("kid"))
    });
    rows
}

type Edit = fn(String) -> Vec<u8>;

fn broken(forge: &Forge) -> Vec<Row<'_>> {
    let edits: [(&str, Edit); 9] = [
        ("a byte order mark", |text| {
            format!("\u{feff}{text}").into_bytes()
        }),
        ("something after it", |text| {
            format!("{text}{{}}").into_bytes()
        }),
        ("a NUL after it", |text| format!("{text}\0").into_bytes()),
        ("cut off", |mut text| {
            text.pop();
            text.into_bytes()
        }),
        ("in an array", |text| format!("[{text}]").into_bytes()),
        ("in a string", |text| {
            serde_json::Value::from(text).to_string().into_bytes()
        }),
        ("a comma at the end", |text| {
            text.replacen('}', ",}", 1).into_bytes()
        }),
        ("no UTF-8", |text| {
            [&text.as_bytes()[..text.len() - 1], b",\"x\":\"\xff\"}"].concat()
        }),
        ("nothing", |_| Vec::new()),
    ];
    let mut rows = Vec::new();
    for (label, edit) in edits {
        let header = forge.draft().edit_header(edit);
        rows.push((format!("header: {label}"), header));
        let claims = forge.draft().edit_claims(edit);
        rows.push((format!("claims: {label}"), claims));
    }
    rows
}

fn parts(kit: &Kit<'_>) -> Vec<Shot> {
    with_parts(kit, |[header, claims, signature]| {
        vec![
            ("a dot after it", format!("{header}.{claims}.{signature}.")),
            ("a dot before it", format!(".{header}.{claims}.{signature}")),
            (
                "a fourth part",
                format!("{header}.{claims}.{signature}.e30"),
            ),
            ("two parts", format!("{header}.{claims}")),
            ("no header", format!(".{claims}.{signature}")),
            ("no claims", format!("{header}..{signature}")),
            ("in another order", format!("{claims}.{header}.{signature}")),
            (
                "twice",
                format!("{header}.{claims}.{signature}.{header}.{claims}.{signature}"),
            ),
        ]
    })
}

fn spelled(kit: &Kit<'_>) -> Vec<Shot> {
    with_parts(kit, |[header, claims, signature]| {
        let again = |part: &str, engine: &dyn Fn(Vec<u8>) -> String| {
            URL_SAFE_NO_PAD.decode(part).map(engine).unwrap_or_default()
        };
        let padded = |part: &str| again(part, &|bytes| URL_SAFE.encode(bytes));
        let plus = |part: &str| again(part, &|bytes| STANDARD_NO_PAD.encode(bytes));
        let mut rows = vec![
            (
                "padding at the end",
                format!("{header}.{claims}.{signature}="),
            ),
            ("padding twice", format!("{header}.{claims}.{signature}==")),
            (
                "a padded header",
                format!("{}=.{claims}.{signature}", padded(header)),
            ),
            (
                "padded claims",
                format!("{header}.{}=.{signature}", padded(claims)),
            ),
            (
                "a letter too many",
                format!("{header}.{claims}.{signature}A"),
            ),
            ("bits that count for nothing", {
                format!("{header}.{claims}.{}", with_stray_bits(signature))
            }),
        ];
        // Only where base64 and base64url differ.
        if plus(signature) != signature {
            rows.push((
                "plus and slash",
                format!("{header}.{claims}.{}", plus(signature)),
            ));
        }
        // A signature of a length that leaves no bits.
        rows.retain(|(_, token)| *token != format!("{header}.{claims}.{signature}"));
        rows
    })
}

/// The same bytes for a decoder that does not look at the last bits of the last letter.
fn with_stray_bits(part: &str) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = part.to_owned();
    let Some(last) = text.pop() else {
        return text;
    };
    let at = LETTERS
        .iter()
        .position(|letter| char::from(*letter) == last);
    let stray = usize::from(!part.len().is_multiple_of(4));
    text.push(LETTERS[at.unwrap_or_default() | stray].into());
    text
}

fn bytes(kit: &Kit<'_>) -> Vec<Shot> {
    with_parts(kit, |[header, claims, signature]| {
        vec![
            ("a space within", format!("{header}. {claims}.{signature}")),
            ("a tab within", format!("{header}.{claims}\t.{signature}")),
            (
                "a percent sign",
                format!("{header}%2e{claims}%2e{signature}"),
            ),
            (
                "a comma at the end",
                format!("{header}.{claims}.{signature},"),
            ),
            (
                "a semicolon at the end",
                format!("{header}.{claims}.{signature};"),
            ),
            (
                "a wide full stop",
                format!("{header}\u{ff0e}{claims}\u{ff0e}{signature}"),
            ),
            (
                "a zero-width space",
                format!("{header}.{claims}.{signature}\u{200b}"),
            ),
            (
                "JSON",
                format!(r#"{{"payload":"{claims}","signature":"{signature}"}}"#),
            ),
        ]
    })
}

fn with_parts(
    kit: &Kit<'_>,
    make: impl FnOnce([&str; 3]) -> Vec<(&'static str, String)>,
) -> Vec<Shot> {
    let Some(good) = kit.token() else {
        return Vec::new();
    };
    let mut parts = good.secret.split('.');
    let mut next = || parts.next().unwrap_or_default();
    let rows = make([next(), next(), next()]).into_iter();
    rows.map(|(label, token)| kit.with_token(label, &token))
        .collect()
}

fn echoed(kit: &Kit<'_>) -> Vec<Shot> {
    let Some(forge) = kit.forge else {
        return Vec::new();
    };
    let mut shots = Vec::new();
    for place in ["kid", "alg", "typ", "iss", "aud", "sub", "scope"] {
        let marker = Kit::marker();
        let text = format!("x\", error=\"{marker}\r\nx-injected: {marker}\u{e9}");
        let draft = match place {
            "kid" | "alg" | "typ" => forge.draft().header(place, text),
            _ => forge.draft().claim(place, text),
        };
        // A signature that is good would let some of these in, as they may be.
        let draft = draft.by(Signer::Changed(|good| vec![1; good.len()]));
        shots.push(kit.with_draft(place, &draft).secret(marker));
    }
    // What is proven is not said either.
    for place in ["iss", "aud"] {
        if forge.claim(place).is_some() {
            let marker = Kit::marker();
            let text = format!("https://evil.example/\"\r\n{marker}");
            let draft = forge.draft().claim(place, text);
            let label = format!("{place}, well signed");
            shots.push(kit.with_draft(label, &draft).secret(marker));
        }
    }
    shots
}

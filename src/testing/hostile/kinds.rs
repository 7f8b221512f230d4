//! Tokens of the right issuer that are no access tokens.

use serde_json::{Map, Value, json};

use super::attack::{Attack, Class, Group, Refusal};
use super::forge::{Draft, Forge, Row};

const GROUP: Group = Group {
    class: Class::Kind,
    refusal: Refusal::Challenge,
};

pub(super) const ATTACKS: &[Attack] = &[
    GROUP.attack(
        "id_token",
        "an ID token with the audience of the server",
        "RFC 8725 section 3.12; RFC 9068 section 5",
        |kit| kit.forged(id_tokens),
    ),
    GROUP.attack(
        "refresh_token",
        "a refresh token, by the marks that servers give it",
        "RFC 8725 section 3.12; RFC 7662 section 2.2",
        |kit| kit.forged(refresh_tokens),
    ),
    GROUP.attack(
        "logout_token",
        "a logout token, or another security event",
        "OpenID Connect Back-Channel Logout 1.0 section 2.4; RFC 8417",
        |kit| kit.forged(events),
    ),
    GROUP.attack(
        "other_type",
        "a token whose header says that it is something else",
        "RFC 8725 section 3.11; RFC 9068 section 4",
        |kit| kit.forged(types),
    ),
];

/// A plain JWT, as ID tokens are.
fn jwt(forge: &Forge) -> Draft<'_> {
    forge.draft().header("typ", "JWT")
}

fn id_tokens(forge: &Forge) -> Vec<Row<'_>> {
    let bare = || {
        let draft = jwt(forge).without_claim("client_id").without_claim("scope");
        draft.without_claim("scp")
    };
    vec![
        ("nonce, no scope".to_owned(), bare().claim("nonce", "n-0S6")),
        (
            "at_hash".to_owned(),
            bare().claim("at_hash", "MTIzNDU2Nzg5MDEyMzQ1Ng"),
        ),
        (
            "c_hash".to_owned(),
            bare().claim("c_hash", "MTIzNDU2Nzg5MDEyMzQ1Ng"),
        ),
        (
            "token_use id".to_owned(),
            jwt(forge).claim("token_use", "id"),
        ),
        ("typ ID".to_owned(), jwt(forge).claim("typ", "ID")),
    ]
}

fn refresh_tokens(forge: &Forge) -> Vec<Row<'_>> {
    vec![
        ("typ Refresh".to_owned(), jwt(forge).claim("typ", "Refresh")),
        ("typ Offline".to_owned(), jwt(forge).claim("typ", "Offline")),
        (
            "token_use refresh".to_owned(),
            jwt(forge).claim("token_use", "refresh"),
        ),
        (
            "token_use refresh_token".to_owned(),
            jwt(forge).claim("token_use", "refresh_token"),
        ),
    ]
}

fn events(forge: &Forge) -> Vec<Row<'_>> {
    let logout = "http://schemas.openid.net/event/backchannel-logout";
    let events = json!({ logout: {} });
    let named = forge.draft().header("typ", "logout+jwt");
    vec![
        (
            "events and logout+jwt".to_owned(),
            named.claim("events", events.clone()),
        ),
        (
            "events alone".to_owned(),
            jwt(forge).claim("events", events),
        ),
        (
            "no events".to_owned(),
            jwt(forge).claim("events", Value::Object(Map::new())),
        ),
    ]
}

fn types(forge: &Forge) -> Vec<Row<'_>> {
    const TYPES: [&str; 10] = [
        "logout+jwt",
        "dpop+jwt",
        "token-introspection+jwt",
        "oauth-id-jag+jwt",
        "secevent+jwt",
        "application/dpop+jwt",
        "client-authentication+jwt",
        "JWE",
        "at+jwt ",
        "",
    ];
    let named = TYPES.into_iter().map(Value::from);
    let shaped = [json!(["at+jwt"]), json!(1), json!({})];
    let row = |value: Value| (format!("typ {value}"), forge.draft().header("typ", value));
    named.chain(shaped).map(row).collect()
}

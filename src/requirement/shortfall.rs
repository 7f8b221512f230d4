//! What the operator reads where scopes do not suffice.

use serde_json::Value;

use crate::principal::Principal;
use crate::scope::Scopes;
use crate::scope::named;
use crate::util::quoted;

/// Where makers put scopes.
const CLAIMS: [&str; 3] = ["scope", "scp", "scopes"];

/// What was needed and what was granted, and why that may be less than was meant. A challenge
/// may ask for more than was needed.
pub(crate) fn shortfall(needed: &Scopes, principal: &Principal) -> String {
    let granted = principal.scopes();
    let mut detail = format!("needed \"{needed}\", granted {}", quoted(granted.as_str()));
    for claim in CLAIMS {
        let Some(value) = principal.claims().get(claim) else {
            continue;
        };
        let all = pieces(value);
        let scopes: Vec<&str> = all.iter().flat_map(|piece| named(piece)).collect();
        // Where they are read from the claim they are among those granted.
        if !scopes.is_empty() && !scopes.iter().any(|scope| granted.contains(scope)) {
            detail.push_str(&format!(
                "; the token has a claim {claim}, which is not read for scopes: \
                 `scope_claim(\"{claim}\")` reads it"
            ));
        } else if scopes.len() < all.len() {
            detail.push_str(&format!(
                "; what has characters no scope may have was left out of the claim {claim}"
            ));
        }
    }
    detail
}

/// What there is, scopes or not, one by one.
fn pieces(value: &Value) -> Vec<&str> {
    match value {
        Value::String(joined) => joined
            .split(' ')
            .filter(|piece| !piece.is_empty())
            .collect(),
        // One element is one scope, and none with a space in it.
        Value::Array(list) => list.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

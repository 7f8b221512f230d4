//! The error of a verdict on what a request needs.

use crate::error::{AuthError, Reason};
use crate::refusal::Caller;
use crate::requirement::{EXCLUDED, Judged, Requirement, ScopeHierarchy, Verdict, shortfall};
use crate::scope::Scopes;

/// Judges all of `needs` together.
pub(crate) fn judge<'n>(
    needs: impl Iterator<Item = &'n Requirement> + Clone,
    caller: Caller<'_>,
    hierarchy: &ScopeHierarchy,
) -> Verdict {
    let of_layer = &caller.context.strength;
    Requirement::judge(needs, of_layer, caller.judged(), hierarchy)
}

/// The error of a verdict. Who has not said who they are is asked that first, and told the
/// scopes in the same challenge. With `include_granted`, a challenge names what was granted as
/// well.
pub(crate) fn refused(
    verdict: Verdict,
    caller: Caller<'_>,
    include_granted: Option<&ScopeHierarchy>,
) -> Option<AuthError> {
    match (verdict, caller.known()) {
        (Verdict::Granted, _) => None,
        // Who brought a bad credential that was let pass need not be asked for one: to them
        // the operation is as closed as to those with a good one.
        (Verdict::Denied, None) if caller.reported.is_none() => {
            Some(AuthError::missing().with_detail(
                "the request was let through without a credential, and the operation is \
                 closed without one",
            ))
        }
        (Verdict::Denied, _) => Some(
            AuthError::new(Reason::OPERATION_DENIED)
                .with_detail("what is needed here denies the operation to everybody"),
        ),
        (Verdict::Lacking(needed) | Verdict::TooWeak { needed, .. }, None) => {
            let detail = match needed.is_empty() {
                true => "the request was let through without a credential, and needs an \
                         authenticated caller here"
                    .to_owned(),
                false => format!(
                    "the request was let through without a credential, and needs \"{needed}\" here"
                ),
            };
            Some(AuthError::missing().with_scopes(needed).with_detail(detail))
        }
        (Verdict::Lacking(needed), Some(principal)) => {
            let detail = shortfall(&needed, principal);
            let asked = match include_granted {
                Some(hierarchy) => with_granted(principal.scopes(), &needed, caller, hierarchy),
                None => needed,
            };
            Some(AuthError::insufficient_scope(asked).with_detail(detail))
        }
        (
            Verdict::TooWeak {
                strength,
                needed,
                lacks_scopes,
            },
            Some(principal),
        ) => {
            // The new token is to serve the operation, and what the one there is served.
            let asked = match include_granted {
                Some(hierarchy) => with_granted(principal.scopes(), &needed, caller, hierarchy),
                None => needed.clone(),
            };
            let lacking = lacks_scopes.then(|| {
                AuthError::insufficient_scope(asked.clone())
                    .with_detail(shortfall(&needed, principal))
            });
            let clock = &caller.context.clock;
            Some(strength.refusal(Judged { principal, clock }, asked, lacking))
        }
        (Verdict::Excluded, _) => {
            Some(AuthError::new(Reason::OPERATION_DENIED).with_detail(format!("acr: {EXCLUDED}")))
        }
    }
}

/// What was granted, and what is needed. What a needed scope includes is left out, unless the
/// auth layer asks for it, which knows no hierarchy.
fn with_granted(
    granted: &Scopes,
    needed: &Scopes,
    caller: Caller<'_>,
    hierarchy: &ScopeHierarchy,
) -> Scopes {
    let challenges = &caller.context.challenges;
    let is_asked = |name: &str| challenges.iter().any(|challenge| challenge.asks_for(name));
    let stays = |name: &&str| !hierarchy.grants(needed, name) || is_asked(name);
    if granted
        .iter()
        .filter(stays)
        .all(|name| needed.contains(name))
    {
        return needed.clone();
    }
    let kept = granted
        .iter()
        .filter(|name| needed.contains(name) || stays(name));
    Scopes::unique(kept.chain(needed.iter()))
}

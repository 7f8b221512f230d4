//! Nonces of the server: RFC 9449 sections 8 and 9.

use tower_mcp_auth::oauth::binding::{DpopMode, DpopOptions};

use super::super::support::{Answer, START};
use super::{Bound, assert_refused, parameter};

const SECRET: &str = "R7vJ2nWq9sLx4TzK8mYc3FbHd6GpAeU5";

fn with_nonces() -> Bound {
    let options = DpopOptions::new().nonce_secret(SECRET).unwrap();
    Bound::with(DpopMode::Allowed, options)
}

#[track_caller]
fn nonce(answer: &Answer) -> String {
    let all: Vec<_> = answer.headers.get_all("dpop-nonce").iter().collect();
    assert_eq!(all.len(), 1, "{answer:?}");
    assert_eq!(answer.headers["cache-control"], "no-store");
    let nonce = all[0].to_str().unwrap().to_owned();
    // RFC 9449 section 8.1: NQCHAR.
    assert!(nonce.len() >= 22 && nonce.bytes().all(|byte| byte.is_ascii_graphic()));
    nonce
}

#[tokio::test]
async fn a_proof_without_one_is_told_which_to_use() {
    let bound = with_nonces();
    let asked = bound.ask(&bound.proof().sign()).await;
    assert_refused(&asked, "use_dpop_nonce", "dpop_nonce_required");
    let told = nonce(&asked);
    for wrong in ["", "x", &told[1..], &format!("{told}x")] {
        let answer = bound.ask(&bound.proof().nonce(wrong).sign()).await;
        assert_refused(&answer, "use_dpop_nonce", "dpop_nonce_required");
        assert_eq!(nonce(&answer), told);
    }
    let proof = bound.proof().nonce(&told).sign();
    let answer = bound.ask(&proof).await;
    answer.assert(200, "accepted");
    assert!(!answer.headers.contains_key("dpop-nonce"));
    // And once.
    let again = bound.ask(&proof).await;
    assert_refused(&again, "invalid_dpop_proof", "replayed_dpop_proof");
    // Other refusals have none.
    let answer = bound
        .ask(&bound.proof().nonce(&told).claim("ath", "x").sign())
        .await;
    assert_refused(&answer, "invalid_dpop_proof", "dpop_token_mismatch");
    assert!(!answer.headers.contains_key("dpop-nonce"));
    // So has a bearer token.
    let token = bound.issuer.token(serde_json::json!({}));
    let answer = bound.ask_with("Bearer", &token, &[]).await;
    answer.assert(200, "accepted");
}

#[tokio::test]
async fn two_are_good_and_the_older_one_is_replaced() {
    let bound = with_nonces();
    // Epochs begin at multiples of 150 s, as the start of the clock is one.
    assert_eq!(START.as_secs() % 150, 0);
    let first = nonce(&bound.ask(&bound.proof().sign()).await);
    bound.guarded.advance(149);
    let answer = bound.ask(&bound.proof().nonce(&first).sign()).await;
    answer.assert(200, "accepted");
    assert!(!answer.headers.contains_key("dpop-nonce"));
    bound.guarded.advance(1);
    let answer = bound.ask(&bound.proof().nonce(&first).sign()).await;
    answer.assert(200, "accepted");
    let second = nonce(&answer);
    assert_ne!(second, first);
    let answer = bound.ask(&bound.proof().nonce(&second).sign()).await;
    answer.assert(200, "accepted");
    assert!(!answer.headers.contains_key("dpop-nonce"));
    bound.guarded.advance(150);
    let answer = bound.ask(&bound.proof().nonce(&first).sign()).await;
    assert_refused(&answer, "use_dpop_nonce", "dpop_nonce_required");
    let answer = bound.ask(&bound.proof().nonce(&second).sign()).await;
    answer.assert(200, "accepted");
    assert_eq!(parameter(&bound.ask("x").await, "Bearer", "error"), None);
}

/// Whatever clock the client has.
#[tokio::test]
async fn with_one_the_time_is_that_of_the_nonce() {
    let bound = with_nonces();
    let told = nonce(&bound.ask(&bound.proof().sign()).await);
    let now = START.as_secs();
    let mut proofs = Vec::new();
    for iat in [0, now - 100_000, now + 100_000] {
        let proof = bound.proof().nonce(&told).claim("iat", iat).sign();
        bound.ask(&proof).await.assert(200, "accepted");
        proofs.push(proof);
    }
    // They are known as long as the nonce is good.
    bound.guarded.advance(299);
    for proof in &proofs {
        bound.ask(proof).await.assert(401, "replayed_dpop_proof");
    }
    bound.guarded.advance(1);
    for proof in &proofs {
        bound.ask(proof).await.assert(401, "dpop_nonce_required");
    }
    // What it says itself still counts.
    let told = nonce(&bound.ask(&bound.proof().sign()).await);
    let over = bound.proof().nonce(&told).claim("exp", now).sign();
    bound.ask(&over).await.assert(401, "dpop_time_mismatch");
}

#[tokio::test]
async fn replicas_with_one_secret_have_the_same_ones() {
    let (one, other) = (with_nonces(), with_nonces());
    let told = nonce(&one.ask(&one.proof().sign()).await);
    let proof = other.proof().nonce(&told).sign();
    other.ask(&proof).await.assert(200, "accepted");
    let options = DpopOptions::new();
    let options = options.nonce_secret(SECRET.to_lowercase()).unwrap();
    let third = Bound::with(DpopMode::Allowed, options);
    let answer = third.ask(&third.proof().nonce(&told).sign()).await;
    assert_refused(&answer, "use_dpop_nonce", "dpop_nonce_required");
}

/// Without the setting nothing is asked, and what a proof has is not looked at.
#[tokio::test]
async fn where_none_are_asked_for_any_is_good() {
    let bound = Bound::new();
    let answer = bound.ask(&bound.proof().nonce("any").sign()).await;
    answer.assert(200, "accepted");
    assert!(!answer.headers.contains_key("dpop-nonce"));
}

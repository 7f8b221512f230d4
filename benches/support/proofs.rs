//! A proof with each request: one check of a signature, and what else it takes.

use super::dpop::{self, Guarded, Sender, guarded};
use super::drive::{Bare, put_through};
use super::facts::{Fact, Limit};
use super::measure::{Candidate, added, take_turns, timed};
use super::raw::{RawCheck, Signed};
use super::table::{Bound, Row};
use super::tokens::Key;

/// A token that is cached, with a new proof of its client for each of `count` requests in each of
/// `rounds`; beside the raw check of an ES256 signature.
pub(crate) fn row(key: &Key, count: usize, rounds: usize) -> Row {
    compare(key, &mut guarded(key), &Sender::new(key, 0), count, rounds)
}

/// A request when there are `used` proofs.
pub(crate) fn full(key: &Key, used: usize, count: usize, rounds: usize) -> Fact {
    let mut guarded = guarded(key);
    let senders = dpop::use_proofs(key, &mut guarded, used - count * rounds - 1);
    let row = compare(key, &mut guarded, &senders[0], count, rounds);
    Fact {
        label: "One more of 1,000,000 proofs, by checks of ES256".to_owned(),
        value: row.ratio().unwrap_or(f64::INFINITY),
        unit: "x",
        limit: Limit::Most(1.2),
    }
}

fn compare(key: &Key, guarded: &mut Guarded, sender: &Sender, count: usize, rounds: usize) -> Row {
    // The token and the key are known from then on.
    put_through(guarded, sender.request(), 200);
    let proofs: Vec<String> = (0..count * rounds).map(|_| sender.proof()).collect();
    // As many, no two alike: of one that comes again and again the processor guesses the way.
    let signed = key.tokens(0, count * rounds);
    let signed: Vec<Signed> = signed.iter().map(|token| Signed::new(token)).collect();
    let raw = RawCheck::new(key);
    let mut raw_source = signed.iter();
    let known = sender.with(&proofs[0]);
    let mut proofs = proofs.iter();
    let mut candidates = [
        Candidate::new(|| {
            let inputs = (0..count).map(|_| known.clone()).collect();
            timed(inputs, |request| put_through(&mut Bare, request, 200))
        }),
        Candidate::new(|| {
            let inputs = proofs.by_ref().take(count).map(|proof| sender.with(proof));
            timed(inputs.collect(), |request| {
                put_through(guarded, request, 200);
            })
        }),
        Candidate::new(|| raw.check_next(count, &mut raw_source)),
    ];
    take_turns(&mut candidates, rounds);
    let [bare, layer, raw] = &candidates;
    Row {
        group: "seen before",
        name: "ES256, with a proof",
        population: None,
        bare: bare.time(),
        layer: layer.time(),
        added: added(bare, layer),
        least: None,
        floor: Some(("raw signature check", raw.time())),
        bound: Bound::Ratio(1.2),
    }
}

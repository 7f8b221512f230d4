//! Used proofs at three processes: of many requests with one proof, one is accepted.

use tower_mcp_auth::testing::{DpopKey, Issuer};

use super::*;

/// How many proofs there are, so many at a time: each is good for five minutes.
const ROUNDS: usize = 20;
const PROOFS: usize = 50;
/// How often each is sent to each process, unless the variable `REPLAYS` says otherwise: 334 is a
/// million requests, which take minutes.
const EACH: usize = 5;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn of_many_requests_with_a_proof_three_processes_accept_one() {
    let each = std::env::var("REPLAYS").ok();
    let each = each.map_or(EACH, |each| each.parse().expect("a number"));
    let engine = Server::start(&[]).await;
    engine.age(Duration::from_secs(3600)).await;
    let issuer = Issuer::start().await.expect("an issuer");
    let mut replicas = Vec::new();
    for _ in 0..3 {
        let replica = Replica::of_issuer(&[engine.url()], Some(issuer.url())).await;
        replica.until_ready().await;
        replicas.push(replica);
    }
    let [one, two, three] = &replicas[..] else {
        panic!("there are three");
    };
    let key = DpopKey::generate();
    let token = issuer.token().audience(RESOURCE).bound_to(&key).sign();
    let begun = Instant::now();
    let mut first = [0; 3];
    for round in 0..ROUNDS {
        let mut lines = format!("{each}\n{token}");
        for _ in 0..PROOFS {
            let proof = key.proof("POST", RESOURCE).access_token(&token);
            lines.push('\n');
            lines.push_str(&proof.sign());
        }
        let all = tokio::join!(
            replay(one, &lines),
            replay(two, &lines),
            replay(three, &lines)
        );
        let all = [all.0, all.1, all.2];
        for (counts, first) in all.iter().zip(&mut first) {
            let (others, own) = counts.split_last().expect("counts");
            assert_eq!(
                (own.len(), *others),
                (PROOFS, 0),
                "refused for another reason"
            );
            *first += own.iter().sum::<usize>();
        }
        for proof in 0..PROOFS {
            let accepted: usize = all.iter().map(|counts| counts[proof]).sum();
            assert_eq!(accepted, 1, "round {round}, proof {proof}");
        }
    }
    println!(
        "{} requests with {} proofs at three processes: each accepted once, {first:?}, in {:?}",
        3 * each * PROOFS * ROUNDS,
        PROOFS * ROUNDS,
        begun.elapsed()
    );
    assert!(
        first.iter().all(|count| *count > 0),
        "each was first sometimes"
    );
}

/// How often a process accepts each proof, and at last how many requests it refuses for anything
/// but a repetition.
async fn replay(replica: &Replica, lines: &str) -> Vec<usize> {
    let request = replica.client.put(format!("{}/replay", replica.url));
    let answer = request.body(lines.to_owned()).send().await;
    let counts = answer.expect("an answer").text().await.expect("text");
    let counts = counts
        .split(' ')
        .map(|count| count.parse().expect("a number"));
    counts.collect()
}

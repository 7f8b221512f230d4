//! The `replicas` example: with a store in memory, and with an engine where there is one.

use super::*;

/// An example and what it started, which ends with this: an example that is killed ends nothing.
struct Group(Option<u32>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(id) = self.0 {
            let mut kill = std::process::Command::new("kill");
            // It may have ended.
            drop(kill.args(["-KILL", "--", &format!("-{id}")]).status());
        }
    }
}

/// Sends what the example prints, and finds that it names the store it has.
async fn asked(command: &mut Command, store: &str) {
    let command = command.arg("127.0.0.1:0").stderr(Stdio::null());
    let example = Example::spawn(command.process_group(0)).await;
    let _group = Group(example.child.id());
    assert!(
        example.printed.iter().any(|line| line.contains(store)),
        "{:?}",
        example.printed
    );
    let answers = example.ask_all().await;
    for refused in ["refused here", "and a second later there"] {
        let challenge = answers.to(refused).challenge();
        assert!(
            challenge.contains("The access token was revoked"),
            "{challenge}"
        );
    }
    // The five that were served are among what was asked.
    let sixth = answers.to("and the sixth there");
    assert_eq!(sixth.headers["ratelimit-policy"], "\"calls\";q=5;w=60");
    let left = sixth.headers["ratelimit"].to_str().unwrap();
    assert!(left.starts_with("\"calls\";r=0;t="), "{left}");
}

#[tokio::test]
async fn what_is_revoked_at_one_is_refused_at_the_other() {
    // Nothing is on an empty path.
    let mut command = command("replicas");
    command.env_remove("REDIS_URL").env("PATH", "");
    asked(&mut command, "store in memory").await;
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn with_an_engine_as_well() {
    let mut command = command("replicas");
    asked(command.env_remove("REDIS_URL"), "redis-server on port").await;
}

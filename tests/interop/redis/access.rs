//! An engine with TLS and an access control list, and settings that it refuses.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use common::revocations::{BOUND, keeps_its_promises, read_on, record, records, snapshot};
use tokio::process::Command;
use tokio::time::timeout;
use tower_mcp_auth::api_key::ApiKey;
use tower_mcp_auth::redis::{Redis, RedisApiKeys};
use tower_mcp_auth::store::{Insertion, ReplayStore, RevocationEntry, RevocationStore};

use super::engine::{Folder, PREFIX, Server};
use super::{HOUR, insert, key, until, value};
use crate::programs::{self, free_port};

/// The commands that a user may do, without those of API keys, and those of one who has API keys
/// and no revocations: by the page, and as the docs of the module have them.
fn documented_commands() -> [String; 2] {
    let read = |path| std::fs::read_to_string(common::root().join(path)).unwrap();
    let page = read("docs/more-than-one-machine.md");
    let words = |text: &str| {
        let section = text.split("ACL SETUSER mcp").nth(1).unwrap();
        let section = section.replace(['`', ','], " ");
        let words = section.split_whitespace();
        let words = words.take_while(|word| !word.contains("select"));
        let commands = words.filter(|word| word.starts_with('+') && word.len() > 1);
        commands.map(str::to_owned).collect::<Vec<_>>()
    };
    let all = words(&page);
    assert_eq!(all, words(&read("src/redis/mod.rs")));
    let (own, keys) = all.split_at(all.len() - 6);
    assert_eq!(keys[..2], ["+hget", "+hexists"]);
    let base = own.iter().position(|word| word == "+exists").unwrap();
    [own.join(" "), [&own[..=base], keys].concat().join(" ")]
}

/// An authority and a certificate of it for 127.0.0.1.
async fn certificates(folder: &Folder) {
    let script = "
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 \
            -subj /CN=authority -keyout ca.key -out ca.pem
        openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \
            -subj /CN=engine -keyout engine.key -out engine.csr
        printf 'subjectAltName=IP:127.0.0.1\\nbasicConstraints=CA:FALSE\\n' > extensions
        openssl x509 -req -in engine.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 \
            -extfile extensions -out engine.pem";
    let mut shell = Command::new("sh");
    programs::run(shell.args(["-ec", script]).current_dir(&folder.0)).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server and openssl"]
async fn tls_and_an_access_control_list() {
    const PASSWORD: &str = "p:a/s@s w?rd";
    const URL_PASSWORD: &str = "p%3Aa%2Fs%40s%20w%3Frd";
    let folder = Folder::new();
    certificates(&folder).await;
    let list = folder.path("users.acl");
    let [commands, commands_of_keys] = documented_commands();
    let sha256 = Command::new("sh")
        .args([
            "-c",
            &format!("printf %s '{PASSWORD}' | sha256sum | cut -c1-64"),
        ])
        .output()
        .await;
    let digest = String::from_utf8(sha256.unwrap().stdout).unwrap();
    let digest = digest.trim();
    let user = format!("user mcp on #{digest} resetchannels ~{{{PREFIX}}}:* {commands}\n");
    let keys = user.replace("user mcp", "user keys");
    let keys = keys.replace(&commands, &commands_of_keys);
    let poor = format!("user poor on #{digest} resetchannels ~other:* +info\n");
    let admin = format!("user admin on #{digest} +client\n");
    std::fs::write(
        &list,
        format!("user default off\n{user}{keys}{poor}{admin}"),
    )
    .unwrap();
    let port = free_port().await;
    let (ca, chain, private) = (
        folder.path("ca.pem"),
        folder.path("engine.pem"),
        folder.path("engine.key"),
    );
    let tls_port = port.to_string();
    let arguments = [
        "--tls-port",
        &tls_port,
        "--tls-ca-cert-file",
        &ca,
        "--tls-cert-file",
        &chain,
        "--tls-key-file",
        &private,
        "--aclfile",
        &list,
    ];
    let _engine = Server::start_as("redis-server".into(), port, &arguments).await;
    let ca = std::fs::read(ca).unwrap();
    let (chain_path, private_path) = (chain, private);
    let (chain, private) = (
        std::fs::read(&chain_path).unwrap(),
        std::fs::read(&private_path).unwrap(),
    );
    let with = |user: &str, password: &str| {
        let url = format!("rediss://{user}:{password}@127.0.0.1:{port}/");
        Redis::builder(&url).prefix(PREFIX)
    };
    let good = || {
        with("mcp", URL_PASSWORD)
            .ca(&ca)
            .client_certificate(&chain, &private)
    };
    let redis = good().connect().await.unwrap();
    redis.init().await.unwrap();
    assert_eq!(insert(&redis, 1, 1).await, Ok(Insertion::Inserted));
    assert_eq!(insert(&redis, 1, 2).await, Ok(Insertion::Present(value(1))));
    let watched = Arc::new(redis.clone()).watch(key(1));
    timeout(Duration::from_secs(2), watched).await.unwrap();
    let small = good().max_revocations(BOUND).connect().await.unwrap();
    keeps_its_promises(&small).await;
    // The second connection is let in as well.
    let position = snapshot(&redis).await.unwrap().position;
    let reads = tokio::spawn(async move {
        let mut from = position;
        loop {
            let (read, next) = read_on(&small, &from).await;
            if !read.is_empty() {
                return read;
            }
            from = next;
        }
    });
    let clients = async || {
        let mut cli = Command::new("redis-cli");
        cli.args([
            "--tls", "-p", &tls_port, "--user", "admin", "--pass", PASSWORD,
        ]);
        cli.args(["--cacert", &folder.path("ca.pem"), "--no-auth-warning"]);
        cli.args(["--cert", &chain_path, "--key", &private_path]);
        programs::run(cli.args(["CLIENT", "LIST"])).await
    };
    until("it listens", async || {
        let listed = clients().await;
        let mut listed = listed.lines();
        listed.any(|line| line.contains(" flags=b ") && line.contains("user=mcp"))
    })
    .await;
    let ended = RevocationEntry::new(record(99), Some(Duration::from_secs(1)));
    redis.append(vec![ended]).await.unwrap();
    assert_eq!(reads.await.unwrap(), records([99]));
    let shown = format!("{redis:?} {:?} {:?}", good(), redis.health());
    assert!(
        !shown.contains(PASSWORD) && !shown.contains(URL_PASSWORD),
        "{shown}"
    );
    // Apart from the URL it is the same.
    let apart = Redis::builder(&format!("rediss://127.0.0.1:{port}"))
        .username("mcp")
        .password(PASSWORD)
        .ca(&ca)
        .client_certificate(&chain, &private)
        .prefix(PREFIX);
    assert!(apart.connect().await.unwrap().health().is_ready());

    let keys = with("keys", URL_PASSWORD).ca(&ca);
    let keys = keys.client_certificate(&chain, &private).connect().await;
    let keys = RedisApiKeys::new(&keys.unwrap(), "R7vJ2nWq9sLx4TzK8mYc3FbHd6GpAeU5").unwrap();
    let (new, now) = (ApiKey::generate("acme").unwrap(), SystemTime::now());
    let key = new.to_api_key().expires_at(now + HOUR).unwrap();
    keys.put(&key).await.unwrap();
    assert!(keys.used(&new.digest(), now).await.unwrap());
    assert!(keys.last_used(&new.digest()).await.unwrap().is_some());
    assert_eq!(keys.expiring_within(HOUR * 2).await.unwrap().len(), 1);
    keys.put(&new.to_api_key()).await.unwrap();

    let refused = [
        (
            "ca",
            with("mcp", URL_PASSWORD).client_certificate(&chain, &private),
        ),
        (
            "password",
            with("mcp", "wrong")
                .ca(&ca)
                .client_certificate(&chain, &private),
        ),
        (
            "username",
            with("poor", URL_PASSWORD)
                .ca(&ca)
                .client_certificate(&chain, &private),
        ),
    ];
    for (setting, builder) in refused {
        let error = builder.connect().await.unwrap_err();
        assert_eq!(error.setting(), setting, "{error}");
        assert!(!error.to_string().contains("wrong:"), "{error}");
    }
}

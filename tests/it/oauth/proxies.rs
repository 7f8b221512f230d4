//! Which requests go through a proxy, and which variables of the environment count.

use std::process::Command;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::Request;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tower_mcp_auth::ConfigError;
use tower_mcp_auth::oauth::{Fetch, HttpFetch};

/// A proxy that writes down what it is asked for, and refuses it.
struct Proxy {
    address: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let log = Arc::clone(&asked);
        common::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut head = vec![0; 4096];
                let read = stream.read(&mut head).await.unwrap_or(0);
                let head = String::from_utf8_lossy(&head[..read]).into_owned();
                log.lock().unwrap().push(head);
                let _ = stream
                    .write_all(b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n")
                    .await;
            }
        });
        Self { address, asked }
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

/// A port without a listener.
async fn closed_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap().port()
}

/// What is never sent through a proxy: this machine, and plain http.
async fn direct_only() -> Vec<String> {
    let port = closed_port().await;
    let mut urls = Vec::new();
    for host in [
        "127.0.0.1",
        "localhost",
        "127.8.9.10",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "issuer.localhost",
        "localhost.",
    ] {
        urls.push(format!("http://{host}:{port}/keys"));
        urls.push(format!("https://{host}:{port}/keys"));
    }
    // A name that leads nowhere (RFC 6761 section 6.4).
    urls.push(format!("http://keycloak.invalid:{port}/keys"));
    urls
}

async fn get(client: &HttpFetch, url: &str) -> String {
    let request = Request::get(url).body(Bytes::new()).unwrap();
    let answer = client.fetch(request, 1024).await;
    answer.map_or_else(
        |error| error.to_string(),
        |answer| answer.status().to_string(),
    )
}

#[tokio::test]
async fn https_goes_through_the_proxy_that_is_set_and_nothing_else() {
    let proxy = Proxy::start().await;
    for url in [
        format!("http://{}", proxy.address),
        format!("http://{}/", proxy.address),
    ] {
        let client = HttpFetch::new().proxy(url).unwrap();
        for host in ["auth.invalid", "10.0.0.1", "localhost.invalid"] {
            get(&client, &format!("https://{host}/keys")).await;
            let asked = proxy.asked().concat();
            let line = format!("CONNECT {host}:443 HTTP/1.1\r\n");
            assert!(asked.starts_with(&line), "{asked}");
            assert!(!asked.to_lowercase().contains("proxy-authorization"));
        }
        for url in direct_only().await {
            get(&client, &url).await;
            assert_eq!(proxy.asked(), [""; 0], "{url}");
        }
    }
    let url = format!("http://us%40er:pass@{}", proxy.address);
    let client = HttpFetch::new().proxy(&url).unwrap();
    get(&client, "https://auth.invalid/keys").await;
    let asked = proxy.asked().concat().to_lowercase();
    assert!(asked.contains("proxy-authorization: basic "), "{asked}");
    assert!(!format!("{client:?}").contains("pass"), "{client:?}");
}

#[tokio::test]
async fn addresses_that_must_be_public_are_not_looked_up_by_a_proxy() {
    let proxy = Proxy::start().await;
    let url = format!("http://{}", proxy.address);
    let client = HttpFetch::new().proxy(&url).unwrap();
    get(&client.public_addresses_only(), "https://auth.invalid/").await;
    assert_eq!(proxy.asked(), [""; 0]);
    let both = HttpFetch::new().public_addresses_only().proxy(&url);
    let error = both.unwrap_err();
    assert_eq!(error.setting(), "proxy");
    assert!(
        error.to_string().contains("public_addresses_only"),
        "{error}"
    );
}

#[test]
fn proxies_that_are_none_are_refused_and_not_repeated() {
    for url in [
        "",
        "proxy.example.com",
        "proxy.example.com:3128",
        "http://",
        "socks5://s3cret@proxy.example.com:1080",
        "ftp://s3cret@proxy.example.com",
        "http://user:s3cret@proxy.example.com/path",
        "http://user:s3cret@proxy.example.com?x",
        "http://user:s3cret@proxy.example.com:port",
    ] {
        let error: ConfigError = HttpFetch::new().proxy(url).unwrap_err();
        assert_eq!(error.setting(), "proxy", "{url}");
        assert!(!error.to_string().contains("s3cret"), "{error}");
    }
}

/// The variables, and whether a client made of them uses the proxy for `https://auth.invalid`.
/// `PROXY` stands for the proxy.
type Environment = &'static [(&'static str, &'static str)];
const ENVIRONMENTS: [(Environment, bool); 12] = [
    (&[("HTTPS_PROXY", "http://PROXY")], true),
    (&[("HTTPS_PROXY", "PROXY")], true),
    (&[("https_proxy", "http://PROXY")], true),
    (&[("ALL_PROXY", "http://PROXY")], true),
    (&[("all_proxy", "http://PROXY"), ("HTTPS_PROXY", "")], true),
    (&[("HTTP_PROXY", "http://PROXY")], false),
    (&[("http_proxy", "http://PROXY")], false),
    (
        &[
            ("HTTPS_PROXY", "http://PROXY"),
            ("NO_PROXY", "auth.invalid"),
        ],
        false,
    ),
    (
        &[("ALL_PROXY", "http://PROXY"), ("no_proxy", ".invalid")],
        false,
    ),
    (&[("HTTPS_PROXY", "http://PROXY"), ("NO_PROXY", "*")], false),
    (
        &[
            ("HTTPS_PROXY", "http://PROXY"),
            ("NO_PROXY", "other.invalid"),
        ],
        true,
    ),
    (&[], false),
];

#[tokio::test(flavor = "multi_thread")]
async fn variables_of_the_environment_count_where_they_are_asked_for() {
    let proxy = Proxy::start().await;
    for (environment, is_used) in ENVIRONMENTS {
        let arguments = [
            "oauth::proxies::requests_of_a_process_with_variables",
            "--exact",
            "--ignored",
            "--nocapture",
        ];
        let mut child = Command::new(std::env::current_exe().unwrap());
        for name in ["HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY"] {
            child.env_remove(name).env_remove(name.to_lowercase());
        }
        for (name, value) in environment {
            child.env(name, value.replace("PROXY", &proxy.address));
        }
        let child = child.args(arguments);
        let ended = tokio::task::block_in_place(|| child.output()).unwrap();
        let said = String::from_utf8_lossy(&ended.stdout).into_owned();
        assert!(ended.status.success(), "{environment:?}: {said}");
        assert!(said.contains("1 passed"), "{said}");
        let asked = proxy.asked();
        match is_used {
            true => {
                let asked: Vec<_> = asked.iter().map(|head| head.lines().next()).collect();
                let line = Some("CONNECT auth.invalid:443 HTTP/1.1");
                assert_eq!(asked, [line], "{environment:?}");
            }
            false => assert_eq!(asked, [""; 0], "{environment:?}"),
        }
    }
}

/// The default client, which no variable changes, and then the one that is made of them.
#[tokio::test]
#[ignore = "is run by another test, in a process of its own"]
async fn requests_of_a_process_with_variables() {
    // Each client reads the authorities of the system, which is most of what this takes.
    let (plain, client) = (HttpFetch::new(), HttpFetch::from_environment().unwrap());
    for url in direct_only().await {
        get(&plain, &url).await;
        get(&client, &url).await;
    }
    get(&plain, "https://auth.invalid/keys").await;
    get(&client, "https://auth.invalid/keys").await;
}
